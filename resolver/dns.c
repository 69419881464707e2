/* Answers, counted; words for types and outcomes; names for addresses. */
#include "resolver/dns.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum { FAULT_TTL_S = 5 };

/* An answer is one block: itself, its records, their texts. */
static size_t
texts_of(const struct dns_answer *a)
{
	size_t n = a->canonical.len;

	for (size_t i = 0; i < a->nrecords; i++)
		n += a->records[i].text.len;
	return n;
}

size_t
dns_answer_size(const struct dns_answer *a)
{
	return sizeof(*a) + a->nrecords * sizeof(a->records[0]) + texts_of(a);
}

/* Copies s to where *at is, which moves on. */
static struct str
keep(struct str s, char **at)
{
	struct str kept = { *at, s.len };

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return kept;
}

static uint32_t
less(uint32_t ttl_s, uint32_t age_s)
{
	return ttl_s > age_s ? ttl_s - age_s : 0;
}

struct dns_answer *
dns_answer_copy(const struct dns_answer *a, uint32_t age_s)
{
	struct dns_answer *copy = xmalloc(dns_answer_size(a));
	struct dns_record *r = (struct dns_record *)(copy + 1);
	char *text = (char *)(r + a->nrecords);

	*copy = *a;
	copy->refs = 1;
	copy->ttl_s = less(a->ttl_s, age_s);
	copy->records = r;
	copy->canonical = keep(a->canonical, &text);
	for (size_t i = 0; i < a->nrecords; i++) {
		r[i] = a->records[i];
		r[i].ttl_s = less(r[i].ttl_s, age_s);
		r[i].text = keep(r[i].text, &text);
	}
	return copy;
}

struct dns_answer *
dns_answer_ref(struct dns_answer *a)
{
	a->refs++;
	return a;
}

void
dns_answer_unref(struct dns_answer **a)
{
	if (*a == NULL)
		return;
	assert((*a)->refs > 0);
	if (--(*a)->refs == 0)
		free(*a);
	*a = NULL;
}

struct dns_answer *
dns_answer_fault(const char *why)
{
	return dns_answer_copy(
	    &(struct dns_answer){
		.status = DNS_FAULT, .why = why, .ttl_s = FAULT_TTL_S },
	    0);
}

/* --- words --- */

static const struct {
	enum dns_type type;
	const char *name;
} types[] = {
	{ DNS_A, "A" },
	{ DNS_AAAA, "AAAA" },
	{ DNS_CNAME, "CNAME" },
	{ DNS_MX, "MX" },
	{ DNS_NS, "NS" },
	{ DNS_PTR, "PTR" },
	{ DNS_TLSA, "TLSA" },
	{ DNS_TXT, "TXT" },
};

enum { NTYPES = sizeof(types) / sizeof(types[0]) };

const char *
dns_type_name(enum dns_type t)
{
	for (size_t i = 0; i < NTYPES; i++)
		if (types[i].type == t)
			return types[i].name;
	return NULL;
}

int
dns_type_find(struct str name, enum dns_type *out)
{
	for (size_t i = 0; i < NTYPES; i++) {
		if (str_eq_nocase(name, str_of(types[i].name))) {
			*out = types[i].type;
			return 0;
		}
	}
	return -1;
}

const char *
dns_status_text(const struct dns_answer *a)
{
	switch (a->status) {
	case DNS_OK:
		return "ok";
	case DNS_NODATA:
		return "nodata";
	case DNS_NXDOMAIN:
		return "nxdomain";
	case DNS_FAULT:
		break;
	}
	return a->why;
}

/* --- the name of an address --- */

const char *
dns_reverse(const struct addr *a, char out[static DNS_REVERSE_MAX])
{
	const uint8_t *b = a->bytes;
	size_t len = 0;

	out[0] = '\0';
	if (a->family == ADDR_V4)
		snprintf(out, DNS_REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa", b[3],
		    b[2], b[1], b[0]);
	if (a->family != ADDR_V6)
		return out;
	for (size_t i = sizeof(a->bytes); i-- > 0; len += 4)
		snprintf(out + len, DNS_REVERSE_MAX - len, "%x.%x.", b[i] & 15U,
		    b[i] >> 4U);
	snprintf(out + len, DNS_REVERSE_MAX - len, "ip6.arpa");
	return out;
}
