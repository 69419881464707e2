/* Who may do what, by uid and groups; and what the kernel says of us. */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/access.h"

static const struct access groups = { .owner = 700, .group = 20, .view = 30 };
static const struct access nobody = {
	.owner = 700, .group = ACCESS_NO_GROUP, .view = ACCESS_NO_GROUP
};

START_TEST(by_uid_and_groups)
{
	static const struct {
		const struct access *access;
		uid_t uid;
		gid_t g[3];
		size_t n;
		unsigned int permits;
	} cases[] = {
		{ &groups, 0, { 0 }, 1, PERMIT_ALL },
		{ &groups, 700, { 700 }, 1, PERMIT_ALL },
		{ &groups, 1000, { 1000 }, 1, 0 },
		{ &groups, 1000, { 20 }, 1, PERMIT_ALL },
		{ &groups, 1000, { 1000, 5, 20 }, 3, PERMIT_ALL },
		{ &groups, 1000, { 1000, 30 }, 2, PERMIT_VIEW },
		{ &groups, 1000, { 30, 20 }, 2, PERMIT_ALL },
		{ &groups, 1000, { 1000, 20 }, 1, 0 },
		{ &nobody, 1000, { 20, 30 }, 2, 0 },
		{ &nobody, 1000, { ACCESS_NO_GROUP }, 1, 0 },
		{ &nobody, 700, { 0 }, 0, PERMIT_ALL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(access_permits(cases[i].access, cases[i].uid,
				      cases[i].g, cases[i].n),
		    cases[i].permits);
}

END_TEST

START_TEST(of_a_socket)
{
	struct access mine = {
		.owner = (uid_t)-2, .group = getgid(), .view = ACCESS_NO_GROUP
	};
	struct caller who;
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_assert_int_eq(access_caller(&mine, sv[0], &who), 0);
	ck_assert_uint_eq(who.uid, getuid());
	ck_assert_int_eq(who.pid, getpid());
	ck_assert_uint_eq(who.permits, PERMIT_ALL);
	close(sv[0]);
	close(sv[1]);
	ck_assert_int_eq(access_caller(&mine, -1, &who), -1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("access");
	TCase *c = tcase_create("all");

	tcase_add_test(c, by_uid_and_groups);
	tcase_add_test(c, of_a_socket);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
