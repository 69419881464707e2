/* Packets that are none. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/resolver/reading.c"

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
	static const char long_label[] = "a234567890123456789012345678901234567"
					 "890123456789012345678901234.com";
	static const char *const bad[] = { ".", ".a", "a.", "a..b", "a\\b",
		"a\\046b", long_label };

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
	const TTest *const tests[] = { test_cut_anywhere, test_any_byte,
		test_wrong_header, test_bad_names, test_long_names,
		test_many_pointers, test_wrong_data_length, test_bounds,
		test_askable };
	Suite *s = suite_create("nonsense");
	TCase *t = tcase_create("nonsense");

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
