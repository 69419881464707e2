/* Where mail must not go, and what it is sent like where it may. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/fake_resolver.c"

#include "delivery/from_fetch.h"
#include "delivery/secure.h"

static const struct zone zone[] = {
	{ "two.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.two.test", 10, "127.0.0.1" },
		{ "b.two.test", 20, "127.0.0.2" } } },
	{ "h.test", WAY_HOST, WAY_FOUND, 300, "",
	    { { "h.test", 0, "127.0.0.1" } } },
};

static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT_LOOP };

/* --- the fetcher --- */

static struct channel *fetcher;
static struct answer_sts sts;
static unsigned int nsts;
static char sts_domain[256];

static void
on_ask_sts(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_sts *m = msg;

	(void)ctx;
	nsts++;
	copy(sts_domain, sizeof(sts_domain), m->domain);
	channel_tell(ch, TYPE_answer_sts, &sts, id);
}

static void
on_fetcher_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&fetcher);
}

static void
at_the_end(void)
{
	channel_free(&names);
	channel_free(&fetcher);
	from_fetch_close();
}

static void
use_fetcher(enum sts_mode mode, const char *mxs)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_sts, on_ask_sts },
		{ 0, NULL },
	};
	int sv[2];

	sts = (struct answer_sts){ .mode = (uint8_t)mode,
		.ttl_s = 300,
		.id = STR("1"),
		.mxs = str_of(mxs) };
	nsts = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	fetcher = channel_new(loop, sv[0], &delivery_fetch_edge, EDGE_B,
	    handlers, on_fetcher_closed, NULL);
	from_fetch_open(loop, sv[1]);
	at_end = at_the_end;
}

/* --- mail --- */

static void
start(const struct step *one, const struct step *two)
{
	secure_init();
	use_zones(zone, sizeof(zone) / sizeof(zone[0]));
	server_start(&servers[0], one);
	server_start_at(&servers[1], two, 2, servers[0].port);
}

static void
deliver(const char *url, uint32_t flags)
{
	char hop[64];
	struct mail m = to_one;

	snprintf(hop, sizeof(hop), "%s:%u", url, servers[0].port);
	m.hops = hop;
	m.flags = flags;
	give(&m);
	run(1);
}

/* The mail itself was never said to it. */
static void
expect_nothing_said(size_t server)
{
	ck_assert_ptr_null(strstr(heard(&servers[server]), "MAIL"));
}

static uint64_t
counted(const char *name)
{
	for (const struct counter *c = agent_counters(); c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c->value;
	ck_abort_msg("no %s", name);
	return 0;
}

/* --- DANE --- */

START_TEST(test_host_with_dane_fault_is_passed_over)
{
	start(good, good);
	hosts_said[0] = (struct host_said){ "a.two.test", DANE_FAULT };
	deliver("mx://two.test", 0);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 0);
	ck_assert_uint_eq(servers[1].npeers, 1);
}

END_TEST

START_TEST(test_dane_faults_defer)
{
	start(good, good);
	hosts_said[0] = (struct host_said){ "a.two.test", DANE_FAULT };
	hosts_said[1] = (struct host_said){ "b.two.test", DANE_FAULT };
	deliver("mx://two.test", 0);
	expect(0, OUTCOME_DEFERRED, 0, "4.7.5");
	ck_assert_ptr_nonnull(strstr(told[0].relay, "b.two.test"));
	ck_assert_uint_eq(servers[0].npeers + servers[1].npeers, 0);
	ck_assert_uint_eq(nunreachable, 1);
}

END_TEST

/* TLSA records are there: nothing in the clear, to none of them. */
START_TEST(test_dane_is_never_in_the_clear)
{
	start(good, good);
	hosts_said[0].host = "a.two.test";
	hosts_said[0].is = _i == 0 ? DANE_RECORDS : DANE_UNUSABLE;
	hosts_said[1] = hosts_said[0];
	hosts_said[1].host = "b.two.test";
	deliver("mx://two.test", 0);
	ck_assert_int_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_int_eq(strncmp(told[0].status, "4.7.", 4), 0);
	ck_assert_uint_eq(servers[0].npeers, 1);
	ck_assert_uint_eq(servers[1].npeers, 1);
	expect_nothing_said(0);
	expect_nothing_said(1);
}

END_TEST

