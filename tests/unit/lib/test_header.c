/* Where the header block ends, and what is in it (faults.md H-1 to H-10). */
#include <check.h>
#include <string.h>

#include "lib/mail/header.h"

static const struct {
	const char *in;
	size_t size, nfields, nreceived, longest;
} cases[] = {
	{ "", 0, 0, 0, 0 },
	{ "A: b\r\n\r\nbody\r\n", 8, 1, 0, 6 },
	{ "A: b\r\nB:\r\n c\r\n\td\r\n\r\nbody", 20, 2, 0, 12 },
	{ "A: b\r\n", 6, 1, 0, 6 },
	{ "A: b\r\nno header here\r\n\r\n", 6, 1, 0, 6 },
	{ "\r\nbody\r\n", 2, 0, 0, 0 },
	{ "body\r\n", 0, 0, 0, 0 },
	{ " fold first\r\nA: b\r\n\r\n", 0, 0, 0, 0 },
	{ "From x Mon\r\nA: b\r\n\r\n", 0, 0, 0, 0 },
	{ "A : b\r\n\r\n", 0, 0, 0, 0 },
	{ ": b\r\n\r\n", 0, 0, 0, 0 },
	{ "\xc3\xa9: b\r\n\r\n", 0, 0, 0, 0 },
	{ "A: b\r\n \r\nB: c\r\n\r\n", 17, 2, 0, 9 },
	{ "received: x\r\nRECEIVED: y\r\nX-Received: z\r\n\r\n", 43, 3, 2, 15 },
	{ "A: b", 4, 1, 0, 4 },
};

START_TEST(blocks)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str in = str_of(cases[i].in);

		for (size_t step = 1; step <= in.len + 1; step++) {
			struct header_scan h;

			header_scan_init(&h);
			for (size_t n = 0; n < in.len; n += step)
				header_scan_feed(&h, str_head(in, n), false);
			ck_assert(header_scan_feed(&h, in, true));
			ck_assert_msg(h.size == cases[i].size, "%zu: size %zu",
			    i, h.size);
			ck_assert_uint_eq(h.nfields, cases[i].nfields);
			ck_assert_uint_eq(h.nreceived, cases[i].nreceived);
			ck_assert_uint_eq(h.longest, cases[i].longest);
		}
	}
}

END_TEST

START_TEST(fields)
{
	struct str block = STR("A: b\r\nLong:\r\n c\r\n\td\r\nE:\r\n\r\n");
	struct header_field f;
	size_t pos = 0;

	ck_assert(header_next(block, &pos, &f));
	ck_assert(str_eq(f.name, STR("A")));
	ck_assert(str_eq(f.value, STR(" b")));
	ck_assert(str_eq(f.raw, STR("A: b\r\n")));
	ck_assert(header_next(block, &pos, &f));
	ck_assert(str_eq(f.name, STR("Long")));
	ck_assert(str_eq(f.value, STR("\r\n c\r\n\td")));
	ck_assert(header_next(block, &pos, &f));
	ck_assert(str_eq(f.name, STR("E")));
	ck_assert_uint_eq(f.value.len, 0);
	ck_assert(!header_next(block, &pos, &f));
	pos = 0;
	ck_assert(!header_next(STR(""), &pos, &f));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("header");
	TCase *t = tcase_create("header");

	tcase_add_test(t, blocks);
	tcase_add_test(t, fields);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
