/* Mail of the queue before filters: what they hear, what the queue hears. */
#include "smtpd/context.h"
#include "smtpd/listener.h"
#include "smtpd/scan_queue.h"
#include "tests/unit/smtpd/fake_filter.h"

#define ID     "0Kx3f9aBcDeFgHiJ"
#define OURS   "Received: from x by mx.example id " ID "; now\r\n"
#define HEADER OURS "Subject: hi\r\n\r\n"

enum { ASKED_MAX = 32 };

/* The questions of a test, and their answers. */
static struct {
	uint64_t id;
	struct answer_filtered answer;
	char filter[65], reply[601];
	bool failed;
} asked[ASKED_MAX];

static size_t nasked, nanswers;

static struct fake_filter *f;
static struct ask_filter question;
static struct str header, body;
static int body_fd;
static const char *rcpts[4];
static const char *orig;
static enum rcpt_start start;

static void
on_filtered(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	size_t i = (size_t)(uintptr_t)ctx;

	nanswers++;
	asked[i].failed = fault != NULL;
	if (fault != NULL)
		return;
	ck_assert_uint_eq(type, TYPE_answer_filtered);
	asked[i].answer = *(const struct answer_filtered *)msg;
	copy(asked[i].filter, sizeof(asked[i].filter), asked[i].answer.filter);
	copy(asked[i].reply, sizeof(asked[i].reply), asked[i].answer.reply);
}

static bool
all_answered(struct harness *x)
{
	(void)x;
	return nanswers == nasked;
}

/* Asks without waiting. */
static void
send_question(void)
{
	struct ask_filter m = question;
	struct channel *ch = h.fake.ch;
	uint64_t id;

	m.header_size = (uint32_t)header.len;
	m.inline_size = (uint32_t)(header.len + body.len);
	m.has_file = body_fd >= 0;
	if (!m.has_file)
		m.body_size = body.len;
	m.nrcpt = 0;
	while (rcpts[m.nrcpt] != NULL)
		m.nrcpt++;
	id = channel_ask(
	    ch, TYPE_ask_filter, &m, on_filtered, (void *)(uintptr_t)nasked);
	asked[nasked++].id = id;
	for (size_t i = 0; rcpts[i] != NULL; i++) {
		struct tell_rcpt r = { .to = str_of(rcpts[i]),
			.action = STR("box"),
			.start = (uint8_t)start,
			.orig = str_of(orig) };

		channel_tell(ch, TYPE_tell_rcpt, &r, id);
	}
	if (m.has_file) {
		struct tell_body b = { .file = body_fd };

		channel_tell(ch, TYPE_tell_body, &b, id);
	}
	struct tell_content c = { .bytes = header };
	channel_tell(ch, TYPE_tell_content, &c, id);
	c.bytes = body;
	if (body.len > 0)
		channel_tell(ch, TYPE_tell_content, &c, id);
}

static void
ask(void)
{
	send_question();
	harness_until(&h, all_answered);
}

#define EXPECT(want, was_replaced)                                         \
	do {                                                               \
		ck_assert_uint_eq(asked[nasked - 1].answer.verdict, want); \
		ck_assert_uint_eq(                                         \
		    asked[nasked - 1].answer.replaced, was_replaced);      \
	} while (0)

static const char *
stored(void)
{
	buf_add_char(&h.fake.content, '\0');
	h.fake.content.len--;
	return h.fake.content.p;
}

static const char *
macros(void)
{
	buf_add_char(&f->macros, '\0');
	f->macros.len--;
	return f->macros.p;
}

/* Each test: one filter, of reports and of the listener. */
static void
scan_setup(void)
{
	filters_setup();
	memset(asked, 0, sizeof(asked));
	nasked = nanswers = 0;
	f = filter_new("a");
	h.config->report_milters = filter_set("a");
	addr_parse(STR("192.0.2.25"), &h.config->listeners[0].addr);
	h.config->listeners[0].port = 25;
	h.config->listeners[0].milters = h.config->report_milters;
	filters_start();
	listener_set_config(h.config);
	question = (struct ask_filter){ .msgid = STR(ID),
		.why = FILTER_REPORT,
		.from = STR(""),
		.received_ms = 4711,
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("192.0.2.25:25") };
	header = STR(HEADER);
	body = STR("body\r\n");
	body_fd = -1;
	rcpts[0] = "x@y.example";
	rcpts[1] = NULL;
	orig = NULL;
	start = START_UNFILTERED;
}

static void
scan_setup_begun(void)
{
	scan_setup();
	scan_queue_go();
}

static void
scan_teardown(void)
{
	from_queue_stop();
	harness_settle(&h);
	ck_assert_uint_eq(scan_queue_count(), 0);
	if (body_fd >= 0)
		close(body_fd);
	listener_set_config(NULL);
	scan_queue_stop();
	filters_teardown();
}

