/* Which sockets are accepted on when another configuration comes. */
#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "lib/base/alloc.h"
#include "lib/base/loop.h"
#include "smtpd/listener.h"

enum { DOORS = 3 };

static struct loop *loop;
static struct config *config;
static int sockets[DOORS]; /* as the parent has them */
static uint16_t ports[DOORS];

static void
open_socket(int i)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(sockets[i], (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(sockets[i], 16), 0);
	ck_assert_int_eq(
	    getsockname(sockets[i], (struct sockaddr *)&in, &len), 0);
	ports[i] = ntohs(in.sin_port);
}

static void
setup(void)
{
	loop = loop_new();
	config = config_new();
	for (int i = 0; i < DOORS; i++)
		open_socket(i);
}

static void
teardown(void)
{
	listener_stop();
	listener_set_config(NULL);
	config_unref(&config);
	for (int i = 0; i < DOORS; i++)
		close(sockets[i]);
	loop_free(&loop);
}

static void
add(int i, uint32_t id)
{
	listener_add(loop, id, dup(sockets[i]));
}

static int
dial(int i)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(ports[i]),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

/* Whatever is there to be done is done. */
static void
turn(void)
{
	struct timer *t = timer_new(loop, stop, NULL);

	for (int round = 0; round < 3; round++) {
		timer_set(t, 0);
		loop_run(loop);
	}
	timer_free(&t);
}

/* The configuration has no such listener: the client hears so, and that is
 * how it is seen that somebody accepts. */
static bool
is_answered(int fd)
{
	char text[64] = "";

	turn();
	return recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0 &&
	       strncmp(text, "421 ", 4) == 0;
}

static bool
is_open(int i)
{
	int fd = dial(i);
	bool answered = fd != -1 && is_answered(fd);

	if (fd != -1)
		close(fd);
	return answered;
}

START_TEST(the_set_is_swapped_whole)
{
	int waiting;

	add(0, 0);
	add(1, 1);
	listener_set_config(config);
	listener_start();
	ck_assert(is_open(0) && is_open(1));
	/* Not before the configuration. */
	waiting = dial(2);
	ck_assert_int_ne(waiting, -1);
	add(2, 0);
	add(1, 1);
	ck_assert(!is_answered(waiting));
	ck_assert(is_open(0) && is_open(1));
	listener_set_config(config);
	ck_assert(is_answered(waiting));
	ck_assert(is_open(1) && is_open(2));
	/* The parent has it open still: nobody is to wait there. */
	ck_assert_int_eq(dial(0), -1);
	close(waiting);
}

END_TEST

START_TEST(who_waits_at_one_that_goes_is_answered)
{
	int fds[8];

	add(0, 0);
	add(1, 1);
	listener_set_config(config);
	listener_start();
	for (size_t i = 0; i < 8; i++)
		fds[i] = dial(0);
	add(1, 0);
	listener_set_config(config);
	for (size_t i = 0; i < 8; i++) {
		ck_assert(is_answered(fds[i]));
		close(fds[i]);
	}
	ck_assert_int_eq(dial(0), -1);
	ck_assert(is_open(1));
}

END_TEST

/* At those that nobody has any more after a restart in place: who expects TLS
 * is turned away without a word. */
START_TEST(who_waits_at_one_that_is_left)
{
	char c;
	int left, smtps;

	add(0, LISTEN_LEFT);
	add(1, LISTEN_LEFT_SMTPS);
	add(2, 0);
	left = dial(0);
	smtps = dial(1);
	listener_set_config(config);
	listener_start();
	ck_assert(is_answered(left));
	ck_assert_int_eq(recv(smtps, &c, 1, MSG_DONTWAIT), 0);
	ck_assert(is_open(2));
	ck_assert_int_eq(dial(0), -1);
	ck_assert_int_eq(dial(1), -1);
	close(left);
	close(smtps);
}

END_TEST

static void
allow_descriptors(rlim_t n)
{
	struct rlimit most;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &most), 0);
	most.rlim_cur = n < most.rlim_max ? n : most.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &most), 0);
}

/* The one that was kept for it turns away who comes; where he expects TLS,
 * without a word. */
START_TEST(without_descriptors)
{
	char text[64] = "";
	int plain, smtps, next;

	config->listeners = xcalloc(2, sizeof(*config->listeners));
	config->nlisteners = 2;
	config->listeners[1].flags = LISTENER_SMTPS;
	add(0, 0);
	add(1, 1);
	listener_set_config(config);
	listener_start();
	plain = dial(0);
	smtps = dial(1);
	next = dup(plain);
	close(next);
	allow_descriptors((rlim_t)next);
	turn();
	allow_descriptors(RLIM_INFINITY);
	ck_assert_int_gt(recv(plain, text, sizeof(text) - 1, MSG_DONTWAIT), 0);
	ck_assert_str_eq(text, "421 4.3.2 Too busy, try again later\r\n");
	ck_assert_int_eq(recv(smtps, text, sizeof(text), MSG_DONTWAIT), 0);
	close(plain);
	close(smtps);
}

END_TEST

START_TEST(nothing_comes_after_the_stop)
{
	add(0, 0);
	listener_set_config(config);
	listener_start();
	add(0, 0);
	add(1, 1);
	listener_stop();
	add(2, 2);
	listener_set_config(config);
	for (int i = 0; i < DOORS; i++)
		ck_assert(!is_open(i));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("listener");
	TCase *t = tcase_create("listener");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_set_is_swapped_whole);
	tcase_add_test(t, who_waits_at_one_that_goes_is_answered);
	tcase_add_test(t, who_waits_at_one_that_is_left);
	tcase_add_test(t, without_descriptors);
	tcase_add_test(t, nothing_comes_after_the_stop);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
