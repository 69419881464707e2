/* What is known of filters: balancing, fail-over, the breaker, limits, what a
 * reload keeps. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "milters/client/health.h"

static struct config *config;
static struct milter *m; /* the first of config */
static const char *why;

static struct config *
make(const char *name, size_t nsockets)
{
	struct config *c = config_new();

	c->milters = xcalloc(1, sizeof(*c->milters));
	c->nmilters = 1;
	c->milters[0].name = xstrdup(name);
	c->milters[0].connections = 100;
	c->milters[0].failures = 3;
	c->milters[0].rest = 600000;
	for (size_t i = 0; i < nsockets; i++) {
		char text[2] = { (char)('0' + i), '\0' };
		c->milters[0].sockets[i].text = xstrdup(text);
	}
	c->milters[0].nsockets = nsockets;
	return c;
}

static void
use(const char *name, size_t nsockets, uint32_t share)
{
	config_unref(&config);
	config = make(name, nsockets);
	m = &config->milters[0];
	milters_set_config(NULL, config, share);
}

static void
setup(void)
{
	use("f", 3, 1);
}

static void
teardown(void)
{
	milters_clear();
	config_unref(&config);
}

static struct hold *
hold(void)
{
	return health_hold(health_find(m), m, &why);
}

static struct milter_report
report(void)
{
	struct milter_report r;

	health_report(m, &r);
	return r;
}

static void
fail_times(int n)
{
	for (int i = 0; i < n; i++) {
		struct hold *h = hold();
		ck_assert_ptr_nonnull(h);
		health_bad(h, "broken");
		health_release(&h);
	}
}

START_TEST(sessions_are_spread)
{
	struct hold *h[9];
	uint32_t seen;

	for (int i = 0; i < 9; i++)
		h[i] = hold();
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(report().sockets[i].sessions, 3);
	/* Where two went there is room for two. */
	seen = hold_socket(h[0]);
	for (int i = 1, n = 0; i < 9 && n < 2; i++) {
		if (hold_socket(h[i]) != seen)
			continue;
		health_release(&h[i]);
		n++;
	}
	for (int i = 1; i < 9; i++) {
		if (h[i] == NULL) {
			h[i] = hold();
			ck_assert_uint_eq(hold_socket(h[i]), seen);
		}
	}
	for (int i = 0; i < 9; i++)
		health_release(&h[i]);
	ck_assert_uint_eq(report().sessions, 0);
	ck_assert_uint_eq(report().connections, 11);
}

END_TEST

START_TEST(each_socket_is_tried_once)
{
	struct hold *h = hold();
	uint32_t tried = 1U << hold_socket(h);

	for (int i = 0; i < 2; i++) {
		health_bad(h, "refused");
		ck_assert(health_next(h));
		ck_assert_uint_eq(tried & 1U << hold_socket(h), 0);
		tried |= 1U << hold_socket(h);
	}
	ck_assert(!health_next(h));
	ck_assert_uint_eq(report().sessions, 1);
	health_release(&h);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(report().sockets[i].sessions, 0);
}

END_TEST

START_TEST(a_socket_rests)
{
	struct hold *h;
	uint32_t down;

	m->failures = 1;
	h = hold();
	down = hold_socket(h);
	health_bad(h, "refused");
	health_release(&h);
	ck_assert_int_eq(report().sockets[down].state, MILTER_RESTING);
	ck_assert_int_eq(report().state, MILTER_UP);
	for (int i = 0; i < 6; i++) {
		h = hold();
		ck_assert_uint_ne(hold_socket(h), down);
		health_release(&h);
	}
}

END_TEST

