/*
 * The way to a next hop, from the question of an agent to its answer: the
 * test is the agent at the other end of a channel, and the name server.
 */
#include <bsd/string.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "edges/delivery_resolver.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/from_delivery.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "resolver/way.h"
#include "tests/unit/resolver/nameserver.h"

enum { PORT = 2525 };

struct got_addr {
	char host[256], address[64];
	uint16_t preference;
};

static struct loop *loop;
static struct nameserver ns;
static struct config *config;
static struct channel *agent;

/* The answer, or why there is none. */
static struct {
	size_t nanswers, nfaults, naddrs;
	struct got_addr addrs[2 * WAY_ALL_MAX];
	enum way_result result;
	uint32_t ttl_s;
	bool ad, partial;
	char text[256];
} got;

/* clang-format off */
static const struct ns_record records[] = {
	{ "two.example", DNS_MX, "20 b.two.example", 0, 0 },
	{ "two.example", DNS_MX, "10 a.two.example", 0, 0 },
	{ "a.two.example", DNS_A, "192.0.2.1", 120, 0 },
	{ "a.two.example", DNS_A, "192.0.2.2", 120, 0 },
	{ "a.two.example", DNS_AAAA, "2001:db8::1", 60, 0 },
	{ "a.two.example", DNS_AAAA, "2001:db8::2", 60, 0 },
	{ "a.two.example", DNS_AAAA, "2001:db8::3", 60, 0 },
	{ "b.two.example", DNS_A, "127.0.0.9", 0, 0 },

	{ "implicit.example", DNS_A, "192.0.2.7", 0, 0 },
	{ "empty.example", DNS_TXT, "nothing else", 0, 0 },
	{ "null.example", DNS_MX, "0 ", 0, 0 },
	{ "nullbeside.example", DNS_MX, "0 ", 0, 0 },
	{ "nullbeside.example", DNS_MX, "10 a.two.example", 0, 0 },

	/* D-6: there is an address, but the MX is not known. */
	{ "mxfault.example", DNS_MX, NULL, 0, NS_SERVFAIL },
	{ "mxfault.example", DNS_A, "192.0.2.1", 0, 0 },
	{ "mxrefused.example", DNS_MX, NULL, 0, NS_REFUSED },
	{ "addrfault.example", DNS_MX, "10 fault.example", 0, 0 },
	{ "fault.example", DNS_A, NULL, 0, NS_SERVFAIL },
	{ "fault.example", DNS_AAAA, NULL, 0, NS_SERVFAIL },
	{ "halffault.example", DNS_MX, "10 half.example", 0, 0 },
	{ "half.example", DNS_AAAA, NULL, 0, NS_SERVFAIL },
	{ "faultbefore.example", DNS_MX, "10 fault.example", 0, 0 },
	{ "faultbefore.example", DNS_MX, "20 b.two.example", 0, 0 },

	{ "bad.example", DNS_MX, "10 192.0.2.1", 0, 0 },
	{ "bad.example", DNS_MX, "10 a b.example", 0, 0 },
	{ "bad.example", DNS_MX, "10 -x.example", 0, 0 },
	{ "somebad.example", DNS_MX, "5 192.0.2.1", 0, 0 },
	{ "somebad.example", DNS_MX, "10 b.two.example", 0, 0 },
	{ "noaddr.example", DNS_MX, "10 nowhere.example", 0, 0 },
	{ "noaddr.example", DNS_MX, "20 empty.example", 0, 0 },
	{ "unusable.example", DNS_MX, "10 zero.example", 0, 0 },
	{ "zero.example", DNS_A, "0.0.0.0", 0, 0 },
	{ "zero.example", DNS_A, "224.0.0.1", 0, 0 },
	{ "zero.example", DNS_AAAA, "ff02::1", 0, 0 },

	/* Ours: the name, a listener's name, a listener's address. */
	{ "second.example", DNS_MX, "10 a.two.example", 0, 0 },
	{ "second.example", DNS_MX, "20 us.example", 0, 0 },
	{ "second.example", DNS_MX, "20 b.two.example", 0, 0 },
	{ "second.example", DNS_MX, "30 implicit.example", 0, 0 },
	{ "first.example", DNS_MX, "10 inside.example", 0, 0 },
	{ "first.example", DNS_MX, "10 b.two.example", 0, 0 },
	{ "first.example", DNS_MX, "20 implicit.example", 0, 0 },
	{ "byaddr.example", DNS_MX, "10 implicit.example", 0, 0 },
	{ "byaddr.example", DNS_MX, "20 alias.example", 0, 0 },
	{ "byaddr.example", DNS_MX, "30 b.two.example", 0, 0 },
	{ "alias.example", DNS_A, "192.0.2.99", 0, 0 },
	{ "alias.example", DNS_A, "127.0.0.1", 0, 0 },
	{ "onlyus.example", DNS_A, "127.0.0.1", 0, 0 },
	{ "usfirst.example", DNS_MX, "10 onlyus.example", 0, 0 },
	{ "usfirst.example", DNS_MX, "20 b.two.example", 0, 0 },
	{ "betterfault.example", DNS_MX, "10 fault.example", 0, 0 },
	{ "betterfault.example", DNS_MX, "20 us.example", 0, 0 },
	{ "worsefault.example", DNS_MX, "10 us.example", 0, 0 },
	{ "worsefault.example", DNS_MX, "20 fault.example", 0, 0 },

	{ "silent.example", DNS_MX, NULL, 0, NS_MUTE },
	{ "silentaddr.example", DNS_MX, "10 silenthost.example", 0, 0 },
	{ "silenthost.example", DNS_A, NULL, 0, NS_MUTE },
	{ "silenthost.example", DNS_AAAA, "2001:db8::9", 0, 0 },
	{ NULL, 0, NULL, 0, 0 },
};

