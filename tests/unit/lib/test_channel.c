/* Channels: requests and answers, parts, descriptors, order, back-pressure,
 * a peer that dies, a channel freed by its own handler. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/ipc/channel.h"
#include "lib/ipc/outbox.h"

#define ASK(F)       F(u32, n, 1000) F(str, text, 100)
#define PART(F)      F(bin, bytes, 65536)
#define FILE_PART(F) F(u8, n, 255) F(fd, file, 0)
#define ANSWER(F)    F(u32, n, 1000)
WIRE_DECLARE(t_ask, ASK)
WIRE_DECLARE(t_part, PART)
WIRE_DECLARE(t_file, FILE_PART)
WIRE_DECLARE(t_answer, ANSWER)
WIRE_DECLARE(t_given, FILE_PART)
WIRE_DEFINE(t_ask, ASK)
WIRE_DEFINE(t_part, PART)
WIRE_DEFINE(t_file, FILE_PART)
WIRE_DEFINE(t_answer, ANSWER)
WIRE_DEFINE(t_given, FILE_PART)
#define TEST(M)                                \
	M(t_ask, EDGE_A_TO_B, PHASE_RUN, 0)    \
	M(t_part, EDGE_A_TO_B, PHASE_RUN, 0)   \
	M(t_file, EDGE_A_TO_B, PHASE_RUN, 0)   \
	M(t_answer, EDGE_B_TO_A, PHASE_RUN, 0) \
	M(t_given, EDGE_B_TO_A, PHASE_RUN, 0)
EDGE_DECLARE(test, TEST)
EDGE_DEFINE(test, TEST, "a", "b", CHANNEL_MESSAGE_MAX, 1048576, PHASE_RUN)

static struct loop *loop;
static struct channel *a, *b;
static int nanswers, nfaults, nclosed, nparts, nfiles, ndrained;
static size_t part_bytes;
static uint64_t last_n;
static bool b_frees_itself, b_is_silent;

static void
on_ask(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct t_ask *m = msg;
	struct t_answer answer = { .n = m->n };

	(void)ctx;
	if (b_is_silent)
		return;
	if (b_frees_itself) {
		channel_free(&b);
		ck_assert_uint_eq(m->text.len, 5); /* still there */
		ck_assert_int_eq(memcmp(m->text.p, "hello", 5), 0);
		return;
	}
	channel_tell(ch, TYPE_t_answer, &answer, id);
}

static void
on_part(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct t_part *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	nparts++;
	part_bytes += m->bytes.len;
}

static void
on_file(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct t_file *m = msg;
	struct stat st;

	(void)ctx;
	(void)ch;
	(void)id;
	ck_assert_int_eq(fstat(m->file, &st), 0);
	ck_assert_int_ne(fcntl(m->file, F_GETFD) & FD_CLOEXEC, 0);
	/* The file's size is the number: descriptors keep to their message. */
	ck_assert_int_eq(st.st_size, m->n);
	close(m->file);
	nfiles++;
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	ck_assert(ch == a || ch == b);
	nclosed++;
	loop_stop(loop);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct t_answer *m = msg;

	(void)ctx;
	if (fault != NULL) {
		ck_assert_ptr_null(msg);
		ck_assert_int_eq(fault->class, FAULT_OURS);
		nfaults++;
		return;
	}
	ck_assert_int_eq(type, TYPE_t_answer);
	ck_assert_uint_eq(m->n, last_n + 1); /* in order */
	last_n = m->n;
	nanswers++;
	if (m->n == 1000)
		loop_stop(loop);
}

static const struct handler b_handlers[] = { { TYPE_t_ask, on_ask },
	{ TYPE_t_part, on_part }, { TYPE_t_file, on_file }, { 0, NULL } };
static const struct handler none[] = { { 0, NULL } };

static void
setup(void)
{
	int fds[2];

	nanswers = nfaults = nclosed = nparts = nfiles = ndrained = 0;
	part_bytes = 0;
	last_n = 0;
	b_frees_itself = b_is_silent = false;
	loop = loop_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	a = channel_new(
	    loop, fds[0], &test_edge, EDGE_A, none, on_closed, NULL);
	b = channel_new(
	    loop, fds[1], &test_edge, EDGE_B, b_handlers, on_closed, NULL);
}

