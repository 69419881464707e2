/* A packet, and what is read from it. Included by the tests. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/answer.h"
#include "tests/unit/resolver/packet.h"

static struct pkt k;
static struct answer_chase chase;
static struct dns_answer *a;

static void
begin(unsigned int flags, const char *name, enum dns_type type)
{
	pkt_begin(&k, 0x1234, QR | RD | RA | flags, name, type);
}

/* Reads the packet from memory of exactly its size, so that a byte too far is
 * seen by the sanitizers. */
static struct dns_answer *
parse_len(size_t len, const char *name, enum dns_type type)
{
	char *exact = malloc(len == 0 ? 1 : len);

	memcpy(exact, k.p, len);
	dns_answer_unref(&a);
	a = answer_parse(
	    (struct str){ exact, len }, str_of(name), type, true, &chase);
	free(exact);
	return a;
}

static struct dns_answer *
parse(const char *name, enum dns_type type)
{
	return parse_len(k.n, name, type);
}

static void
expect(enum dns_status status, size_t nrecords)
{
	ck_assert_str_eq(
	    a->why == NULL ? "-" : a->why, status == DNS_FAULT ? a->why : "-");
	ck_assert_int_eq(a->status, status);
	ck_assert_uint_eq(a->nrecords, nrecords);
	ck_assert_uint_eq(a->refs, 1);
}

static void
expect_fault(const char *why)
{
	ck_assert_str_eq(dns_status_text(a), why);
	expect(DNS_FAULT, 0);
	ck_assert_uint_eq(a->ttl_s, 5);
}

static void
teardown(void)
{
	dns_answer_unref(&a);
}