/* clang-format on */

/* --- the agent --- */

static void
on_addr(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_way_addr *m = msg;
	struct got_addr *a = &got.addrs[got.naddrs++];

	(void)ctx;
	(void)ch;
	(void)id;
	ck_assert_uint_le(got.naddrs, WAY_ALL_MAX);
	snprintf(a->host, sizeof(a->host), "%.*s", (int)m->host.len, m->host.p);
	snprintf(a->address, sizeof(a->address), "%.*s", (int)m->address.len,
	    m->address.p);
	a->preference = m->preference;
}

static const struct handler handlers[] = { { TYPE_tell_way_addr, on_addr },
	{ 0, NULL } };

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_way *m = msg;

	(void)ctx;
	loop_stop(loop);
	if (fault != NULL) {
		got.nfaults++;
		return;
	}
	ck_assert_uint_eq(type, TYPE_answer_way);
	got.nanswers++;
	got.result = (enum way_result)m->result;
	got.ttl_s = m->ttl_s;
	got.ad = m->ad;
	got.partial = m->partial;
	snprintf(
	    got.text, sizeof(got.text), "%.*s", (int)m->text.len, m->text.p);
}

static void
connect_agent(uint16_t instance)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_delivery_add(instance, sv[0]);
	agent = channel_new(
	    loop, sv[1], &delivery_resolver_edge, EDGE_A, handlers, NULL, NULL);
}

static void
send_ask(const char *name, enum way_kind kind)
{
	struct ask_way m = {
		.name = str_of(name), .kind = (uint8_t)kind, .port = PORT
	};

	channel_ask(agent, TYPE_ask_way, &m, on_answer, NULL);
}

static void
ask(const char *name, enum way_kind kind)
{
	memset(&got, 0, sizeof(got));
	send_ask(name, kind);
	while (got.nanswers == 0)
		loop_run(loop);
	ck_assert_uint_eq(got.nanswers, 1);
}

/* The addresses in their order, as "HOST/PREFERENCE ADDRESS" each. */
static const char *
addresses(void)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < got.naddrs; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s/%u %s",
		    i == 0 ? "" : ", ", got.addrs[i].host,
		    got.addrs[i].preference, got.addrs[i].address);
	return text;
}

static uint64_t
count(const char *name)
{
	const struct counter *arrays[] = { peer_counters(), query_counters() };

	for (size_t i = 0; i < 2; i++)
		for (const struct counter *c = arrays[i]; c->name != NULL; c++)
			if (strcmp(c->name, name) == 0)
				return c->value;
	ck_abort_msg("no counter %s", name);
	return 0;
}

