/* From accept to the greeting: who waits, who does not, who is turned away. */
#include "lib/net/sources.h"
#include "smtpd/limits.h"
#include "smtpd/patience.h"
#include "tests/unit/smtpd/sources_table.h"
#include "tests/unit/smtpd/talk.h"

static void
nothing(void)
{
}

static struct listener *
front(void)
{
	return &h.config->listeners[0];
}

/* A rule before all others refuses those who talked too early. */
static void
refuse_early(void)
{
	struct rule *r =
	    harness_rule(h.config, VERDICT_REJECT, "550 5.7.1 too early");

	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = COND_EARLY_TALKER;
	r->nconds = 1;
	accept_all();
}

START_TEST(held_back)
{
	refuse_early();
	front()->greet_delay_ms = 20;
	harness_connect_to(&h, 0, NULL);
	ck_assert_uint_eq(h.got.len, 0);
	harness_replies(&h, 1);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 ")));
	TALK("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250 250");
}

END_TEST

/* It does not wait for the end of the delay, and neither do we. */
START_TEST(too_early)
{
	front()->greet_delay_ms = 3600000;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	TALK("EHLO x\r\nMAIL FROM:<a@b>\r\n", "554 EOF");
	ck_assert_str_eq(h.got.p, "554 5.5.1 The server speaks first\r\n");
	harness_hang_up(&h);
	/* Before we are there at all. */
	harness_connect_to(&h, 0, "QUIT\r\n");
	harness_replies(&h, 100);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("554 5.5.1 ")));
	harness_hang_up(&h);
	/* Without a delay only that is seen. */
	front()->greet_delay_ms = 0;
	harness_connect_to(&h, 0, "QUIT\r\n");
	harness_replies(&h, 100);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("554 5.5.1 ")));
}

END_TEST

START_TEST(gone_while_waiting)
{
	front()->greet_delay_ms = 3600000;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	harness_hang_up(&h);
	ck_assert_uint_eq(sessions_count(), 0);
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	sessions_stop(nothing);
	harness_replies(&h, 100);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("421 4.3.2 ")));
}

END_TEST

