/* What control is told of recordings: of one session, and line by line of
 * those that go on; to those who read slowly, too. */
#include "edges/control_all.h"
#include "smtpd/follow.h"
#include "smtpd/from_control.h"
#include "tests/unit/smtpd/recorded.h"

enum { ASKED_MAX = 100 };

/* Control's end, and what came there for each question. */
static struct channel *control;

static struct asked {
	uint64_t id;
	uint64_t nlines, nsessions, nlost;
	int code; /* of the answer; -1: none yet */
	char text[513];
	struct buf lines;
} asked[ASKED_MAX];

static size_t nasked;

static struct asked *
find(uint64_t id)
{
	for (size_t i = 0; i < nasked; i++)
		if (asked[i].id == id)
			return &asked[i];
	abort();
}

static void
on_line(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_line *m = msg;
	struct asked *a = find(id);
	unsigned long long n;

	(void)ctx, (void)ch;
	ck_assert_uint_gt(m->when_ms, 1600000000000);
	a->nlines++;
	buf_add_str(&a->lines, m->text);
	buf_add_char(&a->lines, '\n');
	if (m->way == LINE_NOTE && m->session.len == 0) {
		ck_assert_int_eq(
		    sscanf(m->text.p, "%llu lines were lost", &n), 1);
		a->nlost += n;
	} else
		ck_assert(str_eq(m->client, STR("192.0.2.1")) ||
			  str_eq(m->client, STR("192.0.2.77")) ||
			  str_eq(m->client, STR("local")));
}

static void
on_session(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch, (void)msg;
	find(id)->nsessions++;
}

static const struct handler handlers[] = { { TYPE_row_line, on_line },
	{ TYPE_row_session, on_session }, { 0, NULL } };

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx, (void)ch;
	channel_free(&control);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_done *m = msg;
	struct asked *a = ctx;

	if (fault != NULL)
		return;
	ck_assert_uint_eq(type, TYPE_answer_done);
	a->code = m->code;
	copy(a->text, sizeof(a->text), m->text);
}

static struct asked *
ask(uint16_t type, const void *msg)
{
	struct asked *a = &asked[nasked++];

	ck_assert_uint_le(nasked, ASKED_MAX);
	a->code = -1;
	buf_init(&a->lines, 64 << 20);
	a->id = channel_ask(control, type, msg, on_answer, a);
	return a;
}

static struct asked *
follow(const char *network)
{
	struct ask_follow m = { .network = str_of(network), .uid = 1234 };
	struct asked *a = ask(TYPE_ask_follow, &m);

	harness_settle(&h);
	return a;
}

static struct asked *
ask_session(const char *id)
{
	struct ask_session m = { .session = str_of(id) };

	return ask(TYPE_ask_session, &m);
}

static const char *
lines_of(struct asked *a)
{
	buf_add_char(&a->lines, '\0');
	a->lines.len--;
	return a->lines.p;
}

static void
connect_control(void)
{
	int sv[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	control = channel_new(h.loop, sv[1], &control_all_edge, EDGE_A,
	    handlers, on_closed, NULL);
	from_control_start(h.loop, sv[0]);
}

static void
follow_setup(void)
{
	setup();
	accept_all();
	h.config->limits.junk_commands = 100000;
	connect_control();
	memset(asked, 0, sizeof(asked));
	nasked = 0;
}

static void
follow_teardown(void)
{
	from_control_stop();
	ck_assert(!follow_is_on());
	channel_free(&control);
	harness_settle(&h);
	teardown();
	recorder_clear();
	buf_clear(&recorded);
	for (size_t i = 0; i < nasked; i++)
		buf_clear(&asked[i].lines);
}

/* --- one session --- */

START_TEST(one_session)
{
	struct asked *a, *b, *c, *d;

	begin();
	TALK("BANANA\r\n", "500");
	live();
	a = ask_session(last_id);
	b = ask_session("0000000000000000");
	c = ask_session("");
	harness_settle(&h);
	ck_assert_int_eq(a->code, ANSWER_OK);
	ck_assert_uint_eq(a->nsessions, 1);
	ends_with(lines_of(a), "BANANA\n500 5.5.2 Command not recognized\n");
	ck_assert_int_eq(b->code, ANSWER_NOT_FOUND);
	ck_assert_int_eq(c->code, ANSWER_NOT_FOUND);
	harness_hang_up(&h);
	d = ask_session(last_id);
	harness_settle(&h);
	ck_assert_int_eq(d->code, ANSWER_OK);
	ck_assert_uint_eq(d->nsessions, 0);
	ck_assert_uint_eq(d->nlines, a->nlines + 1);
	ends_with(lines_of(d), "ended: closed\n");
}

END_TEST

/* As many at once as the channel does not hold: the later wait for room. */
START_TEST(many_of_them)
{
	char text[2000];

	begin();
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "NOOP %0400d\r\n", i);
		TALK(text, "250");
	}
	live();
	channel_pause(control);
	for (size_t i = 0; i < ASKED_MAX; i++)
		ask_session(last_id);
	harness_settle(&h);
	harness_settle(&h);
	channel_resume(control);
	while (asked[ASKED_MAX - 1].code == -1)
		harness_settle(&h);
	for (size_t i = 0; i < ASKED_MAX; i++) {
		ck_assert_int_eq(asked[i].code, ANSWER_OK);
		ck_assert_uint_eq(asked[i].nlines, asked[0].nlines);
	}
	/* Control goes while some wait. */
	channel_pause(control);
	for (size_t i = 0; i < ASKED_MAX; i++) {
		struct ask_session m = { .session = str_of(last_id) };

		channel_ask(
		    control, TYPE_ask_session, &m, on_answer, &asked[0]);
	}
	harness_settle(&h);
	channel_free(&control);
	harness_settle(&h);
}

