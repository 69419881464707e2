/* What DNS lists say, with a resolver that is played: who waits for it, what
 * is kept, and what of it reaches rules and the log. */
#include "edges/smtpd_resolver.h"
#include "lib/base/clock.h"
#include "smtpd/client_name.h"
#include "smtpd/listing.h"
#include "tests/unit/smtpd/talk.h"

/* The resolver, and the questions it has not answered. */
static struct channel *resolver;
static uint64_t ids[64];
static char asked[64][80]; /* "192.0.2.1 lists" */
static size_t nasked;

static void
on_ask_dnsbl(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_dnsbl *m = msg;

	(void)ctx, (void)ch;
	if (nasked == 64)
		abort();
	snprintf(asked[nasked], sizeof(asked[0]), "%.*s %.*s",
	    (int)m->address.len, m->address.p, (int)m->table.len, m->table.p);
	ids[nasked++] = id;
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
start_resolver(void)
{
	int sv[2];

	nasked = 0;
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	resolver = channel_new(h.loop, sv[1], &smtpd_resolver_edge, EDGE_B,
	    handlers, on_closed, NULL);
	from_resolver_start(h.loop, sv[0]);
}

static void
answer(size_t which, int score, const char *lists, uint32_t ttl_s)
{
	struct answer_dnsbl m = {
		.score = (uint32_t)(score + DNSBL_SCORE_MAX),
		.lists = str_of(lists),
		.ttl_s = ttl_s,
	};

	ck_assert_uint_lt(which, nasked);
	channel_tell(resolver, TYPE_answer_dnsbl, &m, ids[which]);
}

static struct table *
table(const char *name)
{
	struct table_builder *b = table_builder_new(name);
	struct fault why;

	ck_assert_int_eq(
	    table_builder_add(b, STR("zen.example"), NULL, &why), 0);
	return table_open(table_builder_seal(&b, &why), name, &why);
}

static void
rule(uint32_t dnsbl, int32_t score, enum verdict_kind verdict)
{
	struct rule *r = harness_rule(h.config, verdict, NULL);

	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = COND_DNSBL;
	r->conds[0].dnsbl = dnsbl;
	r->conds[0].score = score;
	r->nconds = 1;
}

static void
setup_lists(void)
{
	setup();
	h.config->tables = xcalloc(2, sizeof(struct table *));
	h.config->tables[0] = table("lists");
	h.config->tables[1] = table("others");
	h.config->ntables = 2;
	memcpy(h.config->dnsbls, h.config->tables, 2 * sizeof(struct table *));
	h.config->ndnsbls = 2;
	h.config->nservers = 1;
	start_resolver();
}

static void
teardown_lists(void)
{
	stream_close(&h.client);
	channel_free(&resolver);
	from_resolver_stop();
	harness_settle(&h);
	listings_clear();
	teardown();
}

static bool
both_asked(struct harness *x)
{
	(void)x;
	return nasked == 2;
}

#define MAIL "MAIL FROM:<a@b>\r\n"
#define RCPT "RCPT TO:<c@d>\r\n"

START_TEST(waits)
{
	rule(0, 3, VERDICT_REJECT);
	accept_all();
	begin();
	harness_until(&h, both_asked);
	TALK(MAIL, "250");
	harness_say(&h, STR(RCPT "NOOP\r\n"), 0);
	ck_assert_uint_eq(h.got.len, 0);
	/* Not this one. */
	answer(1, 100, "other.example=127.0.0.2", 60);
	harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0);
	answer(0, 3, "zen.example=127.0.0.2", 60);
	TALK("", "550 250");
	harness_hang_up(&h);
	/* It is known now. */
	begin();
	TALK(MAIL RCPT, "250 550");
	ck_assert_uint_eq(nasked, 2);
}

END_TEST

