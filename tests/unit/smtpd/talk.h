/*
 * Dialogues of a test: what the client says, and the codes it must hear. Each
 * test has the harness `h`, open, and runs in this one process.
 */
#ifndef POSTERN_TESTS_TALK_H
#define POSTERN_TESTS_TALK_H

#include <check.h>

#include "tests/unit/smtpd/harness.h"

static struct harness h;

static inline void
setup(void)
{
	harness_open(&h);
}

static inline void
teardown(void)
{
	harness_close(&h);
}

static inline void
accept_all(void)
{
	harness_rule(h.config, VERDICT_ACTION, NULL);
}

/* Sends and compares the reply codes: "250 354", "421 EOF". */
static inline void
talk_bytes(struct str bytes, const char *want, int line)
{
	char codes[4096] = "";
	size_t n = 0, len = 0;

	for (const char *p = want; *p != '\0'; p++)
		n += p == want || p[-1] == ' ';
	if (strstr(want, "EOF") != NULL)
		n += 100; /* all there is */
	harness_say(&h, bytes, n);
	for (struct str s = buf_str(&h.got); s.len > 4;) {
		size_t lf = str_find(s, '\n');

		if (s.p[3] == ' ' && len + 5 < sizeof(codes))
			len +=
			    (size_t)snprintf(codes + len, sizeof(codes) - len,
				"%s%.3s", len > 0 ? " " : "", s.p);
		s = str_skip(s, lf + 1);
	}
	if (h.eof)
		snprintf(codes + len, sizeof(codes) - len, "%sEOF",
		    len > 0 ? " " : "");
	ck_assert_msg(strcmp(codes, want) == 0, "line %d: wanted %s got %s\n%s",
	    line, want, codes, h.got.p);
}

#define TALK(text, want)  talk_bytes(str_of(text), (want), __LINE__)
#define TALKN(text, want) talk_bytes(STR(text), (want), __LINE__)

static inline void
begin(void)
{
	harness_connect(&h);
	TALK("EHLO client.example\r\n", "250");
}

static inline void
begin_data(void)
{
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
}

/* All of them, one after another, between these two; the exit status. */
static inline int
run_tests_in(const char *name, const TTest *const *tests, size_t n,
    void (*before)(void), void (*after)(void))
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, before, after);
	tcase_set_timeout(t, 120);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	log_init("test", 1, "host");
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

static inline int
run_tests(const char *name, const TTest *const *tests, size_t n)
{
	return run_tests_in(name, tests, n, setup, teardown);
}

#endif
