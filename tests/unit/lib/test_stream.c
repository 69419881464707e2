/* Streams: partial consumption, pausing, back-pressure, ends. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/net/stream.h"

static struct loop *loop;
static struct stream *st;
static int far_end;
static struct buf got;
static int nends, last_error, ndrained, ntimeouts;
static size_t take_at_once;

static size_t
on_data(void *ctx, struct str in)
{
	(void)ctx;
	size_t n = in.len < take_at_once ? in.len : take_at_once;
	buf_add(&got, in.p, n);
	if (n < in.len)
		stream_resume(st); /* the rest next round */
	else
		loop_stop(loop);
	return n;
}

static void
on_drained(void *ctx)
{
	(void)ctx;
	ndrained++;
	loop_stop(loop);
}

static void
on_timeout(void *ctx)
{
	(void)ctx;
	ntimeouts++;
	loop_stop(loop);
}

static void
on_end(void *ctx, int error)
{
	(void)ctx;
	nends++;
	last_error = error;
	loop_stop(loop);
}

static const struct stream_ops ops = { on_data, on_drained, on_timeout, on_end,
	NULL };

static void
setup(void)
{
	int fds[2];

	nends = last_error = ndrained = ntimeouts = 0;
	loop = loop_new();
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	far_end = fds[1];
	take_at_once = SIZE_MAX;
	buf_init(&got, 1 << 24);
	st = stream_new(loop, fds[0], false, &ops, NULL);
}

START_TEST(in_small_bites)
{
	take_at_once = 3;
	ck_assert_int_eq(write(far_end, "abcdefgh", 8), 8);
	loop_run(loop);
	ck_assert(str_eq(buf_str(&got), STR("abcdefgh")));
	ck_assert_uint_eq(stream_unread(st), 0);
}

END_TEST

static const char *seen;

static size_t
take_secret(void *ctx, struct str in)
{
	size_t n = str_find(in, '.') + 1;

	(void)ctx;
	if (n > in.len)
		return 0;
	seen = in.p;
	stream_wipe(st);
	loop_stop(loop);
	return n;
}

/* What was a secret lies nowhere, what stands behind it is still to be read.
 */
