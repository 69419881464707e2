/* Next hops with names: resolved, failed over, remembered, lost. */
/* NOLINTBEGIN(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/fake_resolver.c"
/* NOLINTEND(bugprone-suspicious-include) */

static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT_LOOP };
static const struct step never[] = { { "", "554 5.7.1 never\r\n", 0 },
	NOTHING };
static const struct step busy[] = { { "", "421 4.3.2 busy\r\n", 0 }, NOTHING };

#define FAILED_WAY(name, result, text)                      \
	{                                                   \
		name, WAY_MX, result, 300, text, { { 0 } }, \
	}

static const struct zone all_zones[] = {
	{ "two.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.two.test", 10, "127.0.0.1" },
		{ "b.two.test", 20, "127.0.0.2" } } },
	{ "three.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.three.test", 5, "127.0.0.3" },
		{ "b.three.test", 10, "127.0.0.1" },
		{ "c.three.test", 20, "127.0.0.2" } } },
	{ "brief.test", WAY_MX, WAY_FOUND, 0, "",
	    { { "a.brief.test", 10, "127.0.0.1" } } },
	{ "a.two.test", WAY_HOST, WAY_FOUND, 300, "",
	    { { "a.two.test", 0, "127.0.0.1" } } },
	{ "odd.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.odd.test\r\nRSET", 10, "127.0.0.1" },
		{ "", 10, "127.0.0.1" }, { "b.odd.test", 20, "/tmp/x" },
		{ "b.odd.test", 20, "local" } } },
	{ "gone.test", WAY_HOST, WAY_NO_DOMAIN, 300, "no gone.test",
	    { { 0 } } },
	{ "bare.test", WAY_HOST, WAY_NO_ADDRESS, 300, "", { { 0 } } },
	{ "self.test", WAY_HOST, WAY_LOOP, 300, "that is us", { { 0 } } },
	FAILED_WAY("fault.test", WAY_FAULT, "MX of fault.test: servfail"),
	FAILED_WAY("gone.test", WAY_NO_DOMAIN, "gone.test does not exist"),
	FAILED_WAY("null.test", WAY_NO_MAIL, ""),
	FAILED_WAY("bare.test", WAY_NO_ADDRESS, "no\raddress\n\377"),
	FAILED_WAY("self.test", WAY_LOOP, "that is us"),
};

enum { NZONES = sizeof(all_zones) / sizeof(all_zones[0]) };

static void
use_names(void)
{
	use_zones(all_zones, NZONES);
}

static char by_name[200];

/* "mx://two.test" and such, with the port of the servers. */
static const char *
hops_by_name(const char *urls)
{
	struct str list = str_of(urls), url;

	by_name[0] = '\0';
	while (hop_url_next(&list, &url)) {
		char one[80];

		snprintf(one, sizeof(one), "%.*s:%u ", (int)url.len, url.p,
		    servers[0].port);
		(void)strlcat(by_name, one, sizeof(by_name));
	}
	return by_name;
}

static void
give_to(const char *urls)
{
	struct mail m = to_one;

	m.hops = hops_by_name(urls);
	give(&m);
}

static void
deliver_to(const char *urls)
{
	give_to(urls);
	run(1);
}

/* The three servers on 127.0.0.1, .2 and .3, at one port. */
static void
start_servers(const struct step *one, const struct step *two)
{
	server_start(&servers[0], one);
	server_start_at(&servers[1], two, 2, servers[0].port);
}

static void
expect_relay(size_t i, const char *host, const char *address)
{
	char relay[100];

	snprintf(
	    relay, sizeof(relay), "%s[%s]:%u", host, address, servers[0].port);
	ck_assert_str_eq(told[i].relay, relay);
}

/* --- which one --- */

