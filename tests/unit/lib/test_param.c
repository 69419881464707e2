/* ESMTP parameters. */
#include <check.h>

#include "lib/mail/param.h"

static const struct {
	const char *in;
	enum param_verb verb;
	enum param_error want;
	uint64_t size;
} cases[] = {
	{ "", PARAM_MAIL, PARAM_OK, 0 },
	{ "  ", PARAM_MAIL, PARAM_OK, 0 },
	{ " SIZE=12", PARAM_MAIL, PARAM_OK, 12 },
	{ " size=12  body=8bitmime\tSMTPUTF8 ", PARAM_MAIL, PARAM_OK, 12 },
	{ " SIZE=99999999999999999999", PARAM_MAIL, PARAM_OK, UINT64_MAX },
	{ " SIZE=999999999999999999999", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " SIZE=", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " SIZE", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " SIZE=-1", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " SIZE=1e9", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " SIZE=1 SIZE=1", PARAM_MAIL, PARAM_DUPLICATE, 0 },
	{ " SIZE=1", PARAM_RCPT, PARAM_UNKNOWN, 0 },
	{ " BODY=", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " BODY=BINARYMIME", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " SMTPUTF8=x", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " FOO=1", PARAM_MAIL, PARAM_UNKNOWN, 0 },
	{ " extra", PARAM_MAIL, PARAM_SYNTAX, 0 },
	{ " =1", PARAM_MAIL, PARAM_SYNTAX, 0 },
	{ " <c@d>", PARAM_RCPT, PARAM_SYNTAX, 0 },
	{ " NOTIFY=NEVER", PARAM_RCPT, PARAM_UNKNOWN, 0 },
	{ " BODY=7=BIT", PARAM_MAIL, PARAM_VALUE, 0 },
};

START_TEST(table)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct params p;
		enum param_error e =
		    param_parse(str_of(cases[i].in), cases[i].verb, &p);

		ck_assert_msg(e == cases[i].want, "%s: %d", cases[i].in, e);
		if (e == PARAM_OK)
			ck_assert_uint_eq(p.size, cases[i].size);
	}
}

END_TEST

START_TEST(flags)
{
	struct params p;

	ck_assert_int_eq(
	    param_parse(STR(" SMTPUTF8 BODY=8BITMIME"), PARAM_MAIL, &p),
	    PARAM_OK);
	ck_assert(p.smtputf8 && p.body_8bit && !p.has_size);
	ck_assert_int_eq(
	    param_parse(STR(" BODY=7bit"), PARAM_MAIL, &p), PARAM_OK);
	ck_assert(!p.smtputf8 && !p.body_8bit);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("param");
	TCase *t = tcase_create("param");

	tcase_add_test(t, table);
	tcase_add_test(t, flags);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
