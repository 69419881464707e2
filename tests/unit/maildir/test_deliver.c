/*
 * A work from the queue's end of a channel to the files in a Maildir, and
 * the results back.
 */
#include "delivery/maildir/deliver.h"

#include <bsd/string.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/agents/from_queue.h"
#include "delivery/maildir/boxes.h"
#include "lib/base/alloc.h"

static char room[64];
static struct loop *loop;
static struct config *config;
static struct channel *queue;
static struct tell_result last;
static char status[16], reply[520], relay[330];
static unsigned int nresults, ndone;
static uint32_t capacity;

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

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
	(void)ctx;
	(void)ch;
	(void)id;
	last = *(const struct tell_result *)msg;
	copy(status, sizeof(status), last.status);
	copy(reply, sizeof(reply), last.reply);
	copy(relay, sizeof(relay), last.relay);
	nresults++;
}

static void
on_done(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
	ndone++;
	loop_stop(loop);
}

static const struct handler handlers[] = {
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
	.capacity = 16,
	.on_work = deliver,
};

static void
setup(void)
{
	int sv[2];

	nresults = ndone = 0;
	(void)strlcpy(room, "/tmp/maildir.XXXXXX", sizeof(room));
	ck_assert_ptr_ne(mkdtemp(room), NULL);
	loop = loop_new();
	config = config_new();
	free(config->hostname);
	config->hostname = xstrdup("mx/te:st");
	config->actions = xcalloc(1, sizeof(*config->actions));
	config->nactions = 1;
	config->actions[0].name = xstrdup("box");
	config->actions[0].kind = ACTION_MAILDIR;
	config->actions[0].base = xstrdup(room);
	config->actions[0].path = xstrdup("%{rcpt.user}");
	boxes_add(0, open(room, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	boxes_set_config(config);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	queue = channel_new(loop, sv[0], &queue_delivery_edge, EDGE_A, handlers,
	    on_closed, NULL);
	from_queue_init(&ops);
	from_queue_open(loop, sv[1]);
	from_queue_go();
}

static void
on_end_of_round(void *ctx)
{
	loop_stop(ctx);
}

static void
teardown(void)
{
	struct deferred end;

	channel_free(&queue);
	from_queue_close();
	boxes_clear();
	config_unref(&config);
	deferred_init(&end, on_end_of_round, loop);
	loop_after(loop, &end);
	loop_run(loop);
	loop_free(&loop);
	nftw(room, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
give(const char *action, const char *const *to, struct str content, int file,
    uint64_t body_size)
{
	struct tell_work m = { .msgid = STR("0123456789abcdef"),
		.from = STR("a@b.test"),
		.action = str_of(action),
		.inline_size = (uint32_t)content.len,
		.in_file = file != -1,
		.body_size = body_size };
	struct tell_work_file f = { .file = file };

	while (to[m.nrcpt] != NULL)
		m.nrcpt++;
	channel_tell(queue, TYPE_tell_work, &m, 7);
	for (uint32_t i = 0; i < m.nrcpt; i++) {
		struct tell_work_rcpt r = { .index = 5 + i,
			.to = str_of(to[i]) };

		channel_tell(queue, TYPE_tell_work_rcpt, &r, 7);
	}
	if (file != -1)
		channel_tell(queue, TYPE_tell_work_file, &f, 7);
	while (content.len > 0) {
		struct tell_work_content c = { .bytes = str_head(content,
						   CHANNEL_CONTENT_MAX) };

		channel_tell(queue, TYPE_tell_work_content, &c, 7);
		content = str_skip(content, c.bytes.len);
	}
	loop_run(loop);
}

/* How many files a directory of the room has; path gets one of them. */
static int
count_files(const char *dir, char *path, size_t size)
{
	struct dirent *e;
	DIR *d;
	int n = 0;

	(void)snprintf(path, size, "%s/%s", room, dir);
	d = opendir(path);
	ck_assert_ptr_ne(d, NULL);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		(void)snprintf(path, size, "%s/%s/%s", room, dir, e->d_name);
	}
	closedir(d);
	return n;
}

/* The only file in a directory of the room, as text; NULL: none. */
static char *
only_file(const char *dir)
{
	static char text[4 << 20];
	char path[700];
	int n = count_files(dir, path, sizeof(path)), fd;
	ssize_t len;

	if (n == 0)
		return NULL;
	ck_assert_int_eq(n, 1);
	ck_assert_ptr_ne(strstr(path, ".mx\\057te\\072st"), NULL);
	fd = open(path, O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	return text;
}

static const char *const joe[] = { "joe@d.test", NULL };

START_TEST(test_one_mail)
{
	give("box", joe, STR("A: b\r\n\r\n.x\r\r\n\rend\r"), -1, 0);
	ck_assert_uint_ge(capacity, 1);
	ck_assert_uint_eq(nresults, 1);
	ck_assert_uint_eq(last.index, 5);
	ck_assert_uint_eq(last.outcome, OUTCOME_DELIVERED);
	ck_assert_str_eq(status, "2.0.0");
	ck_assert_str_eq(relay, "joe");
	ck_assert_str_eq(only_file("joe/new"),
	    "Return-Path: <a@b.test>\nDelivered-To: joe@d.test\n"
	    "A: b\n\n.x\r\n\rend\r");
	ck_assert_ptr_eq(only_file("joe/tmp"), NULL);
	ck_assert_ptr_eq(only_file("joe/cur"), NULL);
}

END_TEST

START_TEST(test_each_recipient)
{
	static const char *const to[] = { "joe@d.test", "..@d.test",
		"ann@d.test", NULL };

	give("box", to, STR("A: b\r\n\r\nx\r\n"), -1, 0);
	ck_assert_uint_eq(nresults, 3);
	ck_assert_uint_eq(ndone, 1);
	ck_assert_ptr_ne(only_file("joe/new"), NULL);
	ck_assert_ptr_ne(
	    strstr(only_file("ann/new"), "Delivered-To: ann@d.test\n"), NULL);
}

END_TEST

START_TEST(test_refused_address)
{
	static const char *const to[] = { "\"../x\"@d.test", NULL };

	give("box", to, STR("A: b\r\n\r\nx\r\n"), -1, 0);
	ck_assert_uint_eq(last.outcome, OUTCOME_FAILED);
	ck_assert_str_eq(status, "5.1.3");
}

END_TEST

static char body[3 << 20], want[3 << 20];

/* Fills body with lines of CRLF and want with the same in LF; returns the
 * length of want. */
static size_t
make_body(void)
{
	static const char line[] = "xxxxx\r\n";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = line[i % 7];
	body[sizeof(body) - 1] = 'x';
	for (size_t i = 0; i < sizeof(body); i++)
		if (body[i] != '\r')
			want[n++] = body[i];
	return n;
}

START_TEST(test_big_mail_from_file)
{
	int fd = memfd_create("body", MFD_CLOEXEC);
	size_t n = make_body();
	const char *text;

	ck_assert_int_eq(write(fd, body, sizeof(body)), sizeof(body));
	give("box", joe, STR("A: b\r\n\r\n"), fd, sizeof(body));
	close(fd);
	ck_assert_uint_eq(last.outcome, OUTCOME_DELIVERED);
	text = strstr(only_file("joe/new"), "\n\n");
	ck_assert_ptr_ne(text, NULL);
	ck_assert_uint_eq(strlen(text + 2), n);
	ck_assert_int_eq(memcmp(text + 2, want, n), 0);
}

END_TEST

/* One byte less than was said: nothing of it arrives. */
START_TEST(test_short_file)
{
	int fd = memfd_create("body", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, "x", 1), 1);
	give("box", joe, STR("A: b\r\n\r\n"), fd, 2);
	close(fd);
	ck_assert_uint_eq(last.outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(status, "4.3.0");
	ck_assert_ptr_eq(only_file("joe/new"), NULL);
	ck_assert_ptr_eq(only_file("joe/tmp"), NULL);
}

END_TEST

START_TEST(test_no_room)
{
	struct rlimit small = { 100, RLIM_INFINITY }, old;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	small.rlim_max = old.rlim_max;
	/* check writes files too: no assertion until it is back */
	(void)setrlimit(RLIMIT_FSIZE, &small);
	give("box", joe,
	    STR("A: b\r\n\r\n012345678901234567890123456789"
		"012345678901234567890123456789\r\n"),
	    -1, 0);
	(void)setrlimit(RLIMIT_FSIZE, &old);
	ck_assert_uint_eq(last.outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(status, "4.2.2");
	ck_assert_ptr_eq(only_file("joe/new"), NULL);
	ck_assert_ptr_eq(only_file("joe/tmp"), NULL);
}

END_TEST

START_TEST(test_link_in_the_way)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/joe", room);
	ck_assert_int_eq(symlink("/tmp", path), 0);
	give("box", joe, STR("A: b\r\n\r\n"), -1, 0);
	ck_assert_uint_eq(last.outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(status, "4.3.5");
}

END_TEST

START_TEST(test_action_of_another)
{
	give("pipe", joe, STR("A: b\r\n\r\n"), -1, 0);
	ck_assert_uint_eq(last.outcome, OUTCOME_DEFERRED);
	ck_assert_str_eq(status, "4.3.5");
}

END_TEST

START_TEST(test_malformed_work)
{
	struct tell_work m = { .nrcpt = 1, .inline_size = 2 };
	struct tell_work_content c = { .bytes = STR("xxx") };

	channel_tell(queue, TYPE_tell_work, &m, 7);
	channel_tell(queue, TYPE_tell_work_content, &c, 7);
	loop_run(loop);
	ck_assert_ptr_eq(queue, NULL);
	ck_assert_uint_eq(ndone, 0);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("deliver");
	TCase *tc = tcase_create("deliver");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_one_mail);
	tcase_add_test(tc, test_each_recipient);
	tcase_add_test(tc, test_refused_address);
	tcase_add_test(tc, test_big_mail_from_file);
	tcase_add_test(tc, test_short_file);
	tcase_add_test(tc, test_no_room);
	tcase_add_test(tc, test_link_in_the_way);
	tcase_add_test(tc, test_action_of_another);
	tcase_add_test(tc, test_malformed_work);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