/* It is asked for only where it is wanted. */
START_TEST(test_dane_where_it_is_wanted)
{
	start(good, good);
	hosts_said[0] = (struct host_said){ "h.test", DANE_FAULT };
	deliver("smtp://h.test", 0);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	config->actions[0].tls = ACTION_TLS_DANE;
	deliver("smtp://h.test", 0);
	expect(1, OUTCOME_DEFERRED, 0, "4.7.5");
	config->actions[0].tls = ACTION_TLS_MAY;
	deliver("smtp://h.test", 0);
	expect(2, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* --- MTA-STS --- */

START_TEST(test_sts_hosts_not_allowed_are_passed_over)
{
	start(good, good);
	config->actions[0].tls = ACTION_TLS_STS;
	use_fetcher(STS_ENFORCE, "b.two.test");
	deliver("mx://Two.test", 0);
	/* the other has no TLS */
	ck_assert_int_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_ptr_nonnull(strstr(told[0].relay, "b.two.test"));
	ck_assert_uint_eq(servers[0].npeers, 0);
	ck_assert_uint_eq(servers[1].npeers, 1);
	expect_nothing_said(1);
	ck_assert_str_eq(sts_domain, "two.test");
	deliver("mx://two.test", 0);
	ck_assert_uint_eq(nsts, 1);
}

END_TEST

START_TEST(test_sts_allows_nobody)
{
	start(good, good);
	config->actions[0].tls = ACTION_TLS_STS;
	use_fetcher(STS_ENFORCE, "other.test");
	deliver("mx://two.test", 0);
	expect(0, OUTCOME_DEFERRED, 0, "4.7.5");
	ck_assert_uint_eq(servers[0].npeers + servers[1].npeers, 0);
}

END_TEST

/* Tested only, or not there: as if there were none. */
START_TEST(test_sts_not_enforced)
{
	start(good, good);
	config->actions[0].tls = ACTION_TLS_STS;
	use_fetcher(_i == 0 ? STS_TESTING : STS_NONE, "other.test");
	sts.fault = _i == 0 ? STS_NO_FAULT : STS_FETCH_ERROR;
	deliver("mx://two.test", 0);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(nsts, 1);
}

END_TEST

/* A work that ends while it waits for the fetcher. */
START_TEST(test_dropped_while_asking)
{
	struct mail m = to_one;

	use_zones(zone, sizeof(zone) / sizeof(zone[0]));
	config->actions[0].tls = ACTION_TLS_STS;
	m.hops = "mx://two.test:25";
	give(&m);
	from_queue_stop();
	agent_drop_all();
	ck_assert_uint_eq(agent_count(), 0);
}

END_TEST

/* --- in the clear --- */

static const struct step broken[] = { GREET,
	{ "EHLO", "250-mx\r\n250 STARTTLS\r\n", 0 },
	{ "STARTTLS", "220 go\r\n", 0 }, { "", NULL, 0 } };

/* Once more, when nobody minds. */
START_TEST(test_handshake_fails)
{
	uint64_t before = counted("delivery.tls_fallbacks");

	start(broken, good);
	servers[0].scripts[1] = good;
	deliver("smtp://127.0.0.1", 0);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 2);
	ck_assert_uint_eq(counted("delivery.tls_fallbacks"), before + 1);
}

END_TEST

/* Only once: then the other place has its turn. */
START_TEST(test_handshake_fails_then_all_else)
{
	static const struct step busy[] = { { "", "421 4.3.2 busy\r\n", 0 },
		NOTHING };

	start(broken, good);
	servers[0].scripts[1] = busy;
	deliver("mx://two.test", 0);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 2);
	ck_assert_uint_eq(servers[1].npeers, 1);
}

END_TEST

static const struct {
	const char *url;
	unsigned int tls;
	uint32_t flags;
} strict[] = {
	{ "smtp://127.0.0.1", ACTION_TLS_REQUIRE, 0 },
	{ "smtp://127.0.0.1", ACTION_TLS_REQUIRE | ACTION_TLS_UNVERIFIED, 0 },
	{ "smtp+tls://127.0.0.1", 0, 0 },
	{ "smtp+tls://127.0.0.1", ACTION_TLS_UNVERIFIED, 0 },
	{ "smtp://127.0.0.1", 0, ENVELOPE_REQUIRETLS },
};

enum { NSTRICT = sizeof(strict) / sizeof(strict[0]) };

START_TEST(test_handshake_fails_and_it_is_a_must)
{
	bool for_ever = strict[_i].flags != 0;

	start(broken, good);
	servers[0].scripts[1] = good;
	config->actions[0].tls = strict[_i].tls;
	deliver(strict[_i].url, strict[_i].flags);
	expect(0, for_ever ? OUTCOME_FAILED : OUTCOME_DEFERRED, 0,
	    for_ever ? "5.7.30" : "4.7.5");
	ck_assert_uint_eq(servers[0].npeers, 1);
	expect_nothing_said(0);
}

END_TEST

START_TEST(test_not_offered_and_it_is_a_must)
{
	start(good, good);
	config->actions[0].tls = strict[_i].tls;
	deliver(strict[_i].url, strict[_i].flags);
	ck_assert_int_eq(told[0].outcome,
	    strict[_i].flags != 0 ? OUTCOME_FAILED : OUTCOME_DEFERRED);
	ck_assert_uint_eq(servers[0].npeers, 1);
	expect_nothing_said(0);
}

END_TEST

