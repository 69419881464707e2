/* Packets as bytes, good and bad, and what is read from them. */
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
expect_text(size_t i, const char *text)
{
	ck_assert_uint_lt(i, a->nrecords);
	ck_assert_uint_eq(a->records[i].text.len, strlen(text));
	ck_assert_mem_eq(a->records[i].text.p, text, strlen(text));
}

static void
expect_addr(size_t i, const char *text)
{
	char out[ADDR_TEXT_MAX];

	ck_assert_uint_lt(i, a->nrecords);
	ck_assert_str_eq(addr_format(&a->records[i].addr, out), text);
}

static void
teardown(void)
{
	dns_answer_unref(&a);
}

/* --- each type --- */

START_TEST(test_addresses)
{
	begin(0, "Host.Example.COM", DNS_A);
	pkt_a(&k, "host.example.com", 300, 1);
	pkt_a(&k, "HOST.example.com", 200, 2);
	parse("hosT.example.com", DNS_A);
	expect(DNS_OK, 2);
	expect_addr(0, "192.0.2.1");
	expect_addr(1, "192.0.2.2");
	ck_assert_uint_eq(a->records[0].ttl_s, 300);
	ck_assert_uint_eq(a->ttl_s, 200);
	ck_assert(!a->ad);

	begin(AD, "h.example.com", DNS_AAAA);
	pkt_rr(&k, ANSWER, "h.example.com", DNS_AAAA, 300,
	    (struct str){ "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16 });
	pkt_rr(&k, ANSWER, "h.example.com", DNS_AAAA, 300,
	    (struct str){ "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7", 16 });
	parse("h.example.com", DNS_AAAA);
	expect(DNS_OK, 2);
	expect_addr(0, "2001:db8::1");
	expect_addr(1, "192.0.2.7");
	ck_assert(a->ad);
}

END_TEST

START_TEST(test_mx)
{
	begin(0, "example.com", DNS_MX);
	pkt_mx(&k, "example.com", 300, 20, "B.Example.com");
	pkt_mx(&k, "example.com", 300, 10, "a.example.com");
	pkt_mx(&k, "example.com", 300, 0, "");
	parse("example.com", DNS_MX);
	expect(DNS_OK, 3);
	expect_text(0, "b.example.com");
	expect_text(1, "a.example.com");
	expect_text(2, "");
	ck_assert_uint_eq(a->records[0].preference, 20);
	ck_assert_uint_eq(a->records[1].preference, 10);
}

END_TEST

START_TEST(test_txt)
{
	static char long_text[20 * 256];
	size_t at;

	begin(0, "t.example.com", DNS_TXT);
	pkt_rr(
	    &k, ANSWER, "t.example.com", DNS_TXT, 300, STR("\3abc\0\4D\"\\e"));
	at = pkt_begin_rr(&k, ANSWER, "t.example.com", DNS_TXT, 300);
	for (size_t i = 0; i < 17; i++) {
		k.p[k.n++] = 255;
		pkt_put(&k, long_text, 255);
	}
	pkt_end_rr(&k, at);
	pkt_rr(&k, ANSWER, "t.example.com", DNS_TXT, 300, STR("\0"));
	parse("t.example.com", DNS_TXT);
	/* The second is longer than any may be. */
	expect(DNS_OK, 2);
	expect_text(0, "abcD\"\\e");
	expect_text(1, "");
}

END_TEST

START_TEST(test_names_are_escaped)
{
	size_t at;

	begin(0, "4.3.2.1.in-addr.arpa", DNS_PTR);
	at = pkt_begin_rr(&k, ANSWER, "4.3.2.1.in-addr.arpa", DNS_PTR, 300);
	pkt_put(&k, "\012a.b\r\n\\\"\x80 \xff\003COM\0", 16);
	pkt_end_rr(&k, at);
	parse("4.3.2.1.in-addr.arpa", DNS_PTR);
	expect(DNS_OK, 1);
	expect_text(0, "a\\.b\\013\\010\\\\\\\"\\128\\032\\255.com");
}

END_TEST

START_TEST(test_cname_asked_for)
{
	begin(0, "a.example.com", DNS_CNAME);
	pkt_to(&k, "a.example.com", DNS_CNAME, 300, "b.example.com");
	pkt_to(&k, "b.example.com", DNS_CNAME, 300, "c.example.com");
	parse("a.example.com", DNS_CNAME);
	expect(DNS_OK, 1);
	expect_text(0, "b.example.com");
	ck_assert_str_eq(chase.target, "");
}

END_TEST

START_TEST(test_others_are_ignored)
{
	size_t at;

	begin(0, "h.example.com", DNS_A);
	pkt_a(&k, "other.example.com", 300, 9);
	at = pkt_begin_rr(&k, ANSWER, "h.example.com", DNS_A, 300);
	k.p[at - 7] = 3; /* class CHAOS */
	pkt_put(&k, "\1\2\3\4", 4);
	pkt_end_rr(&k, at);
	pkt_rr(&k, ANSWER, "h.example.com", DNS_TXT, 300, STR("\1x"));
	pkt_a(&k, "h.example.com", 300, 1);
	pkt_rr(&k, AUTHORITY, "h.example.com", DNS_A, 300, STR("\1\1\1\1"));
	pkt_rr(&k, ADDITIONAL, "h.example.com", DNS_A, 300, STR("\1\1\1\1"));
	parse("h.example.com", DNS_A);
	expect(DNS_OK, 1);
	expect_addr(0, "192.0.2.1");

	begin(0, "h.example.com", DNS_A);
	pkt_a(&k, "other.example.com", 300, 9);
	parse("h.example.com", DNS_A);
	expect(DNS_NODATA, 0);
	ck_assert_uint_eq(a->ttl_s, 60);
}

END_TEST

/* --- nothing there --- */

START_TEST(test_negative)
{
	static const struct {
		uint32_t ttl, minimum, want;
	} soas[] = { { 300, 900, 300 }, { 900, 300, 300 },
		{ 90000, 90000, ANSWER_NEGATIVE_MAX_S }, { 0, 300, 0 },
		{ 0x80000000, 300, 0 }, { 300, 0xffffffff, 0 } };

	for (size_t i = 0; i < 2 * sizeof(soas) / sizeof(soas[0]); i++) {
		begin(AA | (i % 2 ? 3 : 0), "no.example.com", DNS_MX);
		pkt_soa(
		    &k, "example.com", soas[i / 2].ttl, soas[i / 2].minimum);
		parse("no.example.com", DNS_MX);
		expect(i % 2 ? DNS_NXDOMAIN : DNS_NODATA, 0);
		ck_assert_uint_eq(a->ttl_s, soas[i / 2].want);
	}
	begin(3, "no.example.com", DNS_MX);
	parse("no.example.com", DNS_MX);
	expect(DNS_NXDOMAIN, 0);
	ck_assert_uint_eq(a->ttl_s, 60);
}

END_TEST

START_TEST(test_referral)
{
	begin(0, "h.example.com", DNS_A);
	pkt_rr(&k, AUTHORITY, "example.com", TYPE_NS, 300, STR("\1n\0"));
	parse("h.example.com", DNS_A);
	expect_fault("referral");
	begin(AA, "h.example.com", DNS_A);
	pkt_rr(&k, AUTHORITY, "example.com", TYPE_NS, 300, STR("\1n\0"));
	parse("h.example.com", DNS_A);
	expect(DNS_NODATA, 0);
}

END_TEST

START_TEST(test_ttl)
{
	begin(0, "h.example.com", DNS_A);
	pkt_a(&k, "h.example.com", 0xfffffff0, 1);
	pkt_a(&k, "h.example.com", 1000000, 2);
	parse("h.example.com", DNS_A);
	ck_assert_uint_eq(a->records[0].ttl_s, 0);
	ck_assert_uint_eq(a->records[1].ttl_s, DNS_TTL_MAX);
	ck_assert_uint_eq(a->ttl_s, 0);
}

END_TEST

START_TEST(test_rcodes)
{
	static const char *const words[16] = { [1] = "formerr",
		[2] = "servfail",
		[4] = "notimp",
		[5] = "refused",
		[9] = "rcode",
		[15] = "rcode" };

	for (unsigned int i = 0; i < 16; i++) {
		begin(i, "h.example.com", DNS_A);
		pkt_a(&k, "h.example.com", 300, 1);
		ck_assert_int_eq(answer_rcode(pkt_str(&k)), (int)i);
		parse("h.example.com", DNS_A);
		if (words[i] != NULL)
			expect_fault(words[i]);
	}
}

END_TEST

START_TEST(test_ad)
{
	begin(AD, "h.example.com", DNS_A);
	pkt_a(&k, "h.example.com", 300, 1);
	a = answer_parse(
	    pkt_str(&k), STR("h.example.com"), DNS_A, false, &chase);
	expect(DNS_OK, 1);
	ck_assert(!a->ad);
}

END_TEST

/* --- CNAMEs --- */

/* "n3.example.com" */
static const char *
numbered(size_t i)
{
	static char out[2][48];

	snprintf(out[i % 2], sizeof(out[0]), "n%zu.example.com", i);
	return out[i % 2];
}

static void
put_chain(size_t n, bool backwards)
{
	begin(0, "n0.example.com", DNS_A);
	for (size_t i = 0; i < n; i++) {
		size_t at = backwards ? n - 1 - i : i;
		pkt_to(&k, numbered(at), DNS_CNAME, (uint32_t)(300 - (at == 1)),
		    numbered(at + 1));
	}
}

START_TEST(test_chain)
{
	for (int i = 0; i < 2; i++) {
		put_chain(ANSWER_CHAIN_MAX, i == 1);
		pkt_a(&k, numbered(ANSWER_CHAIN_MAX), 1000, 1);
		parse("n0.example.com", DNS_A);
		expect(DNS_OK, 1);
		expect_addr(0, "192.0.2.1");
		ck_assert_uint_eq(a->ttl_s, 299);
		ck_assert_uint_eq(a->records[0].ttl_s, 1000);
	}
}

END_TEST

START_TEST(test_chain_too_long)
{
	put_chain(ANSWER_CHAIN_MAX + 1, false);
	pkt_a(&k, numbered(ANSWER_CHAIN_MAX + 1), 1000, 1);
	parse("n0.example.com", DNS_A);
	expect_fault("loop");
	put_chain(4, true);
	pkt_to(&k, numbered(4), DNS_CNAME, 300, "N0.example.com");
	parse("n0.example.com", DNS_A);
	expect_fault("loop");
	begin(0, "n0.example.com", DNS_A);
	pkt_to(&k, "n0.example.com", DNS_CNAME, 300, "n0.example.com");
	parse("n0.example.com", DNS_A);
	expect_fault("loop");
	ck_assert_str_eq(chase.target, "");
}

END_TEST

START_TEST(test_chain_leads_out)
{
	put_chain(2, false);
	parse("n0.example.com", DNS_A);
	expect(DNS_NODATA, 0);
	ck_assert_str_eq(chase.target, "n2.example.com");
	ck_assert_uint_eq(chase.ttl_s, 299);

	pkt_soa(&k, "example.com", 100, 100);
	parse("n0.example.com", DNS_A);
	expect(DNS_NODATA, 0);
	ck_assert_str_eq(chase.target, "");
	ck_assert_uint_eq(a->ttl_s, 100);

	put_chain(2, false);
	k.p[3] |= 3;
	parse("n0.example.com", DNS_A);
	expect(DNS_NXDOMAIN, 0);
	ck_assert_str_eq(chase.target, "");
}

END_TEST

START_TEST(test_cname_beside_others)
{
	put_chain(1, false);
	pkt_a(&k, "n0.example.com", 300, 1);
	parse("n0.example.com", DNS_A);
	expect_fault("malformed");
	put_chain(1, false);
	pkt_to(&k, "n0.example.com", DNS_CNAME, 300, "x.example.com");
	parse("n0.example.com", DNS_A);
	expect_fault("malformed");
	put_chain(1, false);
	pkt_to(&k, "n0.example.com", DNS_CNAME, 300, "n1.example.com");
	pkt_a(&k, "n1.example.com", 300, 1);
	parse("n0.example.com", DNS_A);
	expect(DNS_OK, 1);
}

END_TEST

/* --- nonsense --- */

static void
good(void)
{
	begin(AA, "h.example.com", DNS_MX);
	pkt_to(&k, "h.example.com", DNS_CNAME, 300, "i.example.com");
	pkt_mx(&k, "i.example.com", 300, 10, "mx.example.com");
	pkt_soa(&k, "example.com", 300, 300);
	pkt_rr(&k, ADDITIONAL, "", TYPE_OPT, 0, STR(""));
}

START_TEST(test_cut_anywhere)
{
	good();
	parse("h.example.com", DNS_MX);
	expect(DNS_OK, 1);
	for (size_t n = 0; n < k.n; n++) {
		parse_len(n, "h.example.com", DNS_MX);
		expect_fault("malformed");
	}
	k.p[k.n++] = 0;
	parse("h.example.com", DNS_MX);
	expect_fault("malformed");
}

END_TEST

/* Any one byte may be anything: whatever is read, it is whole. */
START_TEST(test_any_byte)
{
	good();
	for (size_t at = 0; at < k.n; at++) {
		uint8_t was = k.p[at];
		for (unsigned int v = 0; v < 256; v++) {
			k.p[at] = (uint8_t)v;
			parse("h.example.com", DNS_MX);
			ck_assert(a->status == DNS_OK ? a->nrecords == 1 :
							a->nrecords == 0);
		}
		k.p[at] = was;
	}
}

END_TEST

START_TEST(test_wrong_header)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = { { 2, 0x04 /* a question */ }, { 2, 0x8c /* opcode */ },
		{ 5, 0 }, { 5, 2 }, { 6, 255 }, { 7, 1 }, { 7, 3 }, { 8, 255 },
		{ 9, 0 }, { 9, 2 }, { 10, 255 }, { 11, 0 }, { 11, 2 } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		good();
		k.p[bad[i].at] = bad[i].value;
		parse("h.example.com", DNS_MX);
		expect_fault("malformed");
	}
	good();
	parse("x.example.com", DNS_MX);
	expect_fault("malformed");
	parse("h.example.com", DNS_A);
	expect_fault("malformed");
	good();
	k.p[PACKET_HEADER + 15 + 3] = 3; /* class of the question */
	parse("h.example.com", DNS_MX);
	expect_fault("malformed");
}

END_TEST

/* A name's bytes as the target of an MX (behind its preference). */
static void
expect_bad_name(struct str bytes)
{
	size_t at;

	begin(0, "h.example.com", DNS_MX);
	at = pkt_begin_rr(&k, ANSWER, "h.example.com", DNS_MX, 300);
	pkt_put16(&k, 10);
	pkt_put(&k, bytes.p, bytes.len);
	pkt_end_rr(&k, at);
	parse("h.example.com", DNS_MX);
	expect_fault("malformed");
}

START_TEST(test_bad_names)
{
	static char label[65];
	char pointer[2] = { (char)0xc0, 0 };

	expect_bad_name(STR(""));
	expect_bad_name(STR("\3abc"));
	expect_bad_name(STR("\3abc\0x"));
	expect_bad_name(STR("\x40"
			    "a\0"));
	expect_bad_name(STR("\x80"
			    "a\0"));
	label[0] = 64;
	expect_bad_name((struct str){ label, sizeof(label) });
	/* to itself, forward, beyond, into the header's counts */
	pointer[1] = (char)(k.n - 2);
	expect_bad_name((struct str){ pointer, 2 });
	pointer[1] = (char)0xff;
	expect_bad_name((struct str){ pointer, 2 });
	expect_bad_name(STR("\xff\xff"));
	expect_bad_name(STR("\xc0"));
	expect_bad_name(STR("\1a\xc0"));
}

END_TEST

/* A name of 255 bytes is one, of 256 not; also when made of pointers. */
START_TEST(test_long_names)
{
	char name[4 * 64 + 1];

	for (size_t extra = 0; extra < 2; extra++) {
		memset(name, 'a', sizeof(name));
		for (size_t i = 1; i < 4; i++)
			name[i * 64 - 1] = '.';
		name[3 * 64 + 61 + extra] = '\0';
		begin(0, "h.example.com", DNS_PTR);
		pkt_to(&k, "h.example.com", DNS_PTR, 300, name);
		parse("h.example.com", DNS_PTR);
		if (extra > 0)
			expect_fault("malformed");
		else
			expect(DNS_OK, 1);
		ck_assert(answer_name_is_askable(str_of(name)) == (extra == 0));
	}
	ck_assert_uint_eq(strlen(name), 254);
}

END_TEST

/* Each record's owner points to the pointer before it. */
START_TEST(test_many_pointers)
{
	size_t to = PACKET_HEADER;

	begin(0, "h.example.com", DNS_A);
	for (size_t i = 0; i < 60; i++) {
		size_t here = k.n;
		pkt_count(&k, ANSWER);
		pkt_put16(&k, (unsigned int)(0xc000 | to));
		pkt_put16(&k, DNS_A);
		pkt_put16(&k, 1);
		pkt_put32(&k, 300);
		pkt_put16(&k, 4);
		pkt_put32(&k, 0x01020304);
		to = here;
		parse("h.example.com", DNS_A);
		if (i < 50)
			expect(DNS_OK, i + 1);
		else
			expect_fault("malformed");
	}
}

END_TEST

START_TEST(test_wrong_data_length)
{
	static const struct {
		enum dns_type type;
		struct str data;
	} bad[] = { { DNS_A, { "abc", 3 } }, { DNS_A, { "abcde", 5 } },
		{ DNS_AAAA, { "abcd", 4 } }, { DNS_A, { "", 0 } },
		{ DNS_MX, { "\0\1", 2 } }, { DNS_MX, { "\0", 1 } },
		{ DNS_PTR, { "", 0 } }, { DNS_CNAME, { "\1a\0b", 4 } },
		{ DNS_TXT, { "", 0 } }, { DNS_TXT, { "\2a", 2 } },
		{ DNS_TXT, { "\1ab", 3 } } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(0, "h.example.com", bad[i].type);
		pkt_rr(
		    &k, ANSWER, "h.example.com", bad[i].type, 300, bad[i].data);
		parse("h.example.com", bad[i].type);
		expect_fault("malformed");
	}
	/* of the negative answer's SOA */
	begin(0, "h.example.com", DNS_A);
	pkt_rr(&k, AUTHORITY, "example.com", TYPE_SOA, 300, STR("\0\0abcd"));
	parse("h.example.com", DNS_A);
	expect_fault("malformed");
}

END_TEST

START_TEST(test_bounds)
{
	static char text[4 * 256 + 1];

	begin(0, "h.example.com", DNS_A);
	for (unsigned int i = 0; i < 2000; i++)
		pkt_a(&k, "h.example.com", 300, (uint8_t)i);
	parse("h.example.com", DNS_A);
	expect(DNS_OK, DNS_RECORDS_MAX);

	begin(0, "h.example.com", DNS_TXT);
	for (size_t i = 0; i < 4; i++)
		text[i * 256] = (char)255;
	while (k.n + 1100 < PACKET_MAX)
		pkt_rr(&k, ANSWER, "h.example.com", DNS_TXT, 300,
		    (struct str){ text, 1024 });
	parse("h.example.com", DNS_TXT);
	ck_assert_uint_gt(a->nrecords, 50);
	ck_assert_uint_le(
	    dns_answer_size(a), DNS_BYTES_MAX + sizeof(*a) +
				    a->nrecords * sizeof(struct dns_record));
}

END_TEST

START_TEST(test_askable)
{
	static const char *const bad[] = { ".", ".a", "a.", "a..b", "a\\b",
		"a\\046b",
		"a234567890123456789012345678901234567890123456789012345678901234"
		".com" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert(!answer_name_is_askable(str_of(bad[i])));
	ck_assert(!answer_name_is_askable(STR("a\0b")));
	ck_assert(answer_name_is_askable(STR("")));
	ck_assert(answer_name_is_askable(STR("1.0/25.2.0.192.in-addr.arpa")));
	ck_assert(answer_name_is_askable(STR("_x.Example")));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("answer");
	TCase *t = tcase_create("answer");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, test_addresses);
	tcase_add_test(t, test_mx);
	tcase_add_test(t, test_txt);
	tcase_add_test(t, test_names_are_escaped);
	tcase_add_test(t, test_cname_asked_for);
	tcase_add_test(t, test_others_are_ignored);
	tcase_add_test(t, test_negative);
	tcase_add_test(t, test_referral);
	tcase_add_test(t, test_ttl);
	tcase_add_test(t, test_rcodes);
	tcase_add_test(t, test_ad);
	tcase_add_test(t, test_chain);
	tcase_add_test(t, test_chain_too_long);
	tcase_add_test(t, test_chain_leads_out);
	tcase_add_test(t, test_cname_beside_others);
	tcase_add_test(t, test_cut_anywhere);
	tcase_add_test(t, test_any_byte);
	tcase_add_test(t, test_wrong_header);
	tcase_add_test(t, test_bad_names);
	tcase_add_test(t, test_long_names);
	tcase_add_test(t, test_many_pointers);
	tcase_add_test(t, test_wrong_data_length);
	tcase_add_test(t, test_bounds);
	tcase_add_test(t, test_askable);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