/* --- what is shown --- */

START_TEST(a_report_comes_from_ourselves)
{
	ask();
	EXPECT(FILTERED_PASS, 0);
	ck_assert_str_eq(
	    filter_heard(f), "C Hmx.example M<> R<x@y.example> T L N B E Q ");
	ck_assert_ptr_nonnull(strstr(macros(), "{client_addr}="));
	ck_assert_ptr_nonnull(strstr(macros(), "i=" ID "\n"));
	ck_assert(str_eq(buf_str(&f->header), STR("Subject:hi\n")));
	ck_assert(str_eq(buf_str(&f->body), STR("body\r\n")));
	ck_assert_uint_eq(h.fake.ncommits, 0);
	ck_assert_ptr_nonnull(strstr(h.fake.events, "milter name=a stage="));
	ck_assert_ptr_null(strchr(h.fake.events, '\x01'));
}

END_TEST

START_TEST(a_context_is_the_session)
{
	struct milter_facts facts = {
		.client_addr = STR("192.0.2.7"),
		.client_name = STR("seven.example"),
		.client_port = STR("777"),
		.hostname = STR("then.example"),
		.helo = STR("seven.helo"),
		.mail_args = STR("SIZE=10"),
		.port = 777,
	};
	struct buf b;

	addr_parse(STR("192.0.2.7"), &facts.client);
	buf_init(&b, COMMIT_CONTEXT_MAX);
	context_make(&facts, h.config->listeners[0].milters, &b);
	question.context = buf_str(&b);
	question.why = FILTER_RESCAN;
	question.from = STR("a@b.example");
	orig = "X@Y.Example";
	SAYS(f, 'E', 'y', "550 5.7.1 no");
	ask();
	EXPECT(FILTERED_REJECT, 0);
	ck_assert_str_eq(asked[0].reply, "550 5.7.1 no");
	ck_assert_str_eq(asked[0].filter, "a");
	ck_assert_str_eq(filter_heard(f),
	    "C Hseven.helo M<a@b.example> R<X@Y.Example> T L N B E Q ");
	ck_assert_ptr_nonnull(strstr(macros(), "j=then.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{client_port}=777\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_addr}=x@y.example\n"));
	buf_clear(&b);
}

END_TEST

START_TEST(without_a_context_the_listener_decides)
{
	question.why = FILTER_RESCAN;
	ask();
	EXPECT(FILTERED_PASS, 0);
	ck_assert_ptr_nonnull(strstr(filter_heard(f), "Hclient.example "));
	/* A listener that is no more: nobody to ask, so it stays. */
	question.listener = STR("192.0.2.99:25");
	ask();
	EXPECT(FILTERED_QUARANTINE, 0);
	question.why = FILTER_AFTER_QUEUE;
	ask();
	EXPECT(FILTERED_PASS, 0);
	ck_assert_str_eq(filter_heard(f), "");
}

END_TEST

/* Behind the 250 those of that phase alone; a rescan asks all. */
START_TEST(phases)
{
	struct fake_filter *late = filter_new("b");

	h.config->milters[1].after_queue = true;
	h.config->listeners[0].milters = filter_set("a b");
	question.why = FILTER_AFTER_QUEUE;
	ask();
	ck_assert_uint_eq(f->nconns, 0);
	ck_assert_uint_eq(late->nconns, 1);
	question.why = FILTER_RESCAN;
	ask();
	ck_assert_uint_eq(f->nconns, 1);
	ck_assert_uint_eq(late->nconns, 2);
}

END_TEST

/* --- what they want --- */

static void
answer_e(char code, const char *payload, size_t len)
{
	filter_says(f, 'E', code, (struct str){ payload, len });
}

START_TEST(a_field_more)
{
	answer_e('h', "X-Seen\0yes", 11);
	answer_e('c', "", 0);
	start = START_QUARANTINED;
	question.why = FILTER_RESCAN;
	ask();
	EXPECT(FILTERED_PASS, 1);
	ck_assert_uint_eq(h.fake.ncommits, 1);
	ck_assert(h.fake.replaces);
	ck_assert_str_eq(h.fake.msgid, ID);
	ck_assert_str_eq(h.fake.to, "x@y.example");
	ck_assert_str_eq(h.fake.starts, "1");
	ck_assert_str_eq(
	    stored(), OURS "Subject: hi\r\nX-Seen: yes\r\n\r\nbody\r\n");
	ck_assert_uint_eq(h.fake.body_size, 6);
}

END_TEST

