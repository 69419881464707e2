/* What the rules learn of a session: who it is, how it came, what it did
 * first, and what DNS lists say of it, if they say it in time. */
#include "edges/smtpd_resolver.h"
#include "smtpd/listing.h"
#include "smtpd/patience.h"
#include "smtpd/sessions.h"
#include "tests/unit/smtpd/fake_vault.h"
#include "tests/unit/smtpd/talk.h"

static struct channel *resolver;
static uint64_t asked[2]; /* request ids; 0: not asked */

/* The tables are "0" and "1". */
static void
on_ask_dnsbl(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_dnsbl *m = msg;

	(void)ctx, (void)ch;
	asked[m->table.p[0] == '1'] = id;
}

static void
on_ask_client(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_client m = { .state = CLIENT_NAME_NONE, .ttl_s = 60 };

	(void)ctx, (void)msg;
	channel_tell(ch, TYPE_answer_client, &m, id);
}

static const struct handler handlers[] = { { TYPE_ask_dnsbl, on_ask_dnsbl },
	{ TYPE_ask_client, on_ask_client }, { 0, NULL } };

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == resolver)
		channel_free(&resolver);
}

static void
use_lists(void)
{
	static const char *const zones[][2] = { { "zen.example", NULL },
		{ NULL, NULL } };
	int sv[2];

	h.config->dnsbls[0] = harness_table(h.config, "0", zones);
	h.config->dnsbls[1] = harness_table(h.config, "1", zones);
	h.config->ndnsbls = 2;
	h.config->nservers = 1;
	asked[0] = asked[1] = 0;
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	resolver = channel_new(h.loop, sv[1], &smtpd_resolver_edge, EDGE_B,
	    handlers, on_closed, NULL);
	from_resolver_start(h.loop, sv[0]);
}

static void
open_all(void)
{
	setup();
	vault_start(&h);
}

static void
close_all(void)
{
	vault_stop(&h);
	stream_close(&h.client);
	channel_free(&resolver);
	from_resolver_stop();
	harness_settle(&h);
	listings_clear();
	teardown();
}

static void
listed(size_t list, int score)
{
	struct answer_dnsbl m = { .score = (uint32_t)(score + DNSBL_SCORE_MAX),
		.lists = STR("zen.example=127.0.0.2"),
		.ttl_s = 60 };

	channel_tell(resolver, TYPE_answer_dnsbl, &m, asked[list]);
	harness_settle(&h);
}

static bool
both_asked(struct harness *x)
{
	(void)x;
	return asked[0] != 0 && asked[1] != 0;
}

/* Refused with this reply, when all that holds. */
static struct cond *
refuse(enum cond_kind kind, const char *reply)
{
	struct rule *r = harness_rule(h.config, VERDICT_REJECT, reply);

	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = kind;
	r->nconds = 1;
	return &r->conds[0];
}

static struct session *only;

static void
note_session(void *ctx, const struct session *s)
{
	(void)ctx;
	only = (struct session *)(uintptr_t)s;
}

static struct session *
the_session(void)
{
	only = NULL;
	sessions_each(note_session, NULL);
	return only;
}

#define MAIL "MAIL FROM:<a@b>\r\n"
#define RCPT "RCPT TO:<c@d>\r\n"

/* Nobody waits for lists forever; what did come counts. */
START_TEST(lists_that_do_not_answer)
{
	use_lists();
	refuse(COND_DNSBL, "550 5.7.1 first")->score = 1;
	refuse(COND_DNSBL, "550 5.7.1 second")->score = 1;
	h.config->rules[1].conds[0].dnsbl = 1;
	accept_all();
	begin();
	harness_until(&h, both_asked);
	TALK(MAIL, "250");
	TALK(RCPT, "");
	ck_assert_int_eq(the_session()->state, SESSION_LISTING);
	listed(1, 1);
	/* The first may refuse it yet. */
	ck_assert_int_eq(the_session()->state, SESSION_LISTING);
	h.nwant = 1;
	patience_lists_over(the_session());
	TALK("", "550");
	ck_assert_str_eq(h.got.p, "550 5.7.1 second\r\n");
	/* From then on nothing of this session waits for it. */
	TALK("VRFY <c@d>\r\n", "550");
	listed(0, 1);
	TALK(RCPT, "550");
	ck_assert_str_eq(h.got.p, "550 5.7.1 first\r\n");
}

END_TEST

START_TEST(lists_that_do_not_answer_at_all)
{
	use_lists();
	refuse(COND_DNSBL, NULL)->score = 1;
	accept_all();
	begin();
	TALK(MAIL, "250");
	TALK(RCPT, "");
	patience_lists_over(the_session());
	TALK("", "250");
}

END_TEST

START_TEST(users)
{
	static const char *const some[][2] = { { "bob", NULL },
		{ NULL, NULL } };

	refuse(COND_FROM_AUTH, "550 5.7.1 user")->negate = true;
	refuse(COND_AUTH, "550 5.7.1 bob")->table =
	    harness_table(h.config, "some", some);
	accept_all();
	begin();
	TALK(MAIL RCPT, "250 550");
	ck_assert_ptr_nonnull(strstr(h.got.p, "550 5.7.1 user"));
	TALK("RSET\r\n", "250");
	vault.say = true; /* right, whoever it is */
	TALK("AUTH PLAIN AEJPQgBzZWNyZXQ=\r\n", "235"); /* BOB */
	TALK(MAIL RCPT, "250 550");
	ck_assert_ptr_nonnull(strstr(h.got.p, "550 5.7.1 bob"));
	harness_hang_up(&h);
	begin();
	TALK("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "235");
	TALK(MAIL RCPT, "250 250");
}

END_TEST

START_TEST(early_talkers)
{
	refuse(COND_EARLY_TALKER, NULL);
	accept_all();
	begin();
	TALK(MAIL RCPT, "250 250");
	the_session()->early = true;
	TALK(RCPT, "550");
}

END_TEST

START_TEST(in_the_clear)
{
	refuse(COND_TLS, NULL)->negate = true;
	accept_all();
	begin();
	TALK(MAIL RCPT, "250 550");
}

END_TEST

/* The client that a balancer or a proxy speaks for, not they. */
START_TEST(local_clients)
{
	refuse(COND_FROM_LOCAL, NULL);
	accept_all();
	h.from = "127.0.0.1";
	begin();
	TALK(MAIL RCPT, "250 550");
	addr_parse(STR("192.0.2.1"), &the_session()->client);
	TALK(RCPT, "250");
	ck_assert(addr_is_loopback(&the_session()->peer));
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { lists_that_do_not_answer,
		lists_that_do_not_answer_at_all, users, early_talkers,
		in_the_clear, local_clients };

	return run_tests_in("policy", tests, sizeof(tests) / sizeof(tests[0]),
	    open_all, close_all);
}
