/*
 * RFC 1035 4.1, read with suspicion. All sections must be whole, though only
 * the answer section is believed, and of the authority section the time of its
 * SOA.
 */
#include "resolver/answer.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "resolver/name.h"

enum {
	HEADER = 12,
	RR_FIXED = 10, /* type, class, ttl, length */
	CLASS_IN = 1,
	TYPE_SOA = 6,
	SOA_NUMBERS = 20, /* five, behind its two names */
	TLSA_FIXED = 3    /* usage, selector, matching type */
};

enum {
	FLAG_QR = 0x8000,
	FLAG_AA = 0x0400,
	FLAG_TC = 0x0200,
	FLAG_AD = 0x0020,
	OPCODE = 0x7800,
	RCODE = 0x000f
};

enum rcode { RCODE_OK = 0, RCODE_NXDOMAIN = 3 };

/* The words of the others. */
static const char *const rcode_words[16] = {
	[1] = "formerr", [2] = "servfail", [4] = "notimp", [5] = "refused"
};

struct rr {
	size_t owner; /* where it begins */
	size_t data;
	uint16_t type, class, size;
	uint32_t ttl_s;
};

struct packet {
	const uint8_t *p;
	size_t len;
	size_t at;
	struct rr *answers; /* owned */
	size_t nanswers;
	bool has_soa, has_ns;
	uint32_t negative_s; /* of the SOA */
};

/* What is being put together. Texts are offsets until all are there. */
struct draft {
	struct dns_record *records;
	size_t nrecords;
	struct buf texts;
};

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint16_t
flags_of(struct str packet)
{
	return get16((const uint8_t *)packet.p + 2);
}

bool
answer_is_truncated(struct str packet)
{
	return packet.len >= HEADER && (flags_of(packet) & FLAG_TC) != 0;
}

int
answer_rcode(struct str packet)
{
	return packet.len < HEADER ? -1 : flags_of(packet) & RCODE;
}

/* --- names --- */

bool
answer_name_is_askable(struct str name)
{
	struct name n;

	/* c-ares takes C strings, and a backslash for an escape. */
	return str_find(name, '\0') == name.len &&
	       str_find(name, '\\') == name.len && name_parse(name, &n) == 0;
}

/* --- sections --- */

static int
read_question(struct packet *p, const struct name *name, enum dns_type type)
{
	struct name n;

	if (name_read(p->p, p->len, &p->at, &n) == -1 || p->len - p->at < 4)
		return -1;
	uint16_t qtype = get16(p->p + p->at);
	uint16_t class = get16(p->p + p->at + 2);
	p->at += 4;
	return name_eq(&n, name) && qtype == type && class == CLASS_IN ? 0 : -1;
}

/* RFC 2181 8: the highest bit makes it 0. */
static uint32_t
clamp_ttl(uint32_t ttl_s)
{
	if (ttl_s >= UINT32_C(1) << 31)
		return 0;
	return ttl_s < DNS_TTL_MAX ? ttl_s : DNS_TTL_MAX;
}

static int
read_rr(struct packet *p, struct rr *rr)
{
	struct name n;

	rr->owner = p->at;
	if (name_read(p->p, p->len, &p->at, &n) == -1 ||
	    p->len - p->at < RR_FIXED)
		return -1;
	const uint8_t *f = p->p + p->at;
	rr->type = get16(f);
	rr->class = get16(f + 2);
	rr->ttl_s = clamp_ttl(get32(f + 4));
	rr->size = get16(f + 8);
	rr->data = p->at + RR_FIXED;
	if (rr->size > p->len - rr->data)
		return -1;
	p->at = rr->data + rr->size;
	return 0;
}