START_TEST(a_thousand_answers)
{
	struct t_ask m = { .text = STR("hello") };
	uint64_t calls = channel_totals()->send_calls;

	for (m.n = 1; m.n <= 1000; m.n++)
		channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	ck_assert_int_eq(nanswers, 0); /* never before it returned */
	loop_run(loop);
	ck_assert_int_eq(nanswers, 1000);
	ck_assert_uint_eq(channel_npending(a), 0);
	/* Batched: a handful of system calls for 2,000 messages. */
	ck_assert_uint_lt(channel_totals()->send_calls - calls, 40);
}

END_TEST

START_TEST(files_keep_their_place)
{
	struct t_ask last = { .n = 1000, .text = STR("") };
	for (int i = 0; i < 100; i++) {
		struct t_part part = { .bytes = STR("0123456789") };
		struct t_file file = { .n = (uint8_t)i };
		char path[64];
		snprintf(path, sizeof(path), "/tmp/test_channel.%d.%d",
		    (int)getpid(), i);
		file.file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		ck_assert_int_ge(file.file, 0);
		unlink(path);
		ck_assert_int_eq(ftruncate(file.file, i), 0);
		channel_tell(a, TYPE_t_part, &part, 0);
		channel_tell(a, TYPE_t_file, &file, 0);
		close(file.file); /* ours stays ours */
		channel_tell(a, TYPE_t_part, &part, 0);
	}
	last_n = 999;
	channel_ask(a, TYPE_t_ask, &last, on_answer, NULL);
	loop_run(loop);
	ck_assert_int_eq(nanswers, 1);
	ck_assert_int_eq(nfiles, 100);
	ck_assert_int_eq(nparts, 200);
}

END_TEST

static void
stop_it(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

START_TEST(the_peer_dies)
{
	struct t_ask m = { .n = 1, .text = STR("hello") };

	b_frees_itself = true;
	for (int i = 0; i < 5; i++)
		channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	channel_cancel(a, channel_ask(a, TYPE_t_ask, &m, on_answer, NULL));
	loop_run(loop);
	ck_assert_ptr_null(b);
	ck_assert_int_eq(nclosed, 1);
	ck_assert_int_eq(nfaults, 5); /* each once, the cancelled not */
	/* And on a dead channel: the fault too, later. */
	channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	ck_assert_int_eq(nfaults, 5);
	channel_free(&a);
	struct deferred stop;
	deferred_init(&stop, stop_it, NULL);
	loop_after(loop, &stop);
	loop_run(loop);
	ck_assert_int_eq(nfaults, 6);
}

END_TEST

static void
drained(void *ctx)
{
	(void)ctx;
	ndrained++;
	loop_stop(loop);
}

START_TEST(back_pressure)
{
	static char big[65536];
	struct t_part part = { .bytes = { big, sizeof(big) } };
	int n = 0;

	channel_on_drained(a, drained, NULL);
	while (!channel_is_full(a)) {
		ck_assert_int_eq(channel_tell(a, TYPE_t_part, &part, 0), 0);
		n++;
	}
	ck_assert_int_le(n, 17);
	loop_run(loop);
	ck_assert_int_eq(ndrained, 1);
	ck_assert(!channel_is_full(a));
	/* What is left in the sockets still arrives. */
	struct t_ask last = { .n = 1000, .text = STR("") };
	last_n = 999;
	channel_ask(a, TYPE_t_ask, &last, on_answer, NULL);
	loop_run(loop);
	ck_assert_int_eq(nparts, n);
	ck_assert_uint_eq(part_bytes, (size_t)n * sizeof(big));
}

END_TEST

/* A descriptor weighs more than the few bytes of its message. */
START_TEST(back_pressure_of_files)
{
	struct t_file file = { .n = 0 };
	int n = 0;

	file.file = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_ge(file.file, 0);
	channel_on_drained(a, drained, NULL);
	while (!channel_is_full(a)) {
		ck_assert_int_eq(channel_tell(a, TYPE_t_file, &file, 0), 0);
		n++;
	}
	ck_assert_int_le(n, 1024);
	loop_run(loop);
	ck_assert_int_eq(ndrained, 1);
	ck_assert(!channel_is_full(a));
	close(file.file);
}

END_TEST

/* What came with an answer finds no room here: that question has failed, and
 * the channel goes on. */
START_TEST(no_descriptor_left)
{
	struct t_ask m = { .n = 1, .text = STR("hello") };
	struct t_given given = { .n = 0 };
	struct t_answer answer = { .n = 1000 };
	struct rlimit had, full;
	uint64_t id[3];

	b_is_silent = true;
	for (int i = 0; i < 3; i++)
		id[i] = channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	channel_cancel(a, id[1]);
	given.n = 7;
	given.file = memfd_create("test", MFD_CLOEXEC);
	channel_tell(b, TYPE_t_given, &given, id[0]);
	channel_tell(b, TYPE_t_given, &given, id[1]);
	last_n = 999;
	channel_tell(b, TYPE_t_answer, &answer, id[2]);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &had), 0);
	full = had;
	full.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
	loop_run(loop);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
	ck_assert_int_eq(nfaults, 1);
	ck_assert_int_eq(nanswers, 1);
	ck_assert_int_eq(nclosed, 0);
	ck_assert(channel_is_open(a));
	close(given.file);
}

