/* The command of an `mda': words, variables, values. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rules/command.h"

enum { WORDS_MAX = 6 };

START_TEST(words)
{
	static const struct {
		const char *text;
		const char *words[WORDS_MAX]; /* the rest is NULL */
	} cases[] = {
		{ "/bin/x", { "/bin/x" } },
		{ " \t/bin/x  a\tb ", { "/bin/x", "a", "b" } },
		{ "/bin/x 'a b' \"c d\"", { "/bin/x", "a b", "c d" } },
		/* Either quote stands for itself in the other. */
		{ "/bin/x \"it's\" 'a \"b\"'",
		    { "/bin/x", "it's", "a \"b\"" } },
		/* In the middle of a word; a word that is empty. */
		{ "/bin/x a'b c'd\"e\" '' \"\"",
		    { "/bin/x", "ab cde", "", "" } },
		{ "'/a b/x' -c", { "/a b/x", "-c" } },
		/* What a shell would take for something. */
		{ "/bin/x $HOME `id` a;b *",
		    { "/bin/x", "$HOME", "`id`", "a;b", "*" } },
		{ "/bin/x a\\ b", { "/bin/x", "a\\", "b" } },
		{ "/bin/x > /tmp/y", { "/bin/x", ">", "/tmp/y" } },
		{ "/bin/x %{rcpt} a%{rcpt.user}b",
		    { "/bin/x", "%{rcpt}", "a%{rcpt.user}b" } },
		{ "/bin/x % %% {x} }", { "/bin/x", "%", "%%", "{x}", "}" } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command c;
		struct fault why = { 0 };
		size_t n = 0;

		ck_assert_msg(
		    command_parse(str_of(cases[i].text), &c, &why) == 0,
		    "%s: %s", cases[i].text, why.text);
		while (n < WORDS_MAX && cases[i].words[n] != NULL) {
			ck_assert_msg(n < c.n, "%s", cases[i].text);
			ck_assert_str_eq(c.words[n], cases[i].words[n]);
			n++;
		}
		ck_assert_uint_eq(c.n, n);
		ck_assert_ptr_null(c.words[n]);
		command_clear(&c);
		ck_assert_ptr_null(c.words);
	}
}

END_TEST

