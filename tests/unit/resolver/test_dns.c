/* Words, names of addresses, copies of answers. */
#include <check.h>
#include <string.h>

#include "resolver/dns.h"

START_TEST(test_types)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_CNAME,
		DNS_MX, DNS_PTR, DNS_TXT };
	enum dns_type t;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ck_assert_int_eq(
		    dns_type_find(str_of(dns_type_name(types[i])), &t), 0);
		ck_assert_int_eq(t, types[i]);
	}
	ck_assert_int_eq(dns_type_find(STR("aaaa"), &t), 0);
	ck_assert_int_eq(t, DNS_AAAA);
	ck_assert_int_eq(dns_type_find(STR("ANY"), &t), -1);
	ck_assert_int_eq(dns_type_find(STR(""), &t), -1);
	ck_assert_ptr_eq(dns_type_name((enum dns_type)255), NULL);
}

END_TEST

START_TEST(test_reverse)
{
	static const struct {
		const char *addr, *name;
	} rows[] = { { "192.0.2.17", "17.2.0.192.in-addr.arpa" },
		{ "255.255.255.255", "255.255.255.255.in-addr.arpa" },
		{ "2001:db8::567:89ab",
		    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0."
		    "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" } };

	char out[DNS_REVERSE_MAX];
	struct addr a;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(addr_parse(str_of(rows[i].addr), &a), 0);
		ck_assert_str_eq(dns_reverse(&a, out), rows[i].name);
	}
	a.family = ADDR_LOCAL;
	ck_assert_str_eq(dns_reverse(&a, out), "");
}

END_TEST

START_TEST(test_copy)
{
	char text[] = "mx.example.com";
	struct dns_record r[] = {
		{ .ttl_s = 300, .preference = 10, .text = { text, 14 } },
		{ .ttl_s = 5, .preference = 20, .text = { NULL, 0 } },
	};
	struct dns_answer a = { .refs = 7,
		.status = DNS_OK,
		.ad = true,
		.ttl_s = 100,
		.nrecords = 2,
		.records = r };
	struct dns_answer *copy = dns_answer_copy(&a, 10);

	memset(text, 'x', sizeof(text));
	ck_assert_uint_eq(copy->refs, 1);
	ck_assert_uint_eq(copy->ttl_s, 90);
	ck_assert(copy->ad);
	ck_assert_uint_eq(copy->records[0].ttl_s, 290);
	ck_assert_uint_eq(copy->records[1].ttl_s, 0);
	ck_assert(str_eq(copy->records[0].text, STR("mx.example.com")));
	ck_assert_uint_eq(copy->records[0].preference, 10);
	ck_assert_uint_eq(copy->records[1].text.len, 0);
	ck_assert_uint_eq(dns_answer_size(copy), dns_answer_size(&a));

	struct dns_answer *again = dns_answer_ref(copy);
	dns_answer_unref(&again);
	ck_assert_ptr_eq(again, NULL);
	dns_answer_unref(&copy);
	dns_answer_unref(&copy);
}

END_TEST

START_TEST(test_status)
{
	struct dns_answer *a = dns_answer_fault("servfail");

	ck_assert_int_eq(a->status, DNS_FAULT);
	ck_assert_str_eq(dns_status_text(a), "servfail");
	ck_assert_uint_gt(a->ttl_s, 0);
	ck_assert_uint_le(a->ttl_s, 60);
	dns_answer_unref(&a);
	ck_assert_str_eq(
	    dns_status_text(&(struct dns_answer){ .status = DNS_OK }), "ok");
	ck_assert_str_eq(
	    dns_status_text(&(struct dns_answer){ .status = DNS_NODATA }),
	    "nodata");
	ck_assert_str_eq(
	    dns_status_text(&(struct dns_answer){ .status = DNS_NXDOMAIN }),
	    "nxdomain");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("dns");
	TCase *t = tcase_create("dns");

	tcase_add_test(t, test_types);
	tcase_add_test(t, test_reverse);
	tcase_add_test(t, test_copy);
	tcase_add_test(t, test_status);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
