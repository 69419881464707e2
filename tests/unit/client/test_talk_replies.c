/* Every reply at every event, those that are legal and all the others, and
 * what the filter hears afterwards. */
#include "tests/unit/client/talk_owner.h"

/* --- what it may say --- */

struct said {
	const char *packet;
	size_t len;
	enum milter_verdict verdict;
};

static const struct said words[] = {
	{ BYTES("\0\0\0\1c"), MILTER_CONTINUE },
	{ BYTES("\0\0\0\1a"), MILTER_ACCEPT },
	{ BYTES("\0\0\0\1r"), MILTER_REJECT },
	{ BYTES("\0\0\0\1t"), MILTER_TEMPFAIL },
	{ BYTES("\0\0\0\x13y550 5.7.1 text No\0"), MILTER_REJECT },
	{ BYTES("\0\0\0\x13y451 4.7.1 text No\0"), MILTER_TEMPFAIL },
	{ BYTES("\0\0\0\x13y421 4.7.1 text No\0"), MILTER_SHUTDOWN },
	{ BYTES("\0\0\0\0014"), MILTER_SHUTDOWN },
	{ BYTES("\0\0\0\1d"), MILTER_DISCARD },
};

/* What the filter hears of a second MAIL, RCPT and content after it said its
 * word at an event: nothing that it would drop without a reply. */
