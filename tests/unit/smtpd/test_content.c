/* What comes behind DATA: sizes, files, header caps, the answer of the queue,
 * and what stands around a lone dot. */
#include "tests/unit/smtpd/talk.h"

START_TEST(size)
{
	struct buf b;

	accept_all();
	h.config->limits.message_size = 65536;
	begin();
	TALK("MAIL FROM:<a@b> SIZE=65537\r\n", "552");
	TALK("MAIL FROM:<a@b> SIZE=99999999999999999999\r\n", "552");
	buf_init(&b, 1 << 20);
	for (int over = 0; over <= 1; over++) {
		TALK("MAIL FROM:<a@b> SIZE=65536\r\nRCPT TO:<a@b>\r\nDATA\r\n",
		    "250 250 354");
		buf_reset(&b);
		buf_add_str(&b, STR("\r\n"));
		/* Stuffed dots do not count. */
		while (b.len < 65500)
			buf_add_str(&b, STR("..\r\n"));
		size_t counted = b.len - (b.len - 2) / 4;
		while (counted + 100 < 65534 + (size_t)over) {
			for (int i = 0; i < 98; i++)
				buf_add_char(&b, 'x');
			buf_add_str(&b, STR("\r\n"));
			counted += 100;
		}
		for (; counted < 65534 + (size_t)over; counted++)
			buf_add_char(&b, 'x');
		buf_add_str(&b, STR("\r\n.\r\n"));
		talk_bytes(buf_str(&b), over ? "552" : "250", __LINE__);
	}
	/* A stop at twice the size. */
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	buf_reset(&b);
	while (b.len < 140000)
		buf_add_str(&b, STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"));
	talk_bytes(buf_str(&b), "421 EOF", __LINE__);
	buf_clear(&b);
}

END_TEST

/* n lines of 62 bytes and CRLF, then the dot. */
static void
send_lines(size_t n, const char *want, int line)
{
	struct buf b;

	buf_init(&b, 64 << 20);
	buf_add_str(&b, STR("Subject: big\r\n\r\n"));
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%062zu\r\n", i);
	buf_add_str(&b, STR(".\r\n"));
	talk_bytes(buf_str(&b), want, line);
	if (h.fake.bodyfile != 0 || h.fake.inline_size > 0) {
		struct str body =
		    str_skip(buf_str(&h.fake.content), h.fake.header_size);
		struct str sent = str_skip(buf_str(&b), 16);

		sent.len -= 3;
		if (strcmp(want, "250") == 0)
			ck_assert(str_eq(body, sent));
	}
	buf_clear(&b);
}

START_TEST(large)
{
	accept_all();
	begin_data();
	send_lines(4095, "250", __LINE__);
	ck_assert_uint_eq(h.fake.nfiles, 0);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	send_lines(4096, "250", __LINE__);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	ck_assert_uint_eq(h.fake.bodyfile, 1);
	ck_assert_uint_eq(h.fake.body_size, 4096 * 64);
	ck_assert_uint_eq(h.fake.inline_size, h.fake.header_size);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	send_lines(100000, "250", __LINE__);
	ck_assert_uint_eq(h.fake.nfiles, 2);
	ck_assert_uint_eq(h.fake.ndropped, 0);
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

START_TEST(large_refused)
{
	accept_all();
	begin_data();
	h.fake.file = FAKE_REFUSE;
	h.fake.why = REFUSED_SPACE;
	send_lines(20000, "452", __LINE__);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	h.fake.why = REFUSED_FAULT;
	send_lines(20000, "451", __LINE__);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	h.fake.file = FAKE_DIE;
	send_lines(20000, "451", __LINE__);
	TALK("MAIL FROM:<a@b>\r\n", "451");
	h.fake.file = FAKE_COMMIT;
	fake_start(&h);
	/* Given back when the mail is refused after all, or the client goes. */
	h.config->limits.message_size = 1000000;
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	send_lines(20000, "552", __LINE__);
	ck_assert_uint_eq(h.fake.ndropped, 1);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	struct buf b;
	buf_init(&b, 1 << 20);
	while (b.len < 400000)
		buf_add_str(&b, STR("0123456789\r\n"));
	harness_say(&h, buf_str(&b), 0);
	buf_clear(&b);
	harness_hang_up(&h);
	ck_assert_uint_eq(h.fake.ndropped, 2);
	ck_assert_uint_eq(sessions_count(), 0);
}

END_TEST

/* The channel dies while a file is open, another takes its place: the file
 * is void. */
START_TEST(large_other_queue)
{
	struct buf b;

	accept_all();
	begin_data();
	buf_init(&b, 1 << 20);
	while (b.len < 400000)
		buf_add_str(&b, STR("0123456789\r\n"));
	harness_say(&h, buf_str(&b), 0);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	buf_clear(&b);
	channel_free(&h.fake.ch);
	harness_settle(&h);
	fake_start(&h);
	TALK(".\r\n", "451");
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

static int nhanded;

static void
on_handed(void)
{
	nhanded++;
}

/* The next queue takes over in order: what is in the file of the one before
 * moves to one of its own. */
START_TEST(large_handed_over)
{
	struct buf b;
	struct channel *before;

	accept_all();
	begin_data();
	buf_init(&b, 1 << 20);
	while (b.len < 400000)
		buf_addf(&b, "%010zu\r\n", b.len);
	harness_say(&h, buf_str(&b), 0);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	nhanded = 0;
	before = h.fake.ch;
	from_queue_hand_over(on_handed);
	fake_start(&h);
	harness_settle(&h);
	/* Nothing was asked: it is not needed any more. */
	ck_assert_int_eq(nhanded, 1);
	channel_free(&before);
	harness_say(&h, STR("more\r\n"), 0);
	TALK(".\r\n", "250");
	ck_assert_uint_eq(h.fake.nfiles, 2);
	ck_assert_uint_eq(h.fake.ncommits, 1);
	buf_add_str(&b, STR("more\r\n"));
	ck_assert(str_eq(str_skip(buf_str(&h.fake.content), h.fake.header_size),
	    buf_str(&b)));
	buf_clear(&b);
	/* One that dies hands nothing over. */
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

/* A commit that is under way is answered by whom it was asked of. */
START_TEST(commit_handed_over)
{
	struct channel *before;
	struct answer_commit answer = { 0 };

	accept_all();
	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("\r\nx\r\n.\r\n"), 0);
	ck_assert_uint_ne(h.fake.held, 0);
	nhanded = 0;
	before = h.fake.ch;
	from_queue_hand_over(on_handed);
	fake_start(&h);
	harness_settle(&h);
	ck_assert_int_eq(nhanded, 0);
	channel_tell(before, TYPE_answer_commit, &answer, h.fake.held);
	harness_replies(&h, 1);
	harness_settle(&h);
	ck_assert_int_eq(nhanded, 1);
	channel_free(&before);
	h.fake.answer = FAKE_COMMIT;
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	TALK("x\r\n.\r\n", "250");
}

END_TEST

static bool
is_held(struct harness *x)
{
	return x->fake.held != 0;
}

START_TEST(queue_says_no)
{
	static const struct {
		enum queue_refusal why;
		const char *code;
	} cases[] = { { REFUSED_FAULT, "451" }, { REFUSED_SPACE, "452" },
		{ REFUSED_BUSY, "451" }, { REFUSED_MALFORMED, "451" } };

	accept_all();
	begin();
	h.fake.answer = FAKE_REFUSE;
	for (size_t i = 0; i < 4; i++) {
		h.fake.why = cases[i].why;
		TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n",
		    "250 250 354");
		TALK("x\r\n.\r\n", cases[i].code);
	}
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	h.fake.answer = FAKE_DIE;
	TALK("x\r\n.\r\n", "451");
	TALK("MAIL FROM:<a@b>\r\n", "451");
	fake_start(&h);
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

START_TEST(space)
{
	struct tell_space m = { .state = SPACE_SHORT };

	accept_all();
	begin();
	channel_tell(h.fake.ch, TYPE_tell_space, &m, 0);
	harness_settle(&h);
	TALK("MAIL FROM:<a@b>\r\n", "452");
	m.state = SPACE_SUSPECT;
	channel_tell(h.fake.ch, TYPE_tell_space, &m, 0);
	harness_settle(&h);
	TALK("MAIL FROM:<a@b>\r\n", "451");
	m.state = SPACE_OK;
	channel_tell(h.fake.ch, TYPE_tell_space, &m, 0);
	harness_settle(&h);
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

/* Commands behind the dot wait for the queue's answer; replies in order. */
START_TEST(commit_waits)
{
	struct answer_commit yes = { 0 };

	accept_all();
	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("x\r\n.\r\nNOOP\r\nBANANA\r\nQUIT\r\n"), 0);
	harness_until(&h, is_held);
	ck_assert_uint_eq(h.got.len, 0);
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	TALK("", "250 250 500 221 EOF");
}

END_TEST

/* The client is gone before the answer: the commit stands. */
START_TEST(gone_after_the_dot)
{
	struct answer_commit yes = { 0 };
	uint64_t accepted = stats_all()[STAT_ACCEPTED].value;

	accept_all();
	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("x\r\n.\r\n"), 0);
	harness_until(&h, is_held);
	stream_reset(&h.client);
	harness_settle(&h);
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	harness_settle(&h);
	ck_assert_uint_eq(stats_all()[STAT_ACCEPTED].value, accepted + 1);
	ck_assert_uint_eq(sessions_count(), 0);
}

END_TEST

/* One that closed its side only still gets its replies. */
START_TEST(half_closed)
{
	struct answer_commit yes = { 0 };

	accept_all();
	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("x\r\n.\r\nNOOP\r\n"), 0);
	shutdown(stream_fd(h.client), SHUT_WR);
	harness_until(&h, is_held);
	harness_settle(&h);
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	TALK("", "250 250 EOF");
}

END_TEST

START_TEST(header_caps)
{
	struct buf b;

	accept_all();
	h.config->limits.hops = 3;
	h.config->limits.header_fields = 5;
	h.config->limits.header_field = 1024;
	h.config->limits.header_size = 2000;
	h.config->limits.text_line = 3000;
	h.config->limits.errors = h.config->limits.soft_errors = 100;
	begin();
	buf_init(&b, 1 << 20);

	static const struct {
		const char *field;
		int n, pad;
		const char *want;
	} cases[] = {
		{ "Received: x", 3, 0, "250" },
		{ "Received: x", 4, 0, "554" },
		{ "X: y", 5, 0, "250" },
		{ "X: y", 6, 0, "554" },
		{ "X: ", 1, 1019, "250" },
		{ "X: ", 1, 1020, "552" },
		{ "X: ", 2, 990, "250" },
		{ "X: ", 3, 990, "552" },
		{ "\r\n", 1, 2996, "250" },
		{ "\r\n", 1, 3001, "554" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n",
		    "250 250 354");
		buf_reset(&b);
		for (int n = 0; n < cases[i].n; n++) {
			buf_add_str(&b, str_of(cases[i].field));
			for (int k = 0; k < cases[i].pad; k++)
				buf_add_char(&b, 'x');
			buf_add_str(&b, STR("\r\n"));
		}
		buf_add_str(&b, STR("\r\nbody\r\n.\r\n"));
		talk_bytes(buf_str(&b), cases[i].want, (int)i);
	}
	buf_clear(&b);
}

END_TEST

/* Content with a header of this size; an empty line ends it, or the body does
 * by itself. */
static void
add_header(struct buf *b, size_t len, bool empty_line)
{
	size_t end = empty_line ? len - 2 : len;

	buf_reset(b);
	while (end - b->len > 1200) {
		buf_add_str(b, STR("X: "));
		for (int i = 0; i < 995; i++)
			buf_add_char(b, 'x');
		buf_add_str(b, STR("\r\n"));
	}
	buf_add_str(b, STR("X: "));
	while (b->len < end - 2)
		buf_add_char(b, 'x');
	buf_add_str(b, empty_line ? STR("\r\n\r\n") : STR("\r\n"));
}

/* The same verdict for each way in which the bytes come. */
START_TEST(header_bounds)
{
	enum { LIMIT = 4096 };

	static const size_t pieces[] = { 1, 7, LIMIT - 1, LIMIT, LIMIT + 1,
		LIMIT + 3, 1 << 20 };
	struct buf b;

	accept_all();
	h.config->limits.header_size = LIMIT;
	h.config->limits.errors = h.config->limits.soft_errors = 1000;
	begin();
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		for (size_t k = 0; k < 4; k++) {
			size_t len = LIMIT + k / 2;

			add_header(&b, len, k % 2 == 0);
			ck_assert_uint_eq(b.len, len);
			buf_add_str(&b, STR("the first line\r\n.\r\n"));
			TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n",
			    "250 250 354");
			struct str rest = buf_str(&b);
			for (; rest.len > pieces[i] + 5;
			     rest = str_skip(rest, pieces[i]))
				harness_say(&h, str_head(rest, pieces[i]), 0);
			talk_bytes(rest, len > LIMIT ? "552" : "250",
			    (int)(i * 10 + k));
		}
	buf_clear(&b);
}