START_TEST(refused)
{
	static const struct {
		const char *text, *why; /* a part of it */
	} cases[] = {
		{ "", "empty" },
		{ " \t ", "empty" },
		{ "''", "not an absolute path" },
		{ "x", "not an absolute path" },
		{ "./x", "not an absolute path" },
		{ "/bin/x 'a", "quote" },
		{ "/bin/x \"a'", "quote" },
		{ "/bin/%{rcpt}", "first word" },
		{ "/bin/x %{rcpt", "not closed" },
		{ "/bin/x %{a b}", "not closed" },
		{ "/bin/x '%{a b}'", "unknown `%{a b}'" },
		{ "/bin/x %{}", "unknown `%{}'" },
		{ "/bin/x %{RCPT}", "unknown `%{RCPT}'" },
		{ "/bin/x %{rcpt}%{recpt}", "unknown `%{recpt}'" },
		{ "/bin/x a\nb", "control character" },
		{ "/bin/x a\x7f", "control character" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command c;
		struct fault why = { 0 };

		ck_assert_msg(
		    command_parse(str_of(cases[i].text), &c, &why) == -1, "%s",
		    cases[i].text);
		ck_assert_int_eq(why.class, FAULT_PERM);
		ck_assert_msg(strstr(why.text, cases[i].why) != NULL, "%s: %s",
		    cases[i].text, why.text);
		ck_assert_ptr_null(c.words);
		ck_assert_uint_eq(c.n, 0);
		ck_assert_int_eq(
		    command_parse(str_of(cases[i].text), &c, NULL), -1);
	}
}

END_TEST

/* As many words, as many bytes, and not one more. */
START_TEST(bounds)
{
	char text[COMMAND_BYTES_MAX + 2] = "/x";
	struct command c;

	for (size_t i = 1; i < COMMAND_WORDS_MAX; i++)
		strcat(text, " y");
	ck_assert_int_eq(command_parse(str_of(text), &c, NULL), 0);
	ck_assert_uint_eq(c.n, COMMAND_WORDS_MAX);
	command_clear(&c);
	strcat(text, " z");
	ck_assert_int_eq(command_parse(str_of(text), &c, NULL), -1);
	memset(text, 'y', COMMAND_BYTES_MAX + 1);
	text[0] = '/';
	text[COMMAND_BYTES_MAX + 1] = '\0';
	ck_assert_int_eq(command_parse(str_of(text), &c, NULL), -1);
	text[COMMAND_BYTES_MAX] = '\0';
	ck_assert_int_eq(command_parse(str_of(text), &c, NULL), 0);
	ck_assert_uint_eq(strlen(c.words[0]), COMMAND_BYTES_MAX);
	command_clear(&c);
}

END_TEST

/* The word with these values, to be freed; NULL: refused. */
static char *
expand(const char *word, const char *rcpt, const char *sender)
{
	const struct command_values v = { .rcpt = str_of(rcpt),
		.sender = str_of(sender),
		.hostname = STR("mx.example.com") };
	struct fault why = { 0 };
	struct buf out;
	char *text = NULL;

	buf_init(&out, 256);
	/* What is there already is no part of the word. */
	buf_add_str(&out, STR("-x"));
	if (command_expand(str_of(word), &v, &out, &why) == 0) {
		ck_assert_uint_ge(out.len, 2);
		text = str_dup(str_skip(buf_str(&out), 2));
	} else {
		ck_assert_int_eq(why.class, FAULT_PERM);
		ck_assert_uint_gt(strlen(why.text), 0);
	}
	buf_clear(&out);
	return text;
}

START_TEST(values)
{
	static const struct {
		const char *word, *rcpt, *sender;
		const char *is; /* NULL: refused */
	} cases[] = {
		{ "plain", "a@b.example", "s@x", "plain" },
		{ "", "a@b.example", "s@x", "" },
		{ "%{rcpt}", "a@b.example", "s@x", "a@b.example" },
		{ "%{rcpt.user}/%{rcpt.domain}", "a@b.example", "s@x",
		    "a/b.example" },
		{ "<%{sender}>", "a@b.example", "s@x", "<s@x>" },
		{ "%{sender}", "a@b.example", "", "" },
		{ "%{hostname}%", "a@b.example", "", "mx.example.com%" },
		/* A value is not looked at for variables again. */
		{ "%{rcpt.user}", "%{sender}@b.example", "s@x", "%{sender}" },
		/* Whatever a shell would do with it. */
		{ "%{rcpt.user}", "\"a;b|$(c) d\"@b.example", "",
		    "a;b|$(c) d" },
		/* An option that nobody has written. */
		{ "%{rcpt.user}", "-rf@b.example", "", NULL },
		{ "%{rcpt}", "--all@b.example", "", NULL },
		{ "%{sender}", "a@b.example", "-f@x", NULL },
		{ "%{sender}%{rcpt.user}", "-a@b.example", "", NULL },
		{ "-f%{sender}", "a@b.example", "-f@x", "-f-f@x" },
		{ "--to=%{rcpt.user}", "-rf@b.example", "", "--to=-rf" },
		{ "+%{rcpt.user}", "-rf@b.example", "", "+-rf" },
		{ "%{rcpt.user}", "\"-rf\"@b.example", "", NULL },
		{ "%{rcpt}", "nobody", "", NULL },
		{ "%{sender}", "a@b.example", "s\n@x", NULL },
		{ "%{sender}", "a@b.example", "s\t@x", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text =
		    expand(cases[i].word, cases[i].rcpt, cases[i].sender);

		ck_assert_msg((text == NULL) == (cases[i].is == NULL),
		    "case %zu: %s", i, text == NULL ? "refused" : text);
		if (text != NULL)
			ck_assert_str_eq(text, cases[i].is);
		free(text);
	}
}

END_TEST

START_TEST(too_long)
{
	char rcpt[300];

	memset(rcpt, 'a', sizeof(rcpt));
	memcpy(rcpt + 280, "@b.example", sizeof("@b.example"));
	ck_assert_ptr_null(expand("%{rcpt}", rcpt, ""));
}

END_TEST

START_TEST(variables)
{
	struct str unknown;
	struct fault why;

	ck_assert_int_eq(
	    command_check_variables(STR("a%{rcpt}b"), &unknown, &why), 0);
	ck_assert_int_eq(
	    command_check_variables(STR("%{x}%{rcpt}"), &unknown, &why), -1);
	ck_assert(str_eq(unknown, STR("x")));
	ck_assert_int_eq(
	    command_check_variables(STR("%{rcpt"), &unknown, &why), -1);
	ck_assert_uint_eq(unknown.len, 0);
	ck_assert_int_eq(command_check_variables(STR("%{"), NULL, NULL), -1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("command");
	TCase *c = tcase_create("all");

	tcase_add_test(c, words);
	tcase_add_test(c, refused);
	tcase_add_test(c, bounds);
	tcase_add_test(c, values);
	tcase_add_test(c, too_long);
	tcase_add_test(c, variables);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
