/*
 * Commands from the queue's end of a channel: what they are given, how they
 * end, and what is told of it; and that nothing of them stays behind.
 */
#include <bsd/string.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "delivery/agents/from_queue.h"
#include "delivery/mda/exit_status.h"
#include "delivery/mda/expand.h"
#include "delivery/mda/jobs.h"
#include "lib/base/alloc.h"

enum { RESULTS = 64 };

static struct loop *loop;
static struct config *config;
static struct channel *queue;

static struct {
	uint32_t index;
	uint8_t outcome;
	char status[16], reply[520], relay[330];
} results[RESULTS];

static unsigned int nresults, ndone, until;
static uint32_t capacity;

static void
copy(char *out, size_t size, struct str s)
{
	snprintf(out, size, "%.*s", (int)s.len, s.p);
}

static void
on_capacity(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)id;
	capacity = ((const struct tell_capacity *)msg)->mails;
}

static void
on_result(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_result *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	if (nresults == RESULTS)
		return;
	results[nresults].index = m->index;
	results[nresults].outcome = m->outcome;
	copy(results[nresults].status, 16, m->status);
	copy(results[nresults].reply, 520, m->reply);
	copy(results[nresults].relay, 330, m->relay);
	nresults++;
}

static void
on_done(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
	if (++ndone == until)
		loop_stop(loop);
}

static const struct handler handlers[] = {
	{ TYPE_tell_leaving, on_done },
	{ TYPE_tell_capacity, on_capacity },
	{ TYPE_tell_result, on_result },
	{ TYPE_tell_done, on_done },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&queue);
	loop_stop(loop);
}

static const struct from_queue_ops ops = {
	.capacity = JOBS_CAPACITY,
	.on_work = jobs_add,
	.on_lost = jobs_lose,
};

static void
set_command(const char *command, uint64_t timeout_ms)
{
	struct action *a = &config->actions[0];

	free(a->command);
	a->command = xstrdup(command);
	a->timeout_ms = timeout_ms;
	jobs_set_config(config);
}