END_TEST

/* --- following --- */

START_TEST(who_follows_whom)
{
	struct asked *all = follow("0.0.0.0/0"), *one = follow("192.0.2.77");
	struct asked *six = follow("::/0"), *local = follow("local");

	begin();
	TALK("NOOP\r\n", "250");
	harness_settle(&h);
	ends_with(lines_of(all), "NOOP\n250 2.0.0 Ok\n");
	ck_assert(str_starts_nocase(
	    buf_str(&all->lines), STR("connected to 192.0.2.25:25\n220 ")));
	ck_assert_uint_eq(one->nlines, 0);
	harness_hang_up(&h);
	harness_settle(&h);
	ends_with(lines_of(all), "ended: closed\n");
	h.from = "192.0.2.77";
	begin();
	TALK("QUIT\r\n", "221 EOF");
	harness_hang_up(&h);
	ends_with(lines_of(one), "QUIT\n221 2.0.0 Bye\nended: quit\n");
	ends_with(lines_of(all), "QUIT\n221 2.0.0 Bye\nended: quit\n");
	ck_assert_uint_eq(local->nlines, 0);
	harness_connect_to(&h, 1, NULL);
	harness_replies(&h, 1);
	harness_settle(&h);
	ck_assert_uint_eq(local->nlines, 2);
	ck_assert_uint_eq(six->nlines, 0);
	for (size_t i = 0; i < nasked; i++)
		ck_assert_int_eq(asked[i].code, -1);
}

END_TEST

START_TEST(it_ends)
{
	struct asked *a = follow("192.0.2.1"), *b = follow("192.0.2.0/24");
	uint64_t n;

	begin();
	harness_settle(&h);
	n = a->nlines;
	ck_assert_uint_gt(n, 0);
	channel_cancel(control, a->id);
	channel_tell(
	    control, TYPE_tell_cancel, &(struct tell_cancel){ 0 }, a->id);
	/* Of a question that there is none of. */
	channel_tell(
	    control, TYPE_tell_cancel, &(struct tell_cancel){ 0 }, 99999);
	harness_settle(&h);
	ck_assert(follow_is_on());
	TALK("NOOP\r\n", "250");
	harness_settle(&h);
	ck_assert_uint_eq(a->nlines, n);
	ck_assert_uint_eq(b->nlines, n + 2);
	/* Control dies; its successor knows nothing of them. */
	channel_free(&control);
	harness_settle(&h);
	ck_assert(!follow_is_on());
	TALK("NOOP\r\n", "250");
	connect_control();
	TALK("NOOP\r\n", "250");
	harness_settle(&h);
	ck_assert_uint_eq(b->nlines, n + 2);
	ck_assert_int_eq(b->code, -1);
}

END_TEST

START_TEST(networks)
{
	static const char *const bad[] = { "", "banana", "192.0.2.1/33",
		"192.0.2.1/24", "192.0.2.", "locally", "::1/129",
		"192.0.2.1 " };
	struct asked *a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a = follow(bad[i]);
		ck_assert_int_eq(a->code, ANSWER_REFUSED_IT);
		ck_assert_str_eq(a->text, "that is no address or network");
	}
	ck_assert(!follow_is_on());
	for (size_t i = 0; i < FOLLOWERS_MAX; i++)
		ck_assert_int_eq(follow("::1")->code, -1);
	a = follow("::1");
	ck_assert_int_eq(a->code, ANSWER_REFUSED_IT);
	ck_assert_str_eq(a->text, "too many follow already");
}

END_TEST

/* Every line is told, or counted as lost; the session goes on. */
START_TEST(who_does_not_read)
{
	struct asked *a = follow("192.0.2.1");
	uint64_t said = 0;
	char text[500];

	begin();
	harness_settle(&h);
	said = a->nlines;
	for (int round = 0; round < 3; round++) {
		channel_pause(control);
		for (int i = 0; i < 1500; i++, said += 2) {
			snprintf(text, sizeof(text), "NOOP %0400d\r\n", i);
			TALK(text, "250");
		}
		channel_resume(control);
		for (int i = 0; i < 200; i++)
			harness_settle(&h);
		ck_assert_uint_gt(a->nlost, 0);
		TALK("NOOP\r\n", "250");
		said += 2;
		harness_settle(&h);
		ends_with(lines_of(a), "NOOP\n250 2.0.0 Ok\n");
		/* What says that they were lost is a line more. */
		uint64_t notes = 0;

		for (const char *p = lines_of(a);
		     (p = strstr(p, "lines were lost")) != NULL; p++)
			notes++;
		ck_assert_uint_eq(a->nlines - notes + a->nlost, said);
	}
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { one_session, many_of_them,
		who_follows_whom, it_ends, networks, who_does_not_read };

	return run_tests_in("follow", tests, sizeof(tests) / sizeof(tests[0]),
	    follow_setup, follow_teardown);
}
