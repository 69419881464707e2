/* The in-memory entries: by seq, by message id, counted by state. */
#include "queue/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/mail/envelope.h"

enum { INDEX_FIRST = 1024 };

_Static_assert(sizeof(struct entry) + sizeof(struct rcpt) <= 256,
    "the memory budget of a queued message");

static int
cmp_seq(const struct entry *a, const struct entry *b)
{
	return (a->seq > b->seq) - (a->seq < b->seq);
}

TREE_DEFINE(entry_tree, entry, by_seq, cmp_seq)

void
index_init(struct index *ix)
{
	*ix = (struct index){ .nbuckets = INDEX_FIRST };
	RB_INIT(&ix->by_seq);
	ix->buckets = xcalloc(ix->nbuckets, sizeof(struct entry *));
	words_init(&ix->words);
}

void
index_clear(struct index *ix)
{
	struct entry *e;

	while ((e = RB_MIN(entry_tree, &ix->by_seq)) != NULL)
		index_del(ix, &e);
	free(ix->buckets);
	words_clear(&ix->words);
	*ix = (struct index){ 0 };
}

/* --- by message id --- */

static size_t
hash_id(const char *msgid)
{
	uint64_t a, b;

	/* time and random part; 16 bytes always */
	memcpy(&a, msgid, sizeof(a));
	memcpy(&b, msgid + sizeof(a), sizeof(b));
	a = (a ^ b * 0x9e3779b97f4a7c15U) * 0xff51afd7ed558ccdU;
	return (size_t)(a ^ a >> 32);
}

static struct entry **
bucket_of(struct index *ix, const char *msgid)
{
	return &ix->buckets[hash_id(msgid) & (ix->nbuckets - 1)];
}

static void
grow(struct index *ix)
{
	size_t old = ix->nbuckets;
	struct entry **from = ix->buckets, *next;

	ix->nbuckets = old * 2;
	ix->buckets = xcalloc(ix->nbuckets, sizeof(struct entry *));
	for (size_t i = 0; i < old; i++) {
		for (struct entry *e = from[i]; e != NULL; e = next) {
			struct entry **to = bucket_of(ix, e->msgid);

			next = e->id_next;
			e->id_next = *to;
			*to = e;
		}
	}
	free(from);
}

struct entry *
index_find_id(struct index *ix, struct str msgid)
{
	struct entry *e, *found = NULL;

	if (msgid.len != ID_LEN)
		return NULL;
	/* Rarely there are two: one is about to take the other's place. */
	for (e = *bucket_of(ix, msgid.p); e != NULL; e = e->id_next) {
		if (memcmp(e->msgid, msgid.p, ID_LEN) != 0)
			continue;
		if (e->committed && !e->over)
			return e;
		found = e;
	}
	return found;
}

/* --- by seq --- */

struct entry *
index_find_seq(struct index *ix, uint64_t seq)
{
	struct entry key;

	key.seq = seq;
	return RB_FIND(entry_tree, &ix->by_seq, &key);
}

struct entry *
index_from_seq(struct index *ix, uint64_t seq)
{
	struct entry key;

	key.seq = seq;
	return RB_NFIND(entry_tree, &ix->by_seq, &key);
}

/* --- counts --- */

enum message_state
entry_state(const struct entry *e)
{
	if (e->nactive > 0)
		return STATE_ACTIVE;
	if (e->ndeferred > 0)
		return STATE_DEFERRED;
	return e->nheld == 0 && e->nquarantined > 0 ? STATE_QUARANTINED :
						      STATE_HELD;
}

bool
entry_is_open(const struct entry *e)
{
	return e->nactive + e->ndeferred + e->nheld + e->nquarantined > 0;
}

static void
count(struct index *ix, const struct entry *e, bool add)
{
	uint64_t *n =
	    entry_is_open(e) ? &ix->nstate[entry_state(e)] : &ix->nkept;

	*n = add ? *n + 1 : *n - 1;
}

static uint32_t *
counter_of(struct entry *e, uint8_t state)
{
	switch ((enum rcpt_state)state) {
	case RCPT_ACTIVE:
		return &e->nactive;
	case RCPT_DEFERRED:
		return &e->ndeferred;
	case RCPT_HELD:
		return &e->nheld;
	case RCPT_QUARANTINED:
		return &e->nquarantined;
	case RCPT_DELIVERED:
	case RCPT_BOUNCED:
	case RCPT_REMOVED:
		break;
	}
	return NULL;
}

