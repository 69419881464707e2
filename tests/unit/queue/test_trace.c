/* The ring of events, and what is asked of it. */
#include "queue/trace.h"
#include "tests/unit/queue/house.h"

static const char ID_A[] = "aaaaaaaaaaaaaaaa", ID_B[] = "bbbbbbbbbbbbbbbb";

static const char *
read_all(const struct trace *tr, const char *msgid)
{
	static char all[65536];
	uint64_t places[512];
	size_t n = trace_find(tr, str_of(msgid), places, 512), at = 0;
	struct buf text;
	struct trace_row row = { .text = &text };

	buf_init(&text, 1024);
	all[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(trace_get(tr, places[i], &row), 0);
		at +=
		    (size_t)snprintf(all + at, sizeof(all) - at, "%.*s %.*s\n",
			(int)row.event.len, row.event.p, (int)text.len, text.p);
	}
	buf_clear(&text);
	return all;
}

static void
add_told(struct trace *tr, const char *msgid, const char *text)
{
	struct trace_event ev = {
		.kind = TRACE_TOLD,
		.texts = { STR("milter"), str_of(text) },
	};

	trace_add(tr, msgid, &ev);
}

START_TEST(each_mail_has_its_own)
{
	struct trace *tr = trace_new(65536);
	struct trace_event ev = {
		.kind = TRACE_ACCEPTED,
		.texts = { STR(""), STR("192.0.2.1") },
		.numbers = { 2, 300 },
	};

	trace_add(tr, ID_A, &ev);
	add_told(tr, ID_B, "x=1");
	ev = (struct trace_event){ .kind = TRACE_DEFERRED,
		.texts = { STR("b@y"), STR("out"), STR(""), STR("451 x y") },
		.numbers = { 3 } };
	trace_add(tr, ID_A, &ev);
	ck_assert_str_eq(read_all(tr, ID_A),
	    "accepted from=<> client=192.0.2.1 nrcpt=2 size=300\n"
	    "deferred to=b@y action=out reply=\"451 x y\" attempts=3\n");
	ck_assert_str_eq(read_all(tr, ID_B), "milter x=1\n");
	ck_assert_str_eq(read_all(tr, "cccccccccccccccc"), "");
	ck_assert_str_eq(read_all(tr, "short"), "");
	trace_free(&tr);
}

END_TEST

/* Whatever its size, the latest are there, whole, and older ones are not. */
START_TEST(it_forgets_the_oldest)
{
	char text[300], want[320];

	for (size_t size = 1024; size < 1200; size += 8) {
		struct trace *tr = trace_new(size);

		for (unsigned int i = 0; i < 100; i++) {
			memset(text, 'a' + (int)(i % 26), sizeof(text));
			text[i * 7 % 290] = '\0';
			add_told(tr, i % 3 == 0 ? ID_B : ID_A, text);
			snprintf(want, sizeof(want), "milter %s\n", text);
			const char *all =
			    read_all(tr, i % 3 == 0 ? ID_B : ID_A);
			size_t n = strlen(all), len = strlen(want);

			ck_assert_uint_ge(n, len);
			ck_assert_str_eq(all + n - len, want);
			ck_assert_uint_le(n, size);
		}
		trace_free(&tr);
	}
}

END_TEST

START_TEST(long_texts_are_cut)
{
	struct trace *tr = trace_new(8192);
	char *text = xmalloc(70000);

	memset(text, 'x', 69999);
	text[69999] = '\0';
	add_told(tr, ID_A, text);
	add_told(tr, ID_A, "y");
	ck_assert_ptr_nonnull(strstr(read_all(tr, ID_A), "milter y\n"));
	trace_free(&tr);
	/* And into one that is too small nothing goes. */
	tr = trace_new(256);
	add_told(tr, ID_A, text);
	ck_assert_str_eq(read_all(tr, ID_A), "");
	trace_free(&tr);
	free(text);
}

END_TEST

/* --- asked for --- */