/* RFC 2308 5: the smaller of its TTL and its last number. */
static int
read_soa(struct packet *p, const struct rr *rr)
{
	struct name host, mailbox;
	size_t at = rr->data;

	if (name_read(p->p, p->len, &at, &host) == -1 ||
	    name_read(p->p, p->len, &at, &mailbox) == -1 ||
	    at + SOA_NUMBERS != rr->data + rr->size)
		return -1;
	uint32_t minimum = clamp_ttl(get32(p->p + at + SOA_NUMBERS - 4));
	p->negative_s = minimum < rr->ttl_s ? minimum : rr->ttl_s;
	if (p->negative_s > ANSWER_NEGATIVE_MAX_S)
		p->negative_s = ANSWER_NEGATIVE_MAX_S;
	p->has_soa = true;
	return 0;
}

static int
read_authority(struct packet *p, size_t n)
{
	struct rr rr;

	for (size_t i = 0; i < n; i++) {
		if (read_rr(p, &rr) == -1)
			return -1;
		if (rr.class != CLASS_IN)
			continue;
		p->has_ns |= rr.type == DNS_NS;
		if (rr.type == TYPE_SOA && read_soa(p, &rr) == -1)
			return -1;
	}
	return 0;
}

/* Every record of every section, to the last byte. */
static int
read_sections(struct packet *p)
{
	size_t nanswers = get16(p->p + 6), nadditional = get16(p->p + 10);
	struct rr rr;

	/* What there is room for, whatever the header says. */
	if (nanswers > (p->len - p->at) / (RR_FIXED + 1))
		return -1;
	p->answers = xcalloc(nanswers + 1, sizeof(struct rr));
	for (; p->nanswers < nanswers; p->nanswers++)
		if (read_rr(p, &p->answers[p->nanswers]) == -1)
			return -1;
	if (read_authority(p, get16(p->p + 8)) == -1)
		return -1;
	for (size_t i = 0; i < nadditional; i++)
		if (read_rr(p, &rr) == -1)
			return -1;
	return p->at == p->len ? 0 : -1;
}

/* --- records --- */

static void
set_addr(struct dns_record *r, const struct packet *p, const struct rr *rr)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (rr->type == DNS_A) {
		memcpy(&in4.sin_addr, p->p + rr->data, 4);
		addr_from_sockaddr(
		    (const struct sockaddr *)&in4, sizeof(in4), &r->addr, NULL);
	} else {
		memcpy(&in6.sin6_addr, p->p + rr->data, 16);
		addr_from_sockaddr(
		    (const struct sockaddr *)&in6, sizeof(in6), &r->addr, NULL);
	}
}

/* The name that fills the record's data from byte `skip` on. */
static int
data_name(
    const struct packet *p, const struct rr *rr, size_t skip, struct name *n)
{
	size_t at = rr->data + skip;

	if (rr->size <= skip || name_read(p->p, p->len, &at, n) == -1)
		return -1;
	return at == rr->data + rr->size ? 0 : -1;
}

static int
add_strings(const struct packet *p, const struct rr *rr, struct buf *out)
{
	const uint8_t *s = p->p + rr->data, *end = s + rr->size;

	if (s == end)
		return -1;
	while (s < end) {
		size_t len = *s++;
		if (len > (size_t)(end - s))
			return -1;
		buf_add(out, s, len);
		s += len;
	}
	return 0;
}

/* As it is; whoever needs it looks at it. One that has no room is kept by its
 * beginning: that there is one matters. */
static int
add_tlsa(const struct packet *p, const struct rr *rr, struct buf *out)
{
	if (rr->size < TLSA_FIXED)
		return -1;
	buf_add(
	    out, p->p + rr->data, rr->size <= out->max ? rr->size : TLSA_FIXED);
	return 0;
}

/* The record's own part: its address or its text. */
static int
read_data(const struct packet *p, const struct rr *rr, struct dns_record *r,
    struct buf *text)
{
	struct name n;

	switch ((enum dns_type)rr->type) {
	case DNS_A:
	case DNS_AAAA:
		if (rr->size != (rr->type == DNS_A ? 4 : 16))
			return -1;
		set_addr(r, p, rr);
		return 0;
	case DNS_TXT:
		return add_strings(p, rr, text);
	case DNS_MX:
		if (data_name(p, rr, 2, &n) == -1)
			return -1;
		r->preference = get16(p->p + rr->data);
		name_format(&n, text);
		return 0;
	case DNS_TLSA:
		return add_tlsa(p, rr, text);
	case DNS_CNAME:
	case DNS_NS:
	case DNS_PTR:
		if (data_name(p, rr, 0, &n) == -1)
			return -1;
		name_format(&n, text);
		return 0;
	}
	return -1;
}

