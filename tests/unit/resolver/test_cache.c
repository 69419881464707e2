/* What is kept, how long, and what goes first. */
#include <check.h>
#include <stdio.h>

#include "resolver/cache.h"

static struct cache *c;
static uint64_t now_ms;

static void
setup(void)
{
	c = cache_new(4, 4096);
	now_ms = 1000000;
}

static void
teardown(void)
{
	cache_free(&c);
	ck_assert_ptr_eq(c, NULL);
}

/* A TXT record of len bytes. */
static void
put(const char *name, enum dns_type type, uint32_t ttl_s, size_t len)
{
	static char text[8192];
	struct dns_record r = { .ttl_s = ttl_s + 10, .text = { text, len } };
	struct dns_answer *a =
	    dns_answer_copy(&(struct dns_answer){ .status = DNS_OK,
				.ttl_s = ttl_s,
				.nrecords = 1,
				.records = &r },
		0);

	cache_put(c, str_of(name), type, a, now_ms);
	dns_answer_unref(&a);
}

/* The time left of it, -1: it is not there. */
static int
get(const char *name, enum dns_type type)
{
	struct dns_answer *a = cache_get(c, str_of(name), type, now_ms);

	if (a == NULL)
		return -1;
	int ttl_s = (int)a->ttl_s;
	ck_assert_uint_eq(a->records[0].ttl_s, a->ttl_s + 10);
	dns_answer_unref(&a);
	return ttl_s;
}

START_TEST(test_by_name_and_type)
{
	put("a.example", DNS_A, 100, 1);
	put("a.example", DNS_MX, 200, 1);
	put("", DNS_A, 300, 1);
	ck_assert_int_eq(get("a.example", DNS_A), 100);
	ck_assert_int_eq(get("a.example", DNS_MX), 200);
	ck_assert_int_eq(get("", DNS_A), 300);
	ck_assert_int_eq(get("a.example", DNS_AAAA), -1);
	ck_assert_int_eq(get("a.exampl", DNS_A), -1);
	put("a.example", DNS_A, 50, 1);
	ck_assert_int_eq(get("a.example", DNS_A), 50);
	ck_assert_uint_eq(cache_entries(c), 3);
	cache_clear(c);
	ck_assert_uint_eq(cache_entries(c), 0);
	ck_assert_uint_eq(cache_bytes(c), 0);
	ck_assert_int_eq(get("a.example", DNS_MX), -1);
}

END_TEST

START_TEST(test_times)
{
	put("a", DNS_A, 100, 1);
	put("never", DNS_A, 0, 1);
	ck_assert_int_eq(get("never", DNS_A), -1);
	now_ms += 999;
	ck_assert_int_eq(get("a", DNS_A), 100);
	now_ms += 1;
	ck_assert_int_eq(get("a", DNS_A), 99);
	now_ms += 98999;
	ck_assert_int_eq(get("a", DNS_A), 1);
	now_ms += 1;
	ck_assert_int_eq(get("a", DNS_A), -1);
	ck_assert_uint_eq(cache_entries(c), 0);
	/* What is not kept displaces what was. */
	put("a", DNS_A, 100, 1);
	put("a", DNS_A, 0, 1);
	ck_assert_int_eq(get("a", DNS_A), -1);
}

END_TEST

START_TEST(test_oldest_goes)
{
	put("a", DNS_A, 100, 1);
	put("b", DNS_A, 100, 1);
	put("c", DNS_A, 100, 1);
	put("d", DNS_A, 100, 1);
	ck_assert_int_eq(get("a", DNS_A), 100);
	put("e", DNS_A, 100, 1);
	ck_assert_uint_eq(cache_entries(c), 4);
	ck_assert_int_eq(get("b", DNS_A), -1);
	ck_assert_int_eq(get("a", DNS_A), 100);
	ck_assert_int_eq(get("c", DNS_A), 100);
}

END_TEST

START_TEST(test_bytes)
{
	put("a", DNS_A, 100, 1500);
	put("b", DNS_A, 100, 1500);
	ck_assert_uint_eq(cache_entries(c), 2);
	put("c", DNS_A, 100, 1500);
	ck_assert_uint_eq(cache_entries(c), 2);
	ck_assert_uint_le(cache_bytes(c), 4096);
	ck_assert_int_eq(get("a", DNS_A), -1);
	/* Too large for all of it: nothing else has to go. */
	put("d", DNS_A, 100, 5000);
	ck_assert_int_eq(get("d", DNS_A), -1);
	ck_assert_uint_eq(cache_entries(c), 2);
}

END_TEST

/* An answer outlives its place. */
START_TEST(test_references)
{
	put("a", DNS_A, 100, 8);
	struct dns_answer *a = cache_get(c, STR("a"), DNS_A, now_ms);

	cache_clear(c);
	ck_assert_uint_eq(a->refs, 1);
	ck_assert_uint_eq(a->records[0].text.len, 8);
	dns_answer_unref(&a);
}

END_TEST

START_TEST(test_many)
{
	char name[32];

	cache_free(&c);
	c = cache_new(1000, 1 << 20);
	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "n%u", i % 3000);
		put(name, DNS_A, 100, i % 100);
		ck_assert_uint_le(cache_entries(c), 1000);
		ck_assert_uint_le(cache_bytes(c), 1 << 20);
	}
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ck_assert_int_eq(
		    get(name, DNS_A), i >= 1000 && i < 2000 ? 100 : -1);
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("cache");
	TCase *t = tcase_create("cache");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_by_name_and_type);
	tcase_add_test(t, test_times);
	tcase_add_test(t, test_oldest_goes);
	tcase_add_test(t, test_bytes);
	tcase_add_test(t, test_references);
	tcase_add_test(t, test_many);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
