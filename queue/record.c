/* The format of the log as bytes; record.h draws it. */
#include "queue/record.h"

#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"

static const char SEGMENT_MAGIC[8] = { 'P', 'S', 'T', 'N', 'S', 'E', 'G',
	'\n' };
static const char BATCH_MAGIC[4] = { 'P', 'B', 'A', 'T' };

enum {
	CRC_SIZE = 4,
	HEADER_CUTS = 80, /* where the cuts begin */
	CUT_SIZE = 16,
	MAIL_FIXED = 66,
	MAIL_FIXED_2 = 64, /* of version 2 */
	MAIL_FIXED_1 = 56,
	MAIL_RCPT_FIXED = 10,
	MAIL_RCPT_FIXED_2 = 8, /* of version 2 */
	MAIL_RCPT_FIXED_1 = 6,
	STATE_FIXED = 24,
	STATE_RCPT_FIXED = 24,
	STATE_RCPT_NOTE = 16 /* of what can be undone */
};

_Static_assert(
    HEADER_CUTS + SEGMENT_CUTS_MAX * CUT_SIZE <= SEGMENT_BLOCK - CRC_SIZE,
    "the cuts do not fit into a header");

static uint32_t
crc_of(uint64_t generation, const uint8_t *p, size_t len)
{
	uint8_t g[8];

	put_le64(g, generation);
	return crc32c(crc32c(0, g, sizeof(g)), p, len);
}

void
segment_header_encode(
    uint8_t out[static SEGMENT_BLOCK], const struct segment_header *h)
{
	uint8_t *p = out + HEADER_CUTS;

	memset(out, 0, SEGMENT_BLOCK);
	memcpy(out, SEGMENT_MAGIC, sizeof(SEGMENT_MAGIC));
	put_le32(out + 8, SEGMENT_VERSION);
	put_le32(out + 12, h->number);
	put_le64(out + 16, h->size);
	put_le64(out + 24, h->generation);
	put_le64(out + 32, h->opened_ms);
	put_le64(out + 40, h->prev_generation);
	put_le64(out + 48, h->prev_end);
	put_le64(out + 56, h->next_batch);
	put_le64(out + 64, h->last_seq);
	put_le32(out + 72, h->ncuts);
	for (uint32_t i = 0; i < h->ncuts; i++, p += CUT_SIZE) {
		put_le64(p, h->cuts[i].generation);
		put_le64(p + 8, h->cuts[i].end);
	}
	put_le32(out + SEGMENT_BLOCK - CRC_SIZE,
	    crc_of(h->generation, out, SEGMENT_BLOCK - CRC_SIZE));
}

int
segment_header_decode(
    const uint8_t in[static SEGMENT_BLOCK], struct segment_header *h)
{
	const uint8_t *p = in + HEADER_CUTS;

	if (memcmp(in, SEGMENT_MAGIC, sizeof(SEGMENT_MAGIC)) != 0 ||
	    get_le32(in + 8) != SEGMENT_VERSION)
		return -1;
	h->generation = get_le64(in + 24);
	if (get_le32(in + SEGMENT_BLOCK - CRC_SIZE) !=
	    crc_of(h->generation, in, SEGMENT_BLOCK - CRC_SIZE))
		return -1;
	h->number = get_le32(in + 12);
	h->size = get_le64(in + 16);
	h->opened_ms = get_le64(in + 32);
	h->prev_generation = get_le64(in + 40);
	h->prev_end = get_le64(in + 48);
	h->next_batch = get_le64(in + 56);
	h->last_seq = get_le64(in + 64);
	h->ncuts = get_le32(in + 72);
	if (h->ncuts > SEGMENT_CUTS_MAX)
		return -1;
	for (uint32_t i = 0; i < h->ncuts; i++, p += CUT_SIZE) {
		h->cuts[i].generation = get_le64(p);
		h->cuts[i].end = get_le64(p + 8);
	}
	return 0;
}