void
rcpt_set_state(struct index *ix, struct rcpt *r, enum rcpt_state state)
{
	struct entry *e = rcpt_entry(r);
	uint32_t *n;

	if (r->state == state)
		return;
	count(ix, e, false);
	if ((n = counter_of(e, r->state)) != NULL)
		(*n)--;
	r->state = (uint8_t)state;
	if ((n = counter_of(e, r->state)) != NULL)
		(*n)++;
	count(ix, e, true);
}

/* --- add and remove --- */

static size_t
size_of(const struct mail_record *m)
{
	size_t size = sizeof(struct entry) + m->nrcpt * sizeof(struct rcpt);

	size += m->from.len;
	for (uint32_t i = 0; i < m->nrcpt; i++)
		size += m->rcpts[i].to.len;
	return size;
}

static void
start_rcpt(struct index *ix, struct rcpt *r, const struct mail_record *m)
{
	uint32_t *n;

	unsigned int start = m->rcpts[r->index].start;

	if ((start & MAIL_RCPT_HELD) != 0) {
		r->reply = word_get(&ix->words, m->held);
		r->state = RCPT_HELD;
	}
	switch ((enum rcpt_start)(start & ~(unsigned int)MAIL_RCPT_HELD)) {
	case START_WAITING:
		break;
	case START_UNFILTERED:
		rcpt_mark(r, MARK_UNFILTERED);
		break;
	case START_QUARANTINED:
		r->reply = word_get(&ix->words, m->reason);
		r->relay = word_get(&ix->words, m->filter);
		r->in.since_ms = m->received_ms;
		r->state = RCPT_QUARANTINED;
		break;
	}
	n = counter_of(rcpt_entry(r), r->state);
	if (n != NULL)
		(*n)++;
}

static void
fill_rcpts(struct index *ix, struct entry *e, const struct mail_record *m)
{
	size_t at = sizeof(*e) + m->nrcpt * sizeof(struct rcpt);
	char *base = (char *)e;

	memcpy(base + at, m->from.p, m->from.len);
	e->from_len = (unsigned int)m->from.len & 0x1ff;
	at += m->from.len;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		struct str to = m->rcpts[i].to;

		e->rcpts[i] = (struct rcpt){
			.action = word_get(&ix->words, m->rcpts[i].action),
			.index = i,
			.to_at = (uint32_t)at,
			.to_len = (uint16_t)to.len,
			.state = RCPT_ACTIVE,
			.place = PLACE_NONE,
			.notify = m->rcpts[i].notify & 0xfU,
		};
		memcpy(base + at, to.p, to.len);
		at += to.len;
		start_rcpt(ix, &e->rcpts[i], m);
	}
}

/* Nobody is held and in quarantine at a time. */
static bool
is_known_start(unsigned int start)
{
	unsigned int held = start & MAIL_RCPT_HELD;

	start &= ~(unsigned int)MAIL_RCPT_HELD;
	return start <= START_UNFILTERED &&
	       (held == 0 || start != START_QUARANTINED);
}

/* What a foreign or damaged record must not bring in. */
static bool
is_sane(const struct mail_record *m)
{
	size_t size;

	if (m->msgid.len != ID_LEN || m->nrcpt == 0 || m->seq == 0 ||
	    m->from.len > ENVELOPE_ADDRESS_MAX)
		return false;
	for (uint32_t i = 0; i < m->nrcpt; i++)
		if (m->rcpts[i].to.len > ENVELOPE_ADDRESS_MAX ||
		    !is_known_start(m->rcpts[i].start))
			return false;
	size = size_of(m);
	return size <= UINT32_MAX;
}

struct entry *
index_add(struct index *ix, const struct mail_record *m, uint64_t now_ms)
{
	if (index_find_id(ix, m->msgid) != NULL)
		return NULL;
	return index_add_beside(ix, m, now_ms);
}

