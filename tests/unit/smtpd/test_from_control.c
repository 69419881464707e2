/* What control hears of filters, and of one that is tried out. */
#include "edges/control_all.h"
#include "lib/base/bytes.h"
#include "lib/base/latency.h"
#include "smtpd/from_control.h"
#include "smtpd/listener.h"
#include "smtpd/scan_try.h"
#include "tests/unit/smtpd/fake_filter.h"

/* Control's end, and what came there. */
static struct channel *control;
static struct buf events, content, words;
static struct answer_done answer;
static char answer_text[513];
static size_t nanswers, nwanted, nsockets;
static struct row_milter last;
static uint64_t continues, timed;
static struct fake_filter *f;

static void
on_event_row(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_event *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_add_str(&events, m->event);
	buf_add_char(&events, ' ');
	buf_add_str(&events, m->text);
	buf_add_char(&events, '\n');
}

static void
on_content_row(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_content *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_add_str(&content, m->bytes);
}

static void
on_milter_row(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const uint8_t *p;

	(void)ctx;
	(void)ch;
	(void)id;
	last = *(const struct row_milter *)msg;
	buf_add_str(&words, last.name);
	buf_add_char(&words, ' ');
	buf_add_str(&words, last.on_failure);
	buf_add_char(&words, '\n');
	ck_assert_uint_eq(last.verdicts.len, 8UL * ROW_MILTER_VERDICTS);
	p = (const uint8_t *)last.verdicts.p;
	continues += get_le64(p + 8UL * MILTER_CONTINUE);
	ck_assert_uint_eq(
	    last.latency.len, 4UL * ROW_MILTER_STAGES * LATENCY_BUCKETS);
	p = (const uint8_t *)last.latency.p;
	for (size_t i = 0; i < last.latency.len; i += 4)
		timed += get_le32(p + i);
}

static void
on_socket_row(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_milter_socket *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	ck_assert(str_eq(m->milter, STR("a")));
	ck_assert(str_eq(m->socket, STR("unix:/filter")));
	nsockets++;
}

static void
on_stat_row(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_stat *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_addf(&words, "%.*s=%llu\n", (int)m->name.len, m->name.p,
	    (unsigned long long)m->value);
}

static const struct handler control_handlers[] = {
	{ TYPE_row_event, on_event_row },
	{ TYPE_row_content, on_content_row },
	{ TYPE_row_milter, on_milter_row },
	{ TYPE_row_milter_socket, on_socket_row },
	{ TYPE_row_stat, on_stat_row },
	{ 0, NULL },
};

static void
on_done(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	nanswers++;
	if (fault != NULL)
		return;
	ck_assert_uint_eq(type, TYPE_answer_done);
	answer = *(const struct answer_done *)msg;
	copy(answer_text, sizeof(answer_text), answer.text);
}

static bool
is_answered(struct harness *x)
{
	(void)x;
	return nanswers == nwanted;
}

static void
ask(uint16_t type, const void *msg)
{
	nwanted++;
	channel_ask(control, type, msg, on_done, NULL);
}

static void
wait_for_it(void)
{
	harness_until(&h, is_answered);
}

static void
try_mail(const char *name, const char *client, struct str mail)
{
	struct ask_test_milter m = { .milter = str_of(name),
		.client = str_of(client),
		.helo = STR("helo.example"),
		.from = STR("a@b.example"),
		.to = STR("c@d.example") };

	while (mail.len > 0) {
		struct tell_mail part = { .bytes = str_head(
					      mail, CHANNEL_CONTENT_MAX) };

		channel_tell(control, TYPE_tell_mail, &part, 0);
		mail = str_skip(mail, CHANNEL_CONTENT_MAX);
	}
	ask(TYPE_ask_test_milter, &m);
}

static const char *
text_of(struct buf *b)
{
	buf_add_char(b, '\0');
	b->len--;
	return b->p;
}

static void
control_setup(void)
{
	int sv[2];

	filters_setup();
	f = filter_new("a");
	filters_start();
	listener_set_config(h.config);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	from_control_start(h.loop, sv[0]);
	control = channel_new(h.loop, sv[1], &control_all_edge, EDGE_A,
	    control_handlers, NULL, NULL);
	buf_init(&events, 1 << 20);
	buf_init(&content, 64 << 20);
	buf_init(&words, 1 << 20);
	nanswers = nwanted = nsockets = 0;
	continues = timed = 0;
}

static void
control_teardown(void)
{
	from_control_stop();
	channel_free(&control);
	harness_settle(&h);
	listener_set_config(NULL);
	buf_clear(&events);
	buf_clear(&content);
	buf_clear(&words);
	filters_teardown();
}

#define MAIL "Subject: hi\r\n\r\nbody\r\n"

