/*
 * Filters with any answers and any failures, in sets of any shape, over
 * sessions of several messages. What is held against them is a model of a few
 * lines: the first step with a refusal ends the round, the strictest of the
 * step counts, whatever came before.
 */
#include "tests/unit/client/chain_world.h"

enum { SESSIONS = 40 };

static uint64_t seed;

static uint32_t
draw(uint32_t n)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(seed >> 33) % n;
}

static const char *const sets[] = { "a", "ab", "abcd", "{ab}", "{abcd}",
	"a{bc}d", "{ab}{cd}", "dcba", "{ca}b" };

static const struct {
	const char *reply;
	enum milter_verdict verdict; /* at MILTER_CONTENT; END: it fails */
} replies[] = {
	{ "c", MILTER_CONTINUE },
	{ "a", MILTER_CONTINUE },
	{ "h X-Y=1|c", MILTER_CONTINUE },
	{ "q odd|c", MILTER_QUARANTINE },
	{ "d", MILTER_DISCARD },
	{ "t", MILTER_TEMPFAIL },
	{ "y 451 4.7.1 later", MILTER_TEMPFAIL },
	{ "r", MILTER_REJECT },
	{ "h X-Y=1|end", MILTER_SHUTDOWN },
	{ "z", MILTER_SHUTDOWN },
};

enum { REPLIES = sizeof(replies) / sizeof(replies[0]), WELL = 8, COMMANDS = 7 };

static const char commands[COMMANDS + 1] = "CHMRTLN";

static const enum milter_verdict failed[] = {
	[MILTER_FAIL_TEMPFAIL] = MILTER_TEMPFAIL,
	[MILTER_FAIL_ACCEPT] = MILTER_CONTINUE,
	[MILTER_FAIL_REJECT] = MILTER_REJECT,
	[MILTER_FAIL_QUARANTINE] = MILTER_QUARANTINE,
	[MILTER_FAIL_DISCONNECT] = MILTER_SHUTDOWN,
};

static enum milter_verdict drawn[FILTERS];

static void
draw_replies(void)
{
	for (uint32_t i = 0; i < FILTERS; i++) {
		uint32_t n = draw(REPLIES);
		enum milter_failure f =
		    (enum milter_failure)draw(MILTER_FAIL_DISCONNECT + 1);
		w.filters[i].reply['E'] = replies[n].reply;
		w.config->milters[i].on_failure = f;
		w.config->milters[i].failures = UINT32_MAX;
		drawn[i] = n < WELL ? replies[n].verdict : failed[f];
	}
}

static enum milter_verdict
model(const struct milter_set *s)
{
	enum milter_verdict v = MILTER_CONTINUE;

	for (size_t i = 0; i < s->n; i++) {
		enum milter_verdict one = drawn[s->members[i].milter->id];
		bool new_step =
		    i > 0 && s->members[i].step != s->members[i - 1].step;
		if (new_step && v >= MILTER_DISCARD)
			break;
		v = one > v ? one : v;
	}
	return v;
}

static void
forget_logs(void)
{
	w.nevents = 0;
	for (int i = 0; i < FILTERS; i++)
		w.filters[i].log[0] = '\0';
}

/* All filters are well until the content. */
START_TEST(content)
{
	seed = (uint64_t)_i;
	for (int n = 0; n < SESSIONS; n++) {
		const struct milter_set *s =
		    set_of(sets[draw(sizeof(sets) / sizeof(sets[0]))]);
		enum milter_verdict v = MILTER_CONTINUE;
		session_start(s);
		for (int k = 0; k < 5 && v != MILTER_SHUTDOWN; k++) {
			forget_logs();
			draw_replies();
			v = message();
			ck_assert_int_eq(v, model(s));
			milters_end_message(w.m);
		}
		milters_free(&w.m);
		w.config->nmilter_sets = 0;
	}
}

END_TEST

static const char *
any_reply(void)
{
	static const char *const any[] = { NULL, NULL, NULL, NULL, "a", "d",
		"t", "r", "y 550 5.7.1 no", "y 421 4.7.1 bye", "end", "z",
		"c|c", "y 999 no" };

	return any[draw(sizeof(any) / sizeof(any[0]))];
}

static void
draw_all(void)
{
	draw_replies();
	for (uint32_t i = 0; i < FILTERS; i++) {
		struct filter *f = &w.filters[i];
		for (int k = 0; k < COMMANDS; k++)
			f->reply[(unsigned char)commands[k]] =
			    draw(3) == 0 ? any_reply() : NULL;
		f->refuse[0] = draw(20) == 0 ? "refused" : NULL;
		w.config->milters[i].shadow = draw(4) == 0;
		if (draw(10) == 0)
			filter_restart(f);
	}
}

/* A session as smtpd leads it; each question has its one answer (asked sees
 * to that), and nothing is left behind (teardown does). */
static void
any_session(void)
{
	static const enum milter_stage steps[] = { MILTER_HELO, MILTER_MAIL,
		MILTER_RCPT, MILTER_RCPT, MILTER_DATA };
	enum milter_verdict v = MILTER_CONTINUE;

	if (draw(4) != 0)
		v = ask(MILTER_CONNECT);
	for (int k = 0; k < 4 && v != MILTER_SHUTDOWN; k++) {
		forget_logs();
		draw_all();
		for (size_t i = 0; i < 5 && v != MILTER_SHUTDOWN; i++) {
			v = ask(steps[i]);
			if (i == 1 && draw(4) == 0)
				milters_choose(
				    w.m, set_of(sets[draw(5)]), false);
		}
		if (v == MILTER_CONTINUE && draw(8) != 0) {
			v = filter_mail(HEADER, "b\r\n");
			if (v <= MILTER_QUARANTINE)
				milters_result(w.m);
		}
		if (v != MILTER_SHUTDOWN)
			milters_end_message(w.m);
		w.config->nmilter_sets = 1;
	}
}

START_TEST(everything)
{
	seed = (uint64_t)_i + 1000;
	for (int n = 0; n < SESSIONS; n++) {
		draw_all();
		session_start(
		    set_of(sets[draw(sizeof(sets) / sizeof(sets[0]))]));
		any_session();
		milters_free(&w.m);
		w.config->nmilter_sets = 0;
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("chain_random");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, content, 0, 20);
	tcase_add_loop_test(c, everything, 0, 40);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failures = srunner_ntests_failed(r);
	srunner_free(r);
	return failures == 0 ? 0 : 1;
}