/* Over the bounds of an answer it is left out. */
static int
draft_add(struct draft *d, const struct packet *p, const struct rr *rr)
{
	struct dns_record r = { .ttl_s = rr->ttl_s };
	struct buf text;
	int rc;

	if (d->nrecords == DNS_RECORDS_MAX)
		return 0;
	buf_init(&text, DNS_TEXT_MAX);
	rc = read_data(p, rr, &r, &text);
	if (rc == 0 && !text.failed &&
	    d->texts.len + text.len <= d->texts.max) {
		r.text = (struct str){ NULL, text.len };
		buf_add_str(&d->texts, buf_str(&text));
		d->records[d->nrecords++] = r;
	}
	buf_clear(&text);
	return rc;
}

/* --- the chain --- */

enum step { STEP_END, STEP_ON, STEP_BAD };

static bool
owner_is(const struct packet *p, const struct rr *rr, const struct name *name)
{
	struct name n;
	size_t at = rr->owner;

	return rr->class == CLASS_IN && name_read(p->p, p->len, &at, &n) == 0 &&
	       name_eq(&n, name);
}

/* The CNAME of name, if it has one: name becomes its target. Two of them, or
 * one beside what was asked for, are nonsense. */
static enum step
follow(const struct packet *p, enum dns_type type, struct name *name,
    uint32_t *ttl_s)
{
	struct name target = { .len = 0 }, n;
	bool other = false;

	for (size_t i = 0; i < p->nanswers; i++) {
		const struct rr *rr = &p->answers[i];
		if ((rr->type != DNS_CNAME && rr->type != type) ||
		    !owner_is(p, rr, name))
			continue;
		if (rr->type != DNS_CNAME) {
			other = true;
			continue;
		}
		if (data_name(p, rr, 0, &n) == -1 ||
		    (target.len > 0 && !name_eq(&target, &n)))
			return STEP_BAD;
		target = n;
		if (rr->ttl_s < *ttl_s)
			*ttl_s = rr->ttl_s;
	}
	if (target.len == 0)
		return STEP_END;
	*name = target;
	return other ? STEP_BAD : STEP_ON;
}

/* Where the answer is, and how long the way there holds. NULL, or the word
 * for what is wrong with it. */
static const char *
follow_all(const struct packet *p, enum dns_type type, struct name *name,
    uint32_t *ttl_s)
{
	for (size_t i = 0; i <= ANSWER_CHAIN_MAX; i++) {
		switch (follow(p, type, name, ttl_s)) {
		case STEP_END:
			return NULL;
		case STEP_BAD:
			return "malformed";
		case STEP_ON:
			break;
		}
	}
	return "loop";
}

/* --- the whole --- */

static struct dns_answer *
finish(struct dns_answer *a, struct draft *d)
{
	const char *text = d->texts.p;

	for (size_t i = 0; i < d->nrecords; i++) {
		d->records[i].text.p = text;
		if (text != NULL)
			text += d->records[i].text.len;
		if (d->records[i].ttl_s < a->ttl_s)
			a->ttl_s = d->records[i].ttl_s;
	}
	a->records = d->records;
	a->nrecords = d->nrecords;
	return dns_answer_copy(a, 0);
}

/* What name has of that type; NULL when there is none. */
static struct dns_answer *
collect(const struct packet *p, const struct name *name, enum dns_type type,
    struct dns_answer *a)
{
	struct dns_answer *out = NULL;
	struct draft d = { .nrecords = 0 };
	size_t room =
	    p->nanswers < DNS_RECORDS_MAX ? p->nanswers : DNS_RECORDS_MAX;
	int rc = 0;