START_TEST(test_best_first)
{
	use_names();
	start_servers(good, good);
	deliver_to("mx://two.test");
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	expect_relay(0, "a.two.test", "127.0.0.1");
	ck_assert_uint_eq(servers[1].npeers, 0);
	ck_assert_uint_eq(last_port, servers[0].port);
	/* asked once, connected once, whatever the case */
	deliver_to("MX://Two.Test");
	expect_relay(1, "a.two.test", "127.0.0.1");
	ck_assert_uint_eq(nquestions, 1);
	ck_assert_uint_eq(servers[0].npeers, 1);
	ck_assert_uint_eq(routes_count(), 1);
	/* the same connection under the name that leads there now */
	deliver_to("mx://brief.test");
	expect_relay(2, "a.brief.test", "127.0.0.1");
	deliver_one(1);
	ck_assert_int_eq(told[3].relay[0], '1');
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

START_TEST(test_all_hosts_are_tried)
{
	static const struct step closing[] = { HELLO, { "MAIL", NULL, 0 } };
	static const struct step *const bad[] = { never, busy, closing };

	use_names();
	start_servers(bad[_i], good);
	server_start_at(&servers[2], good, 3, servers[0].port);
	server_refuse(&servers[2]);
	deliver_to("mx://three.test");
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	expect_relay(0, "c.three.test", "127.0.0.2");
	ck_assert_uint_eq(servers[0].npeers, 1);
	ck_assert_uint_eq(nunreachable, 0);
}

END_TEST

/* Of hosts that could not be found nobody knows what they say. */
START_TEST(test_never_and_unknown)
{
	use_names();
	in_part = true;
	start_servers(never, _i == 0 ? never : good);
	deliver_to("mx://two.test");
	if (_i == 0)
		expect(0, OUTCOME_DEFERRED, 0, "4.4.3");
	else
		expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* Never only when every one of them says so. */
START_TEST(test_never_and_never)
{
	use_names();
	start_servers(never, _i == 0 ? never : busy);
	deliver_to("mx://two.test");
	if (_i == 0)
		expect(0, OUTCOME_FAILED, 554, "5.7.1");
	else
		expect(0, OUTCOME_DEFERRED, 421, "4.3.2");
	expect_relay(0, "b.two.test", "127.0.0.2");
	ck_assert_uint_eq(nunreachable, 1);
}

END_TEST

START_TEST(test_dead_hosts_come_last)
{
	use_names();
	start_servers(good, good);
	server_refuse(&servers[0]);
	deliver_to("mx://two.test");
	expect_relay(0, "b.two.test", "127.0.0.2");
	uint64_t tries = race_total();
	deliver_to("smtp://a.two.test mx://two.test");
	expect_relay(1, "b.two.test", "127.0.0.2");
	ck_assert_uint_eq(race_total(), tries);
	/* but they come */
	deliver_to("smtp://a.two.test");
	expect(2, OUTCOME_DEFERRED, 0, "4.4.1");
	expect_relay(2, "a.two.test", "127.0.0.1");
	ck_assert_uint_eq(race_total(), tries + 1);
}

END_TEST

START_TEST(test_attempts_are_bounded)
{
	struct mail m = to_one;
	char many[64 * 48] = "";
	uint64_t before = race_total();

	server_start(&servers[0], good);
	server_refuse(&servers[0]);
	for (int i = 1; i <= 60; i++) {
		char one[48];

		snprintf(one, sizeof(one), "smtp://127.0.0.%d:%u ", i,
		    servers[0].port);
		(void)strlcat(many, one, sizeof(many));
	}
	m.hops = many;
	give(&m);
	run(1);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_uint_eq(race_total() - before, WAY_ALL_MAX);
}

END_TEST

/* A domain that is an address has no MX (RFC 5321 5.1). */
START_TEST(test_address_literal)
{
	use_names();
	start_servers(good, good);
	deliver_to("mx://[127.0.0.1]");
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(nquestions, 0);
	deliver_to("mx://[ipv6:::ffff:127.0.0.2]");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[1].npeers, 1);
	deliver_to("mx://[0.0.0.0]");
	expect(2, OUTCOME_FAILED, 0, "5.4.4");
	deliver_to("mx://[x-other:127.0.0.1]");
	expect(3, OUTCOME_FAILED, 0, "5.1.2");
	deliver_to("mx://m\xc3\xbcnchen.test");
	expect(4, OUTCOME_FAILED, 0, "5.1.2");
	ck_assert_uint_eq(nunreachable, 0);
}

END_TEST

/* --- no way --- */

static const struct {
	const char *urls;
	enum outcome outcome;
	const char *status, *text;
	unsigned int unreachable;
} no_ways[] = {
	{ "mx://fault.test", OUTCOME_DEFERRED, "4.4.3",
	    "MX of fault.test: servfail", 1 },
	{ "mx://gone.test", OUTCOME_FAILED, "5.1.2", "gone.test does not exist",
	    0 },
	{ "mx://null.test", OUTCOME_FAILED, "5.1.10",
	    "the domain takes no mail", 0 },
	{ "mx://bare.test", OUTCOME_FAILED, "5.4.4", "no?address??", 0 },
	{ "mx://self.test", OUTCOME_FAILED, "5.4.6", "that is us", 0 },
	/* our configuration is wrong, not the mail */
	{ "smtp://gone.test", OUTCOME_DEFERRED, "4.4.4", "no gone.test", 1 },
	{ "smtp://bare.test", OUTCOME_DEFERRED, "4.4.4",
	    "no host there has a usable address", 1 },
	{ "smtp://self.test", OUTCOME_FAILED, "5.4.6", "that is us", 0 },
	/* nothing of that is a host */
	{ "mx://odd.test", OUTCOME_FAILED, "5.4.4",
	    "no host there has a usable address", 0 },
	/* what may change decides, wherever it stands */
	{ "mx://fault.test mx://gone.test", OUTCOME_DEFERRED, "4.4.3",
	    "MX of fault.test: servfail", 1 },
	{ "mx://gone.test mx://fault.test", OUTCOME_DEFERRED, "4.4.3",
	    "MX of fault.test: servfail", 1 },
};

START_TEST(test_no_way)
{
	use_names();
	start_servers(good, good);
	deliver_to(no_ways[_i].urls);
	ck_assert_uint_eq(ntold, 1);
	expect(0, no_ways[_i].outcome, 0, no_ways[_i].status);
	ck_assert_str_eq(told[0].reply, no_ways[_i].text);
	ck_assert_str_eq(told[0].relay, "");
	ck_assert_uint_eq(nunreachable, no_ways[_i].unreachable);
}

END_TEST

START_TEST(test_the_next_url)
{
	use_names();
	start_servers(_i == 0 ? good : never, good);
	if (_i == 2)
		server_refuse(&servers[0]);
	deliver_to("mx://gone.test mx://fault.test smtp://127.0.0.1");
	if (_i == 0)
		expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	else
		expect(0, OUTCOME_DEFERRED, 0, _i == 1 ? "4.4.3" : "4.4.1");
	/* a list is not resolved further than needed */
	nquestions = 0;
	if (_i == 0)
		deliver_to("smtp://127.0.0.1 smtp://a.two.test");
	ck_assert_uint_eq(nquestions, 0);
}

END_TEST

START_TEST(test_own_listener)
{
	use_names();
	start_servers(good, good);
	config->listeners = xcalloc(1, sizeof(*config->listeners));
	config->nlisteners = 1;
	addr_parse(STR("127.0.0.1"), &config->listeners[0].addr);
	config->listeners[0].port = servers[0].port;
	deliver_to("mx://brief.test");
	expect(0, OUTCOME_FAILED, 0, "5.4.6");
	expect_relay(0, "a.brief.test", "127.0.0.1");
	deliver_to("mx://two.test");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 0);
}