START_TEST(flagged)
{
	refuse_early();
	front()->flags |= LISTENER_GREET_FLAG;
	front()->greet_delay_ms = 20;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	/* It is heard all the same, in its turn. */
	TALK("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    "220 250 250 550");
	ck_assert_ptr_nonnull(strstr(h.got.p, "550 5.7.1 too early"));
	harness_hang_up(&h);
	harness_connect_to(&h, 0, "EHLO x\r\n");
	harness_replies(&h, 2);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 550");
	harness_hang_up(&h);
	front()->greet_delay_ms = 0;
	harness_connect_to(&h, 0, "EHLO x\r\n");
	harness_replies(&h, 2);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 550");
}

END_TEST

START_TEST(excepted)
{
	struct table *t = sources_table("192.0.2.0/24");

	front()->greet_delay_ms = 3600000;
	front()->no_delay_for = t;
	harness_connect(&h);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 ")));
	harness_hang_up(&h);
	/* Nor is it for our own users. */
	h.config->listeners[1].greet_delay_ms = 3600000;
	harness_connect_to(&h, 1, NULL);
	harness_replies(&h, 1);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 ")));
	front()->no_delay_for = NULL;
	table_free(&t);
}

END_TEST

/* Where TLS is required nothing that does mail is said without. */
START_TEST(tls_required)
{
	accept_all();
	h.config->limits.errors = h.config->limits.soft_errors = 100;
	front()->flags |= LISTENER_TLS_REQUIRE;
	harness_connect(&h);
	TALK("MAIL FROM:<a@b>\r\n", "530");
	ck_assert_str_eq(
	    h.got.p, "530 5.7.0 Must issue a STARTTLS command first\r\n");
	TALK("EHLO x\r\nHELO x\r\nNOOP\r\nRSET\r\nHELP\r\nEXPN x\r\nFOO\r\n",
	    "250 250 250 250 214 502 500");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nVRFY c@d\r\n"
	     "XCLIENT ADDR=1.2.3.4\r\nAUTH PLAIN\r\n",
	    "530 530 530 530 530");
	TALK("BDAT 6\r\nQUIT\r\nNOOP\r\n", "530 250");
	TALK("DATA\r\n", "530");
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

START_TEST(words)
{
	begin();
	ck_assert_str_eq(h.got.p,
	    "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 26214400\r\n"
	    "250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n"
	    "250-CHUNKING\r\n250-DSN\r\n"
	    "250 LIMITS MAILMAX=1000 RCPTMAX=1000\r\n");
	TALK("HELO client.example\r\n", "250");
	ck_assert_str_eq(h.got.p, "250 mx.example\r\n");
}

END_TEST

/* The time of a session ends it, but not within a transaction. */
START_TEST(session_time)
{
	accept_all();
	h.config->limits.session_time = 30;
	harness_connect(&h);
	harness_replies(&h, 100);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 ")));
	ck_assert_ptr_nonnull(strstr(h.got.p, "\r\n421 4.4.2 "));
	harness_hang_up(&h);
	h.config->limits.session_time = 3600000;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	h.config->limits.session_time = 0;
	TALK("RCPT TO:<e@f>\r\n", "250");
	TALK("DATA\r\n", "354");
	TALK("x\r\n.\r\n", "250 421 EOF");
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

static struct session *only;

static void
take(void *ctx, const struct session *s)
{
	(void)ctx;
	only = (struct session *)(uintptr_t)s;
}

/* Nobody holds it open for ever: not with a transaction, not with replies that
 * he reads byte by byte. */
START_TEST(no_more_time)
{
	struct limits *l = &h.config->limits;

	accept_all();
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	l->session_time = l->data_total = 0;
	TALK("RCPT TO:<e@f>\r\n", "250 421 EOF");
	harness_hang_up(&h);
	l->session_time = l->data_total = 3600000;
	l->junk_commands = 1000000;
	begin();
	stream_pause(h.client);
	for (int i = 0; i < 20000; i++)
		stream_write(h.client, "HELO x\r\n", 8);
	harness_settle(&h);
	sessions_each(take, NULL);
	ck_assert_int_eq(only->state, SESSION_COMMAND);
	ck_assert_uint_gt(stream_unsent(only->stream), 0);
	l->session_time = 0;
	/* Some of it has moved since the last look. */
	only->unsent_seen = SIZE_MAX;
	patience_command_over(only);
	ck_assert_int_eq(only->state, SESSION_LINGER);
}

END_TEST

/* Its time is up when the end of its line comes. */
START_TEST(no_time_for_long_lines)
{
	static char line[4000];

	begin();
	memset(line, 'x', sizeof(line));
	harness_say(&h, (struct str){ line, sizeof(line) }, 0);
	ck_assert_uint_eq(h.got.len, 0);
	h.config->limits.session_time = 0;
	TALK("\r\nNOOP\r\n", "500 421 EOF");
}

END_TEST

/* Each error costs more than the one before, up to a bound. */
START_TEST(tarpit)
{
	struct session s = { .config = h.config };
	struct limits *l = &h.config->limits;

	l->soft_errors = 10;
	l->error_delay = 1000;
	static const uint64_t want[] = { 1000, 2000, 4000, 8000, 16000, 30000,
		30000 };
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		s.nerrors = (uint32_t)(10 + i);
		ck_assert_uint_eq(limits_error_delay(&s), want[i]);
	}
	s.nerrors = UINT32_MAX;
	ck_assert_uint_eq(limits_error_delay(&s), 30000);
	l->error_delay = 60000;
	ck_assert_uint_eq(limits_error_delay(&s), 60000);
	l->error_delay = 0;
	ck_assert_uint_eq(limits_error_delay(&s), 0);
}

END_TEST

/* The limits are those of the client, wherever its connection comes from. */
START_TEST(who_counts)
{
	int fd = sources_create(1, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(limits_set_sources(0, fd), 0);
	h.config->limits.connections_per_source = 1;
	front()->flags |= LISTENER_PROXY;
	harness_connect_to(&h, 0, NULL);
	TALK("PROXY TCP4 198.51.100.77 192.0.2.25 99 25\r\n", "220");
	struct stream *first = h.client;
	harness_connect_to(&h, 0, NULL);
	TALK("PROXY TCP4 198.51.100.77 192.0.2.25 99 25\r\n", "421 EOF");
	ck_assert_ptr_nonnull(strstr(h.got.p, "421 4.7.0 Too many"));
	harness_hang_up(&h);
	harness_connect_to(&h, 0, NULL);
	TALK("PROXY TCP4 198.51.100.78 192.0.2.25 99 25\r\n", "220");
	harness_hang_up(&h);
	stream_close(&first);
	harness_settle(&h);
	ck_assert_uint_eq(limits_total(), 0);
	harness_connect_to(&h, 0, NULL);
	TALK("PROXY TCP4 198.51.100.77 192.0.2.25 99 25\r\n", "220");
	harness_hang_up(&h);
	/* Each that XCLIENT makes of one connection in its turn, and none of
	 * them twice. */
	struct table *gateways = sources_table("192.0.2.0/24");

	front()->flags = 0;
	front()->xclient_from = gateways;
	begin();
	TALK("XCLIENT ADDR=198.51.100.77\r\n", "220");
	TALK("XCLIENT ADDR=198.51.100.77\r\n", "220");
	TALK("XCLIENT ADDR=198.51.100.78\r\n", "220");
	ck_assert_uint_eq(limits_total(), 1);
	first = h.client;
	begin();
	TALK("XCLIENT ADDR=198.51.100.77\r\n", "220");
	TALK("XCLIENT ADDR=198.51.100.78\r\n", "421 EOF");
	harness_hang_up(&h);
	ck_assert_uint_eq(limits_total(), 1);
	stream_close(&first);
	harness_settle(&h);
	ck_assert_uint_eq(limits_total(), 0);
	front()->xclient_from = NULL;
	table_free(&gateways);
}

END_TEST

/* Where TLS comes first there is no word before it, whatever the end. */
START_TEST(no_word_before_tls)
{
	for (int smtps = 0; smtps <= 1; smtps++) {
		front()->flags =
		    LISTENER_PROXY | (smtps == 1 ? LISTENER_SMTPS : 0);
		harness_connect_to(&h, 0, NULL);
		sessions_pause(true);
		TALK("", smtps == 1 ? "EOF" : "421 EOF");
		sessions_pause(false);
		harness_hang_up(&h);
	}
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { held_back, too_early, gone_while_waiting,
		flagged, excepted, tls_required, words, session_time,
		no_more_time, no_time_for_long_lines, tarpit, who_counts,
		no_word_before_tls };

	return run_tests("opening", tests, sizeof(tests) / sizeof(tests[0]));
}
