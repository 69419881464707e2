/* When a restart in place does not begin, and how a trial of the program ends
 * it. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posternd/upgrade.h"
#include "posternd/watch.h"

static struct gateway gw;
static struct config conf;
static const char *again[2];
static char script[64];
static struct timer *look;
static bool buried;

static void
on_child(void *ctx, int sig)
{
	(void)ctx;
	(void)sig;
	watch_reap(&gw);
	buried = true;
}

/* It may be over by the end of a child, or of what that has said. */
static void
on_look(void *ctx)
{
	(void)ctx;
	if (gw.upgrade == NULL && buried)
		loop_stop(gw.loop);
	timer_set(look, 5);
}

static void
run_out(void)
{
	buried = false;
	timer_set(look, 5);
	loop_run(gw.loop);
	ck_assert(!upgrade_is_running(&gw));
}

static void
setup(void)
{
	/* Once in a process: nobody stops watching for a signal. */
	if (gw.loop == NULL) {
		gw.loop = loop_new();
		loop_signal(gw.loop, SIGCHLD, on_child, NULL);
	}
	gw = (struct gateway){ .loop = gw.loop,
		.conf = &conf,
		.again = (char *const *)(uintptr_t)again,
		.log_fd = -1,
		.ready = true };
	TAILQ_INIT(&gw.retired);
	look = timer_new(gw.loop, on_look, NULL);
	again[0] = "/bin/false";
}

static void
teardown(void)
{
	timer_free(&look);
}

static void
run_script(const char *text)
{
	snprintf(script, sizeof(script), "/tmp/test_upgrade.%d", (int)getpid());
	FILE *f = fopen(script, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	ck_assert_int_eq(chmod(script, 0700), 0);
	again[0] = script;
}

START_TEST(not_now)
{
	bool *const reasons[] = { &gw.stopping, &gw.reloading };
	struct process p = { .gw = &gw };

	for (size_t i = 0; i < 2; i++) {
		*reasons[i] = true;
		upgrade_start(&gw);
		ck_assert(!upgrade_is_running(&gw));
		*reasons[i] = false;
	}
	gw.ready = false;
	upgrade_start(&gw);
	ck_assert(!upgrade_is_running(&gw));
	gw.ready = true;
	gw.confirm = (struct confirm *)(void *)&gw;
	upgrade_start(&gw);
	ck_assert(!upgrade_is_running(&gw));
	/* None of these minds. */
	upgrade_step(&gw);
	upgrade_cancel(&gw);
	ck_assert(!upgrade_wants_none(&p));
	ck_assert(!upgrade_reap(&gw, 1, 0));
}

END_TEST

/* What is wrong in whichever way. */
START_TEST(a_program_that_fails)
{
	static const char *const texts[] = { "exit 1", "kill -SEGV $$",
		"yes | head -c 300000; exit 1" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		run_script(texts[i]);
		upgrade_start(&gw);
		ck_assert(upgrade_is_running(&gw));
		/* One at a time. */
		upgrade_start(&gw);
		run_out();
		unlink(script);
	}
}

END_TEST

START_TEST(stopped_meanwhile)
{
	run_script("exec sleep 1000");
	upgrade_start(&gw);
	ck_assert(upgrade_is_running(&gw));
	upgrade_cancel(&gw);
	ck_assert(!upgrade_is_running(&gw));
	run_out();
	unlink(script);
}

END_TEST

START_TEST(what_is_left)
{
	struct listener l[2] = { { .port = 25 }, { .port = 587 } };
	int fds[] = { 10, 11, 12 }, control = 13;
	struct listen_socket s[2] = { { .fds = fds, .nfds = 2 },
		{ .fds = fds + 2, .nfds = 1 } };
	struct handover h;

	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &l[0].addr), 0);
	l[1].addr.family = ADDR_LOCAL;
	s[1].path = strdup("/tmp/submit");
	conf.listeners = l;
	conf.nlisteners = gw.nlistens = 2;
	gw.listens = s;
	gw.control = (struct listen_socket){
		.fds = &control, .nfds = 1, .path = strdup("/tmp/control")
	};
	gw.restarts = 2;
	upgrade_describe(&gw, &h);
	ck_assert_uint_eq(h.restarts, 3);
	ck_assert_int_eq(h.pid, getpid());
	ck_assert_uint_eq(h.nsockets, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(h.sockets[i].fd, 10 + i);
	ck_assert_int_eq(h.sockets[1].kind, INHERITED_LISTEN);
	ck_assert_int_eq(h.sockets[1].port, 25);
	ck_assert_int_eq(h.sockets[2].kind, INHERITED_SUBMIT);
	ck_assert_str_eq(h.sockets[2].path, "/tmp/submit");
	ck_assert_int_eq(h.sockets[3].kind, INHERITED_CONTROL);
	handover_clear(&h);
	free(s[1].path);
	free(gw.control.path);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("upgrade");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, not_now);
	tcase_add_test(c, a_program_that_fails);
	tcase_add_test(c, stopped_meanwhile);
	tcase_add_test(c, what_is_left);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
