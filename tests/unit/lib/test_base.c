/* str, buf, id, clock, crc32c: the small things everything stands on. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/crc32c.h"
#include "lib/base/id.h"
#include "lib/base/utf8.h"

START_TEST(numbers)
{
	uint64_t v = 7;

	ck_assert_int_eq(
	    str_to_u64(STR("18446744073709551615"), UINT64_MAX, &v), 0);
	ck_assert(v == UINT64_MAX);
	ck_assert_int_eq(
	    str_to_u64(STR("18446744073709551616"), UINT64_MAX, &v), -1);
	ck_assert_int_eq(str_to_u64(STR("10"), 9, &v), -1);
	ck_assert_int_eq(str_to_u64(STR(""), 9, &v), -1);
	ck_assert_int_eq(str_to_u64(STR("+1"), 9, &v), -1);
	ck_assert_int_eq(str_to_u64(STR("1 "), 9, &v), -1);
}

END_TEST

START_TEST(views)
{
	ck_assert(str_eq_nocase(STR("aB[c"), STR("Ab[C")));
	ck_assert(!str_eq_nocase(STR("a"), STR("ab")));
	ck_assert(!str_eq_nocase(STR("["), STR("{")));
	ck_assert(str_cmp(STR("a"), STR("ab")) < 0);
	ck_assert(str_cmp(STR("b"), STR("ab")) > 0);
	ck_assert_uint_eq(str_find(STR("a@b"), '@'), 1);
	ck_assert_uint_eq(str_find(STR("ab"), '@'), 2);
	ck_assert(str_eq(str_trim(STR(" \tx ")), STR("x")));
	ck_assert_uint_eq(str_skip(STR("abc"), 4).len, 0);
	ck_assert_uint_eq(str_head(STR("abc"), 4).len, 3);
}

END_TEST

START_TEST(bounds)
{
	struct buf b;

	buf_init(&b, 4);
	buf_add(&b, "abcd", 4);
	ck_assert(!b.failed);
	buf_add(&b, "e", 1);
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 4);
	ck_assert_ptr_null(buf_reserve(&b, SIZE_MAX));
	buf_reset(&b);
	buf_addf(&b, "%s", "xyz");
	ck_assert(str_eq(buf_str(&b), STR("xyz")));
	buf_drop(&b, 1);
	ck_assert(str_eq(buf_str(&b), STR("yz")));
	buf_clear(&b);
	buf_init(&b, 100000);
	buf_addf(&b, "%5000d", 1);
	ck_assert_uint_eq(b.len, 5000);
	buf_clear(&b);
}

END_TEST

/* A secret one grows by moving, and is an ordinary one when it is cleared. */
START_TEST(secrets)
{
	struct buf b;

	buf_init(&b, 100000);
	b.secret = true;
	for (int n = 0; n < 5000; n++)
		buf_addf(&b, "%d,", n % 10);
	ck_assert_uint_eq(b.len, 10000);
	for (size_t n = 0; n < 5000; n++)
		ck_assert_int_eq(b.p[2 * n], "0123456789"[n % 10]);
	buf_clear(&b);
	ck_assert(!b.secret);
	ck_assert_ptr_null(b.p);
	b.secret = true;
	buf_clear(&b);
	ck_assert_uint_eq(b.max, 100000);
}

END_TEST

START_TEST(json)
{
	struct buf b;

	buf_init(&b, 1000);
	buf_add_json(&b, STR("a\"\\\n\x01\xc3\xa4\xff\x7f\xed\xa0\x80"));
	ck_assert(str_eq(
	    buf_str(&b), STR("\"a\\\"\\\\\\n\\u0001\xc3\xa4\xef\xbf\xbd\\u007f"
			     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")));
	/* Controls and turners of two and three bytes; their neighbours. */
	buf_reset(&b);
	buf_add_json(&b, STR("\xc2\x80\xc2\x9f\xc2\xa0\xe2\x80\x8e"
			     "\xe2\x80\xae\xe2\x80\xaf\xe2\x81\xa6"));
	ck_assert(str_eq(buf_str(&b),
	    STR("\"\\u0080\\u009f\xc2\xa0\\u200e\\u202e\xe2\x80\xaf"
		"\\u2066\"")));
	buf_clear(&b);
}

END_TEST

START_TEST(utf8)
{
	ck_assert(utf8_is_valid(STR("\xf0\x9f\x98\x80 \xe2\x82\xac")));
	ck_assert(!utf8_is_valid(STR("\xc0\x80")));         /* overlong */
	ck_assert(!utf8_is_valid(STR("\xed\xa0\x80")));     /* surrogate */
	ck_assert(!utf8_is_valid(STR("\xf4\x90\x80\x80"))); /* too far */
	ck_assert(!utf8_is_valid(STR("\xe2\x82")));         /* cut off */
	ck_assert(!utf8_is_valid(STR("\x80")));
}

END_TEST

START_TEST(ids)
{
	char a[ID_LEN + 1], b[ID_LEN + 1], c[ID_LEN + 1];

	id_new(1795305600000, a);
	id_new(1795305600000, b);
	id_new(1795305600001, c);
	ck_assert(id_is_valid(str_of(a)));
	ck_assert_int_eq(memcmp(a, b, 9), 0);
	ck_assert_int_ne(strcmp(a, b), 0);
	ck_assert_int_lt(memcmp(b, c, 9), 0);
	ck_assert(!id_is_valid(STR("0123456789abcde")));
	ck_assert(!id_is_valid(STR("0123456789abcde/")));
}

END_TEST

START_TEST(times)
{
	char t[25], m[32];

	clock_format_rfc3339(951782400123, t);
	ck_assert_str_eq(t, "2000-02-29T00:00:00.123Z");
	clock_format_rfc5322(951782400123, m);
	ck_assert_str_eq(m, "Tue, 29 Feb 2000 00:00:00 +0000");
	clock_format_rfc3339(UINT64_MAX, t);
	ck_assert_int_eq(memcmp(t, "9999-12-31T23:59:59.", 20), 0);
}

END_TEST

START_TEST(checksums)
{
	uint8_t zeros[32] = { 0 }, up[32];

	for (int i = 0; i < 32; i++)
		up[i] = (uint8_t)i;
	/* RFC 3720 B.4 */
	ck_assert_uint_eq(crc32c(0, zeros, 32), 0x8a9136aa);
	ck_assert_uint_eq(crc32c(0, up, 32), 0x46dd794e);
	ck_assert_uint_eq(crc32c(crc32c(0, up, 5), up + 5, 27), 0x46dd794e);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("base");
	TCase *c = tcase_create("all");

	tcase_add_test(c, numbers);
	tcase_add_test(c, views);
	tcase_add_test(c, bounds);
	tcase_add_test(c, secrets);
	tcase_add_test(c, json);
	tcase_add_test(c, utf8);
	tcase_add_test(c, ids);
	tcase_add_test(c, times);
	tcase_add_test(c, checksums);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
