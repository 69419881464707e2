/* Questions of the DNS and what they are answered with. */
#ifndef POSTERN_RESOLVER_DNS_H
#define POSTERN_RESOLVER_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"
#include "lib/net/addr.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52
};

enum dns_status {
	DNS_OK,       /* at least one record */
	DNS_NODATA,   /* the name is there, but nothing of that type */
	DNS_NXDOMAIN, /* there is no such name */
	DNS_FAULT     /* temporary: SERVFAIL, no answer, nonsense, too busy */
};

enum {
	DNS_TTL_MAX = 86400,    /* longer ones are cut (seconds) */
	DNS_RECORDS_MAX = 1000, /* of one answer; the rest is left out */
	DNS_TEXT_MAX = 4096,    /* bytes of one record's text */
	DNS_BYTES_MAX = 65536   /* texts of one answer, all in all */
};

struct dns_record {
	uint32_t ttl_s;
	uint16_t preference; /* MX */
	struct addr addr;    /* A, AAAA */
	struct str text;     /* the name of MX, PTR, CNAME, NS: lower case,
			      * no last dot, "" for the root, what is no host
			      * name escaped as c-ares does; TXT: its strings
			      * joined; TLSA: its data as it came, of one
			      * that is too long only the first three bytes */
};

/* Counted; whoever keeps one takes a reference. */
struct dns_answer {
	unsigned int refs;
	enum dns_status status;
	const char *why; /* DNS_FAULT: one word, lives for ever: servfail,
			  * refused, timeout, loop, malformed, busy, … */
	bool ad;         /* authenticated, by a server whose word we take */
	bool trusted;    /* it comes from such a server */
	uint32_t ttl_s;  /* of the whole: how long it may be kept */
	struct str canonical; /* where CNAMEs led from the name asked for, as
			       * text of a name; empty: there were none */
	size_t nrecords;
	const struct dns_record *records; /* owned, in the order they came */
};

struct dns_answer *dns_answer_ref(struct dns_answer *a);
void dns_answer_unref(struct dns_answer **a);
/* A fault; why lives for ever. */
struct dns_answer *dns_answer_fault(const char *why);
/* A copy of all that a has, texts too, with one reference; its times are
 * age_s seconds less. */
struct dns_answer *dns_answer_copy(const struct dns_answer *a, uint32_t age_s);
/* The memory it takes, in bytes. */
size_t dns_answer_size(const struct dns_answer *a);

/* "MX"; NULL for a number that is none of ours. */
const char *dns_type_name(enum dns_type t);
/* 0/-1; without case. */
int dns_type_find(struct str name, enum dns_type *out);
/* "ok", "nodata", "nxdomain", or why. */
const char *dns_status_text(const struct dns_answer *a);

/* The name under which an address' PTR is: 4.3.2.1.in-addr.arpa, or nibbles
 * below ip6.arpa. Returns out. */
enum { DNS_REVERSE_MAX = 80 };

const char *dns_reverse(const struct addr *a, char out[static DNS_REVERSE_MAX]);

#endif