START_TEST(a_file_stays)
{
	body_fd = memfd_create("body", MFD_CLOEXEC);
	ck_assert_int_eq((int)write(body_fd, "from the file\r\n", 15), 15);
	question.body_size = 15;
	body = STR("");
	answer_e('h', "X-Seen\0yes", 11);
	answer_e('c', "", 0);
	ask();
	EXPECT(FILTERED_PASS, 1);
	ck_assert(str_eq(buf_str(&f->body), STR("from the file\r\n")));
	ck_assert_uint_eq(h.fake.bodyfile, 0);
	ck_assert_uint_eq(h.fake.body_size, 15);
	ck_assert_uint_eq(h.fake.inline_size, h.fake.header_size);
}

END_TEST

START_TEST(another_body)
{
	static char big[60000];
	size_t sent = 0;

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 2] = '\r';
	big[sizeof(big) - 1] = '\n';
	for (; sent < 2UL * MAIL_INLINE_MAX; sent += sizeof(big))
		answer_e('b', big, sizeof(big));
	answer_e('c', "", 0);
	ask();
	EXPECT(FILTERED_PASS, 1);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	ck_assert_uint_eq(h.fake.bodyfile, 1);
	ck_assert_uint_eq(h.fake.body_size, sent);
	ck_assert_uint_eq(h.fake.ndropped, 0);
}

END_TEST

START_TEST(recipients)
{
	rcpts[1] = "z@y.example";
	rcpts[2] = NULL;
	answer_e('-', "<z@Y.example>", 14);
	answer_e('+', "<new@y.example>", 16);
	answer_e('+', "<new@y.example>", 16);
	answer_e('e', "<s@t.example>", 14);
	answer_e('c', "", 0);
	ask();
	EXPECT(FILTERED_PASS, 1);
	ck_assert_str_eq(h.fake.to, "x@y.example new@y.example");
	ck_assert_str_eq(h.fake.starts, "22");
	ck_assert_str_eq(h.fake.from, "s@t.example");
}

END_TEST

