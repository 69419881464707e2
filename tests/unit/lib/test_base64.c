/* Base64: the vectors of RFC 4648, every length, and what is none. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/base64.h"

static const struct {
	const char *plain, *encoded;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xfb\xff\xfe", "+//+" },
};

START_TEST(of_the_standard)
{
	struct buf b;

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		buf_reset(&b);
		base64_encode(str_of(vectors[i].plain), &b);
		ck_assert(str_eq(buf_str(&b), str_of(vectors[i].encoded)));
		buf_reset(&b);
		ck_assert_int_eq(
		    base64_decode(str_of(vectors[i].encoded), &b), 0);
		ck_assert(str_eq(buf_str(&b), str_of(vectors[i].plain)));
	}
	buf_clear(&b);
}

END_TEST

START_TEST(there_and_back)
{
	char bytes[256];
	struct buf there, back;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	buf_init(&there, 1000);
	buf_init(&back, 1000);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct str in = { bytes, n };

		buf_reset(&there);
		buf_reset(&back);
		base64_encode(in, &there);
		ck_assert_uint_eq(there.len, (n + 2) / 3 * 4);
		ck_assert_int_eq(base64_decode(buf_str(&there), &back), 0);
		ck_assert(str_eq(buf_str(&back), in));
	}
	buf_clear(&there);
	buf_clear(&back);
}

END_TEST

START_TEST(is_none)
{
	static const struct str cases[] = {
		{ "Z", 1 },
		{ "Zg", 2 },
		{ "Zg=", 3 },
		{ "====", 4 },
		{ "Z===", 4 },
		{ "Zg=v", 4 },
		{ "=Zg=", 4 },
		{ "Zg==Zg==", 8 }, /* padding inside */
		{ "Zm8=Zm9v", 8 },
		{ "Zh==", 4 }, /* bits left over */
		{ "Zm9=", 4 },
		{ "Zm9v\r\n", 6 },
		{ "Zm 9", 4 },
		{ "Zm-_", 4 },
		{ "Zm\0v", 4 },
		{ "Zm\xc3\xa9", 4 },
	};
	struct buf b;

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(base64_decode(cases[i], &b) == -1, "%zu", i);
	buf_clear(&b);
	/* What does not fit is not half taken for all of it. */
	buf_init(&b, 5);
	ck_assert_int_eq(base64_decode(STR("Zm9vYmFy"), &b), -1);
	buf_clear(&b);
	buf_init(&b, 6);
	ck_assert_int_eq(base64_decode(STR("Zm9vYmFy"), &b), 0);
	buf_clear(&b);
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("base64");
	TCase *tc = tcase_create("base64");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, of_the_standard);
	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, is_none);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
