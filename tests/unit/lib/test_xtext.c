/* xtext, its like beyond ASCII, and ORCPT. */
#include <check.h>
#include <stdlib.h>

#include "lib/mail/xtext.h"

typedef int decode_fn(struct str, struct buf *);

static const struct {
	decode_fn *decode;
	const char *in, *want; /* NULL: refused */
} cases[] = {
	{ xtext_decode, "", "" },
	{ xtext_decode, "plain-text!~", "plain-text!~" },
	{ xtext_decode, "a+2Bb+3Dc+20d", "a+b=c d" },
	{ xtext_decode, "+2b", "+" },
	{ xtext_decode, "a=b", NULL },
	{ xtext_decode, "a b", NULL },
	{ xtext_decode, "a\tb", NULL },
	{ xtext_decode, "+", NULL },
	{ xtext_decode, "+4", NULL },
	{ xtext_decode, "+4G", NULL },
	{ xtext_decode, "+G4", NULL },
	{ xtext_decode, "++41", NULL },
	{ xtext_decode, "+0D", NULL },
	{ xtext_decode, "+0A", NULL },
	{ xtext_decode, "+00", NULL },
	{ xtext_decode, "+1F", NULL },
	{ xtext_decode, "+7F", NULL },
	{ xtext_decode, "+80", NULL },
	{ xtext_decode, "\x7f", NULL },
	{ xtext_decode, "\xc3\xa9", NULL },
	{ unitext_decode, "a@b", "a@b" },
	{ unitext_decode, "\xc3\xa9@b", "\xc3\xa9@b" },
	{ unitext_decode, "\\x{E9}\\x{20ac}\\x{1F600}",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ unitext_decode, "\\x{2B}\\x{3D}\\x{5C}\\x{20}", "+=\\ " },
	{ unitext_decode, "\\x{10FFFF}", "\xf4\x8f\xbf\xbf" },
	{ unitext_decode, "\\x{110000}", NULL },
	{ unitext_decode, "\\x{0000041}", NULL },
	{ unitext_decode, "\\x{D800}", NULL },
	{ unitext_decode, "\\x{A}", NULL },
	{ unitext_decode, "\\x{0}", NULL },
	{ unitext_decode, "\\x{7F}", NULL },
	{ unitext_decode, "\\x{85}", NULL },
	{ unitext_decode, "\xc2\x85", NULL },
	{ unitext_decode, "\\x{}", NULL },
	{ unitext_decode, "\\x{41", NULL },
	{ unitext_decode, "\\x", NULL },
	{ unitext_decode, "\\y", NULL },
	{ unitext_decode, "a+b", NULL },
	{ unitext_decode, "a=b", NULL },
	{ unitext_decode, "\xc3", NULL },
	{ unitext_decode, "\xed\xa0\x80", NULL },
	{ orcpt_decode, "rfc822;Bob+2Bx@example.com",
	    "rfc822;Bob+x@example.com" },
	{ orcpt_decode, "UTF-8;\\x{E9}@b", "UTF-8;\xc3\xa9@b" },
	{ orcpt_decode, "x400;a;b", "x400;a;b" },
	{ orcpt_decode, "rfc822;k+C3+A4the@b", "utf-8;k\xc3\xa4the@b" },
	{ orcpt_decode, "RFC822;k\xc3\xa4+2Bthe@b", "utf-8;k\xc3\xa4+the@b" },
	{ orcpt_decode, "rfc822;k+C3the@b", NULL },
	{ orcpt_decode, "rfc822;k\xc3\xa4=@b", NULL },
	{ orcpt_decode, "rfc822;k+C3+A4+0A@b", NULL },
	{ orcpt_decode, "rfc822;k+C3+A4+7F@b", NULL },
	{ orcpt_decode, "rfc822;k+C2+85@b", NULL },
	{ orcpt_decode, "rfc822;k+ED+A0+80@b", NULL },
	{ orcpt_decode, "x400;k+C3+A4the@b", NULL },
	{ orcpt_decode, "rfc822", NULL },
	{ orcpt_decode, "rfc822;", NULL },
	{ orcpt_decode, ";a", NULL },
	{ orcpt_decode, "a b;c", NULL },
	{ orcpt_decode, "utf-8;a+2Bb", NULL },
};

START_TEST(decoded)
{
	struct buf b;

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc;

		buf_reset(&b);
		buf_add_char(&b, '>');
		rc = cases[i].decode(str_of(cases[i].in), &b);
		ck_assert_msg(
		    (rc == 0) == (cases[i].want != NULL), "%s", cases[i].in);
		ck_assert_msg(
		    str_eq(str_skip(buf_str(&b), 1), str_of(cases[i].want)),
		    "%s: %.*s", cases[i].in, (int)b.len, b.p);
	}
	buf_clear(&b);
}

END_TEST

static void
encodes(struct str s, bool ascii, const char *want)
{
	struct buf b, again;

	buf_init(&b, 200);
	buf_init(&again, 200);
	orcpt_add(&b, s, ascii);
	ck_assert_msg(
	    str_eq(buf_str(&b), str_of(want)), "%.*s", (int)b.len, b.p);
	ck_assert_int_eq(orcpt_decode(buf_str(&b), &again), 0);
	ck_assert(str_eq(buf_str(&again), s));
	buf_clear(&b);
	buf_clear(&again);
}

START_TEST(encoded)
{
	struct buf b;

	encodes(STR("rfc822;a+b=c d@e"), true, "rfc822;a+2Bb+3Dc+20d@e");
	encodes(STR("utf-8;\xc3\xa9+\\@b"), false,
	    "utf-8;\xc3\xa9\\x{2B}\\x{5C}@b");
	encodes(STR("utf-8;\xc3\xa9\xe2\x82\xac@b"), true,
	    "utf-8;\\x{E9}\\x{20AC}@b");
	buf_init(&b, 100);
	xtext_add(&b, STR("\r\n\0\x7f\xff~!"));
	ck_assert(str_eq(buf_str(&b), STR("+0D+0A+00+7F+FF~!")));
	buf_reset(&b);
	/* What is no UTF-8 does not get out. */
	unitext_add(&b, STR("a\xff!"), false);
	ck_assert(str_eq(buf_str(&b), STR("a?!")));
	buf_clear(&b);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("xtext");
	TCase *t = tcase_create("xtext");
	SRunner *r;
	int failed;

	tcase_add_test(t, decoded);
	tcase_add_test(t, encoded);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