void
batch_header_encode(
    uint8_t out[static BATCH_HEADER], const struct batch_header *h)
{
	memcpy(out, BATCH_MAGIC, sizeof(BATCH_MAGIC));
	put_le32(out + 4, h->used);
	put_le64(out + 8, h->generation);
	put_le64(out + 16, h->sequence);
	put_le64(out + 24, h->offset);
	put_le64(out + 32, h->mark_generation);
	put_le64(out + 40, h->mark_offset);
	put_le32(out + 48, h->records);
	put_le32(out + 52, h->flags);
	put_le32(out + 56, 0);
	put_le32(out + 60, crc_of(h->generation, out, 60));
}

int
batch_header_decode(const uint8_t in[static BATCH_HEADER], uint64_t generation,
    struct batch_header *h)
{
	if (memcmp(in, BATCH_MAGIC, sizeof(BATCH_MAGIC)) != 0 ||
	    get_le64(in + 8) != generation ||
	    get_le32(in + 60) != crc_of(generation, in, 60))
		return -1;
	h->used = get_le32(in + 4);
	h->generation = generation;
	h->sequence = get_le64(in + 16);
	h->offset = get_le64(in + 24);
	h->mark_generation = get_le64(in + 32);
	h->mark_offset = get_le64(in + 40);
	h->records = get_le32(in + 48);
	h->flags = get_le32(in + 52);
	return h->used < BATCH_HEADER ? -1 : 0;
}

void
record_seal(uint8_t *out, const struct record_header *h, const uint8_t *payload)
{
	out[0] = h->kind;
	out[1] = RECORD_VERSION;
	put_le16(out + 2, h->flags);
	put_le32(out + 4, h->length);
	put_le64(out + 8, h->generation);
	put_le64(out + 16, h->seq);
	put_le32(out + 24, crc_of(h->generation, payload, h->length));
	put_le32(out + 28, crc_of(h->generation, out, 28));
}

int
record_header_decode(const uint8_t in[static RECORD_HEADER],
    uint64_t generation, struct record_header *h)
{
	/* The cheap comparison first: a search for the next record asks this
	 * of every eighth byte. */
	if (get_le64(in + 8) != generation ||
	    get_le32(in + 28) != crc_of(generation, in, 28))
		return -1;
	h->kind = in[0];
	h->version = in[1];
	h->flags = get_le16(in + 2);
	h->length = get_le32(in + 4);
	h->generation = generation;
	h->seq = get_le64(in + 16);
	h->payload_crc = get_le32(in + 24);
	if (h->version < RECORD_VERSION_MIN || h->version > RECORD_VERSION ||
	    h->kind < RECORD_MAIL || h->kind > RECORD_FINISHED ||
	    h->flags > RECORD_FLAGS_ALL || h->seq == 0)
		return -1;
	return 0;
}

bool
record_payload_is_good(const struct record_header *h, const uint8_t *payload)
{
	return crc_of(h->generation, payload, h->length) == h->payload_crc;
}

/*
 * Mail payload: received u64, bodyfile u64, body size u64, flags u32,
 * recipients u32, header size u32, content size u32, six u16 lengths (msgid,
 * from, client, client name, listener, context), size of the recipients'
 * block u32, five u16 lengths (filter, reason, envid, held, user); the texts:
 * msgid, from, client, client name, listener, filter, reason, context, envid,
 * held, user; the recipients, each three u16 lengths (to, action, orig), start
 * u8, notify u8, u16 length of orcpt, and the four; the content.
 *
 * Version 2 has zeros for the lengths of envid and held and for notify, ends
 * its fixed part with them, and has no orcpt with its length. Version 1 ends
 * its fixed part with the size of the recipients' block, has a zero for the
 * length of the context, and no start.
 */
enum { MAIL_TEXTS = 11 };

/* Where the u16 lengths stand, in the order of the texts. */
static const uint8_t text_at[MAIL_TEXTS] = { 40, 42, 44, 46, 48, 56, 58, 50, 60,
	62, 64 };