START_TEST(failures_in_a_row)
{
	struct hold *h;

	use("one", 1, 1);
	fail_times(2);
	ck_assert_int_eq(report().state, MILTER_UP);
	/* That it answers is not enough. */
	h = hold();
	health_good(h, 6, 1, 2);
	health_release(&h);
	ck_assert_int_eq(report().state, MILTER_UP);
	fail_times(1);
	ck_assert_int_eq(report().state, MILTER_RESTING);
	ck_assert_ptr_null(hold());
	ck_assert_str_eq(why, "it rests after failures");
	ck_assert_uint_eq(report().skipped, 1);
	ck_assert_uint_eq(report().failures, 3);
	ck_assert_uint_eq(report().version, 6);
	ck_assert_str_eq(report().sockets[0].fault, "broken");
}

END_TEST

START_TEST(a_whole_message_is)
{
	struct hold *h;

	use("one", 1, 1);
	fail_times(2);
	h = hold();
	health_good(h, 6, 1, 2);
	health_proved(h);
	health_release(&h);
	fail_times(2);
	ck_assert_int_eq(report().state, MILTER_UP);
	fail_times(1);
	ck_assert_int_eq(report().state, MILTER_RESTING);
}

END_TEST

START_TEST(one_probes)
{
	struct hold *probe, *h;

	use("one", 1, 1);
	m->rest = 0;
	h = hold(); /* from before it went down */
	fail_times(3);
	ck_assert_int_eq(report().state, MILTER_PROBING);
	probe = hold();
	ck_assert_ptr_nonnull(probe);
	ck_assert_ptr_null(hold());
	/* What the old connection does says nothing of the new ones. */
	health_good(h, 6, 0, 0);
	ck_assert_int_eq(report().state, MILTER_PROBING);
	m->rest = 600000;
	health_bad(h, "old");
	ck_assert_int_eq(report().state, MILTER_PROBING);
	health_release(&h);
	ck_assert_ptr_null(hold());
	/* Given up without a word: the next one may try. */
	health_release(&probe);
	probe = hold();
	ck_assert_ptr_nonnull(probe);
	health_good(probe, 6, 0, 0);
	ck_assert_int_eq(report().state, MILTER_UP);
	h = hold();
	ck_assert_ptr_nonnull(h);
	/* Not through a message yet: one more failure is enough. */
	health_bad(h, "again");
	ck_assert_int_eq(report().state, MILTER_RESTING);
	health_release(&h);
	health_release(&probe);
}

END_TEST

/* However well those do that were there before: who rests is judged by the
 * probe. */
START_TEST(a_probe_fails_beside_others)
{
	struct hold *h, *old;

	use("one", 1, 1);
	old = hold();
	m->rest = 0;
	fail_times(3);
	health_proved(old);
	h = hold();
	m->rest = 600000;
	health_bad(h, "still");
	health_release(&h);
	ck_assert_int_eq(report().state, MILTER_RESTING);
	ck_assert_ptr_null(hold());
	health_release(&old);
}

END_TEST

START_TEST(a_probe_that_fails)
{
	struct hold *h;

	use("one", 1, 1);
	m->rest = 0;
	fail_times(3);
	h = hold();
	m->rest = 600000;
	health_bad(h, "still");
	health_release(&h);
	ck_assert_int_eq(report().state, MILTER_RESTING);
	ck_assert_ptr_null(hold());
}

END_TEST