static void
setup(void)
{
	int sv[2];

	signal(SIGPIPE, SIG_IGN);
	nresults = ndone = 0;
	loop = loop_new();
	config = config_new();
	config->actions = xcalloc(2, sizeof(*config->actions));
	config->nactions = 2;
	for (int i = 0; i < 2; i++) {
		config->actions[i].name = xstrdup(i == 0 ? "pipe" : "other");
		config->actions[i].kind = ACTION_MDA;
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	queue = channel_new(loop, sv[0], &queue_delivery_edge, EDGE_A, handlers,
	    on_closed, NULL);
	jobs_init(loop);
	from_queue_init(&ops);
	from_queue_open(loop, sv[1]);
	from_queue_go();
}

static void
teardown(void)
{
	channel_free(&queue);
	from_queue_close();
	/* What was under way is ended, and waited for. */
	jobs_kill();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	config_unref(&config);
}

static const char *for_action = "pipe";

static void
give(uint64_t id, const char *const *to, struct str content, int file,
    uint64_t body_size)
{
	struct tell_work m = { .msgid = STR("0123456789abcdef"),
		.from = STR("a@b.test"),
		.action = str_of(for_action),
		.inline_size = (uint32_t)content.len,
		.in_file = file != -1,
		.body_size = body_size };
	struct tell_work_file f = { .file = file };
	struct tell_work_content c = { .bytes = content };

	while (to[m.nrcpt] != NULL)
		m.nrcpt++;
	channel_tell(queue, TYPE_tell_work, &m, id);
	for (uint32_t i = 0; i < m.nrcpt; i++) {
		struct tell_work_rcpt r = { .index = 5 + i,
			.to = str_of(to[i]),
			.orcpt = STR("rfc822;o@d.test") };

		channel_tell(queue, TYPE_tell_work_rcpt, &r, id);
	}
	if (file != -1)
		channel_tell(queue, TYPE_tell_work_file, &f, id);
	if (content.len > 0)
		channel_tell(queue, TYPE_tell_work_content, &c, id);
}

static void
wait_for(unsigned int works)
{
	until = ndone + works;
	loop_run(loop);
}

static const char *const joe[] = { "joe@d.test", NULL };

static void
run_one(const char *command, struct str content)
{
	set_command(command, 600000);
	give(7, joe, content, -1, 0);
	nresults = 0;
	wait_for(1);
	ck_assert_uint_eq(nresults, 1);
	ck_assert_uint_eq(results[0].index, 5);
}

START_TEST(test_mail)
{
	run_one("/bin/cat", STR("A: b\r\n\r\nx\r\r\n\r"));
	ck_assert_uint_eq(capacity, JOBS_CAPACITY);
	ck_assert_uint_eq(results[0].outcome, OUTCOME_DELIVERED);
	ck_assert_str_eq(results[0].status, "2.0.0");
	ck_assert_str_eq(results[0].relay, "/bin/cat");
	ck_assert_str_eq(results[0].reply,
	    "delivered by the command: Return-Path: <a@b.test> Delivered-To: "
	    "joe@d.test A: b x");
}

END_TEST

START_TEST(test_words)
{
	run_one("/bin/echo -n '%{rcpt.user}' 2  \"a b\" '%{sender}x'", STR(""));
	ck_assert_str_eq(
	    results[0].reply, "delivered by the command: joe 2 a b a@b.testx");
	set_command("/bin/echo %{rcpt.user}", 1000);
	give(8, (const char *const[]){ "-rf@d.test", "\"a\tb\"@d.test", NULL },
	    STR(""), -1, 0);
	nresults = 0;
	wait_for(1);
	ck_assert_uint_eq(nresults, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(results[i].outcome, OUTCOME_FAILED);
		ck_assert_str_eq(results[i].status, "5.1.3");
	}
}

END_TEST

START_TEST(test_statuses)
{
	run_one("/bin/false", STR("A: b\r\n"));
	ck_assert_uint_eq(results[0].outcome, OUTCOME_FAILED);
	ck_assert_str_eq(
	    results[0].reply, "the command failed (exit status 1)");
	run_one("/bin/sh -c 'echo 4.2.2 full; exit 75'", STR("A: b\r\n"));
	ck_assert_uint_eq(results[0].outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(results[0].status, "4.2.2");
	run_one("/bin/sh -c 'kill -9 $$'", STR("A: b\r\n"));
	ck_assert_uint_eq(results[0].outcome, OUTCOME_DEFERRED);
	run_one("/nowhere/to/be/found", STR("A: b\r\n"));
	ck_assert_uint_eq(results[0].outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(results[0].status, "4.3.5");
	ck_assert_ptr_ne(strstr(results[0].reply, "No such file"), NULL);
	set_command("'", 1000);
	give(9, joe, STR(""), -1, 0);
	nresults = 0;
	wait_for(1);
	ck_assert_uint_eq(results[0].outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(results[0].status, "4.3.5");
}

END_TEST

/* A file that ends too soon: the command is ended before it can take the
 * half for the whole. */
START_TEST(test_short_file)
{
	char path[] = "/tmp/mda.XXXXXX", command[100];
	int fd = memfd_create("body", MFD_CLOEXEC), out = mkstemp(path);

	ck_assert_int_eq(write(fd, "x", 1), 1);
	(void)snprintf(command, sizeof(command),
	    "/bin/sh -c 'cat >/dev/null; echo whole >%s'", path);
	set_command(command, 600000);
	give(7, joe, STR("A: b\r\n\r\n"), fd, 2);
	close(fd);
	wait_for(1);
	ck_assert_uint_eq(results[0].outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(results[0].status, "4.3.0");
	ck_assert_ptr_ne(strstr(results[0].reply, "could not be read"), NULL);
	ck_assert_int_eq(lseek(out, 0, SEEK_END), 0);
	close(out);
	unlink(path);
}

END_TEST

START_TEST(test_time_limit)
{
	set_command("/bin/sleep 1000", 50);
	give(7, joe, STR("A: b\r\n\r\n"), -1, 0);
	wait_for(1);
	ck_assert_uint_eq(results[0].outcome, OUTCOME_DEFERRED);
	ck_assert_ptr_ne(strstr(results[0].reply, "took too long"), NULL);
}

END_TEST

static unsigned int
count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Many recipients, by several works; works take turns. */
START_TEST(test_many)
{
	static const char *const to[] = { "a@d", "b@d", "c@d", "d@d", "e@d",
		"f@d", "g@d", "h@d", "i@d", "j@d", NULL };
	unsigned int before;

	set_command("/bin/true", 600000);
	give(1, joe, STR("A: b\r\n\r\n"), -1, 0);
	wait_for(1);
	before = count_descriptors();
	nresults = 0;
	for (uint64_t id = 2; id < 6; id++)
		give(id, to, STR("A: b\r\n\r\n"), -1, 0);
	wait_for(4);
	ck_assert_uint_eq(nresults, 40);
	for (unsigned int i = 0; i < nresults; i++)
		ck_assert_uint_eq(results[i].outcome, OUTCOME_DELIVERED);
	ck_assert_uint_eq(count_descriptors(), before);
}

END_TEST

/* Commands of one action that hang, as many as there may be, do not keep
 * those of another. */
START_TEST(test_another_action)
{
	static const char *const to[] = { "a@d", "b@d", "c@d", "d@d", "e@d",
		"f@d", "g@d", "h@d", "i@d", "j@d", NULL };

	config->actions[1].command = xstrdup("/bin/true");
	config->actions[1].timeout_ms = 600000;
	set_command("/bin/sleep 1000", 600000);
	give(1, to, STR("A: b\r\n\r\n"), -1, 0);
	give(2, to, STR("A: b\r\n\r\n"), -1, 0);
	for_action = "other";
	give(3, to, STR("A: b\r\n\r\n"), -1, 0);
	wait_for(1);
	ck_assert_uint_eq(nresults, 10);
}

END_TEST

static char fifo[] = "/tmp/mda.XXXXXX/fifo";

/* Lets the command go, and its end is there. */
static void
let_go(void *unused)
{
	int fd = open(fifo, O_WRONLY | O_CLOEXEC);
	siginfo_t info;

	(void)unused;
	ck_assert_int_ne(fd, -1);
	close(fd);
	ck_assert_int_eq(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
}

static void
on_run_end(void *ctx, enum run_end end, int status, struct str output)
{
	(void)output;
	ck_assert_int_eq(end, RUN_EXITED);
	ck_assert_int_eq(status, 0);
	*(bool *)ctx = true;
	loop_stop(loop);
}

/* Its end and that of its time in one round: it has delivered. */
START_TEST(test_exit_at_the_limit)
{
	struct mail_text text;
	char command[] = "read line <$FIFO; exit 0", path[40];
	char sh[] = "/bin/sh", c[] = "-c";
	char *argv[] = { sh, c, command, NULL }, *envp[] = { path, NULL };
	struct run_order o = { .argv = argv,
		.envp = envp,
		.folder = "/",
		.text = &text,
		.timeout_ms = 0 };
	struct timer *t = timer_new(loop, let_go, NULL);
	bool ended = false;
	struct fault why;

	*strrchr(fifo, '/') = '\0';
	ck_assert_ptr_nonnull(mkdtemp(fifo));
	fifo[strlen(fifo)] = '/';
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	(void)snprintf(path, sizeof(path), "FIFO=%s", fifo);
	mail_text_init(&text, STR(""), STR("joe@d.test"), STR(""), -1, 0);
	timer_set(t, 0);
	ck_assert_ptr_nonnull(run_start(loop, &o, on_run_end, &ended, &why));
	loop_run(loop);
	ck_assert(ended);
	timer_free(&t);
	unlink(fifo);
	*strrchr(fifo, '/') = '\0';
	rmdir(fifo);
}

END_TEST

static void
on_stopped(void)
{
	loop_stop(loop);
}

/* What is under way may end; nothing else begins. */
START_TEST(test_stop)
{
	set_command("/bin/sh -c 'read line; exit 0'", 600000);
	for (uint64_t id = 1; id < 12; id++)
		give(id, joe, STR("A: b\r\n\r\n"), -1, 0);
	wait_for(1);
	from_queue_stop();
	jobs_stop(on_stopped);
	loop_run(loop);
	ck_assert_uint_ge(nresults, 1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	/* It wants no more, and then says that it has told all. */
	until = ndone + 1;
	from_queue_leave();
	loop_run(loop);
	ck_assert_uint_eq(capacity, 0);
}

END_TEST

/* One that runs for long, and one that shows that it does. */
static void
run_long(const char *command)
{
	set_command(command, 600000);
	give(1, (const char *const[]){ "1000@d.test", NULL }, STR("A: b\r\n"),
	    -1, 0);
	give(2, (const char *const[]){ "0@d.test", NULL }, STR("A: b\r\n"), -1,
	    0);
	wait_for(1);
	ck_assert_uint_eq(nresults, 1);
}

START_TEST(test_end_of_grace)
{
	run_long("/bin/sh -c 'exec sleep $LOCAL'");
	jobs_kill();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	wait_for(1);
	ck_assert_uint_eq(results[1].outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(results[1].status, "4.3.2");
}

END_TEST

/* Then its mail comes again: what runs is ended, be it deaf. */
START_TEST(test_queue_gone)
{
	run_long("/bin/sh -c 'trap \"\" TERM; exec sleep $LOCAL'");
	channel_free(&queue);
	from_queue_close();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), 0);
	jobs_stop(on_stopped);
	loop_run(loop);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

END_TEST

START_TEST(test_exit_statuses)
{
	static const struct {
		int code;
		enum outcome outcome;
		const char *status;
	} cases[] = {
		{ EX_OK, OUTCOME_DELIVERED, "2.0.0" },
		{ EX_NOUSER, OUTCOME_FAILED, "5.1.1" },
		{ EX_NOHOST, OUTCOME_FAILED, "5.1.2" },
		{ EX_OSERR, OUTCOME_DEFERRED, "4.3.0" },
		{ EX_CANTCREAT, OUTCOME_FAILED, "5.2.0" },
		{ EX_IOERR, OUTCOME_DEFERRED, "4.3.0" },
		{ EX_TEMPFAIL, OUTCOME_DEFERRED, "4.3.0" },
		{ EX_NOPERM, OUTCOME_FAILED, "5.7.0" },
		{ EX_CONFIG, OUTCOME_FAILED, "5.3.5" },
		{ 126, OUTCOME_DEFERRED, "4.3.5" },
		{ 127, OUTCOME_DEFERRED, "4.3.5" },
		{ 42, OUTCOME_FAILED, "5.3.0" },
	};

	char flood[RUN_OUTPUT_MAX];
	struct local_outcome o;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		exit_status_judge(RUN_EXITED, cases[i].code << 8, STR(""), &o);
		ck_assert_uint_eq(o.outcome, cases[i].outcome);
		ck_assert_str_eq(o.status, cases[i].status);
	}
	exit_status_judge(RUN_EXITED, SIGSEGV, STR("\r\n \xff\n"), &o);
	ck_assert_uint_eq(o.outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(o.reply, "the command died of signal 11 (SEGV): ?");
	/* Its own words about its status count for nothing when we ended
	 * it. */
	exit_status_judge(RUN_TIMED_OUT, 0, STR("2.0.0 fine"), &o);
	ck_assert_uint_eq(o.outcome, OUTCOME_DEFERRED);
	memset(flood, 'x', sizeof(flood));
	exit_status_judge(RUN_EXITED, EX_UNAVAILABLE << 8,
	    (struct str){ flood, sizeof(flood) }, &o);
	ck_assert_uint_eq(strlen(o.reply), sizeof(o.reply) - 1);
}

END_TEST

START_TEST(test_environment)
{
	char name[] = "u", home[] = "/home/u", shell[] = "/bin/zsh";
	struct account who = { name, home, shell };
	struct expand_values v = { .rcpt = STR("\"a b\"@d.test"),
		.sender = STR(""),
		.orcpt = STR("rfc822;o@d.test"),
		.hostname = STR("mx.test") };
	static const char *const want[] = { "PATH=/usr/bin:/bin",
		"HOME=/home/u", "USER=u", "LOGNAME=u", "SHELL=/bin/zsh",
		"SENDER=", "RECIPIENT=\"a b\"@d.test", "LOCAL=a b",
		"DOMAIN=d.test", "ORIGINAL_RECIPIENT=o@d.test" };
	struct expanded e;
	struct fault why;
	size_t n = 0;

	ck_assert_int_eq(expand("/x '%{sender}' %{rcpt.user}=%{hostname}", &who,
			     &v, &e, &why),
	    0);
	ck_assert_str_eq(e.argv[0], "/x");
	ck_assert_str_eq(e.argv[1], "");
	ck_assert_str_eq(e.argv[2], "a b=mx.test");
	ck_assert_ptr_eq(e.argv[3], NULL);
	for (; e.envp[n] != NULL; n++)
		ck_assert_str_eq(e.envp[n], want[n]);
	ck_assert_uint_eq(n, sizeof(want) / sizeof(want[0]));
	expanded_clear(&e);
	v.orcpt = STR("rfc822;o\n@d.test");
	ck_assert_int_eq(expand("/x", &who, &v, &e, &why), 0);
	for (n = 0; e.envp[n] != NULL; n++)
		ck_assert_ptr_eq(strstr(e.envp[n], "ORIGINAL"), NULL);
	expanded_clear(&e);
	v.sender = STR("a\x01@b.test");
	ck_assert_int_eq(expand("/x", &who, &v, &e, &why), -1);
	ck_assert_int_eq(why.class, FAULT_PERM);
	v.sender = STR("");
	ck_assert_int_eq(expand("x", &who, &v, &e, &why), -1);
	ck_assert_int_eq(why.class, FAULT_OURS);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("commands");
	TCase *tc = tcase_create("commands"), *pure = tcase_create("pure");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_mail);
	tcase_add_test(tc, test_words);
	tcase_add_test(tc, test_statuses);
	tcase_add_test(tc, test_short_file);
	tcase_add_test(tc, test_time_limit);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_another_action);
	tcase_add_test(tc, test_exit_at_the_limit);
	tcase_add_test(tc, test_stop);
	tcase_add_test(tc, test_end_of_grace);
	tcase_add_test(tc, test_queue_gone);
	tcase_add_test(pure, test_exit_statuses);
	tcase_add_test(pure, test_environment);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, pure);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
