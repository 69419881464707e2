/* What the mains of these tests share: a program is one suite. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_RUNNING_H
#define POSTERN_TESTS_UNIT_QUEUE_RUNNING_H

#include <check.h>
#include <stdlib.h>

/* A case of these; `before` and `after` may be NULL. */
static inline TCase *
tests_new(const char *name, const TTest *const *tests, size_t ntests,
    void (*before)(void), void (*after)(void), double timeout_s)
{
	TCase *c = tcase_create(name);

	tcase_add_checked_fixture(c, before, after);
	tcase_set_timeout(c, timeout_s);
	for (size_t i = 0; i < ntests; i++)
		tcase_add_test(c, tests[i]);
	return c;
}

/* Runs the suite, whose it is then; the exit status. */
static inline int
tests_run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The same of a suite that is this case alone. */
static inline int
tests_run_case(const char *name, TCase *c)
{
	Suite *s = suite_create(name);

	suite_add_tcase(s, c);
	return tests_run_suite(s);
}

#define TESTS_NEW(name, tests, before, after, timeout_s)               \
	tests_new((name), (tests), sizeof(tests) / sizeof((tests)[0]), \
	    (before), (after), (timeout_s))

#define TESTS_RUN(name, tests, before, after, timeout_s) \
	tests_run_case((name),                           \
	    TESTS_NEW((name), (tests), (before), (after), (timeout_s)))

#endif