START_TEST(no_recipient_left)
{
	answer_e('-', "<x@y.example>", 14);
	answer_e('c', "", 0);
	ask();
	EXPECT(FILTERED_DISCARD, 0);
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

START_TEST(a_refused_recipient_stays)
{
	filter_says(f, 'R', 'r', STR(""));
	ask();
	EXPECT(FILTERED_PASS, 0);
	ck_assert_ptr_nonnull(strstr(h.fake.events, "stage=rcpt"));
}

END_TEST

START_TEST(other_verdicts)
{
	answer_e('q', "looks bad", 10);
	answer_e('c', "", 0);
	ask();
	EXPECT(FILTERED_QUARANTINE, 0);
	ck_assert_str_eq(asked[0].reply, "looks bad");
	filter_forget(f, 'E');
	answer_e('d', "", 0);
	ask();
	EXPECT(FILTERED_DISCARD, 0);
	filter_forget(f, 'E');
	answer_e('t', "", 0);
	ask();
	EXPECT(FILTERED_TEMPFAIL, 0);
	filter_forget(f, 'E');
	filter_says(f, 'H', 'y', STR("421 4.7.0 go\0"));
	ask();
	EXPECT(FILTERED_TEMPFAIL, 0);
}

END_TEST

/* What was set aside is not let out because nobody could look at it. */
START_TEST(a_failure_keeps_it)
{
	f->refuse = true;
	h.config->milters[0].on_failure = MILTER_FAIL_ACCEPT;
	question.why = FILTER_AFTER_QUEUE;
	h.config->milters[0].after_queue = true;
	ask();
	EXPECT(FILTERED_PASS, 0);
	question.why = FILTER_RESCAN;
	ask();
	EXPECT(FILTERED_TEMPFAIL, 0);
}

END_TEST

START_TEST(a_shadow_lets_nothing_go)
{
	h.config->milters[0].shadow = true;
	question.why = FILTER_RESCAN;
	ask();
	EXPECT(FILTERED_QUARANTINE, 0);
	ck_assert_str_eq(asked[0].filter, "");
	ck_assert_uint_eq(f->nconns, 0);
}

END_TEST

/* It met two; what the other one says is not enough. */
START_TEST(a_filter_that_is_gone)
{
	struct milter_facts facts = { .helo = STR("seven.helo") };
	struct buf b;
	char *name;

	filter_new("b");
	buf_init(&b, COMMIT_CONTEXT_MAX);
	context_make(&facts, filter_set("a b"), &b);
	question.context = buf_str(&b);
	question.why = FILTER_RESCAN;
	name = h.config->milters[1].name;
	h.config->milters[1].name = xstrdup("c");
	ask();
	EXPECT(FILTERED_QUARANTINE, 0);
	ck_assert_str_eq(asked[0].filter, "");
	ck_assert_uint_eq(f->nconns, 0);
	free(h.config->milters[1].name);
	h.config->milters[1].name = name;
	ask();
	EXPECT(FILTERED_PASS, 0);
	buf_clear(&b);
}

END_TEST

START_TEST(not_stored)
{
	answer_e('h', "X-Seen\0yes", 11);
	answer_e('c', "", 0);
	h.fake.answer = FAKE_REFUSE;
	ask();
	EXPECT(FILTERED_TEMPFAIL, 0);
}

END_TEST

/* --- many, and the end --- */

/* The queue asks as soon as it is there itself. */
START_TEST(before_the_others_are_there)
{
	send_question();
	harness_settle(&h);
	ck_assert_uint_eq(scan_queue_count(), 1);
	ck_assert_uint_eq(f->nconns, 0);
	scan_queue_go();
	harness_until(&h, all_answered);
	EXPECT(FILTERED_PASS, 0);
}

END_TEST

static bool
all_wait(struct harness *x)
{
	(void)x;
	return f->nconns == SCANS_AT_ONCE;
}

static size_t
held(void)
{
	size_t n = 0;

	for (size_t i = 0; i < fakes.nconns; i++)
		n += fakes.conns[i].held == 'E';
	return n;
}

static bool
all_held(struct harness *x)
{
	return all_wait(x) && held() == SCANS_AT_ONCE;
}

START_TEST(so_many_at_once)
{
	f->hold['E'] = true;
	for (size_t i = 0; i < SCANS_AT_ONCE + 3; i++)
		send_question();
	harness_until(&h, all_held);
	harness_settle(&h);
	ck_assert_uint_eq(f->nconns, SCANS_AT_ONCE);
	ck_assert_uint_eq(scan_queue_count(), SCANS_AT_ONCE + 3);
	f->hold['E'] = false;
	filter_release(f);
	harness_until(&h, all_answered);
	ck_assert_uint_eq(f->nconns, SCANS_AT_ONCE + 3);
}

END_TEST

START_TEST(the_queue_goes)
{
	f->hold['E'] = true;
	send_question();
	while (held() == 0)
		harness_settle(&h);
	channel_free(&h.fake.ch);
	while (scan_queue_count() > 0)
		harness_settle(&h);
	ck_assert(asked[0].failed);
	fake_start(&h);
	f->hold['E'] = false;
	ask();
	EXPECT(FILTERED_PASS, 0);
}

END_TEST

START_TEST(stopping)
{
	f->hold['E'] = true;
	send_question();
	while (held() == 0)
		harness_settle(&h);
	scan_queue_stop();
	send_question();
	f->hold['E'] = false;
	filter_release(f);
	harness_until(&h, all_answered);
	ck_assert_uint_eq(asked[0].answer.verdict, FILTERED_PASS);
	/* What came behind is for others. */
	ck_assert_uint_eq(asked[1].answer.verdict, FILTERED_STOPPING);
	ck_assert_uint_eq(f->nconns, 1);
	ck_assert_uint_eq(scan_queue_count(), 0);
}

END_TEST

START_TEST(nonsense)
{
	struct tell_rcpt r = { .to = STR("more@y.example") };

	question.nrcpt = 1;
	header = STR(HEADER);
	struct ask_filter m = question;
	m.header_size = 100;
	m.inline_size = 50;
	channel_ask(h.fake.ch, TYPE_ask_filter, &m, on_filtered,
	    (void *)(uintptr_t)nasked++);
	harness_until(&h, all_answered);
	EXPECT(FILTERED_TEMPFAIL, 0);
	/* More recipients than were said, while content is awaited. */
	m = question;
	m.nrcpt = 0;
	m.inline_size = 50;
	uint64_t id = channel_ask(h.fake.ch, TYPE_ask_filter, &m, on_filtered,
	    (void *)(uintptr_t)nasked++);
	channel_tell(h.fake.ch, TYPE_tell_rcpt, &r, id);
	harness_until(&h, all_answered);
	EXPECT(FILTERED_TEMPFAIL, 0);
	/* Parts of nothing. */
	channel_tell(h.fake.ch, TYPE_tell_rcpt, &r, 4712);
	ask();
	EXPECT(FILTERED_PASS, 0);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_report_comes_from_ourselves,
		a_context_is_the_session,
		without_a_context_the_listener_decides, phases, a_field_more,
		a_file_stays, another_body, recipients, no_recipient_left,
		a_refused_recipient_stays, other_verdicts, a_failure_keeps_it,
		a_shadow_lets_nothing_go, a_filter_that_is_gone, not_stored,
		so_many_at_once, the_queue_goes, stopping, nonsense };
	const TTest *const early[] = { before_the_others_are_there };
	int failed =
	    run_tests_in("scan, early", early, 1, scan_setup, scan_teardown);

	return failed | run_tests_in("scan", tests,
			    sizeof(tests) / sizeof(tests[0]), scan_setup_begun,
			    scan_teardown);
}
