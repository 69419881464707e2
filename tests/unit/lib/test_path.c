/* Addresses: the table of faults.md C.11 and the forms they are kept in. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "lib/mail/path.h"

#define L64 "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
#define D63 "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

enum {
	RCPT = PATH_ALLOW_BARE | PATH_ALLOW_LOCAL,
	MAIL = PATH_ALLOW_BARE | PATH_ALLOW_NULL
};

static const struct {
	const char *in;
	unsigned int flags;
	enum path_error want;
	const char *kept; /* NULL: not looked at */
} cases[] = {
	{ "<>", MAIL, PATH_OK, "" },
	{ "<>", RCPT, PATH_SYNTAX, NULL },
	{ "", MAIL, PATH_SYNTAX, NULL },
	{ "<a@b.c>", MAIL, PATH_OK, "a@b.c" },
	{ "a@b.c", MAIL, PATH_OK, "a@b.c" },
	{ "a@b.c", 0, PATH_SYNTAX, NULL },
	{ "<a@b.c", MAIL, PATH_SYNTAX, NULL },
	{ "<a@b.c>x", MAIL, PATH_SYNTAX, NULL },
	{ "<a@b.c> SIZE=1", MAIL, PATH_OK, "a@b.c" },
	{ "<Postmaster>", RCPT, PATH_OK, "Postmaster" },
	{ "<a>", MAIL, PATH_SYNTAX, NULL },
	{ "<;touch x;@>", RCPT, PATH_SYNTAX, NULL },
	{ "<a@>", RCPT, PATH_SYNTAX, NULL },
	{ "<@b>", RCPT, PATH_SYNTAX, NULL },
	{ "<@>", RCPT, PATH_SYNTAX, NULL },
	{ "<a b@c>", RCPT, PATH_SYNTAX, NULL },
	{ "<a@b@c>", RCPT, PATH_SYNTAX, NULL },
	{ "<\"a@b>", RCPT, PATH_SYNTAX, NULL },
	{ "<a..b@c>", RCPT, PATH_SYNTAX, NULL },
	{ "<.a@c>", RCPT, PATH_SYNTAX, NULL },
	{ "<a.@c>", RCPT, PATH_SYNTAX, NULL },
	{ "<\"a b\"@x>", RCPT, PATH_OK, "\"a b\"@x" },
	{ "<\"a\\\"b\"@x>", RCPT, PATH_OK, "\"a\\\"b\"@x" },
	{ "<\"\\\\\"@x>", RCPT, PATH_OK, "\"\\\\\"@x" },
	{ "<\"abc\"@x>", RCPT, PATH_OK, "abc@x" },
	{ "<\"a\\bc\"@x>", RCPT, PATH_OK, "abc@x" },
	{ "<\"\"@x>", RCPT, PATH_OK, "\"\"@x" },
	{ "<\"a\nb\"@x>", RCPT, PATH_SYNTAX, NULL },
	{ "<\"a\\\"@x>", RCPT, PATH_SYNTAX, NULL },
	{ "<\"u@f\"@x>", RCPT, PATH_OK, "\"u@f\"@x" },
	{ "<" L64 "@x>", RCPT, PATH_OK, NULL },
	{ "<" L64 "l@x>", RCPT, PATH_LOCAL_LONG, NULL },
	{ "<\"" L64 "\"@x>", RCPT, PATH_OK, NULL },
	{ "<\"" L64 "l\"@x>", RCPT, PATH_LOCAL_LONG, NULL },
	{ "<a@" D63 ".x>", RCPT, PATH_OK, NULL },
	{ "<a@" D63 "d.x>", RCPT, PATH_SYNTAX, NULL },
	{ "<a@" D63 "." D63 "." D63 "." D63 ">", RCPT, PATH_OK, NULL },
	{ "<a@" D63 "." D63 "." D63 "." D63 ".d>", RCPT, PATH_DOMAIN_LONG,
	    NULL },
	{ "<@a,@b:u@c>", RCPT, PATH_OK, "u@c" },
	{ "<@a,b:u@c>", RCPT, PATH_SYNTAX, NULL },
	{ "<@a:>", RCPT, PATH_SYNTAX, NULL },
	{ "<u%f@x>", RCPT, PATH_OK, "u%f@x" },
	{ "<a!b@x>", RCPT, PATH_OK, "a!b@x" },
	{ "<u@[1.2.3.4]>", RCPT, PATH_OK, "u@[1.2.3.4]" },
	{ "<u@[IPv6:::1]>", RCPT, PATH_OK, "u@[ipv6:::1]" },
	{ "<u@[300.1.1.1]>", RCPT, PATH_SYNTAX, NULL },
	{ "<u@[IPv6:gg]>", RCPT, PATH_SYNTAX, NULL },
	{ "<u@[::1]>", RCPT, PATH_SYNTAX, NULL },
	{ "<u@[1.2.3.4>", RCPT, PATH_SYNTAX, NULL },
	{ "<u@[1.2.3.4]x>", RCPT, PATH_SYNTAX, NULL },
	{ "<A@B.EXAMPLE>", RCPT, PATH_OK, "A@b.example" },
	{ "<a@b.>", RCPT, PATH_SYNTAX, NULL },
	{ "<a@-b>", RCPT, PATH_SYNTAX, NULL },
	{ "<a@b-.c>", RCPT, PATH_SYNTAX, NULL },
	{ "<a@xn--bcher-kva.example>", RCPT, PATH_OK, NULL },
	{ "<\xc3\xa9@b>", RCPT, PATH_UTF8, NULL },
	{ "<\xc3\xa9@b\xc3\xbc.c>", RCPT | PATH_ALLOW_UTF8, PATH_OK,
	    "\xc3\xa9@b\xc3\xbc.c" },
	{ "<\xc3@b>", RCPT | PATH_ALLOW_UTF8, PATH_SYNTAX, NULL },
	{ "<\"\xff\"@b>", RCPT | PATH_ALLOW_UTF8, PATH_SYNTAX, NULL },
	{ "<${run{x}}@b>", RCPT, PATH_OK, "${run{x}}@b" },
	{ "<$(x)@b>", RCPT, PATH_SYNTAX, NULL },
	{ "<a\x01@b>", RCPT, PATH_SYNTAX, NULL },
	{ "<a@b\x7f>", RCPT, PATH_SYNTAX, NULL },
};

