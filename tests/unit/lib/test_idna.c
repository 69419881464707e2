/* Domain names in the one form in which they are compared. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/idna.h"

static const struct {
	const char *in, *want; /* NULL: it has no such form */
} cases[] = {
	{ "", "" },
	{ "Example.COM", "example.com" },
	{ "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
	/* ASCII is not looked into. */
	{ "xn--a.example", "xn--a.example" },
	{ "a_b.example", "a_b.example" },
	{ "B\xc3\xbc"
	  "cher.example",
	    "xn--bcher-kva.example" },
	{ "b\xc3\x9c"
	  "CHER.Example",
	    "xn--bcher-kva.example" },
	/* u and a diaeresis behind it */
	{ "bu\xcc\x88"
	  "cher.example",
	    "xn--bcher-kva.example" },
	/* non-transitional: not strasse */
	{ "stra\xc3\x9f"
	  "e.example",
	    "xn--strae-oqa.example" },
	{ "xn--bcher-kva.\xc3\xbc", "xn--bcher-kva.xn--tda" },
	/* an ideographic full stop, and letters of full width */
	{ "\xef\xbd\x81\xe3\x80\x82\xc3\xbc", "a.xn--tda" },
	{ "\xc3\xbc..x", NULL },
	{ ".\xc3\xbc", NULL },
	{ "-\xc3\xbc.x", NULL },
	{ "\xc3\xbc.", NULL },
	/* nothing left of a label */
	{ "\xc2\xad.\xc3\xbc", NULL },
	/* it would become a/c */
	{ "\xe2\x84\x80.\xc3\xbc", NULL },
	{ "\xe2\x98\x83.example", NULL },
	{ "xn--a.\xc3\xbc", NULL },
	{ "\xff.example", NULL },
	{ "\xd8\xa7"
	  "a.example",
	    NULL },
};

START_TEST(table)
{
	struct buf b;

	buf_init(&b, PATH_DOMAIN_MAX);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc;

		buf_reset(&b);
		rc = idna_to_ascii(str_of(cases[i].in), &b);
		ck_assert_msg(
		    (rc == 0) == (cases[i].want != NULL), "%s", cases[i].in);
		ck_assert_msg(str_eq(buf_str(&b), str_of(cases[i].want)),
		    "%s: %.*s", cases[i].in, (int)b.len, b.p);
	}
	buf_clear(&b);
}

END_TEST

/* A label of 63 is the longest, also when it grows to it. */
START_TEST(lengths)
{
	char text[400];
	struct buf b;

	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "\xd0\xb6"[i % 2];
	ck_assert_int_eq(idna_to_ascii((struct str){ text, 100 }, &b), 0);
	ck_assert_uint_le(b.len, 63);
	ck_assert_uint_gt(b.len, 50);
	ck_assert_int_eq(idna_to_ascii((struct str){ text, 200 }, &b), -1);
	ck_assert_int_eq(idna_to_ascii((struct str){ text, 400 }, &b), -1);
	ck_assert_int_eq(idna_to_ascii(STR("\xc3\xbc\0x"), &b), -1);
	buf_clear(&b);
}

END_TEST

START_TEST(paths)
{
	struct path p;
	struct str rest;
	struct buf room, out;

	buf_init(&room, PATH_DOMAIN_MAX);
	buf_init(&out, PATH_FORMAT_MAX);
	ck_assert_int_eq(path_parse(STR("<x@B\xc3\xbc"
					"cher.example>"),
			     PATH_ALLOW_UTF8, &p, &rest),
	    PATH_OK);
	ck_assert_int_eq(idna_path(&p, &room), 0);
	path_format(&p, &out);
	ck_assert(str_eq(buf_str(&out), STR("x@xn--bcher-kva.example")));
	/* Others keep what they are. */
	buf_reset(&room);
	ck_assert_int_eq(
	    path_parse(STR("<x@[192.0.2.1]>"), 0, &p, &rest), PATH_OK);
	ck_assert_int_eq(idna_path(&p, &room), 0);
	ck_assert(str_eq(p.domain, STR("[192.0.2.1]")));
	ck_assert_uint_eq(room.len, 0);
	buf_clear(&room);
	buf_clear(&out);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("idna");
	TCase *t = tcase_create("idna");
	SRunner *r;
	int failed;

	tcase_add_test(t, table);
	tcase_add_test(t, lengths);
	tcase_add_test(t, paths);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