START_TEST(limits)
{
	static const struct {
		uint32_t connections, share;
		uint32_t room, known; /* sessions, for all and for known ones */
	} cases[] = {
		{ 100, 1, 90, 100 },
		{ 100, 4, 23, 25 },
		{ 5, 1, 4, 5 },
		{ 4, 8, 1, 1 },
		{ 1, 1, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hold *h[101];
		uint32_t n, room = 0, known = 0;
		use("f", 2, cases[i].share);
		m->connections = cases[i].connections;
		for (n = 0; n <= 100; n++) {
			room += health_has_room(m, false);
			known += health_has_room(m, true);
			if ((h[n] = hold()) == NULL)
				break;
		}
		ck_assert_uint_eq(room, cases[i].room);
		ck_assert_uint_eq(known, cases[i].known);
		ck_assert_uint_eq(n, cases[i].known);
		ck_assert_str_eq(why, "all its connections are in use");
		while (n > 0)
			health_release(&h[--n]);
	}
	ck_assert_uint_eq(report().skipped, 0);
}

END_TEST

START_TEST(what_a_reload_keeps)
{
	struct config *old = config_ref(config);
	const struct milter *before = m;
	struct hold *h = health_hold(health_find(m), m, &why);
	uint32_t on = hold_socket(h);

	health_verdict(health_find(m), MILTER_REJECT);
	fail_times(1);
	use("f", 1, 1);
	ck_assert_uint_eq(report().verdicts[MILTER_REJECT], 1);
	ck_assert_uint_eq(report().failures, 1);
	ck_assert_uint_eq(report().sessions, 1);
	ck_assert_uint_eq(report().nsockets, 1);
	/* The old connection goes on, on a socket that is gone perhaps. */
	health_bad(h, "late");
	ck_assert_uint_eq(report().failures, 2);
	ck_assert_uint_eq(hold_socket(h), on);

	use("g", 1, 1);
	ck_assert_uint_eq(report().failures, 0);
	health_release(&h);
	/* Known again for who has the old one still. */
	h = health_hold(health_find(before), before, &why);
	ck_assert_ptr_nonnull(h);
	health_release(&h);
	config_unref(&old);

	/* Gone with the next reload: it begins anew. */
	use("g", 1, 1);
	use("f", 1, 1);
	ck_assert_uint_eq(report().failures, 0);
}

END_TEST

static int nreports;

static void
on_report(void *ctx, const struct milter_report *r)
{
	ck_assert_ptr_eq(ctx, &nreports);
	ck_assert_str_eq(r->milter->name, "f");
	ck_assert_uint_eq(r->nsockets, 3);
	ck_assert_str_eq(r->sockets[2].text, "2");
	ck_assert_uint_eq(r->latency[MILTER_RCPT].n[0], 1);
	ck_assert_uint_eq(
	    r->latency[MILTER_RCPT].n[MILTER_LATENCY_BUCKETS - 1], 1);
	ck_assert_uint_eq(r->edits, 3);
	ck_assert_uint_eq(r->compared, 2);
	ck_assert_uint_eq(r->differed, 1);
	nreports++;
}

START_TEST(reports)
{
	struct health *h = health_find(m);

	nreports = 0;
	health_took(h, MILTER_RCPT, 0);
	health_took(h, MILTER_RCPT, UINT64_MAX);
	health_edits(h, 3);
	health_compared(h, true);
	health_compared(h, false);
	milters_report(on_report, &nreports);
	ck_assert_int_eq(nreports, 1);
	for (unsigned int i = 1; i < MILTER_LATENCY_BUCKETS; i++)
		ck_assert_uint_gt(milter_bucket_us(i), milter_bucket_us(i - 1));
	for (int s = 0; s < MILTER_STAGES; s++)
		ck_assert_ptr_nonnull(milter_stage_name((enum milter_stage)s));
	for (int v = 0; v <= MILTER_SHUTDOWN; v++)
		ck_assert_ptr_nonnull(
		    milter_verdict_name((enum milter_verdict)v));
	milters_clear();
	milters_report(on_report, &nreports);
	ck_assert_int_eq(nreports, 1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("health");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, sessions_are_spread);
	tcase_add_test(c, each_socket_is_tried_once);
	tcase_add_test(c, a_socket_rests);
	tcase_add_test(c, failures_in_a_row);
	tcase_add_test(c, a_whole_message_is);
	tcase_add_test(c, one_probes);
	tcase_add_test(c, a_probe_that_fails);
	tcase_add_test(c, a_probe_fails_beside_others);
	tcase_add_test(c, limits);
	tcase_add_test(c, what_a_reload_keeps);
	tcase_add_test(c, reports);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
