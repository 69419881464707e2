/* Every state of a session, and everything that may happen in it: whatever
 * does, the session ends when its client is gone, all that it was counted for
 * is given back, and no mail comes of it that was not whole. */
#include "lib/net/sources.h"
#include "smtpd/limits.h"
#include "tests/unit/smtpd/fake_vault.h"
#include "tests/unit/smtpd/one_filter.h"

/* --- a resolver that answers nothing --- */

static struct channel *resolver;

static void
on_question(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch, (void)msg, (void)id;
}

static const struct handler handlers[] = { { TYPE_ask_client, on_question },
	{ TYPE_ask_dnsbl, on_question }, { 0, NULL } };

static void
on_resolver_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == resolver)
		channel_free(&resolver);
}

static void
resolver_start(void)
{
	int sv[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	resolver = channel_new(h.loop, sv[1], &smtpd_resolver_edge, EDGE_B,
	    handlers, on_resolver_closed, NULL);
	from_resolver_start(h.loop, sv[0]);
	h.config->nservers = 1;
}

/* --- states --- */

static void
connect_by_proxy(size_t replies)
{
	harness_connect_to(&h, 0, NULL);
	harness_say(
	    &h, STR("PROXY TCP4 198.51.100.7 192.0.2.25 99 25\r\n"), replies);
}

static void
greeted(void)
{
	connect_by_proxy(1);
	TALK("EHLO x\r\n", "250");
}

static void
in_tx(void)
{
	greeted();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
}

static void
say(const char *text)
{
	harness_say(&h, str_of(text), 0);
	harness_settle(&h);
}

static void
large(const char *command)
{
	static char text[400000];

	memset(text, 'x', sizeof(text));
	for (size_t i = 60; i + 1 < sizeof(text); i += 60)
		text[i] = '\r', text[i + 1] = '\n';
	h.fake.file = FAKE_HOLD;
	say(command);
	harness_say(&h, (struct str){ text, sizeof(text) }, 0);
	harness_settle(&h);
}

static void
to_proxy(void)
{
	harness_connect_to(&h, 0, NULL);
	say("PROXY TC");
}

static void
to_greeting(void)
{
	h.config->listeners[0].greet_delay_ms = 3600000;
	connect_by_proxy(0);
}

static void
to_skip(void)
{
	static char text[4000];

	greeted();
	memset(text, 'x', sizeof(text));
	harness_say(&h, (struct str){ text, sizeof(text) }, 0);
}

static void
to_commit(void)
{
	in_tx();
	h.fake.answer = FAKE_HOLD;
	TALK("DATA\r\n", "354");
	say("x\r\n.\r\n");
}

static void
to_commit_of_chunks(void)
{
	in_tx();
	h.fake.answer = FAKE_HOLD;
	say("BDAT 1 LAST\r\nx");
}

static void
to_file(void)
{
	in_tx();
	large("DATA\r\n");
}

static void
to_file_of_chunks(void)
{
	in_tx();
	large("BDAT 400000 LAST\r\nA: b\r\n\r\n");
}

static void
need(enum cond_kind kind)
{
	struct rule *r;

	h.config->nrules = 0;
	r = harness_rule(h.config, VERDICT_ACTION, NULL);
	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = kind;
	r->conds[0].score = 1;
	r->nconds = 1;
}

static void
free_rules(void)
{
	for (size_t i = 0; i < h.config->nrules; i++)
		free(h.config->rules[i].text);
}

static void
to_rcpt(enum cond_kind kind)
{
	static const char *const zones[][2] = { { "zen.example", NULL },
		{ NULL, NULL } };

	h.config->dnsbls[0] = harness_table(h.config, "lists", zones);
	h.config->ndnsbls = 1;
	free_rules();
	need(kind);
	resolver_start();
	greeted();
	TALK("MAIL FROM:<a@b>\r\n", "250");
	say("RCPT TO:<c@d>\r\n");
}

static void
to_naming(void)
{
	to_rcpt(COND_FCRDNS);
}

static void
to_listing(void)
{
	to_rcpt(COND_DNSBL);
}

static void
filter_holds(char what)
{
	one_filter();
	f->hold[(unsigned char)what] = true;
}

static void
to_filtering_greeting(void)
{
	filter_holds('C');
	connect_by_proxy(0);
	harness_settle(&h);
}

static void
to_filtering_mail(void)
{
	filter_holds('M');
	greeted();
	say("MAIL FROM:<a@b>\r\n");
}

static void
to_filtering_chunk(void)
{
	filter_holds('T');
	in_tx();
	say("BDAT 8\r\nA: b");
}

static void
to_filtering_content(void)
{
	filter_holds('E');
	in_tx();
	say("BDAT 8\r\nA: b\r\n\r\nBDAT 0 LAST\r\n");
}

static void
to_delay(void)
{
	h.config->limits.soft_errors = 1;
	h.config->limits.error_delay = 30;
	greeted();
	say("FOO\r\n");
}

static void
to_auth(void)
{
	vault_start(&h);
	greeted();
	TALK("AUTH LOGIN\r\n", "334");
}

static void
to_vault(void)
{
	vault_start(&h);
	vault.hold = true;
	greeted();
	say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
}

static void
to_body(void)
{
	in_tx();
	TALK("DATA\r\n", "354");
	say("x\r\n.");
}

static void
to_chunk(void)
{
	in_tx();
	say("BDAT 10 LAST\r\nabc");
}

static void
between_chunks(void)
{
	in_tx();
	TALK("BDAT 3\r\nabc", "250");
}

static void
to_chunk_of_nobody(void)
{
	greeted();
	say("BDAT 10\r\nabc");
}

static void
to_linger(void)
{
	greeted();
	TALK("GET / HTTP/1.1\r\n", "521 EOF");
}

static const struct {
	void (*go)(void);
	enum session_state state;
	unsigned int ncommits; /* that there may be */
} states[] = {
	{ to_proxy, SESSION_PROXY, 0 },
	{ to_greeting, SESSION_GREETING, 0 },
	{ greeted, SESSION_COMMAND, 0 },
	{ in_tx, SESSION_COMMAND, 0 },
	{ to_skip, SESSION_SKIP, 0 },
	{ to_commit, SESSION_BUSY, 1 },
	{ to_commit_of_chunks, SESSION_BUSY, 1 },
	{ to_file, SESSION_BUSY, 1 },
	{ to_file_of_chunks, SESSION_BUSY, 1 },
	{ to_naming, SESSION_NAMING, 0 },
	{ to_listing, SESSION_LISTING, 0 },
	{ to_filtering_greeting, SESSION_FILTERING, 0 },
	{ to_filtering_mail, SESSION_FILTERING, 0 },
	{ to_filtering_chunk, SESSION_FILTERING, 0 },
	{ to_filtering_content, SESSION_FILTERING, 1 },
	{ to_delay, SESSION_DELAY, 0 },
	{ to_auth, SESSION_AUTH, 0 },
	{ to_vault, SESSION_VAULT, 0 },
	{ to_body, SESSION_BODY, 0 },
	{ to_chunk, SESSION_CHUNK, 1 },
	{ between_chunks, SESSION_COMMAND, 0 },
	{ to_chunk_of_nobody, SESSION_CHUNK, 0 },
	{ to_linger, SESSION_LINGER, 0 },
};

/* --- what happens --- */

static struct session *only;

static void
take(void *ctx, const struct session *s)
{
	(void)ctx;
	only = (struct session *)(uintptr_t)s;
}

static void
nothing(void)
{
}

static void
its_client_goes(void)
{
}

static void
its_client_ends(void)
{
	shutdown(stream_fd(h.client), SHUT_WR);
}

static void
more_comes(void)
{
	static char text[30000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "NOOP\r\n"[i % 6];
	harness_say(&h, (struct str){ text, sizeof(text) }, 0);
}

static void
more_comes_and_its_client_ends(void)
{
	more_comes();
	its_client_ends();
}

static void
its_time_is_up(void)
{
	/* Later is the same, but for a test. */
	stream_deadline(only->stream, 1);
	for (int i = 0; i < 4; i++)
		harness_settle(&h);
}

static void
all_stop(void)
{
	sessions_stop(nothing);
	harness_settle(&h);
	sessions_abandon();
}

static void
others_die(void)
{
	from_queue_stop();
	from_resolver_stop();
	if (vault.ch != NULL)
		from_vault_stop();
	for (size_t i = 0; i < fakes.nfilters; i++)
		memset(fakes.filters[i].hold, 0, sizeof(f->hold));
	for (size_t i = 0; i < fakes.nconns; i++)
		stream_close(&fakes.conns[i].stream);
}

static void
others_die_and_come(void)
{
	others_die();
	channel_free(&h.fake.ch);
	fake_start(&h);
	h.fake.file = FAKE_COMMIT;
	more_comes();
}

static void (*const events[])(void) = { its_client_goes, its_client_ends,
	more_comes, more_comes_and_its_client_ends, its_time_is_up, all_stop,
	others_die, others_die_and_come };

/* --- all with all --- */

static void
open_all(void)
{
	int fd = sources_create(1, NULL);

	filters_setup();
	memset(&vault, 0, sizeof(vault));
	h.config->listeners[0].flags |= LISTENER_PROXY;
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(limits_set_sources(0, fd), 0);
}

static void
close_all(void)
{
	if (vault.ch != NULL)
		vault_stop(&h);
	channel_free(&resolver);
	filters_teardown();
}

static bool
all_are_gone(struct harness *unused)
{
	(void)unused;
	return sessions_count() == 0;
}

static void
one(size_t state, size_t event)
{
	open_all();
	states[state].go();
	sessions_each(take, NULL);
	ck_assert_msg(
	    sessions_count() == 1 && only->state == states[state].state,
	    "state %zu is %s", state, session_state_text(only));
	events[event]();
	harness_settle(&h);
	stream_close(&h.client);
	/* It may have only ended its side: whoever is asked answers first. */
	others_die();
	harness_until(&h, all_are_gone);
	ck_assert_uint_eq(limits_total(), 0);
	ck_assert_uint_le(h.fake.ncommits, states[state].ncommits);
	close_all();
}

START_TEST(any_state)
{
	for (size_t e = 0; e < sizeof(events) / sizeof(events[0]); e++)
		one((size_t)_i, e);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("session_ends");
	TCase *t = tcase_create("session_ends");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(
	    t, any_state, 0, (int)(sizeof(states) / sizeof(states[0])));
	suite_add_tcase(s, t);
	log_init("test", 1, "host");
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