START_TEST(by_score)
{
	static const struct {
		int score;
		const char *code;
	} cases[] = { { 2, "250" }, { 3, "550" }, { -5, "250" },
		{ 100000, "550" }, { -100000, "250" } };

	rule(1, 3, VERDICT_REJECT);
	accept_all();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		listings_clear();
		nasked = 0;
		begin();
		harness_until(&h, both_asked);
		answer(1, cases[i].score, "x.example=127.0.0.2", 60);
		harness_settle(&h);
		TALK(MAIL, "250");
		TALK(RCPT, cases[i].code);
		harness_hang_up(&h);
	}
}

END_TEST

/* Once for each address and table, however many connections there are; and
 * all of them hear of it. */
START_TEST(asked_once)
{
	struct stream *first;

	rule(0, 1, VERDICT_REJECT);
	accept_all();
	begin();
	harness_until(&h, both_asked);
	ck_assert_str_eq(asked[0], "192.0.2.1 lists");
	ck_assert_str_eq(asked[1], "192.0.2.1 others");
	TALK(MAIL, "250");
	harness_say(&h, STR(RCPT), 0);
	first = h.client;
	begin();
	TALK(MAIL, "250");
	harness_say(&h, STR(RCPT), 0);
	ck_assert_uint_eq(nasked, 2);
	uint64_t listed = stats_all()[STAT_LISTED].value;
	answer(0, 1, "zen.example=127.0.0.2", 60);
	TALK("", "550 550");
	ck_assert_uint_eq(stats_all()[STAT_LISTED].value, listed + 2);
	stream_close(&first);
	/* Another one is another. */
	harness_hang_up(&h);
	h.from = "192.0.2.2";
	begin();
	harness_settle(&h);
	ck_assert_uint_eq(nasked, 4);
}

END_TEST

/* A session that began with another configuration has its tables in another
 * order, and what they say is the same. */
START_TEST(other_order)
{
	struct table *first;

	rule(0, 1, VERDICT_REJECT);
	accept_all();
	begin();
	harness_until(&h, both_asked);
	answer(0, 1, "zen.example=127.0.0.2", 60);
	answer(1, 0, "", 60);
	TALK(MAIL RCPT, "250 550");
	harness_hang_up(&h);
	first = h.config->dnsbls[0];
	h.config->dnsbls[0] = h.config->dnsbls[1];
	h.config->dnsbls[1] = first;
	begin();
	TALK(MAIL RCPT, "250 250");
	ck_assert_uint_eq(nasked, 2);
}

END_TEST

/* An answer that holds no time is for those who waited only. */
START_TEST(not_kept)
{
	rule(0, 1, VERDICT_REJECT);
	accept_all();
	for (size_t i = 0; i < 3; i++) {
		begin();
		harness_settle(&h);
		TALK(MAIL, "250");
		harness_say(&h, STR(RCPT), 0);
		answer(2 * i, 1, "zen.example=127.0.0.2", 0);
		answer(2 * i + 1, 0, "", 0);
		TALK("", "550");
		harness_hang_up(&h);
	}
	ck_assert_uint_eq(nasked, 6);
}

END_TEST

START_TEST(resolver_lost)
{
	rule(0, 1, VERDICT_REJECT);
	accept_all();
	begin();
	harness_until(&h, both_asked);
	TALK(MAIL, "250");
	harness_say(&h, STR(RCPT), 0);
	channel_free(&resolver);
	TALK("", "250");
	harness_hang_up(&h);
	/* Nobody there at all. */
	begin();
	TALK(MAIL RCPT, "250 250");
	harness_hang_up(&h);
	start_resolver();
	begin();
	harness_until(&h, both_asked);
	answer(0, 1, "zen.example=127.0.0.2", 60);
	harness_settle(&h);
	TALK(MAIL RCPT, "250 550");
}

END_TEST