	d.records = xcalloc(room + 1, sizeof(d.records[0]));
	buf_init(&d.texts, DNS_BYTES_MAX);
	for (size_t i = 0; i < p->nanswers && rc == 0; i++)
		if (p->answers[i].type == type &&
		    owner_is(p, &p->answers[i], name))
			rc = draft_add(&d, p, &p->answers[i]);
	if (rc == -1)
		out = dns_answer_fault("malformed");
	else if (d.nrecords > 0)
		out = finish(a, &d);
	buf_clear(&d.texts);
	free(d.records);
	return out;
}

static struct dns_answer *
negative(const struct packet *p, enum dns_status status, struct dns_answer *a)
{
	uint32_t ttl_s = p->has_soa ? p->negative_s : ANSWER_NEGATIVE_S;

	a->status = status;
	if (ttl_s < a->ttl_s)
		a->ttl_s = ttl_s;
	return dns_answer_copy(a, 0);
}

/* The name exists not, or has nothing of that type, or is to be asked for. */
static struct dns_answer *
without_records(
    const struct packet *p, struct dns_answer *a, struct answer_chase *chase)
{
	uint16_t flags = get16(p->p + 2);

	if ((flags & RCODE) == RCODE_NXDOMAIN)
		return negative(p, DNS_NXDOMAIN, a);
	if (a->canonical.len > 0 && !p->has_soa) {
		snprintf(chase->target, sizeof(chase->target), "%.*s",
		    (int)a->canonical.len, a->canonical.p);
		chase->ttl_s = a->ttl_s;
		chase->ad = a->ad;
		chase->trusted = a->trusted;
	} else if (p->has_ns && !p->has_soa && (flags & FLAG_AA) == 0) {
		/* It would have us ask somebody else: it is no resolver. */
		return dns_answer_fault("referral");
	}
	return negative(p, DNS_NODATA, a);
}

static struct dns_answer *
read_answer(const struct packet *p, struct name *name, enum dns_type type,
    bool trust_ad, struct answer_chase *chase)
{
	struct name asked = *name;
	struct dns_answer a = {
		.status = DNS_OK, .trusted = trust_ad, .ttl_s = DNS_TTL_MAX
	};
	struct buf canonical;
	const char *why = NULL;

	a.ad = trust_ad && (get16(p->p + 2) & FLAG_AD) != 0;
	if (type != DNS_CNAME)
		why = follow_all(p, type, name, &a.ttl_s);
	if (why != NULL)
		return dns_answer_fault(why);
	buf_init(&canonical, ANSWER_NAME_MAX - 1);
	if (!name_eq(name, &asked))
		name_format(name, &canonical);
	a.canonical = buf_str(&canonical);
	struct dns_answer *out = collect(p, name, type, &a);
	if (out == NULL)
		out = without_records(p, &a, chase);
	buf_clear(&canonical);
	return out;
}

struct dns_answer *
answer_parse(struct str packet, struct str name, enum dns_type type,
    bool trust_ad, struct answer_chase *chase)
{
	struct packet p = {
		.p = (const uint8_t *)packet.p, .len = packet.len, .at = HEADER
	};
	struct dns_answer *a;
	struct name n;

	chase->target[0] = '\0';
	if (packet.len < HEADER || (flags_of(packet) & FLAG_QR) == 0 ||
	    (flags_of(packet) & OPCODE) != 0)
		return dns_answer_fault("malformed");
	int rcode = answer_rcode(packet);
	if (rcode != RCODE_OK && rcode != RCODE_NXDOMAIN)
		return dns_answer_fault(
		    rcode_words[rcode] == NULL ? "rcode" : rcode_words[rcode]);
	/* What is left out might be what matters. */
	if (answer_is_truncated(packet))
		return dns_answer_fault("truncated");
	if (get16(p.p + 4) != 1 || name_parse(name, &n) == -1 ||
	    read_question(&p, &n, type) == -1 || read_sections(&p) == -1)
		a = dns_answer_fault("malformed");
	else
		a = read_answer(&p, &n, type, trust_ad, chase);
	free(p.answers);
	return a;
}
