/* ESMTP parameters. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "lib/mail/envelope.h"
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
	{ " RET=FULL ENVID=QQ+3D1", PARAM_MAIL, PARAM_OK, 0 },
	{ " RET=hdrs", PARAM_MAIL, PARAM_OK, 0 },
	{ " RET=BOTH", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " RET=FULL RET=FULL", PARAM_MAIL, PARAM_DUPLICATE, 0 },
	{ " RET=FULL", PARAM_RCPT, PARAM_UNKNOWN, 0 },
	{ " ENVID=", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=a+0D+0Ab", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=a+00", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=a+7F", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=a+E9", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=a+2", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=a+", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=a+GG", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " ENVID=\xc3\xa9", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " REQUIRETLS", PARAM_MAIL, PARAM_OK, 0 },
	{ " REQUIRETLS=1", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " AUTH=<>", PARAM_MAIL, PARAM_OK, 0 },
	{ " AUTH=e+3Dmc2@example.com", PARAM_MAIL, PARAM_OK, 0 },
	{ " AUTH=a+0Ab", PARAM_MAIL, PARAM_VALUE, 0 },
	{ " NOTIFY=NEVER", PARAM_RCPT, PARAM_OK, 0 },
	{ " notify=success,Failure,DELAY", PARAM_RCPT, PARAM_OK, 0 },
	{ " NOTIFY=NEVER", PARAM_MAIL, PARAM_UNKNOWN, 0 },
	{ " NOTIFY=NEVER,SUCCESS", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " NOTIFY=SUCCESS,", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " NOTIFY=,SUCCESS", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " NOTIFY=SOMETIMES", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " NOTIFY", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=rfc822;a+2Bb@c", PARAM_RCPT, PARAM_OK, 0 },
	{ " ORCPT=a@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=rfc822;", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=;a@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=r+20c;a@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=rfc822;a+0D+0ARCPT", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=rfc822;\xc3\xa9@b", PARAM_RCPT, PARAM_OK, 0 },
	{ " ORCPT=rfc822;+C3+A9@b", PARAM_RCPT, PARAM_OK, 0 },
	{ " ORCPT=rfc822;+C3@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=rfc822;+C3+A9+0D@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=rfc822;+C2+85@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=x400;+C3+A9@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=utf-8;\xc3\xa9@b", PARAM_RCPT, PARAM_OK, 0 },
	{ " ORCPT=utf-8;\\x{E9}@b", PARAM_RCPT, PARAM_OK, 0 },
	{ " ORCPT=utf-8;\\x{A}@b", PARAM_RCPT, PARAM_VALUE, 0 },
	{ " ORCPT=utf-8;\\x{D800}@b", PARAM_RCPT, PARAM_VALUE, 0 },
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

START_TEST(dsn)
{
	struct params p;

	ck_assert_int_eq(param_parse(STR("NOTIFY=SUCCESS,DELAY "
					 "ORCPT=rfc822;Bob@example.com"),
			     PARAM_RCPT, &p),
	    PARAM_OK);
	ck_assert_uint_eq(p.notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	ck_assert(str_eq(p.orcpt, STR("rfc822;Bob@example.com")));
	ck_assert_int_eq(
	    param_parse(STR("RET=HDRS ENVID=QQ314159 SMTPUTF8 REQUIRETLS"),
		PARAM_MAIL, &p),
	    PARAM_OK);
	ck_assert(str_eq(p.envid, STR("QQ314159")));
	ck_assert_uint_eq(param_flags(&p),
	    ENVELOPE_RET_HDRS | ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS);
}

END_TEST

/* The bounds of RFC 3461 4 are those of the text in the command. */
START_TEST(lengths)
{
	char text[600];
	struct params p;

	memset(text, 'a', sizeof(text));
	text[snprintf(text, sizeof(text), "ENVID=")] = 'a';
	ck_assert_int_eq(
	    param_parse((struct str){ text, 106 }, PARAM_MAIL, &p), PARAM_OK);
	ck_assert_int_eq(param_parse((struct str){ text, 107 }, PARAM_MAIL, &p),
	    PARAM_VALUE);
	text[snprintf(text, sizeof(text), "ORCPT=rfc822;")] = 'a';
	ck_assert_int_eq(
	    param_parse((struct str){ text, 506 }, PARAM_RCPT, &p), PARAM_OK);
	ck_assert_int_eq(param_parse((struct str){ text, 507 }, PARAM_RCPT, &p),
	    PARAM_VALUE);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("param");
	TCase *t = tcase_create("param");

	tcase_add_test(t, table);
	tcase_add_test(t, flags);
	tcase_add_test(t, dsn);
	tcase_add_test(t, lengths);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