START_TEST(tried)
{
	/* Shadows are tried like the others. */
	h.config->milters[0].shadow = true;
	SAYS(f, 'E', 'h', "X-Seen\0yes");
	filter_says(f, 'E', 'c', STR(""));
	try_mail("a", "192.0.2.7", STR(MAIL));
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_str_eq(
	    text_of(&content), "Subject: hi\r\nX-Seen: yes\r\n\r\nbody\r\n");
	ck_assert_str_eq(filter_heard(f),
	    "C Hhelo.example M<a@b.example> R<c@d.example> T L N B E Q ");
	ck_assert_ptr_nonnull(
	    strstr(text_of(&f->macros), "{client_addr}=192.0.2.7\n"));
	ck_assert_ptr_nonnull(strstr(text_of(&events), "milter name=a stage="));
	ck_assert_ptr_nonnull(strstr(text_of(&events), "verdict verdict="));
	ck_assert_ptr_null(memchr(events.p, '\x01', events.len));
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

START_TEST(refused_by_it)
{
	SAYS(f, 'E', 'y', "550 5.7.1 no");
	try_mail("a", "local", STR(MAIL));
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(content.len, 0);
	ck_assert_ptr_nonnull(strstr(text_of(&events),
	    "verdict verdict=reject reply=\"550 5.7.1 no\"\n"));
}

END_TEST

START_TEST(it_changes_the_envelope)
{
	SAYS(f, 'E', 'e', "<s@t.example>");
	SAYS(f, 'E', '+', "<new@t.example>");
	SAYS(f, 'E', '-', "<c@d.example>");
	filter_says(f, 'E', 'c', STR(""));
	try_mail("a", "local", STR(MAIL));
	wait_for_it();
	ck_assert_ptr_nonnull(
	    strstr(text_of(&events), "sender from=s@t.example\n"));
	ck_assert_ptr_nonnull(
	    strstr(text_of(&events), "recipient-added to=new@t.example\n"));
	ck_assert_ptr_nonnull(
	    strstr(text_of(&events), "recipient-deleted to=c@d.example\n"));
	ck_assert_str_eq(text_of(&content), MAIL);
}

END_TEST

START_TEST(it_cannot_be_reached)
{
	f->refuse = true;
	h.config->milters[0].on_failure = MILTER_FAIL_ACCEPT;
	try_mail("a", "local", STR(MAIL));
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_ptr_nonnull(strstr(text_of(&events), "failed verdict="));
	ck_assert_ptr_nonnull(strstr(text_of(&events), "fault="));
}

END_TEST

/* Megabytes there and back. */
START_TEST(a_large_one)
{
	struct buf mail;

	buf_init(&mail, TRY_MAIL_MAX);
	buf_add_str(&mail, STR("Subject: x\r\n\r\n"));
	while (mail.len < 3000000)
		buf_add_str(&mail, STR("0123456789012345678901234567890\r\n"));
	try_mail("a", "local", buf_str(&mail));
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert(str_eq(buf_str(&content), buf_str(&mail)));
	buf_clear(&mail);
}

END_TEST

START_TEST(not_to_be_tried)
{
	try_mail("nosuch", "local", STR(MAIL));
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ck_assert_str_eq(answer_text, "no such filter");
	try_mail("a", "nowhere", STR(MAIL));
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	f->hold['E'] = true;
	for (size_t i = 0; i < TRIES_AT_ONCE + 1; i++)
		try_mail("a", "local", STR(MAIL));
	nwanted -= TRIES_AT_ONCE;
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	/* Control goes while they run. */
	nanswers = 0;
	channel_free(&control);
	harness_settle(&h);
}

END_TEST

START_TEST(shown)
{
	struct ask_milters m = { 0 };
	struct ask_stats stats = { 0 };

	h.config->milters[0].on_failure = MILTER_FAIL_QUARANTINE;
	h.config->listeners[0].milters = filter_set("a");
	begin_data();
	TALK("Subject: hi\r\n\r\nbody\r\n.\r\n", "250");
	ask(TYPE_ask_milters, &m);
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_str_eq(text_of(&words), "a quarantine\n");
	ck_assert_uint_eq(nsockets, 1);
	ck_assert_uint_eq(last.version, 6);
	ck_assert_uint_eq(last.sessions, 1);
	ck_assert_uint_eq(last.connections, 1);
	ck_assert_uint_gt(timed, 0);
	ck_assert_uint_eq(continues, 1);
	buf_reset(&words);
	ask(TYPE_ask_stats, &stats);
	wait_for_it();
	ck_assert_ptr_nonnull(strstr(text_of(&words), "smtpd.accepted="));
	ck_assert_ptr_nonnull(strstr(text_of(&words), "milter.a.passed=1\n"));
	ck_assert_ptr_nonnull(strstr(text_of(&words), "milter.a.sessions=1\n"));
	ck_assert_ptr_nonnull(strstr(text_of(&words), "smtpd.ipc_sent="));
}

END_TEST

/* What is not for smtpd. */
START_TEST(other_questions)
{
	struct ask_queue m = { 0 };
	struct tell_term t = { .kind = TERM_ID };

	channel_tell(control, TYPE_tell_term, &t, 0);
	ask(TYPE_ask_queue, &m);
	wait_for_it();
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { tried, refused_by_it,
		it_changes_the_envelope, it_cannot_be_reached, a_large_one,
		not_to_be_tried, shown, other_questions };

	return run_tests_in("from_control", tests,
	    sizeof(tests) / sizeof(tests[0]), control_setup, control_teardown);
}
