/* Questions to the dialer: each is called back once, whatever happens. */
#include <fcntl.h>

#include "milters/client/from_dialer.h"
#include "tests/unit/client/chain_world.h"

static struct {
	int n;
	int fd;
	bool ours;
	char why[256];
} got;

static void
on_dialed(void *ctx, const struct dialed *d)
{
	ck_assert_ptr_eq(ctx, &got);
	got.n++;
	got.fd = d->fd;
	got.ours = d->ours;
	strlcpy(got.why, d->why != NULL ? d->why : "", sizeof(got.why));
}

static struct dial *
begin(void)
{
	struct dial *d;

	memset(&got, 0, sizeof(got));
	d = dial_begin(w.loop, milter('a'), 0, on_dialed, &got);
	ck_assert_int_eq(got.n, 0);
	return d;
}

static bool
is_called(void)
{
	return got.n > 0;
}

/* The loop has nothing to say any more: a connection made meanwhile is
 * there. */
static bool
b_has_one(void)
{
	return filter('b')->connections > 0;
}

static void
ignore(void *ctx, const struct dialed *d)
{
	(void)ctx;
	if (d->fd >= 0)
		close(d->fd);
}

START_TEST(connected)
{
	begin();
	run_until(is_called);
	ck_assert_int_ge(got.fd, 0);
	ck_assert_int_ne(fcntl(got.fd, F_GETFD) & FD_CLOEXEC, 0);
	close(got.fd);
}

END_TEST

START_TEST(not_connected)
{
	filter('a')->refuse[0] = "permission denied";
	begin();
	run_until(is_called);
	ck_assert_int_eq(got.fd, -1);
	ck_assert_str_eq(got.why, "permission denied");
	ck_assert(!got.ours);
}

END_TEST

/* It waits for the first dialer, or the next. */
START_TEST(nobody_there)
{
	milters_clear();
	begin();
	loop_settle(w.loop);
	ck_assert_int_eq(got.n, 0);
	dialer_start();
	run_until(is_called);
	ck_assert_int_ge(got.fd, 0);
	close(got.fd);
	milters_set_config(w.loop, w.config, 1);
}

END_TEST

static bool
dialer_is_gone(void)
{
	return !from_dialer_is_there();
}

static bool
dialer_was_asked(void)
{
	return filter('a')->dials > 0;
}

/* It dies with the question: before its successor is there, or after. */
START_TEST(it_dies)
{
	filter('a')->silent_dial = true;
	begin();
	if (_i == 0)
		channel_free(&w.dialer);
	else if (_i == 1)
		milters_clear();
	if (_i < 2) {
		run_until(dialer_is_gone);
		loop_settle(w.loop);
		ck_assert_int_eq(got.n, 0);
	}
	filter('a')->silent_dial = false;
	dialer_start();
	run_until(is_called);
	ck_assert_int_eq(got.n, 1);
	ck_assert_int_ge(got.fd, 0);
	close(got.fd);
	milters_set_config(w.loop, w.config, 1);
}

END_TEST

/* What kills one dialer after the other is not passed on for ever. */
START_TEST(two_die)
{
	filter('a')->silent_dial = true;
	begin();
	dialer_start();
	run_until(dialer_was_asked);
	ck_assert_int_eq(got.n, 0);
	channel_free(&w.dialer);
	run_until(is_called);
	ck_assert_int_eq(got.n, 1);
	ck_assert_int_eq(got.fd, -1);
	ck_assert(got.ours);
}

END_TEST

/* The answer of the one that was given up is dropped, its socket closed: the
 * teardown waits for the filter to see that. */
START_TEST(given_up)
{
	struct dial *d, *other;

	if (_i == 1)
		milters_clear();
	d = begin();
	dial_cancel(&d);
	ck_assert_ptr_null(d);
	dial_cancel(&d);
	dialer_start();
	if (_i == 2) {
		d = begin();
		dialer_start(); /* it was for the old one */
		dial_cancel(&d);
	}
	other = dial_begin(w.loop, milter('b'), 0, ignore, NULL);
	ck_assert_ptr_nonnull(other);
	run_until(b_has_one);
	run_until(is_quiet);
	ck_assert_int_eq(got.n, 0);
	milters_set_config(w.loop, w.config, 1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("dial");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, connected);
	tcase_add_test(c, not_connected);
	tcase_add_test(c, nobody_there);
	tcase_add_loop_test(c, it_dies, 0, 3);
	tcase_add_test(c, two_die);
	tcase_add_loop_test(c, given_up, 0, 3);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