/* By version: the texts it has are the first so many; its sizes. */
static const struct {
	uint8_t texts, fixed, rcpt_fixed;
} layouts[RECORD_VERSION + 1] = {
	[1] = { 5, MAIL_FIXED_1, MAIL_RCPT_FIXED_1 },
	[2] = { 8, MAIL_FIXED_2, MAIL_RCPT_FIXED_2 },
	[3] = { MAIL_TEXTS, MAIL_FIXED, MAIL_RCPT_FIXED },
	[4] = { MAIL_TEXTS, MAIL_FIXED, MAIL_RCPT_FIXED },
};

static void
mail_texts(const struct mail_record *m, struct str out[static MAIL_TEXTS])
{
	const struct str texts[MAIL_TEXTS] = { m->msgid, m->from, m->client,
		m->client_name, m->listener, m->filter, m->reason, m->context,
		m->envid, m->held, m->user };

	memcpy(out, texts, sizeof(texts));
}

static bool
fits_u16(struct str s)
{
	return s.len <= UINT16_MAX;
}

static uint64_t
mail_rcpts_size(const struct mail_record *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->nrcpt; i++) {
		const struct mail_rcpt *r = &m->rcpts[i];

		if (!fits_u16(r->to) || !fits_u16(r->action) ||
		    !fits_u16(r->orig) || !fits_u16(r->orcpt))
			return UINT64_MAX;
		n += MAIL_RCPT_FIXED + r->to.len + r->action.len + r->orig.len +
		     r->orcpt.len;
	}
	return n;
}

size_t
mail_size(const struct mail_record *m)
{
	uint64_t rcpts = mail_rcpts_size(m);
	struct str texts[MAIL_TEXTS];
	size_t size = MAIL_FIXED;

	if (rcpts > INT32_MAX || m->content.len > INT32_MAX ||
	    m->header_size > m->content.len)
		return 0;
	mail_texts(m, texts);
	for (size_t i = 0; i < MAIL_TEXTS; i++) {
		if (!fits_u16(texts[i]))
			return 0;
		size += texts[i].len;
	}
	return size + rcpts + m->content.len;
}

static uint8_t *
put_str(uint8_t *p, struct str s)
{
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return p + s.len;
}

static uint8_t *
mail_encode_rcpt(uint8_t *p, const struct mail_rcpt *r)
{
	put_le16(p, (uint16_t)r->to.len);
	put_le16(p + 2, (uint16_t)r->action.len);
	put_le16(p + 4, (uint16_t)r->orig.len);
	p[6] = r->start;
	p[7] = r->notify;
	put_le16(p + 8, (uint16_t)r->orcpt.len);
	p = put_str(p + MAIL_RCPT_FIXED, r->to);
	p = put_str(p, r->action);
	p = put_str(p, r->orig);
	return put_str(p, r->orcpt);
}

void
mail_encode(uint8_t *out, const struct mail_record *m)
{
	struct str texts[MAIL_TEXTS];
	uint8_t *p = out + MAIL_FIXED;

	put_le64(out, m->received_ms);
	put_le64(out + 8, m->bodyfile);
	put_le64(out + 16, m->body_size);
	put_le32(out + 24, m->flags);
	put_le32(out + 28, m->nrcpt);
	put_le32(out + 32, m->header_size);
	put_le32(out + 36, (uint32_t)m->content.len);
	put_le32(out + 52, (uint32_t)mail_rcpts_size(m));
	mail_texts(m, texts);
	for (size_t i = 0; i < MAIL_TEXTS; i++) {
		put_le16(out + text_at[i], (uint16_t)texts[i].len);
		p = put_str(p, texts[i]);
	}
	for (uint32_t i = 0; i < m->nrcpt; i++)
		p = mail_encode_rcpt(p, &m->rcpts[i]);
	put_str(p, m->content);
}

/* Takes len bytes off the front of in; -1 when there are not as many. */
static int
take(struct str *in, size_t len, struct str *out)
{
	if (in->len < len)
		return -1;
	*out = (struct str){ in->p, len };
	in->p += len;
	in->len -= len;
	return 0;
}