struct entry *
index_add_beside(struct index *ix, const struct mail_record *m, uint64_t now_ms)
{
	struct entry *e, **bucket;

	if (!is_sane(m))
		return NULL;
	e = xmalloc(size_of(m));
	*e = (struct entry){
		.seq = m->seq,
		.received_ms = m->received_ms,
		.born_ms = (int64_t)now_ms,
		.bodyfile = m->bodyfile,
		.body_size = m->body_size,
		.header_size = m->header_size,
		.nrcpt = m->nrcpt,
		.flags = m->flags & ENVELOPE_FLAGS_ALL,
	};
	memcpy(e->msgid, m->msgid.p, ID_LEN);
	e->msgid[ID_LEN] = '\0';
	if (RB_INSERT(entry_tree, &ix->by_seq, e) != NULL) {
		free(e);
		return NULL;
	}
	if (ix->count >= ix->nbuckets)
		grow(ix);
	bucket = bucket_of(ix, e->msgid);
	e->id_next = *bucket;
	*bucket = e;
	e->origin = origin_get(&ix->words, m);
	fill_rcpts(ix, e, m);
	ix->count++;
	ix->bytes += entry_size(e);
	count(ix, e, true);
	return e;
}

void
index_del(struct index *ix, struct entry **ep)
{
	struct entry *e = *ep, **at = bucket_of(ix, e->msgid);

	*ep = NULL;
	while (*at != e)
		at = &(*at)->id_next;
	*at = e->id_next;
	RB_REMOVE(entry_tree, &ix->by_seq, e);
	count(ix, e, false);
	ix->bytes -= entry_size(e);
	ix->count--;
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		word_drop(&ix->words, &e->rcpts[i].action);
		word_drop(&ix->words, &e->rcpts[i].reply);
		word_drop(&ix->words, &e->rcpts[i].relay);
	}
	word_drop(&ix->words, &e->origin);
	free(e->undo);
	free(e);
}

/* --- looking at one --- */

struct str
entry_from(const struct entry *e)
{
	return (struct str){ (const char *)&e->rcpts[e->nrcpt], e->from_len };
}

struct origin
entry_origin(const struct entry *e)
{
	return origin_of(e->origin);
}

uint64_t
entry_size(const struct entry *e)
{
	return e->header_size + e->body_size;
}

uint64_t
entry_inline_size(const struct entry *e)
{
	return e->header_size + (e->bodyfile == 0 ? e->body_size : 0);
}

bool
entry_is_hidden(const struct entry *e)
{
	if (entry_is_open(e))
		return false;
	for (uint32_t i = 0; i < e->nrcpt; i++)
		if (e->rcpts[i].state == RCPT_BOUNCED)
			return false;
	return true;
}

uint64_t
entry_age(const struct entry *e, uint64_t now_ms)
{
	int64_t age = (int64_t)now_ms - e->born_ms;

	return age > 0 ? (uint64_t)age : 0;
}

struct entry *
rcpt_entry(struct rcpt *r)
{
	char *first = (char *)(r - r->index);

	return (struct entry *)(void *)(first - offsetof(struct entry, rcpts));
}

struct str
rcpt_to(const struct rcpt *r)
{
	const char *first = (const char *)(r - r->index);
	const char *base = first - offsetof(struct entry, rcpts);

	return (struct str){ base + r->to_at, r->to_len };
}

struct str
rcpt_domain(const struct rcpt *r)
{
	struct str to = rcpt_to(r);
	size_t at = to.len;

	while (at > 0 && to.p[at - 1] != '@')
		at--;
	return at == 0 ? (struct str){ "", 0 } : str_skip(to, at);
}

void
rcpt_mark(struct rcpt *r, enum rcpt_marks mark)
{
	r->marks = (uint16_t)(r->marks | (unsigned int)mark);
}

void
rcpt_unmark(struct rcpt *r, unsigned int marks)
{
	r->marks = (uint16_t)(r->marks & ~marks);
}

bool
rcpt_is_open(const struct rcpt *r)
{
	return r->state <= RCPT_HELD || r->state == RCPT_QUARANTINED;
}

bool
rcpt_wants(const struct rcpt *r, enum notify what)
{
	if (r->notify == NOTIFY_DEFAULT)
		return what != NOTIFY_SUCCESS;
	return (r->notify & what) != 0;
}

void
rcpt_set_word(struct index *ix, struct word **word, struct str text)
{
	struct word *new = word_get(&ix->words, text);

	word_drop(&ix->words, word);
	*word = new;
}