/* Words between the 220 and TLS: somebody sits in between (O-13). */
START_TEST(test_injected)
{
	static const struct step injecting[] = { GREET,
		{ "EHLO", "250-mx\r\n250 STARTTLS\r\n", 0 },
		{ "STARTTLS", "220 go\r\n250 hello\r\n", 0 }, NOTHING };

	start(injecting, good);
	servers[0].scripts[1] = good;
	deliver("smtp://127.0.0.1", 0);
	ck_assert_int_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(servers[0].npeers, 1);
	expect_nothing_said(0);
}

END_TEST

/* --- REQUIRETLS --- */

/* While one of them may still do, it is not for ever. */
START_TEST(test_require_tls_and_one_is_away)
{
	start(good, good);
	mx_is_secure = true;
	use_fetcher(STS_NONE, "");
	server_refuse(&servers[_i]);
	deliver("mx://two.test", ENVELOPE_REQUIRETLS);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_uint_eq(servers[1 - _i].npeers, 1);
}

END_TEST

/* Whatever its action says, an MX that nothing vouches for is no way. */
START_TEST(test_require_tls_and_anybody_s_mx)
{
	static const unsigned int words[] = { 0, ACTION_TLS_MAY,
		ACTION_TLS_REQUIRE, ACTION_TLS_DANE };

	start(good, good);
	use_fetcher(STS_NONE, "");
	config->actions[0].tls = words[_i];
	deliver("mx://two.test", ENVELOPE_REQUIRETLS);
	expect(0, OUTCOME_FAILED, 0, "5.7.30");
	ck_assert_uint_eq(servers[0].npeers + servers[1].npeers, 0);
	ck_assert_uint_eq(nsts, 1);
}

END_TEST

/* By the domain's policy it is the second one. */
START_TEST(test_require_tls_by_sts)
{
	start(good, good);
	use_fetcher(STS_TESTING, "b.two.test");
	deliver("mx://two.test", ENVELOPE_REQUIRETLS);
	ck_assert_uint_eq(servers[0].npeers, 0);
	ck_assert_uint_eq(servers[1].npeers, 1);
	expect_nothing_said(1);
}

END_TEST

START_TEST(test_require_tls_and_never_tls)
{
	start(good, good);
	deliver("smtp+notls://127.0.0.1", ENVELOPE_REQUIRETLS);
	expect(0, OUTCOME_FAILED, 0, "5.7.30");
	ck_assert_uint_eq(servers[0].npeers, 0);
}

END_TEST

/* --- the configuration --- */

/* What a connection must be like stood in an action that is gone. */
START_TEST(test_action_is_gone)
{
	start(good, good);
	free(config->actions[0].name);
	config->actions[0].name = xstrdup("another");
	deliver("smtp://127.0.0.1", 0);
	expect(0, OUTCOME_DEFERRED, 0, "4.3.5");
	ck_assert_uint_eq(servers[0].npeers, 0);
}

END_TEST

START_TEST(test_never_tls_though_required)
{
	start(good, good);
	config->actions[0].tls = ACTION_TLS_REQUIRE;
	deliver("smtp+notls://127.0.0.1", 0);
	expect(0, OUTCOME_DEFERRED, 0, "4.7.5");
	ck_assert_uint_eq(servers[0].npeers, 0);
}

END_TEST

/* A connection of another policy is not taken. */
START_TEST(test_idle_by_policy)
{
	start(good, good);
	deliver("smtp://127.0.0.1", 0);
	deliver("smtp://127.0.0.1", 0);
	ck_assert_uint_eq(servers[0].npeers, 1);
	config->actions[0].tls = ACTION_TLS_REQUIRE;
	agent_set_config(config); /* as a reload would */
	deliver("smtp://127.0.0.1", 0);
	ck_assert_int_eq(told[2].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(servers[0].npeers, 2);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "dane fault", test_host_with_dane_fault_is_passed_over, 1 },
		{ "dane faults", test_dane_faults_defer, 1 },
		{ "dane", test_dane_is_never_in_the_clear, 2 },
		{ "wanted", test_dane_where_it_is_wanted, 1 },
		{ "sts", test_sts_hosts_not_allowed_are_passed_over, 1 },
		{ "sts none", test_sts_allows_nobody, 1 },
		{ "sts loose", test_sts_not_enforced, 2 },
		{ "dropped", test_dropped_while_asking, 1 },
		{ "fallback", test_handshake_fails, 1 },
		{ "fallback once", test_handshake_fails_then_all_else, 1 },
		{ "must", test_handshake_fails_and_it_is_a_must, NSTRICT },
		{ "not offered", test_not_offered_and_it_is_a_must, NSTRICT },
		{ "injected", test_injected, 1 },
		{ "requiretls", test_require_tls_and_one_is_away, 2 },
		{ "requiretls mx", test_require_tls_and_anybody_s_mx, 4 },
		{ "requiretls sts", test_require_tls_by_sts, 1 },
		{ "requiretls notls", test_require_tls_and_never_tls, 1 },
		{ "gone", test_action_is_gone, 1 },
		{ "contradiction", test_never_tls_though_required, 1 },
		{ "idle", test_idle_by_policy, 1 },
	};

	return run_tests("ways", tests, sizeof(tests) / sizeof(tests[0]));
}