static void
setup(void)
{
	loop = loop_new();
	query_init(loop);
	way_init(loop);
	peer_init(loop);
	ns_start(&ns, loop, records);
	query_set_servers(&ns.address, 1);
	config = config_new();
	free(config->hostname);
	config->hostname = xstrdup("us.example");
	config->listeners = xcalloc(1, sizeof(*config->listeners));
	config->nlisteners = 1;
	config->listeners[0].hostname = xstrdup("inside.example");
	config->listeners[0].port = PORT;
	addr_parse(STR("127.0.0.1"), &config->listeners[0].addr);
	way_set_config(config);
	connect_agent(1);
	memset(&got, 0, sizeof(got));
}

static void
teardown(void)
{
	channel_free(&agent);
	peer_clear();
	ck_assert_uint_eq(count("resolver.under_way"), 0);
	way_set_config(NULL);
	config_unref(&config);
	ns_stop(&ns);
	query_clear();
	loop_settle(loop);
	loop_free(&loop);
}

/* --- tests --- */

START_TEST(by_preference_and_families_in_turns)
{
	ask("two.example", WAY_MX);
	ck_assert_int_eq(got.result, WAY_FOUND);
	ck_assert_uint_eq(got.naddrs, 6);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_str_eq(got.addrs[i].host, "a.two.example");
		ck_assert_uint_eq(got.addrs[i].preference, 10);
		/* 6 4 6 4 6 */
		ck_assert_int_eq(
		    strchr(got.addrs[i].address, ':') != NULL, i % 2 == 0);
	}
	ck_assert_str_eq(got.addrs[5].host, "b.two.example");
	ck_assert_str_eq(got.addrs[5].address, "127.0.0.9");
	ck_assert_uint_eq(got.addrs[5].preference, 20);
	ck_assert_str_eq(got.text, "");
}

END_TEST

START_TEST(every_address_comes_first_some_time)
{
	unsigned int first[3] = { 0, 0, 0 };

	for (int i = 0; i < 200; i++) {
		ask("a.two.example", WAY_HOST);
		const char *a = got.addrs[0].address;
		ck_assert_int_eq(strncmp(a, "2001:db8::", 10), 0);
		first[a[10] - '1']++;
	}
	/* (2/3)^200: never */
	ck_assert(first[0] > 0 && first[1] > 0 && first[2] > 0);
}

END_TEST