START_TEST(the_life_of_a_mail)
{
	new_agent(4);
	how.event = "filter=scan verdict=accept";
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_result(&t.got[0], 1, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 3 1 250 2.0.0 ok)(c@y 1 1 451 4.3.0 later)");
	change(CHANGE_HOLD);
	change(CHANGE_REMOVE);
	ck_assert_str_eq(trace(last_id),
	    "milter filter=scan verdict=accept\n"
	    "accepted from=a@x client=192.0.2.1 nrcpt=2 size=21\n"
	    "delivered to=b@y action=inside relay=127.0.0.1:2 "
	    "reply=\"250 2.0.0 ok\" attempts=1\n"
	    "deferred to=c@y action=inside relay=127.0.0.1:2 "
	    "reply=\"451 4.3.0 later\" attempts=1\n"
	    "held to=c@y reason=\"451 4.3.0 later\"\n"
	    "removed to=c@y\n");
}

END_TEST

START_TEST(of_the_filters_afterwards)
{
	struct tell_event m = {
		.when_ms = 1, .event = STR("milter"), .text = STR("filter=late")
	};

	how.start = START_UNFILTERED;
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	channel_tell(t.smtpd, TYPE_tell_event, &m, t.asked_id);
	/* Of nothing: nobody's. */
	channel_tell(t.smtpd, TYPE_tell_event, &m, 4711);
	tell_filtered(FILTERED_QUARANTINE, "smells", false);
	wait_shown("[a@x 3](b@y 6 0 smells)");
	ck_assert_str_eq(trace(last_id),
	    "accepted from=a@x client=192.0.2.1 nrcpt=1 size=21\n"
	    "filtering why=after-queue nrcpt=1\n"
	    "milter filter=late\n"
	    "filtered verdict=quarantine filter=scan reply=smells\n"
	    "quarantined to=b@y filter=scan reason=smells\n");
}

END_TEST

/* From before the start: what its record says. */
START_TEST(what_is_older_than_the_ring)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	change(CHANGE_HOLD);
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(trace(last_id),
	    "accepted from=a@x client=192.0.2.1 nrcpt=1 size=21\n"
	    "state to=b@y state=held action=inside attempts=0\n");
}

END_TEST

/* The ring has turned over it; it is one of the last that ended all the same,
 * though each of them said as much as it could. */
START_TEST(ten_thousand_later)
{
	enum { RCPTS = 40, BATCH = 250 };

	const char *to[2 * RCPTS + 1] = { NULL };
	char first[ID_LEN + 1], last[ID_LEN + 1], name[RCPTS][310], event[1000];

	send_mail("first@x", MAIL("b@y", "drop", "c@y", "drop"));
	wait_for(&t.naccepted, 1);
	memcpy(first, last_id, sizeof(first));
	wait_shown("");
	for (size_t i = 0; i < RCPTS; i++) {
		memset(name[i], 'l', sizeof(name[i]));
		snprintf(name[i] + 290, 20, "%zu@y", i);
		to[2 * i] = name[i];
		to[2 * i + 1] = "drop";
	}
	memset(event, 'e', sizeof(event));
	event[sizeof(event) - 1] = '\0';
	how.event = event;
	for (int i = 0; i < TRACE_ENDS - 1; i++) {
		send_mail("a@x", to);
		if (i % BATCH == 0)
			wait_for(&t.naccepted, i + 2);
	}
	wait_for(&t.naccepted, TRACE_ENDS);
	wait_shown("");
	memcpy(last, last_id, sizeof(last));
	ck_assert_str_eq(trace(first),
	    "accepted from=first@x client=192.0.2.1 nrcpt=2 size=21\n"
	    "ended to=b@y state=delivered action=drop relay=discard "
	    "reply=\"250 2.0.0 discarded\" attempts=1\n"
	    "ended to=c@y state=delivered action=drop relay=discard "
	    "reply=\"250 2.0.0 discarded\" attempts=1\n");
	ck_assert_ptr_nonnull(strstr(trace(last), "\ndelivered to="));
	how.event = NULL;
}

END_TEST

START_TEST(of_nothing)
{
	ck_assert_str_eq(trace("0000000000000000"), "");
	ck_assert_uint_eq(t.done.code, ANSWER_NOT_FOUND);
	ck_assert_str_eq(trace("x"), "");
	ck_assert_uint_eq(t.done.code, ANSWER_REFUSED_IT);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { each_mail_has_its_own,
		it_forgets_the_oldest, long_texts_are_cut, the_life_of_a_mail,
		of_the_filters_afterwards, what_is_older_than_the_ring,
		ten_thousand_later, of_nothing };

	return HOUSE_RUN("trace", tests);
}