END_TEST

START_TEST(over_a_bound)
{
	struct t_answer m = { .n = 1001 };
	struct t_ask nul = { .n = 1, .text = STR("a\0b") };

	ck_assert_int_eq(channel_tell(b, TYPE_t_answer, &m, 1), -1);
	ck_assert_int_eq(channel_tell(a, TYPE_t_ask, &nul, 1), -1);
	ck_assert(channel_is_open(a));
}

END_TEST

/* A question that cannot be said fails alone. */
START_TEST(question_over_a_bound)
{
	struct t_ask nul = { .n = 1, .text = STR("a\0b") };
	struct t_ask m = { .n = 1000, .text = STR("hello") };

	last_n = 999;
	channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	channel_ask(a, TYPE_t_ask, &nul, on_answer, NULL);
	channel_cancel(a, channel_ask(a, TYPE_t_ask, &nul, on_answer, NULL));
	ck_assert_int_eq(nfaults, 0); /* never before it returned */
	ck_assert_uint_eq(channel_npending(a), 1);
	loop_run(loop);
	ck_assert_int_eq(nfaults, 1);
	ck_assert_int_eq(nanswers, 1);
	ck_assert_int_eq(nclosed, 0);
	ck_assert(channel_is_open(a));
}

END_TEST

static int nended;

static void
on_ended(void *ctx, struct channel *ch)
{
	ck_assert_ptr_eq(ctx, &nended);
	ck_assert_ptr_eq(ch, a);
	ck_assert_int_eq(nclosed, 0); /* before the owner */
	nended++;
}

/* Who made the socket hears of its end, but not when the owner frees it; and
 * what was said before it is heard. */
START_TEST(its_end_is_told)
{
	struct t_answer nonsense = { .n = 1 };
	struct t_part part = { .bytes = STR("last words") };

	nended = 0;
	channel_on_ended(a, on_ended, &nended);
	channel_tell(b, TYPE_t_answer, &nonsense, 77);
	channel_drain(b, 0);
	/* In the same round as the end. */
	channel_tell(a, TYPE_t_part, &part, 0);
	loop_run(loop);
	ck_assert_int_eq(nended, 1);
	ck_assert(!channel_is_open(a));
	if (channel_is_open(b))
		loop_run(loop);
	ck_assert_int_eq(nparts, 1);
	ck_assert_int_eq(nended, 1);
}

END_TEST

START_TEST(freed_by_its_owner)
{
	struct t_part part = { .bytes = STR("last words") };

	nended = 0;
	channel_on_ended(a, on_ended, &nended);
	channel_tell(a, TYPE_t_part, &part, 0);
	channel_free(&a);
	loop_run(loop); /* b's end */
	ck_assert_int_eq(nparts, 1);
	ck_assert_int_eq(nclosed, 1);
	ck_assert_int_eq(nended, 0);
}

END_TEST

START_TEST(unasked_answer)
{
	struct t_answer m = { .n = 1 };

	channel_tell(b, TYPE_t_answer, &m, 77);
	loop_run(loop);
	ck_assert(!channel_is_open(a));
}

END_TEST

static bool
holds_secret(const struct outbox *o)
{
	return memmem(o->bytes.p, o->bytes.cap, "secret", 6) != NULL;
}

START_TEST(what_is_secret_is_wiped)
{
	struct t_ask m = { .n = 1, .text = STR("secret") };
	struct frame f = { .type = TYPE_t_ask, .id = 1 };
	struct outbox o;
	uint64_t calls = 0;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	outbox_init(&o);
	o.secret = true;
	ck_assert_int_eq(outbox_add(&o, f, &t_ask_wire, &m, 1000), 0);
	ck_assert(holds_secret(&o));
	ck_assert_int_eq(outbox_send(&o, fds[0], &calls), 0);
	ck_assert_uint_eq(outbox_unsent(&o), 0);
	ck_assert(!holds_secret(&o));
	outbox_clear(&o);
	close(fds[0]);
	close(fds[1]);
}

