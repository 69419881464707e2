/* The words for the service manager, heard at the other end. */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "posternd/notify.h"

static char path[100];

/* A socket of that name; '@': abstract. */
static int
listen_on(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	memcpy(un.sun_path, name, len);
	if (name[0] == '@')
		un.sun_path[0] = '\0';
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&un,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
			    (name[0] != '@'))),
	    0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static const char *
hear(int fd)
{
	static char text[600];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
check_words(int fd)
{
	char want[200];
	notify_init();
	notify_ready();
	snprintf(want, sizeof(want),
	    "READY=1\nSTATUS=accepting mail\nMAINPID=%d", (int)getpid());
	ck_assert_str_eq(hear(fd), want);
	notify_reloading();
	ck_assert_int_eq(
	    strncmp(hear(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	notify_stopping();
	ck_assert_str_eq(hear(fd), "STOPPING=1\nSTATUS=stopping");
	ck_assert_str_eq(hear(fd), "");
	/* For a program in our place. */
	ck_assert_int_eq(strncmp(notify_variable(), "NOTIFY_SOCKET=", 14), 0);
	ck_assert_str_eq(notify_variable() + 14, getenv("NOTIFY_SOCKET"));
}

START_TEST(over_a_path)
{
	snprintf(path, sizeof(path), "/tmp/test_notify.%d", (int)getpid());
	int fd = listen_on(path);
	check_words(fd);
	close(fd);
	/* Nobody listens any more: a line in the log, no more. */
	notify_stopping();
	unlink(path);
}

END_TEST

START_TEST(over_an_abstract_name)
{
	snprintf(path, sizeof(path), "@test_notify.%d", (int)getpid());
	int fd = listen_on(path);
	check_words(fd);
	close(fd);
}

END_TEST

START_TEST(nobody_asked)
{
	static const char *const none[] = { "", "relative", "/", "@" };
	char *longer = malloc(300);
	unsetenv("NOTIFY_SOCKET");
	notify_init();
	ck_assert_ptr_null(notify_variable());
	notify_ready();
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		setenv("NOTIFY_SOCKET", none[i], 1);
		notify_init();
		ck_assert_ptr_null(notify_variable());
		notify_stopping();
	}
	/* A name that no socket can have. */
	ck_assert_ptr_nonnull(longer);
	memset(longer, 'a', 299);
	longer[0] = '/';
	longer[299] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	notify_init();
	notify_ready();
	free(longer);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("notify");
	TCase *c = tcase_create("all");

	tcase_add_test(c, over_a_path);
	tcase_add_test(c, over_an_abstract_name);
	tcase_add_test(c, nobody_asked);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