START_TEST(table)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct path p, again;
		struct str rest;
		struct buf b, twice;
		enum path_error e =
		    path_parse(str_of(cases[i].in), cases[i].flags, &p, &rest);

		ck_assert_msg(e == cases[i].want, "%s: %d", cases[i].in, e);
		if (e != PATH_OK)
			continue;
		buf_init(&b, 1000);
		path_format(&p, &b);
		if (cases[i].kept != NULL)
			ck_assert_msg(
			    str_eq(buf_str(&b), str_of(cases[i].kept)),
			    "%s became %.*s", cases[i].in, (int)b.len, b.p);
		/* What we keep splits into the same, and stays the same. */
		if (p.domain.len > 0) {
			ck_assert_int_eq(path_split(buf_str(&b), &again), 0);
			ck_assert(str_eq(p.local, again.local));
			buf_init(&twice, 1000);
			path_format(&again, &twice);
			ck_assert(str_eq(buf_str(&b), buf_str(&twice)));
			buf_clear(&twice);
		}
		buf_clear(&b);
	}
}

END_TEST

START_TEST(rest_of_it)
{
	struct path p;
	struct str rest;

	ck_assert_int_eq(
	    path_parse(STR("<a@b> X=1"), MAIL, &p, &rest), PATH_OK);
	ck_assert(str_eq(rest, STR(" X=1")));
	ck_assert_int_eq(path_parse(STR("a@b X=1"), MAIL, &p, &rest), PATH_OK);
	ck_assert(str_eq(rest, STR(" X=1")));
	ck_assert_int_eq(path_split(STR("a"), &p), -1);
	ck_assert_int_eq(path_split(STR("a@b c"), &p), -1);
	ck_assert_int_eq(path_split(STR(""), &p), 0);
	ck_assert_uint_eq(p.domain.len, 0);
}

END_TEST

START_TEST(domains)
{
	ck_assert(path_is_domain(STR("a.b-c.d_e"), false));
	ck_assert(path_is_domain(STR("localhost"), false));
	ck_assert(!path_is_domain(STR(""), false));
	ck_assert(!path_is_domain(STR("a..b"), false));
	ck_assert(!path_is_domain(STR(".a"), false));
	ck_assert(!path_is_domain(STR("a b"), false));
	ck_assert(!path_is_domain(STR("\xc3\xa9"), false));
	ck_assert(path_is_domain(STR("\xc3\xa9"), true));
	ck_assert(!path_is_domain(STR("\xc3"), true));
	ck_assert(path_is_literal(STR("[127.0.0.1]")));
	ck_assert(path_is_literal(STR("[ipv6:2001:db8::1]")));
	ck_assert(!path_is_literal(STR("[fe80::1%eth0]")));
	ck_assert(!path_is_literal(STR("[]")));
	ck_assert(!path_is_literal(STR("1.2.3.4")));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("path");
	TCase *t = tcase_create("path");

	tcase_add_test(t, table);
	tcase_add_test(t, rest_of_it);
	tcase_add_test(t, domains);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
