/* No address leads out of a base directory. */
#include "delivery/maildir/mdpath.h"

#include <bsd/string.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char room[64];
static int base;
static struct buf out;
static const char *why;

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static void
setup(void)
{
	(void)strlcpy(room, "/tmp/mdpath.XXXXXX", sizeof(room));
	ck_assert_ptr_ne(mkdtemp(room), NULL);
	base = open(room, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(base, -1);
	buf_init(&out, MDPATH_MAX);
}

static void
teardown(void)
{
	buf_clear(&out);
	close(base);
	nftw(room, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *
expand(const char *template, const char *rcpt, const char *sender)
{
	struct mdpath_values v = { .rcpt = str_of(rcpt),
		.sender = str_of(sender),
		.hostname = STR("mx.test") };

	buf_reset(&out);
	if (mdpath_expand(str_of(template), &v, &out, &why) == -1)
		return NULL;
	buf_add_char(&out, '\0');
	return out.p;
}

START_TEST(test_values)
{
	static const struct {
		const char *template, *path;
	} good[] = {
		{ "%{rcpt.user}", "joe" },
		{ "/%{rcpt.user}/", "joe" },
		{ "%{rcpt.domain}/%{rcpt.user}/Maildir", "d.test/joe/Maildir" },
		{ "box-%{rcpt}-%{sender}", "box-joe@d.test-a@b.test" },
		{ "%{hostname}/50%/x", "mx.test/50%/x" },
		{ "", "" },
		{ "fixed", "fixed" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *path =
		    expand(good[i].template, "joe@d.test", "a@b.test");

		ck_assert_msg(path != NULL && strcmp(path, good[i].path) == 0,
		    "%s", good[i].template);
	}
	ck_assert_str_eq(expand("%{rcpt.user}", "\"a b\"@d.test", ""), "a b");
}

END_TEST

START_TEST(test_refused)
{
	static const struct {
		const char *template, *rcpt, *sender;
	} bad[] = {
		{ "%{rcpt.user}", "..@d.test", "a@b.test" },
		{ "%{rcpt.user}", ".@d.test", "a@b.test" },
		{ "%{rcpt.user}", "\"..\"@d.test", "a@b.test" },
		{ "%{rcpt.user}", "\".\"@d.test", "a@b.test" },
		{ "%{rcpt.user}", "\"\"@d.test", "a@b.test" },
		{ "%{rcpt.user}", "@d.test", "a@b.test" },
		{ "%{rcpt.user}", "a/b@d.test", "a@b.test" },
		{ "%{rcpt.user}", "../x@d.test", "a@b.test" },
		{ "%{rcpt.user}", "\"../x\"@d.test", "a@b.test" },
		{ "%{rcpt.user}", "a\001b@d.test", "a@b.test" },
		{ "%{rcpt.user}", "a\177b@d.test", "a@b.test" },
		{ "%{rcpt.user}", "a\nb@d.test", "a@b.test" },
		{ "%{rcpt.user}", "", "a@b.test" },
		{ "%{sender}", "joe@d.test", "" },
		{ "%{sender}", "joe@d.test", "a/b@b.test" },
		{ "%{rcpt.domain}/x", "joe@..", "a@b.test" },
		{ "%{rcpt.usr}", "joe@d.test", "a@b.test" },
		{ "%{rcpt.user", "joe@d.test", "a@b.test" },
		{ "a//b", "joe@d.test", "a@b.test" },
		{ "a/../b", "joe@d.test", "a@b.test" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(
		    expand(bad[i].template, bad[i].rcpt, bad[i].sender) == NULL,
		    "%s %s", bad[i].template, bad[i].rcpt);
}

END_TEST

START_TEST(test_long_names)
{
	char template[300] = "", many[16 * 400] = "";

	memset(template, 'x', MDPATH_NAME_MAX - 3);
	(void)strlcat(template, "%{rcpt.user}", sizeof(template));
	ck_assert_ptr_ne(expand(template, "joe@d.test", ""), NULL);
	ck_assert_ptr_eq(expand(template, "anne@d.test", ""), NULL);
	for (int i = 0; i < 16; i++) {
		(void)strlcat(many, template, sizeof(many));
		(void)strlcat(many, "/", sizeof(many));
	}
	ck_assert_ptr_ne(expand(many, "joe@d.test", ""), NULL);
	(void)strlcat(many, "y", sizeof(many));
	ck_assert_ptr_eq(expand(many, "joe@d.test", ""), NULL);
}

END_TEST

START_TEST(test_makes_what_is_missing)
{
	struct stat st;
	int fd = mdpath_open(base, "d.test/joe/Maildir");

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	close(fd);
	ck_assert_int_eq(faccessat(base, "d.test/joe/Maildir", R_OK, 0), 0);
	fd = mdpath_open(base, "");
	ck_assert_int_ne(fd, -1);
	close(fd);
}

END_TEST

START_TEST(test_follows_no_link)
{
	ck_assert_int_eq(symlinkat("/tmp", base, "out"), 0);
	ck_assert_int_eq(symlinkat(".", base, "in"), 0);
	ck_assert_int_eq(symlinkat("nowhere", base, "dangling"), 0);
	ck_assert_int_eq(mdpath_open(base, "out"), -1);
	ck_assert_int_eq(mdpath_open(base, "out/x"), -1);
	ck_assert_int_eq(mdpath_open(base, "in"), -1);
	ck_assert_int_eq(mdpath_open(base, "dangling"), -1);
	ck_assert_int_eq(mdpath_open_one(base, ".."), -1);
	ck_assert_int_eq(errno, EXDEV);
}

END_TEST

START_TEST(test_file_in_the_way)
{
	int fd = openat(base, "joe", O_CREAT | O_WRONLY, 0600);

	close(fd);
	ck_assert_int_eq(mdpath_open(base, "joe"), -1);
	ck_assert_int_eq(errno, ENOTDIR);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("mdpath");
	TCase *tc = tcase_create("mdpath");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_values);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_long_names);
	tcase_add_test(tc, test_makes_what_is_missing);
	tcase_add_test(tc, test_follows_no_link);
	tcase_add_test(tc, test_file_in_the_way);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