END_TEST

/* --- one end changes hands --- */

static void
count_quiet(void *ctx)
{
	(*(int *)ctx)++;
}

/* Runs what lies there. */
static void
stop_now(void *unused)
{
	(void)unused;
	loop_stop(loop);
}

static void
run_out(void)
{
	struct timer *t = timer_new(loop, stop_now, NULL);

	timer_set(t, 50);
	loop_run(loop);
	timer_free(&t);
}

START_TEST(quiet_when_all_is_answered)
{
	struct t_ask m = { .n = 1, .text = STR("hello") };
	int quiet = 0;

	channel_on_quiet(a, count_quiet, &quiet);
	ck_assert_int_eq(quiet, 0); /* behind the round */
	run_out();
	ck_assert_int_eq(quiet, 1);
	b_is_silent = true;
	channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	channel_on_quiet(a, count_quiet, &quiet);
	run_out();
	ck_assert_int_eq(quiet, 1);
	b_is_silent = false;
	m.n = 2;
	uint64_t id = channel_ask(a, TYPE_t_ask, &m, NULL, NULL);
	run_out();
	ck_assert_int_eq(quiet, 1); /* one is still open */
	struct t_answer answer = { .n = 1 };
	channel_tell(b, TYPE_t_answer, &answer, id - 2);
	run_out();
	ck_assert_int_eq(quiet, 2);
	ck_assert_int_eq(nanswers, 1);
}

END_TEST

START_TEST(released_and_adopted)
{
	struct t_ask m = { .n = 1, .text = STR("hello") };

	/* Not before the hello was seen. */
	ck_assert_int_eq(channel_release(&a, 0), -1);
	ck_assert_ptr_nonnull(a);
	channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	run_out();
	ck_assert_int_eq(nanswers, 1);
	int fd = channel_release(&a, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_null(a);
	/* The other end hears nothing of it, and goes on talking. */
	run_out();
	ck_assert_int_eq(nclosed, 0);
	a = channel_adopt(loop, fd, &test_edge, EDGE_A, none, on_closed, NULL);
	m.n = 2;
	channel_ask(a, TYPE_t_ask, &m, on_answer, NULL);
	run_out();
	ck_assert_int_eq(nanswers, 2);
	ck_assert_int_eq(nclosed, 0);
}

END_TEST

START_TEST(not_in_the_middle_of_a_message)
{
	int fds[2];
	char head[FRAME_HEADER];
	struct frame f = { .len = 100, .type = TYPE_t_answer };

	run_out();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	struct channel *half = channel_adopt(
	    loop, fds[0], &test_edge, EDGE_A, none, on_closed, NULL);
	frame_encode(&f, (uint8_t *)head);
	ck_assert_int_eq(write(fds[1], head, sizeof(head)), sizeof(head));
	run_out();
	ck_assert_int_eq(channel_release(&half, 0), -1);
	ck_assert_ptr_nonnull(half);
	channel_free(&half);
	/* Nor when what it says is not taken. */
	struct t_part part = { .bytes = { head, sizeof(head) } };
	int small = 4096;
	setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	static char big[60000];
	part.bytes = (struct str){ big, sizeof(big) };
	for (int i = 0; i < 16; i++)
		channel_tell(a, TYPE_t_part, &part, 0);
	channel_pause(b);
	ck_assert_int_eq(channel_release(&a, 0), -1);
	ck_assert_ptr_nonnull(a);
	channel_resume(b);
	run_out();
	ck_assert_int_eq(nparts, 16);
	int fd = channel_release(&a, 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
	close(fds[1]);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("channel");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, a_thousand_answers);
	tcase_add_test(c, files_keep_their_place);
	tcase_add_test(c, the_peer_dies);
	tcase_add_test(c, back_pressure);
	tcase_add_test(c, back_pressure_of_files);
	tcase_add_test(c, no_descriptor_left);
	tcase_add_test(c, over_a_bound);
	tcase_add_test(c, question_over_a_bound);
	tcase_add_test(c, its_end_is_told);
	tcase_add_test(c, freed_by_its_owner);
	tcase_add_test(c, unasked_answer);
	tcase_add_test(c, what_is_secret_is_wiped);
	tcase_add_test(c, quiet_when_all_is_answered);
	tcase_add_test(c, released_and_adopted);
	tcase_add_test(c, not_in_the_middle_of_a_message);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