/* A start that we do not know is not taken for one that may be delivered. */
static bool
start_is_known(const struct mail_rcpt *r, uint8_t version)
{
	unsigned int held = version > 2 ? MAIL_RCPT_HELD : 0;

	return (r->start & ~held) <= START_UNFILTERED &&
	       r->notify <= NOTIFY_ALL;
}

static int
mail_decode_rcpts(struct str in, uint8_t version, struct mail_decoded *out)
{
	struct str fixed;

	for (uint32_t i = 0; i < out->mail.nrcpt; i++) {
		struct mail_rcpt *r = &out->rcpts[i];
		const uint8_t *p;
		size_t orcpt = 0;

		if (take(&in, layouts[version].rcpt_fixed, &fixed) == -1)
			return -1;
		p = (const uint8_t *)fixed.p;
		if (version > 1)
			r->start = p[6];
		if (version > 2) {
			r->notify = p[7];
			orcpt = get_le16(p + 8);
		}
		if (!start_is_known(r, version) ||
		    take(&in, get_le16(p), &r->to) == -1 ||
		    take(&in, get_le16(p + 2), &r->action) == -1 ||
		    take(&in, get_le16(p + 4), &r->orig) == -1 ||
		    take(&in, orcpt, &r->orcpt) == -1)
			return -1;
	}
	return in.len == 0 ? 0 : -1;
}

static int
mail_decode_texts(
    struct str *in, const uint8_t *p, uint8_t version, struct mail_record *m)
{
	struct str *const texts[MAIL_TEXTS] = { &m->msgid, &m->from, &m->client,
		&m->client_name, &m->listener, &m->filter, &m->reason,
		&m->context, &m->envid, &m->held, &m->user };

	for (size_t i = 0; i < layouts[version].texts; i++)
		if (take(in, get_le16(p + text_at[i]), texts[i]) == -1)
			return -1;
	return 0;
}

int
mail_decode(
    const struct record_header *h, const uint8_t *p, struct mail_decoded *out)
{
	struct mail_record *m = &out->mail;
	struct str in = { (const char *)p, h->length }, fixed, rcpts;
	uint32_t content;

	memset(out, 0, sizeof(*out));
	if (take(&in, layouts[h->version].fixed, &fixed) == -1)
		return -1;
	m->seq = h->seq;
	m->received_ms = get_le64(p);
	m->bodyfile = get_le64(p + 8);
	m->body_size = get_le64(p + 16);
	m->flags = get_le32(p + 24);
	m->nrcpt = get_le32(p + 28);
	m->header_size = get_le32(p + 32);
	content = get_le32(p + 36);
	if (mail_decode_texts(&in, p, h->version, m) == -1 ||
	    take(&in, get_le32(p + 52), &rcpts) == -1 ||
	    take(&in, content, &m->content) == -1 || in.len != 0 ||
	    m->header_size > content ||
	    m->nrcpt > rcpts.len / MAIL_RCPT_FIXED_1)
		return -1;
	if (m->nrcpt > 0)
		out->rcpts = xcalloc(m->nrcpt, sizeof(*out->rcpts));
	m->rcpts = out->rcpts;
	if (mail_decode_rcpts(rcpts, h->version, out) == -1) {
		mail_decoded_clear(out);
		return -1;
	}
	return 0;
}

void
mail_decoded_clear(struct mail_decoded *d)
{
	free(d->rcpts);
	memset(d, 0, sizeof(*d));
}

/*
 * State payload: when u64, operation u64, recipients u32, zero u32; each
 * recipient: index u32, attempts u32, next u64, state u8, was u8, u16 lengths
 * of reply, relay and action; the three texts; unless was is zero: operation
 * u64, next as it was u64. was is the state and 1; version 3 has a zero there.
 */
size_t
state_size(const struct state_record *s)
{
	uint64_t n = STATE_FIXED;

	for (uint32_t i = 0; i < s->nrcpt; i++) {
		const struct state_rcpt *r = &s->rcpts[i];

		if (!fits_u16(r->reply) || !fits_u16(r->relay) ||
		    !fits_u16(r->action))
			return 0;
		n += STATE_RCPT_FIXED + r->reply.len + r->relay.len +
		     r->action.len;
		n += r->operation != 0 ? STATE_RCPT_NOTE : 0;
	}
	return n > INT32_MAX ? 0 : n;
}

