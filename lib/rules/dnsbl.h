/*
 * DNS lists of clients (RFC 5782) as a table has them: key a zone, perhaps
 * with the answers that count, value its weight.
 *
 *	zen.example.org               any answer
 *	zen.example.org=127.0.0.2     only this one
 *	zen.example.org=127.0.0.[2..11;14]
 *
 * Each octet of the answer may be a number, or in brackets numbers and ranges
 * with `;' between them. The same zone may stand there several times, with
 * different answers.
 */
#ifndef POSTERN_RULES_DNSBL_H
#define POSTERN_RULES_DNSBL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/net/addr.h"
#include "lib/rules/table.h"

enum {
	DNSBL_LISTS_MAX = 64, /* of one table */
	DNSBL_WEIGHT_MAX = 1000
};

struct dnsbl_list {
	struct str zone;       /* into the key */
	uint8_t octets[4][32]; /* which values count: a bit each */
	int32_t weight;        /* below 0: speaks for the client */
};

/* Returns 0, or -1 with why (which may be NULL). */
int dnsbl_parse(struct str key, struct str value, struct dnsbl_list *out,
    struct fault *why);
/* 127.255.255.0/24: a list that does not want to be asked by us (too often, by
 * way of a public resolver) says so, and has nothing said of the client. */
bool dnsbl_is_refusal(const struct addr *answer);
/* Does this answer mean that the list has the client? Never outside of
 * 127.0.0.0/8: it is a parked domain then, not a list. */
bool dnsbl_counts(const struct dnsbl_list *l, const struct addr *answer);
/* Are all entries of the table lists, and no more than can be? The highest
 * score they can give goes to *score_max. Returns 0, or -1 with why. */
int dnsbl_check(const struct table *t, int32_t *score_max, struct fault *why);
/* The lists of a table, at most DNSBL_LISTS_MAX; views into it. Entries that
 * do not parse are left out. Returns how many. */
size_t dnsbl_lists(
    const struct table *t, struct dnsbl_list out[static DNSBL_LISTS_MAX]);

#endif
