/* Packets as bytes, and what is read from them. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/resolver/reading.c"

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

/* Over TCP, too, a part is not the whole. */
START_TEST(test_truncated)
{
	begin(AD | TC, "example.com", DNS_MX);
	pkt_mx(&k, "example.com", 300, 10, "a.example.com");
	parse("example.com", DNS_MX);
	expect_fault("truncated");
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

int
main(void)
{
	const TTest *const tests[] = { test_addresses, test_mx, test_txt,
		test_names_are_escaped, test_cname_asked_for,
		test_others_are_ignored, test_negative, test_referral, test_ttl,
		test_rcodes, test_truncated, test_ad, test_chain,
		test_chain_too_long, test_chain_leads_out,
		test_cname_beside_others };
	Suite *s = suite_create("answer");
	TCase *t = tcase_create("answer");

	tcase_add_checked_fixture(t, NULL, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