/* The client goes while it waits, or does not wait any more. */
START_TEST(gone_while_waiting)
{
	rule(0, 1, VERDICT_REJECT);
	accept_all();
	for (int how = 0; how < 3; how++) {
		listings_clear();
		nasked = 0;
		begin();
		harness_until(&h, both_asked);
		if (how > 0)
			TALK(MAIL, "250");
		if (how > 1)
			harness_say(&h, STR(RCPT), 0);
		harness_hang_up(&h);
		answer(0, 1, "zen.example=127.0.0.2", 60);
		answer(1, 1, "b.example=127.0.0.2", 60);
		harness_settle(&h);
		ck_assert_uint_eq(sessions_count(), 0);
	}
}

END_TEST

START_TEST(not_asked)
{
	rule(0, 1, VERDICT_REJECT);
	accept_all();
	harness_connect_to(&h, 1, NULL);
	harness_replies(&h, 1);
	TALK("HELO x\r\n" MAIL RCPT, "250 250 250");
	harness_hang_up(&h);
	h.config->nservers = 0;
	begin();
	TALK(MAIL RCPT, "250 250");
	harness_hang_up(&h);
	h.config->nservers = 1;
	h.config->ndnsbls = 0;
	begin();
	harness_settle(&h);
	ck_assert_uint_eq(nasked, 0);
	struct session trusted = { .config = h.config, .trusted = true };
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &trusted.client), 0);
	h.config->ndnsbls = 2;
	ck_assert_ptr_null(listing_ask(&trusted));
	ck_assert(listing_is_complete(NULL));
	ck_assert_ptr_null(listing_scores(NULL));
	ck_assert_str_eq(listing_text(NULL), "");
}

END_TEST

/* Names that nobody finds leave room for lists. */
START_TEST(beside_names)
{
	enum { MAX = 1024 };
	struct session s = { .config = h.config,
		.client_text = (char[]){ "192.0.2.1" } };
	struct caller *callers[MAX + 1];
	struct listing *l;

	for (size_t i = 0; i <= MAX; i++) {
		struct addr a = { .family = ADDR_V4,
			.bytes = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };

		callers[i] = caller_ref(&a);
		ck_assert_int_eq(caller_state(callers[i]),
		    i < MAX ? CLIENT_NAME_PENDING : CLIENT_NAME_FAULT);
	}
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &s.client), 0);
	l = listing_ask(&s);
	ck_assert(!listing_is_complete(l));
	harness_until(&h, both_asked);
	listing_free(&l);
	for (size_t i = 0; i <= MAX; i++)
		caller_unref(&callers[i]);
}

END_TEST

/* What name servers say is text of others. */
START_TEST(text)
{
	struct session s = { .config = h.config,
		.client_text = (char[]){ "192.0.2.1" } };
	struct listing *l;

	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &s.client), 0);
	l = listing_ask(&s);
	harness_until(&h, both_asked);
	ck_assert(!listing_is_complete(l));
	ck_assert_int_eq(listing_scores(l)[0], DNSBL_PENDING);
	ck_assert_str_eq(listing_text(l), "");
	answer(1, -2, "a.example=127.0.0.2 b.example=127.0.0.3\r\nforged", 60);
	harness_settle(&h);
	ck_assert_int_eq(listing_scores(l)[1], -2);
	ck_assert_str_eq(
	    listing_text(l), "a.example=127.0.0.2 b.example=127.0.0.3");
	answer(0, 2, "zen.example=127.0.0.4", 60);
	harness_settle(&h);
	ck_assert(listing_is_complete(l));
	ck_assert_int_eq(listing_scores(l)[0], 2);
	ck_assert_str_eq(listing_text(l), "a.example=127.0.0.2 "
					  "b.example=127.0.0.3 "
					  "zen.example=127.0.0.4");
	listing_free(&l);
	ck_assert_ptr_null(l);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { waits, by_score, asked_once, not_kept,
		other_order, resolver_lost, gone_while_waiting, not_asked,
		beside_names, text };

	return run_tests_in("listing", tests, sizeof(tests) / sizeof(tests[0]),
	    setup_lists, teardown_lists);
}