END_TEST

/* --- matrix S: what stands around a lone dot --- */

static const struct str lefts[] = { { "\r\n", 2 }, { "\n", 1 }, { "\r", 1 },
	{ "\r\r\n", 3 }, { "\n\r", 2 }, { "\n\n", 2 }, { "\r\n\n", 3 },
	{ "\n\r\n", 3 }, { "\r\n\0", 3 }, { "\0\r\n", 3 }, { "\r\n ", 3 },
	{ "\r\n\t", 3 }, { "\r\n\b", 3 }, { "\v", 1 }, { "\f", 1 },
	{ "\x85", 1 }, { "\xe2\x80\xa8", 3 }, { "", 0 }, { "xxxxxxxx", 8 } };
static const struct str rights[] = { { "\r\n", 2 }, { "\n", 1 }, { "\r", 1 },
	{ "\r\r\n", 3 }, { "\n\r", 2 }, { "\r\r", 2 }, { "\r\n\n", 3 },
	{ "\0\r\n", 3 }, { "\r\n\0", 3 }, { " \r\n", 3 }, { "\t\r\n", 3 },
	{ ".\r\n", 3 }, { "", 0 } };

/* Where content ends (behind its dot), 0: nowhere; whether it is clean. */
static size_t
reference(struct str s, bool *clean)
{
	bool bol = true;
	size_t end = 0;

	for (size_t i = 0; i + 2 < s.len && end == 0; i++) {
		if (bol && memcmp(s.p + i, ".\r\n", 3) == 0)
			end = i + 3;
		bol = i > 0 && s.p[i - 1] == '\r' && s.p[i] == '\n';
	}
	*clean = true;
	for (size_t i = 0; i < end; i++) {
		if (s.p[i] == '\0' || (s.p[i] == '\r' && s.p[i + 1] != '\n') ||
		    (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')))
			*clean = false;
	}
	return end;
}

static void
smuggle(struct str left, struct str right, bool split)
{
	struct buf b;
	bool clean;
	size_t end;

	buf_init(&b, 1 << 20);
	if (left.len > 0)
		buf_add_str(&b, STR("A: b\r\n\r\nx"));
	buf_add_str(&b, left);
	buf_add_char(&b, '.');
	buf_add_str(&b, right);
	buf_add_str(&b, STR("MAIL FROM:<forged@x>\r\nRCPT TO:<f@x>\r\nDATA\r\n"
			    "forged\r\n.\r\n"));
	end = reference(buf_str(&b), &clean);
	ck_assert_uint_gt(end, 0);
	h.fake.ncommits = 0;
	begin_data();
	if (split) {
		for (size_t i = 0; i + 1 < end; i++) {
			stream_write(h.client, b.p + i, 1);
			h.rounds = 1;
			timer_set(h.tick, 0);
			loop_run(h.loop);
		}
		talk_bytes((struct str){ b.p + end - 1, 1 },
		    clean ? "250" : "550 EOF", __LINE__);
	} else
		talk_bytes(str_head(buf_str(&b), end),
		    clean ? "250" : "550 EOF", __LINE__);
	ck_assert_uint_eq(h.fake.ncommits, clean ? 1 : 0);
	harness_hang_up(&h);
	buf_clear(&b);
}

START_TEST(matrix)
{
	accept_all();
	for (size_t l = 0; l < sizeof(lefts) / sizeof(lefts[0]); l++)
		for (size_t r = 0; r < sizeof(rights) / sizeof(rights[0]);
		     r++) {
			smuggle(lefts[l], rights[r], false);
			smuggle(lefts[l], rights[r], true);
		}
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { size, large, large_refused,
		large_other_queue, large_handed_over, commit_handed_over,
		queue_says_no, space, commit_waits, gone_after_the_dot,
		half_closed, header_caps, header_bounds, matrix };

	return run_tests("content", tests, sizeof(tests) / sizeof(tests[0]));
}