START_TEST(ends)
{
	static const struct {
		const char *name;
		enum way_kind kind;
		enum way_result result;
		const char *text, *addresses;
	} cases[] = {
		{ "implicit.example", WAY_MX, WAY_FOUND, "",
		    "implicit.example/0 192.0.2.7" },
		{ "IMPLICIT.example", WAY_HOST, WAY_FOUND, "",
		    "IMPLICIT.example/0 192.0.2.7" },
		{ "empty.example", WAY_MX, WAY_NO_ADDRESS,
		    "no mail host of empty.example has a usable address", "" },
		{ "empty.example", WAY_HOST, WAY_NO_ADDRESS,
		    "empty.example has no usable address", "" },
		{ "nowhere.example", WAY_MX, WAY_NO_DOMAIN,
		    "there is no domain nowhere.example", "" },
		{ "nowhere.example", WAY_HOST, WAY_NO_DOMAIN,
		    "there is no host nowhere.example", "" },
		{ "null.example", WAY_MX, WAY_NO_MAIL,
		    "null.example takes no mail (null MX)", "" },
		{ "mxfault.example", WAY_MX, WAY_FAULT,
		    "MX lookup of mxfault.example: servfail", "" },
		{ "mxrefused.example", WAY_MX, WAY_FAULT,
		    "MX lookup of mxrefused.example: refused", "" },
		{ "addrfault.example", WAY_MX, WAY_FAULT,
		    "address lookup of fault.example: servfail", "" },
		{ "fault.example", WAY_HOST, WAY_FAULT,
		    "address lookup of fault.example: servfail", "" },
		{ "halffault.example", WAY_MX, WAY_FAULT,
		    "address lookup of half.example: servfail", "" },
		{ "faultbefore.example", WAY_MX, WAY_FOUND, "",
		    "b.two.example/20 127.0.0.9" },
		{ "bad.example", WAY_MX, WAY_NO_ADDRESS,
		    "no mail host of bad.example has a usable address", "" },
		{ "somebad.example", WAY_MX, WAY_FOUND, "",
		    "b.two.example/10 127.0.0.9" },
		{ "noaddr.example", WAY_MX, WAY_NO_ADDRESS,
		    "no mail host of noaddr.example has a usable address", "" },
		{ "unusable.example", WAY_MX, WAY_NO_ADDRESS,
		    "no mail host of unusable.example has a usable address",
		    "" },
		{ "not a name", WAY_MX, WAY_NO_DOMAIN, "no valid domain name",
		    "" },
		{ "[192.0.2.1]", WAY_MX, WAY_NO_DOMAIN, "no valid domain name",
		    "" },
		{ "", WAY_HOST, WAY_NO_DOMAIN, "no valid domain name", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(cases[i].name, cases[i].kind);
		ck_assert_msg(got.result == cases[i].result, "%s: %d %s",
		    cases[i].name, (int)got.result, got.text);
		ck_assert_str_eq(got.text, cases[i].text);
		ck_assert_str_eq(addresses(), cases[i].addresses);
	}
}

END_TEST

START_TEST(null_beside_others_is_ignored)
{
	ask("nullbeside.example", WAY_MX);
	ck_assert_int_eq(got.result, WAY_FOUND);
	ck_assert_uint_eq(got.naddrs, 5);
	ck_assert_str_eq(got.addrs[0].host, "a.two.example");
}

END_TEST

/* RFC 5321 5.1: the better ones stay. */
START_TEST(we_are_among_them)
{
	static const struct {
		const char *name;
		enum way_kind kind;
		enum way_result result;
		const char *text, *addresses;
	} cases[] = {
		{ "first.example", WAY_MX, WAY_LOOP,
		    "mail for first.example loops back to this host", "" },
		{ "usfirst.example", WAY_MX, WAY_LOOP,
		    "mail for usfirst.example loops back to this host", "" },
		{ "byaddr.example", WAY_MX, WAY_FOUND, "",
		    "implicit.example/10 192.0.2.7" },
		{ "onlyus.example", WAY_MX, WAY_LOOP,
		    "mail for onlyus.example loops back to this host", "" },
		{ "onlyus.example", WAY_HOST, WAY_LOOP,
		    "onlyus.example leads back to this host", "" },
		/* Of a single host only the address is left out. */
		{ "alias.example", WAY_HOST, WAY_FOUND, "",
		    "alias.example/0 192.0.2.99" },
		{ "alias.example", WAY_MX, WAY_FOUND, "",
		    "alias.example/0 192.0.2.99" },
		{ "betterfault.example", WAY_MX, WAY_FAULT,
		    "address lookup of fault.example: servfail", "" },
		{ "worsefault.example", WAY_MX, WAY_LOOP,
		    "mail for worsefault.example loops back to this host", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(cases[i].name, cases[i].kind);
		ck_assert_msg(got.result == cases[i].result, "%s: %d %s",
		    cases[i].name, (int)got.result, got.text);
		ck_assert_str_eq(got.text, cases[i].text);
		ck_assert_str_eq(addresses(), cases[i].addresses);
	}
	ask("second.example", WAY_MX);
	ck_assert_int_eq(got.result, WAY_FOUND);
	ck_assert_uint_eq(got.naddrs, 5);
	for (size_t i = 0; i < got.naddrs; i++)
		ck_assert_str_eq(got.addrs[i].host, "a.two.example");
}

END_TEST

START_TEST(our_port_only)
{
	config->listeners[0].port = PORT + 1;
	ask("onlyus.example", WAY_HOST);
	ck_assert_int_eq(got.result, WAY_FOUND);
	ck_assert_str_eq(addresses(), "onlyus.example/0 127.0.0.1");
}

END_TEST

/* D-11 */
START_TEST(no_more_than_the_limits)
{
	static struct ns_record many[1000];
	static char text[1000][64], hosts[30][32];
	size_t n = 0;

	for (int h = 0; h < 30; h++) {
		snprintf(hosts[h], sizeof(hosts[h]), "h%d.many.example", h);
		snprintf(text[n], sizeof(text[n]), "%d %s", h / 10, hosts[h]);
		many[n] =
		    (struct ns_record){ "many.example", DNS_MX, text[n], 0, 0 };
		n++;
		for (int a = 0; a < 15; a++, n++) {
			snprintf(text[n], sizeof(text[n]), "192.0.%d.%d", h, a);
			many[n] = (struct ns_record){ hosts[h], DNS_A, text[n],
				0, 0 };
		}
	}
	ns.records = many;
	ask("many.example", WAY_MX);
	ck_assert_msg(got.result == WAY_FOUND, "%s", got.text);
	ck_assert_uint_eq(got.naddrs, WAY_ALL_MAX);
	/* One MX question, two about each host. */
	ck_assert_uint_eq(ns.nasked, 1 + 2 * WAY_HOSTS_MAX);
	for (size_t i = 0; i < got.naddrs; i++) {
		/* Ten addresses a host: five hosts, all of the best. */
		ck_assert_uint_eq(got.addrs[i].preference, 0);
		ck_assert_str_eq(
		    got.addrs[i].host, got.addrs[i - i % WAY_ADDRS_MAX].host);
	}
}

END_TEST

START_TEST(the_shortest_ttl)
{
	ask("a.two.example", WAY_HOST);
	ck_assert_uint_le(got.ttl_s, 60);
	ck_assert_uint_ge(got.ttl_s, 50);
	ck_assert(!got.partial);
	ask("faultbefore.example", WAY_MX);
	ck_assert_uint_le(got.ttl_s, HOSTS_FAULT_TTL_S);
	ck_assert(!got.ad);
	/* There is more, which is not known. */
	ck_assert(got.partial);
}

END_TEST

/* An agent that goes in the middle takes its questions with it. */
START_TEST(an_agent_that_dies)
{
	static const char *const names[] = { "silent.example",
		"silentaddr.example" };

	for (size_t i = 0; i < 2; i++) {
		memset(&got, 0, sizeof(got));
		size_t before = ns.nasked;
		send_ask(names[i], WAY_MX);
		send_ask(names[i], WAY_MX);
		send_ask("implicit.example", WAY_MX);
		loop_run(loop);
		ck_assert_uint_eq(got.nanswers, 1);
		ck_assert_uint_gt(ns.nasked, before);
		ck_assert_uint_eq(count("resolver.under_way"), 2);
		channel_free(&agent);
		while (got.nfaults < 2)
			loop_run(loop);
		/* The resolver sees its end before it answers another. */
		connect_agent(2);
		ask("implicit.example", WAY_MX);
		ck_assert_uint_eq(count("resolver.under_way"), 0);
	}
}

END_TEST

START_TEST(an_agent_that_is_replaced)
{
	struct channel *old = agent;

	send_ask("silent.example", WAY_MX);
	send_ask("implicit.example", WAY_MX);
	loop_run(loop);
	ck_assert_uint_eq(count("resolver.under_way"), 1);
	connect_agent(1);
	ck_assert_uint_eq(count("resolver.under_way"), 0);
	ask("implicit.example", WAY_MX);
	/* The former one hears of it. */
	while (got.nfaults == 0)
		loop_run(loop);
	channel_free(&old);
}

END_TEST

START_TEST(no_flood)
{
	uint64_t before = count("resolver.turned_away");

	for (size_t i = 0; i < PEER_QUESTIONS_MAX; i++)
		send_ask("silent.example", WAY_MX);
	ask("implicit.example", WAY_MX);
	ck_assert_int_eq(got.result, WAY_FAULT);
	ck_assert_str_eq(got.text, "too many lookups at once");
	ck_assert_uint_eq(count("resolver.turned_away"), before + 1);
	/* Others are served. */
	struct channel *flooder = agent;
	connect_agent(2);
	ask("implicit.example", WAY_MX);
	ck_assert_int_eq(got.result, WAY_FOUND);
	channel_free(&flooder);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("way");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, by_preference_and_families_in_turns);
	tcase_add_test(c, every_address_comes_first_some_time);
	tcase_add_test(c, ends);
	tcase_add_test(c, null_beside_others_is_ignored);
	tcase_add_test(c, we_are_among_them);
	tcase_add_test(c, our_port_only);
	tcase_add_test(c, no_more_than_the_limits);
	tcase_add_test(c, the_shortest_ttl);
	tcase_add_test(c, an_agent_that_dies);
	tcase_add_test(c, an_agent_that_is_replaced);
	tcase_add_test(c, no_flood);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