static const struct {
	char event;
	enum milter_stage stage; /* whose answer it is */
	const char *after[9];    /* by words; NULL: not legal */
} table[] = {
	/* clang-format off */
	{ 'C', MILTER_CONNECT, { "M R T L L L N B E", "", "", "", "", "", "", "", NULL } },
	{ 'H', MILTER_HELO, { "M R T L L L N B E", "", "", "", "", "", "", "", NULL } },
	{ 'M', MILTER_MAIL, { "A M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "", "", "M R T L L L N B E" } },
	{ 'R', MILTER_RCPT, { "A M R T L L L N B E", "M R T L L L N B E", "A M R T L L L N B E", "A M R T L L L N B E", "A M R T L L L N B E", "A M R T L L L N B E", "", "", "A M R T L L L N B E" } },
	{ 'T', MILTER_DATA, { "A M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "", "", "M R T L L L N B E" } },
	{ 'L', MILTER_CONTENT, { "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "", "", "M R T L L L N B E" } },
	{ 'N', MILTER_CONTENT, { "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "", "", "M R T L L L N B E" } },
	{ 'B', MILTER_CONTENT, { "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "", "", "M R T L L L N B E" } },
	{ 'E', MILTER_CONTENT, { "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "M R T L L L N B E", "", "", "M R T L L L N B E" } },
	/* clang-format on */
};

START_TEST(test_every_word)
{
	const struct said *w = &words[_i % 9];
	char event = table[_i / 9].event;
	enum milter_stage stage = table[_i / 9].stage;
	const char *after = table[_i / 9].after[_i % 9];

	peer.brief = true;
	milter.lock_step = true;
	says(event, w->packet, w->len);
	for (int s = MILTER_CONNECT; s < (int)stage && s < MILTER_UNKNOWN; s++)
		ck_assert_int_eq(ask((enum milter_stage)s), MILTER_CONTINUE);
	ask(stage);
	if (after == NULL) {
		expect_fault("not legal");
		ck_assert(!got.lost);
		return;
	}
	ck_assert_str_eq(fault, "");
	ck_assert_int_eq(got.verdict, w->verdict);
	if (w->packet[4] == 'y') {
		ck_assert_mem_eq(reply, w->packet + 5, 9);
		ck_assert_ptr_nonnull(strstr(reply, "text No"));
	} else {
		ck_assert_ptr_null(got.reply);
	}
	/* The rest of this message is none of its business. */
	if (w->verdict != MILTER_CONTINUE && event != 'R' &&
	    stage != MILTER_CONTENT) {
		settle();
		heard();
		ck_assert(ask_at_once(MILTER_RCPT));
		ck_assert(ask_at_once(MILTER_DATA));
		ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
		settle();
		ck_assert_str_eq(heard(), "");
	}
	ck_assert_str_eq(second_message(), after);
}

END_TEST

START_TEST(test_unknown_command)
{
	static const enum milter_verdict verdicts[] = { MILTER_CONTINUE,
		MILTER_CONTINUE, MILTER_REJECT, MILTER_TEMPFAIL, MILTER_REJECT,
		MILTER_TEMPFAIL, MILTER_SHUTDOWN, MILTER_SHUTDOWN,
		MILTER_CONTINUE };

	for (int i = 0; i < 9; i++) {
		end();
		begin();
		peer.brief = true;
		upto(MILTER_HELO);
		says('U', words[i].packet, words[i].len);
		ck_assert_int_eq(ask(MILTER_UNKNOWN), verdicts[i]);
		ck_assert_str_eq(fault, "");
		heard();
		ck_assert_str_eq(second_message(),
		    verdicts[i] == MILTER_SHUTDOWN ? "" : "M R T L L L N B E");
		/* Never within a message. */
		ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
		settle();
		heard();
		ck_assert(ask_at_once(MILTER_UNKNOWN));
		settle();
		ck_assert_str_eq(heard(), "");
	}
}

END_TEST

/* Everything else that can come at each event. */
START_TEST(test_every_nonsense)
{
	static const char events[] = "CHMRTULNBE";

	static const struct {
		const char *packet;
		size_t len;
		const char *fault;
	} rows[] = {
		{ BYTES("\0\0\0\2cx"), "not empty" },
		{ BYTES("\0\0\0\2pp"), "not empty" },
		{ BYTES("\0\0\0\1f"), "not legal" },
		{ BYTES("\0\0\0\1l"), "not legal" },
		{ BYTES("\0\0\0\1O"), "not legal" },
		{ BYTES("\0\0\0\1s"), "not legal" }, /* was not agreed */
		{ BYTES("\0\0\0\1\0"), "reply 0 of 0 bytes" },
		{ BYTES("\0\0\0\1\xff"), "reply 0xff of 0 bytes" },
		{ BYTES("\0\0\0\1y"), "malformed text" },
		{ BYTES("\0\0\0\7y200 x\0"), "malformed text" },
		{ BYTES("\0\0\0\0"), "a packet of 0 bytes" },
		{ BYTES("\x80\0\0\0"), "a packet of 2147483648 bytes" },
		{ BYTES("\xff\xff\xff\xff"), "a packet of 4294967295 bytes" },
		{ BYTES("\0\0\0\1c\0\0\0\1c"), "more behind its last word" },
		{ BYTES("\0\0\0\1c\0"), "more behind its last word" },
	};

	size_t n = sizeof(rows) / sizeof(rows[0]);
	milter.lock_step = true;
	says(events[_i], BYTES(""));
	for (size_t i = 0; i < n; i++) {
		bool content = strchr("LNBE", events[_i]) != NULL;
		end();
		begin();
		says(events[_i], rows[i].packet, rows[i].len);
		for (int s = MILTER_CONNECT;
		     s <= MILTER_DATA && !talk_is_dead(talk); s++) {
			if (s == MILTER_MAIL && events[_i] == 'U')
				ask(MILTER_UNKNOWN);
			ask((enum milter_stage)s);
		}
		if (content)
			ask(MILTER_CONTENT);
		expect_fault(rows[i].fault);
		ck_assert(!got.lost);
	}
	/* Changes belong to the end. */
	if (events[_i] == 'E')
		return;
	for (const char *c = "hib+2-meq"; *c != '\0'; c++) {
		end();
		begin();
		says_one(events[_i], *c, "a\0b", 4);
		for (int s = MILTER_CONNECT;
		     s < MILTER_CONTENT && !talk_is_dead(talk); s++)
			if (s != MILTER_UNKNOWN)
				ask((enum milter_stage)s);
		if (!talk_is_dead(talk) && events[_i] == 'U')
			continue;
		if (!talk_is_dead(talk))
			ask(MILTER_CONTENT);
		expect_fault("not legal");
	}
}

END_TEST

START_TEST(test_bad_offers)
{
	static const struct {
		const char *packet;
		size_t len;
		const char *fault;
	} rows[] = {
		{ BYTES("\0\0\0\x9O\0\0\0\6\0\0\0\0"), "cut off" },
		{ BYTES("\0\0\0\rO\0\0\0\7\0\0\0\0\0\0\0\0"), "version 7" },
		{ BYTES("\0\0\0\rO\0\0\0\6\0\0\2\0\0\0\0\0"), "0x200" },
		{ BYTES("\0\0\0\rO\0\0\0\6\0\0\0\0\0\x20\0\0"), "0x200000" },
		{ BYTES("\0\0\0\1c"), "not legal" },
		{ BYTES("\0\0\0\1p"), "not legal" },
		{ BYTES("\0\0\0\0"), "a packet of 0 bytes" },
		{ BYTES("HTTP/1.1 400 Bad"), "a packet of 1213486160 bytes" },
		{ BYTES("\0\0\0\rO\0\0\0\6\0\0\0\0\0\0\0\0\0"), "more behind" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		end();
		begin();
		says('O', rows[i].packet, rows[i].len);
		/* With a question, and without. */
		if (i % 2 == 0) {
			ask(MILTER_CONNECT);
		} else {
			while (nlost == 0)
				loop_run(loop);
		}
		expect_fault(rows[i].fault);
		ck_assert_uint_eq(nlost + nanswers, 1);
	}
}

END_TEST

/* --- the end of the message --- */

START_TEST(test_edits_then_the_last_word)
{
	struct buf text;
	unsigned int v;

	says_nothing('E');
	says_also('E', 'p', "", 0);
	says_also('E', 'h', BYTES("X-A\0one\0"));
	says_also('E', 'b', BYTES("new "));
	says_also('E', 'p', "", 0);
	says_also('E', 'b', BYTES("body"));
	says_also('E', '+', BYTES("<x@y.test>\0"));
	says_also('E', 'a', "", 0);
	for (int how = 0; how < 4; how++) {
		struct buf saved;
		buf_init(&saved, 1000);
		if (how == 0) {
			buf_add_str(&saved, buf_str(&peer.replies['E']));
		} else {
			buf_add_str(&saved, buf_str(&peer.replies['E']));
			end();
			edits_free(&edits);
			edits =
			    edits_new(&headers, &mail, 1, &body_ops, new_body);
			begin();
			says('E', saved.p, saved.len);
		}
		peer.slowly = (how & 1) != 0;
		body_room = (how & 2) != 0 ? MILTER_WAIT : MILTER_ROOM;
		upto(MILTER_DATA);
		v = (unsigned int)ask(MILTER_CONTENT);
		ck_assert_str_eq(fault, "");
		ck_assert_uint_eq(v, MILTER_ACCEPT);
		buf_init(&text, 1000);
		edits_describe(edits, &text);
		ck_assert_ptr_nonnull(
		    memmem(text.p, text.len, BYTES("addheader=1")));
		buf_clear(&text);
		ck_assert(edits_has_body(edits));
		ck_assert_uint_eq(new_len, 10);
		ck_assert_mem_eq(new_body, "new body\r\n", 10);
		buf_clear(&saved);
	}
}

END_TEST

START_TEST(test_malformed_edits)
{
	static const struct {
		char code;
		const char *payload;
		size_t len;
	} rows[] = { { 'h', BYTES("X-A") }, { 'h', BYTES("") },
		{ 'i', BYTES("\0\0\0") }, { 'i', BYTES("\0\0\0\1X-A\0v") },
		{ 'm', BYTES("\0\0\0\1") }, { 'h', BYTES("X A\0v\0") },
		{ 'h', BYTES("X:\0v\0") }, { '2', BYTES("") },
		{ 'e', BYTES("a") }, { 'q', BYTES("x") } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		end();
		begin();
		says_one('E', rows[i].code, rows[i].payload, rows[i].len);
		says_also('E', 'c', "", 0);
		upto(MILTER_DATA);
		ask(MILTER_CONTENT);
		ck_assert_ptr_nonnull(got.fault);
		ck_assert(talk_is_dead(talk));
		ck_assert_uint_eq(nanswers, 6);
		edits_free(&edits);
		edits = edits_new(&headers, &mail, 1, &body_ops, new_body);
	}
}

END_TEST

START_TEST(test_edits_not_agreed)
{
	offers(6, 0, 0);
	says_one('E', 'h', BYTES("X-A\0one\0"));
	says_also('E', 'c', "", 0);
	upto(MILTER_DATA);
	ask(MILTER_CONTENT);
	ck_assert_ptr_nonnull(got.fault);
}

END_TEST

START_TEST(test_word_after_the_last)
{
	says_one('E', 'c', "", 0);
	upto(MILTER_DATA);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	peer_put(BYTES("\0\0\0\1h"));
	while (nlost == 0)
		loop_run(loop);
	expect_fault("it spoke when nothing was asked");
}

END_TEST

START_TEST(test_largest_reply)
{
	static char big[(1 << 20) + 2];

	/* The header is whole and legal in length, the text is not. */
	memset(big, 'x', sizeof(big));
	says_one('M', 'y', big, 1 << 20);
	upto(MILTER_HELO);
	ask(MILTER_MAIL);
	expect_fault("malformed text");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("talk_replies");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_every_word, 0, 81);
	tcase_add_test(c, test_unknown_command);
	tcase_add_loop_test(c, test_every_nonsense, 0, 10);
	tcase_add_test(c, test_bad_offers);
	tcase_add_test(c, test_edits_then_the_last_word);
	tcase_add_test(c, test_malformed_edits);
	tcase_add_test(c, test_edits_not_agreed);
	tcase_add_test(c, test_word_after_the_last);
	tcase_add_test(c, test_largest_reply);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