END_TEST

/* --- questions --- */

START_TEST(test_one_question_for_all)
{
	use_names();
	start_servers(good, good);
	for (int i = 0; i < 5; i++)
		give_to(_i == 0 ? "mx://two.test" : "mx://brief.test");
	run(5);
	ck_assert_uint_eq(nquestions, 1);
	deliver_to(_i == 0 ? "mx://two.test" : "mx://brief.test");
	/* what may not be remembered is asked anew */
	ck_assert_uint_eq(nquestions, _i == 0 ? 1 : 2);
	ck_assert_uint_eq(routes_count(), _i == 0 ? 1 : 0);
	for (size_t i = 0; i < 6; i++)
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
	/* another configuration, other ways */
	agent_set_config(config);
	deliver_to("mx://two.test");
	ck_assert_uint_eq(nquestions, _i == 0 ? 2 : 3);
}

END_TEST

/* So that an end at the other side is seen. */
static void
some_rounds(void)
{
	struct timer *t = timer_new(loop, on_end_of_round, loop);

	for (int i = 0; i < 3; i++) {
		timer_set(t, 0);
		loop_run(loop);
	}
	timer_free(&t);
}

/* It died of it, halfway, and is asked once more; the next one may be there
 * before the end of the last was seen. */
START_TEST(test_resolver_dies)
{
	bool again = _i >= 2;

	use_names();
	start_servers(good, good);
	manner = DIES;
	give_to("mx://two.test");
	await_question();
	channel_free(&names);
	if (_i % 2 == 1)
		some_rounds();
	nquestions = 0;
	manner = again ? DIES : ANSWERS;
	connect_names();
	await_question();
	if (again)
		channel_free(&names);
	run(1);
	if (again)
		expect(0, OUTCOME_DEFERRED, 0, "4.4.3");
	else
		expect_relay(0, "a.two.test", "127.0.0.1");
	ck_assert_uint_eq(nunreachable, again);
	/* the third is as good as the first */
	manner = ANSWERS;
	connect_names();
	deliver_to("mx://two.test");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* Nobody there, nobody who answers: not for ever. */
START_TEST(test_no_answer)
{
	from_resolver_init(loop, 50);
	start_servers(good, good);
	if (_i == 1) {
		use_names();
		manner = KEEPS_SILENT;
	}
	give_to("mx://two.test");
	give_to("mx://brief.test");
	run(2);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.3");
	expect(1, OUTCOME_DEFERRED, 0, "4.4.3");
	ck_assert_str_eq(told[0].reply, "the resolver does not answer");
	ck_assert_uint_eq(nunreachable, 2);
	ck_assert_uint_eq(routes_count(), 0);
	/* an answer that is too late hurts nobody */
	if (_i == 1) {
		answer_question(&all_zones[0], last_question, false);
		manner = ANSWERS;
	} else {
		use_names();
	}
	deliver_to("mx://two.test");
	expect(2, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* A question waits for a resolver that comes late. */
START_TEST(test_resolver_comes_later)
{
	start_servers(good, good);
	give_to("mx://two.test");
	give_to("smtp://a.two.test");
	until = NULL;
	give_one(1);
	run(1);
	use_names();
	run(2);
	for (size_t i = 0; i < 3; i++)
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* --- the house around it --- */

START_TEST(test_queue_dies_meanwhile)
{
	use_names();
	start_servers(good, good);
	manner = KEEPS_SILENT;
	give_to("mx://two.test");
	give_to("mx://two.test");
	await_question();
	ck_assert_uint_eq(agent_count(), 2);
	if (_i == 0)
		agent_drop_all();
	else
		from_queue_close();
	ck_assert_uint_eq(agent_count(), 0);
	if (_i == 2)
		from_resolver_close();
	else
		answer_question(&all_zones[0], last_question, false);
	if (_i > 0) {
		channel_free(&queue);
		connect_queue();
	}
	manner = ANSWERS;
	connect_names();
	ntold = 0;
	deliver_to("mx://two.test");
	ck_assert_uint_eq(ntold, 1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

static void
on_stopped(void)
{
	loop_stop(loop);
}

START_TEST(test_stop_meanwhile)
{
	use_names();
	start_servers(good, good);
	manner = KEEPS_SILENT;
	give_to("mx://two.test");
	await_question();
	from_queue_stop();
	agent_stop(on_stopped);
	agent_set_config(config);
	answer_question(&all_zones[0], last_question, false);
	loop_run(loop);
	ck_assert_uint_eq(agent_count(), 0);
	ck_assert_ptr_ne(strstr(heard(&servers[0]), "DATA"), NULL);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "best", test_best_first, 1 },
		{ "all hosts", test_all_hosts_are_tried, 3 },
		{ "never", test_never_and_never, 2 },
		{ "unknown", test_never_and_unknown, 2 },
		{ "dead", test_dead_hosts_come_last, 1 },
		{ "bounded", test_attempts_are_bounded, 1 },
		{ "literal", test_address_literal, 1 },
		{ "no way", test_no_way, sizeof(no_ways) / sizeof(no_ways[0]) },
		{ "next url", test_the_next_url, 3 },
		{ "loop", test_own_listener, 1 },
		{ "one question", test_one_question_for_all, 2 },
		{ "resolver dies", test_resolver_dies, 4 },
		{ "no answer", test_no_answer, 2 },
		{ "later", test_resolver_comes_later, 1 },
		{ "queue dies", test_queue_dies_meanwhile, 3 },
		{ "stop", test_stop_meanwhile, 1 },
	};

	return run_tests(
	    "agent names", tests, sizeof(tests) / sizeof(tests[0]));
}