START_TEST(secret)
{
	static const struct stream_ops secret_ops = { take_secret, on_drained,
		on_timeout, on_end, NULL };
	const char *room;
	int fds[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	st = stream_new(loop, fds[0], false, &secret_ops, NULL);
	ck_assert_int_eq(write(fds[1], "secret.more", 11), 11);
	loop_run(loop);
	room = seen; /* that of all streams */
	ck_assert_uint_eq(stream_unread(st), 4);
	ck_assert_int_eq(memcmp(room, "\0\0\0\0\0\0\0more", 11), 0);
	/* Its end in another piece. */
	ck_assert_int_eq(write(fds[1], "secret.", 7), 7);
	loop_run(loop);
	ck_assert_uint_eq(stream_unread(st), 0);
	ck_assert_int_eq(memcmp(room, "\0\0\0\0\0\0\0", 7), 0);
	stream_close(&st);
	close(fds[1]);
}

END_TEST

START_TEST(paused)
{
	stream_pause(st);
	stream_deadline(st, 20);
	ck_assert_int_eq(write(far_end, "x", 1), 1);
	loop_run(loop);
	ck_assert_int_eq(ntimeouts, 1);
	ck_assert_uint_eq(got.len, 0);
	stream_resume(st);
	loop_run(loop);
	ck_assert_uint_eq(got.len, 1);
}

END_TEST

START_TEST(far_end_does_not_read)
{
	static char big[4 << 20], room[65536];
	size_t sum = 0;

	stream_write(st, big, sizeof(big));
	stream_deadline(st, 20);
	loop_run(loop);
	ck_assert_int_eq(ntimeouts, 1);
	ck_assert_uint_gt(stream_unsent(st), 0);
	while (sum < sizeof(big)) {
		ssize_t n = read(far_end, room, sizeof(room));
		if (n > 0) {
			sum += (size_t)n;
			continue;
		}
		ck_assert_int_eq(n, -1);
		stream_deadline(st, 5);
		loop_run(loop);
	}
	if (ndrained == 0)
		loop_run(loop);
	ck_assert_int_eq(ndrained, 1);
	ck_assert_uint_eq(stream_unsent(st), 0);
}

END_TEST

/* A peer ends its side, takes nothing, and goes: what was to leave cannot, and
 * must not be tried for ever. */
START_TEST(an_error_after_the_end)
{
	static char big[4 << 20];

	ck_assert_int_eq(shutdown(far_end, SHUT_WR), 0);
	loop_run(loop);
	ck_assert_int_eq(nends, 1);
	ck_assert_int_eq(last_error, 0);
	stream_write(st, big, sizeof(big));
	stream_deadline(st, 20);
	loop_run(loop);
	ck_assert_uint_gt(stream_unsent(st), 0);
	close(far_end);
	stream_deadline(st, 20);
	loop_run(loop);
	ck_assert_uint_eq(stream_unsent(st), 0);
	ck_assert_int_eq(nends, 1);
}

END_TEST

START_TEST(the_end_comes_once)
{
	ck_assert_int_eq(write(far_end, "x", 1), 1);
	close(far_end);
	loop_run(loop);
	if (nends == 0)
		loop_run(loop);
	ck_assert_uint_eq(got.len, 1);
	ck_assert_int_eq(nends, 1);
	ck_assert_int_eq(last_error, 0);
	stream_write(st, "late", 4);
	stream_close(&st);
	ck_assert_ptr_null(st);
}

END_TEST

static size_t
take_or_leave(void *ctx, struct str in)
{
	(void)ctx;
	buf_add(&got, in.p, take_at_once);
	loop_stop(loop);
	return take_at_once;
}

static void
on_end_of_all(void *ctx, int error)
{
	ck_assert(str_eq(buf_str(&got), STR("quit")));
	on_end(ctx, error);
}

static size_t
now_take_it(void *ctx, struct str in)
{
	(void)ctx;
	take_at_once = 4;
	stream_resume(st);
	return in.len;
}

/* Its owner could not take it before: something else had to come first, and
 * comes in the same round as the end. */
START_TEST(what_came_before_the_end)
{
	static const struct stream_ops waiting = { take_or_leave, NULL,
		on_timeout, on_end_of_all, NULL },
				       first = { now_take_it, NULL, on_timeout,
					       on_end, NULL };
	struct stream *other;
	int fds[2], others[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, others), 0);
	st = stream_new(loop, fds[0], false, &waiting, NULL);
	other = stream_new(loop, others[0], false, &first, NULL);
	take_at_once = 0;
	ck_assert_int_eq(write(fds[1], "quit", 4), 4);
	loop_run(loop);
	ck_assert_uint_eq(stream_unread(st), 4);
	shutdown(fds[1], SHUT_WR);
	ck_assert_int_eq(write(others[1], "x", 1), 1);
	while (nends == 0)
		loop_run(loop);
	ck_assert_int_eq(nends, 1);
	stream_close(&other);
	close(fds[1]);
	close(others[1]);
}

END_TEST

START_TEST(last_words_leave)
{
	char room[8];

	stream_write(st, "421", 3);
	stream_close(&st);
	ck_assert_int_eq(read(far_end, room, sizeof(room)), 3);
	ck_assert_int_eq(read(far_end, room, sizeof(room)), 0);
}

END_TEST

START_TEST(a_deadline_moves)
{
	stream_deadline(st, 10);
	stream_deadline(st, 40);
	uint64_t start = loop_now_ms(loop);
	loop_run(loop);
	ck_assert_int_eq(ntimeouts, 1);
	ck_assert_uint_ge(loop_now_ms(loop) - start, 38);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("stream");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, in_small_bites);
	tcase_add_test(c, secret);
	tcase_add_test(c, paused);
	tcase_add_test(c, far_end_does_not_read);
	tcase_add_test(c, an_error_after_the_end);
	tcase_add_test(c, the_end_comes_once);
	tcase_add_test(c, what_came_before_the_end);
	tcase_add_test(c, last_words_leave);
	tcase_add_test(c, a_deadline_moves);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