void
state_encode(uint8_t *out, const struct state_record *s)
{
	uint8_t *p = out + STATE_FIXED;

	put_le64(out, s->when_ms);
	put_le64(out + 8, s->operation);
	put_le32(out + 16, s->nrcpt);
	put_le32(out + 20, 0);
	for (uint32_t i = 0; i < s->nrcpt; i++) {
		const struct state_rcpt *r = &s->rcpts[i];

		put_le32(p, r->index);
		put_le32(p + 4, r->attempts);
		put_le64(p + 8, r->next_ms);
		p[16] = r->state;
		p[17] = r->operation != 0 ? (uint8_t)(r->was + 1U) : 0;
		put_le16(p + 18, (uint16_t)r->reply.len);
		put_le16(p + 20, (uint16_t)r->relay.len);
		put_le16(p + 22, (uint16_t)r->action.len);
		p = put_str(p + STATE_RCPT_FIXED, r->reply);
		p = put_str(p, r->relay);
		p = put_str(p, r->action);
		if (r->operation == 0)
			continue;
		put_le64(p, r->operation);
		put_le64(p + 8, r->was_ms);
		p += STATE_RCPT_NOTE;
	}
}

static bool
state_is_known(uint8_t state)
{
	return (state & ~STATE_RCPT_FLAGS) <= STATE_RCPT_LAST;
}

/* was: 0: there is none. */
static int
state_decode_note(struct str *in, uint8_t was, struct state_rcpt *out)
{
	struct str note;

	if (was == 0)
		return 0;
	out->was = (uint8_t)(was - 1);
	if (!state_is_known(out->was) || take(in, STATE_RCPT_NOTE, &note) == -1)
		return -1;
	out->operation = get_le64((const uint8_t *)note.p);
	out->was_ms = get_le64((const uint8_t *)note.p + 8);
	return out->operation != 0 ? 0 : -1;
}

static int
state_decode_rcpts(struct str in, uint32_t n, struct state_rcpt *out)
{
	struct str fixed;

	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p;

		if (take(&in, STATE_RCPT_FIXED, &fixed) == -1)
			return -1;
		p = (const uint8_t *)fixed.p;
		out[i].index = get_le32(p);
		out[i].attempts = get_le32(p + 4);
		out[i].next_ms = get_le64(p + 8);
		out[i].state = p[16];
		if (!state_is_known(out[i].state) ||
		    take(&in, get_le16(p + 18), &out[i].reply) == -1 ||
		    take(&in, get_le16(p + 20), &out[i].relay) == -1 ||
		    take(&in, get_le16(p + 22), &out[i].action) == -1 ||
		    state_decode_note(&in, p[17], &out[i]) == -1)
			return -1;
	}
	return in.len == 0 ? 0 : -1;
}

int
state_decode(
    const uint8_t *p, size_t len, uint64_t seq, struct state_decoded *out)
{
	struct str in = { (const char *)p, len }, fixed;
	struct state_record *s = &out->state;

	memset(out, 0, sizeof(*out));
	if (take(&in, STATE_FIXED, &fixed) == -1)
		return -1;
	s->seq = seq;
	s->when_ms = get_le64(p);
	s->operation = get_le64(p + 8);
	s->nrcpt = get_le32(p + 16);
	if (s->nrcpt > in.len / STATE_RCPT_FIXED)
		return -1;
	if (s->nrcpt > 0)
		out->rcpts = xcalloc(s->nrcpt, sizeof(*out->rcpts));
	s->rcpts = out->rcpts;
	if (state_decode_rcpts(in, s->nrcpt, out->rcpts) == -1) {
		state_decoded_clear(out);
		return -1;
	}
	return 0;
}

void
state_decoded_clear(struct state_decoded *d)
{
	free(d->rcpts);
	memset(d, 0, sizeof(*d));
}
