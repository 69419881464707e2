/*
 * What is said of TLSA records, from the question of an agent to its answer:
 * the test is the agent, and the name server, whose AD bit is believed.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "edges/delivery_resolver.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/from_delivery.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "resolver/validation.h"
#include "resolver/way.h"
#include "tests/unit/resolver/nameserver.h"

#define SHA256 \
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct loop *loop;
static struct nameserver ns, other;
static struct config *config;
static struct channel *agent;

static struct {
	size_t nanswers, naddrs;
	enum way_result result;
	uint32_t ttl_s;
	char dane[65536]; /* what was told, in words */
	char rua[1100];
} got;

/* clang-format off */
static const struct ns_record records[] = {
	{ "", DNS_NS, "a.root", 0, NS_AD },

	/* All is signed. */
	{ "good.example", DNS_MX, "10 mx.good.example", 0, NS_AD },
	{ "mx.good.example", DNS_A, "192.0.2.1", 0, NS_AD },
	{ "_25._tcp.mx.good.example", DNS_TLSA, "311" SHA256, 33, NS_AD },
	{ "_25._tcp.mx.good.example", DNS_TLSA, "201abcd", 0, NS_AD },
	{ "_25._tcp.mx.good.example", DNS_TLSA, "211" SHA256, 0, NS_AD },
	{ "_2525._tcp.mx.good.example", DNS_TLSA, "312" SHA256 SHA256, 0, NS_AD },

	{ "plain.example", DNS_MX, "10 mx.plain.example", 0, NS_AD },
	{ "mx.plain.example", DNS_A, "192.0.2.2", 0, NS_AD },

	/* The record of another name. */
	{ "shared.example", DNS_MX, "10 mx.shared.example", 0, NS_AD },
	{ "mx.shared.example", DNS_A, "192.0.2.3", 0, NS_AD },
	{ "_25._tcp.mx.shared.example", DNS_CNAME, "_25._tcp.mx.good.example", 0, NS_AD },
	/* By a way that is not signed. */
	{ "unshared.example", DNS_MX, "10 mx.unshared.example", 0, NS_AD },
	{ "mx.unshared.example", DNS_A, "192.0.2.3", 0, NS_AD },
	{ "_25._tcp.mx.unshared.example", DNS_CNAME, "_25._tcp.mx.good.example", 0, 0 },

	/* Insecure somewhere. */
	{ "mxinsecure.example", DNS_MX, "10 mx.good.example", 0, 0 },
	{ "addrinsecure.example", DNS_MX, "10 mx.addrinsecure.example", 0, NS_AD },
	{ "mx.addrinsecure.example", DNS_A, "192.0.2.4", 0, 0 },
	{ "_25._tcp.mx.addrinsecure.example", DNS_TLSA, "311" SHA256, 0, NS_AD },
	{ "tlsainsecure.example", DNS_MX, "10 mx.tlsainsecure.example", 0, NS_AD },
	{ "mx.tlsainsecure.example", DNS_A, "192.0.2.5", 0, NS_AD },
	{ "_25._tcp.mx.tlsainsecure.example", DNS_TLSA, "311" SHA256, 0, 0 },

	/* Bogus, or no answer. */
	{ "bogus.example", DNS_MX, "10 mx.bogus.example", 0, NS_AD },
	{ "bogus.example", DNS_MX, "20 mx.good.example", 0, NS_AD },
	{ "mx.bogus.example", DNS_A, "192.0.2.6", 0, NS_AD },
	{ "_25._tcp.mx.bogus.example", DNS_TLSA, NULL, 0, NS_SERVFAIL },
	{ "mute.example", DNS_MX, "10 mx.mute.example", 0, NS_AD },
	{ "mx.mute.example", DNS_A, "192.0.2.7", 0, NS_AD },
	{ "_25._tcp.mx.mute.example", DNS_TLSA, NULL, 0, NS_MUTE },
	{ "half.example", DNS_MX, "10 mx.half.example", 0, NS_AD },
	{ "mx.half.example", DNS_A, "192.0.2.8", 0, NS_AD },
	{ "mx.half.example", DNS_AAAA, NULL, 0, NS_SERVFAIL },
	{ "_25._tcp.mx.half.example", DNS_TLSA, "311" SHA256, 0, NS_AD },

	/* Nothing to go by. */
	{ "unusable.example", DNS_MX, "10 mx.unusable.example", 0, NS_AD },
	{ "mx.unusable.example", DNS_A, "192.0.2.9", 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "111" SHA256, 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "011" SHA256, 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "411" SHA256, 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "321" SHA256, 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "313" SHA256, 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "312" SHA256, 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "311abcd", 0, NS_AD },
	{ "_25._tcp.mx.unusable.example", DNS_TLSA, "310", 0, NS_AD },

	/* CNAMEs of the host. */
	{ "alias.example", DNS_MX, "10 mx.alias.example", 0, NS_AD },
	{ "mx.alias.example", DNS_CNAME, "mx.good.example", 0, NS_AD },
	{ "_25._tcp.mx.alias.example", DNS_TLSA, "310ff", 0, NS_AD },
	{ "ownalias.example", DNS_MX, "10 mx.ownalias.example", 0, NS_AD },
	{ "mx.ownalias.example", DNS_CNAME, "mx.plain.example", 0, NS_AD },
	{ "_25._tcp.mx.ownalias.example", DNS_TLSA, "310ee", 0, NS_AD },
	{ "badalias.example", DNS_MX, "10 mx.badalias.example", 0, NS_AD },
	{ "mx.badalias.example", DNS_CNAME, "mx.bogus.example", 0, NS_AD },
	{ "_25._tcp.mx.badalias.example", DNS_TLSA, "310dd", 0, NS_AD },
	{ "outalias.example", DNS_MX, "10 mx.outalias.example", 0, NS_AD },
	{ "mx.outalias.example", DNS_CNAME, "mx.addrinsecure.example", 0, NS_AD },
	{ "_25._tcp.mx.outalias.example", DNS_TLSA, "310cc", 0, NS_AD },
	{ "inalias.example", DNS_MX, "10 mx.inalias.example", 0, NS_AD },
	{ "mx.inalias.example", DNS_CNAME, "mx.good.example", 0, 0 },

	{ "implicit.example", DNS_A, "192.0.2.10", 0, NS_AD },
	{ "_25._tcp.implicit.example", DNS_TLSA, "310aa", 0, NS_AD },

	{ "_smtp._tls.one.example", DNS_TXT, "v=TLSRPTv1; rua=mailto:a@one.example", 60, 0 },
	{ "_smtp._tls.one.example", DNS_TXT, "v=TLSRPTv10; rua=mailto:b@one.example", 60, 0 },
	{ "_smtp._tls.one.example", DNS_TXT, "something else", 60, 0 },
	{ "_smtp._tls.two.example", DNS_TXT, "v=TLSRPTv1;rua=mailto:a@two.example", 0, 0 },
	{ "_smtp._tls.two.example", DNS_TXT, "v=TLSRPTv1 ;rua=mailto:b@two.example", 0, 0 },
	{ "_smtp._tls.sick.example", DNS_TXT, NULL, 0, NS_SERVFAIL },
	{ NULL, 0, NULL, 0, 0 },
};

/* What one says that does not validate. */
static const struct ns_record lies[] = {
	{ "", DNS_NS, "a.root", 0, 0 },
	{ "bogus.example", DNS_MX, "10 liar.example", 0, 0 },
	{ "forged.example", DNS_MX, "10 liar.example", 0, 0 },
	{ "liar.example", DNS_A, "192.0.2.66", 0, 0 },
	{ NULL, 0, NULL, 0, 0 },
};

/* clang-format on */

/* --- the agent --- */

static void
on_addr(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
	got.naddrs++;
}

static void
add(const char *text)
{
	size_t n = strlen(got.dane);

	ck_assert_uint_lt(n + strlen(text), sizeof(got.dane));
	memcpy(got.dane + n, text, strlen(text) + 1);
}

static void
on_dane(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	static const char *const words[] = { "none", "records", "unusable",
		"fault" };
	const struct tell_way_dane *m = msg;
	char text[600];

	(void)ctx;
	(void)ch;
	(void)id;
	snprintf(text, sizeof(text), "%s%.*s %s",
	    got.dane[0] == '\0' ? "" : "; ", (int)m->host.len, m->host.p,
	    words[m->dane]);
	add(text);
	if (m->dane == DANE_RECORDS) {
		snprintf(
		    text, sizeof(text), " %.*s", (int)m->base.len, m->base.p);
		add(text);
	}
}

static void
on_tlsa(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_way_tlsa *m = msg;
	char text[100];

	(void)ctx;
	(void)ch;
	(void)id;
	snprintf(text, sizeof(text), " %u%u%u/%zu", m->usage, m->selector,
	    m->matching, m->data.len);
	add(text);
	if (m->data.len < 4) {
		snprintf(text, sizeof(text), "=%02x", (uint8_t)m->data.p[0]);
		add(text);
	}
}

static const struct handler handlers[] = {
	{ TYPE_tell_way_addr, on_addr },
	{ TYPE_tell_way_dane, on_dane },
	{ TYPE_tell_way_tlsa, on_tlsa },
	{ 0, NULL },
};

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_way *m = msg;

	(void)ctx;
	loop_stop(loop);
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(type, TYPE_answer_way);
	got.nanswers++;
	got.result = (enum way_result)m->result;
	got.ttl_s = m->ttl_s;
}

static void
ask_at(const char *name, enum way_kind kind, uint16_t port)
{
	struct ask_way m = { .name = str_of(name),
		.kind = (uint8_t)kind,
		.port = port,
		.dane = 1 };

	memset(&got, 0, sizeof(got));
	channel_ask(agent, TYPE_ask_way, &m, on_answer, NULL);
	while (got.nanswers == 0)
		loop_run(loop);
}

static void
ask(const char *name)
{
	ask_at(name, WAY_MX, 25);
}

static void
use_servers(size_t n)
{
	struct server s[2] = { ns.address, other.address };

	s[1].trust_ad = false;
	memcpy(config->servers, s, sizeof(s));
	config->nservers = n;
	query_set_servers(config->servers, n);
}

static void
setup(void)
{
	int sv[2];

	loop = loop_new();
	query_init(loop);
	way_init(loop);
	validation_init(loop);
	peer_init(loop);
	ns_start(&ns, loop, records);
	ns_start(&other, loop, lies);
	ns.address.timeout_ms = 300;
	config = config_new();
	use_servers(1);
	way_set_config(config);
	validation_set_config(config);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_delivery_add(1, sv[0]);
	agent = channel_new(
	    loop, sv[1], &delivery_resolver_edge, EDGE_A, handlers, NULL, NULL);
}

static void
teardown(void)
{
	channel_free(&agent);
	peer_clear();
	way_set_config(NULL);
	validation_clear();
	config_unref(&config);
	ns_stop(&ns);
	ns_stop(&other);
	query_clear();
	loop_settle(loop);
	loop_free(&loop);
}

/* --- tests --- */

START_TEST(decisions)
{
	static const struct {
		const char *name, *says;
	} cases[] = {
		{ "good.example",
		    "mx.good.example records mx.good.example 311/32 211/32" },
		{ "plain.example", "" },
		{ "shared.example", "mx.shared.example records "
				    "mx.shared.example 311/32 211/32" },
		{ "unshared.example", "" },
		{ "mxinsecure.example", "" },
		{ "addrinsecure.example", "" },
		{ "tlsainsecure.example", "" },
		{ "bogus.example",
		    "mx.bogus.example fault; mx.good.example records "
		    "mx.good.example 311/32 211/32" },
		{ "mute.example", "mx.mute.example fault" },
		{ "half.example",
		    "mx.half.example records mx.half.example 311/32" },
		{ "unusable.example", "mx.unusable.example unusable" },
		{ "alias.example", "mx.alias.example records mx.good.example "
				   "311/32 211/32" },
		{ "ownalias.example", "mx.ownalias.example records "
				      "mx.ownalias.example 310/1=ee" },
		{ "badalias.example", "mx.badalias.example fault" },
		{ "outalias.example", "mx.outalias.example records "
				      "mx.outalias.example 310/1=cc" },
		{ "inalias.example", "" },
		{ "implicit.example",
		    "implicit.example records implicit.example 310/1=aa" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(cases[i].name);
		ck_assert_int_eq(got.result, WAY_FOUND);
		ck_assert_uint_gt(got.naddrs, 0);
		ck_assert_msg(strcmp(got.dane, cases[i].says) == 0,
		    "%s: \"%s\", not \"%s\"", cases[i].name, got.dane,
		    cases[i].says);
	}
}

END_TEST

START_TEST(of_a_host_at_its_port)
{
	ask_at("mx.good.example", WAY_HOST, 2525);
	ck_assert_str_eq(
	    got.dane, "mx.good.example records mx.good.example 312/64");
	ask_at("mx.good.example", WAY_HOST, 26);
	ck_assert_str_eq(got.dane, "");
}

END_TEST

START_TEST(how_long_it_holds)
{
	ask("good.example");
	ck_assert_uint_eq(got.ttl_s, 33);
	ask("bogus.example");
	ck_assert_uint_le(got.ttl_s, 5);
}

END_TEST

/* The MX and two addresses. */
START_TEST(insecure_asks_for_nothing)
{
	size_t before;

	/* Behind the test of the server itself. */
	ask("plain.example");
	ck_assert_int_eq(validation_get(), VALIDATION_ON);
	before = ns.nasked;
	ask("mxinsecure.example");
	ck_assert_uint_eq(ns.nasked - before, 3);
	before = ns.nasked;
	ask("addrinsecure.example");
	ck_assert_uint_eq(ns.nasked - before, 3);
}

END_TEST

/* One that does not validate has an answer where the other one refuses. */
START_TEST(others_are_not_asked)
{
	use_servers(2);
	ask("forged.example");
	ck_assert_int_eq(got.result, WAY_NO_DOMAIN);
	ask("bogus.example");
	ck_assert_uint_eq(got.naddrs, 2);
	ck_assert_uint_eq(other.nasked, 0);
}

END_TEST

/* Nor is what they said before. */
START_TEST(nor_is_the_cache)
{
	struct ask_way m = { .name = STR("forged.example"), .port = 25 };
	struct server s[2] = { other.address, ns.address };

	s[0].trust_ad = false;
	query_set_servers(s, 2);
	memset(&got, 0, sizeof(got));
	channel_ask(agent, TYPE_ask_way, &m, on_answer, NULL);
	while (got.nanswers == 0)
		loop_run(loop);
	ck_assert_int_eq(got.result, WAY_FOUND);
	ask("forged.example");
	ck_assert_int_eq(got.result, WAY_NO_DOMAIN);
}

END_TEST

START_TEST(off_without_a_trusted_server)
{
	struct config *c = config_new();

	c->servers[0] = ns.address;
	c->servers[0].trust_ad = false;
	c->nservers = 1;
	validation_set_config(c);
	query_set_servers(c->servers, 1);
	ck_assert_int_eq(validation_get(), VALIDATION_NONE);
	ask("good.example");
	ck_assert_int_eq(got.result, WAY_FOUND);
	ck_assert_str_eq(got.dane, "");
	ck_assert_uint_le(got.ttl_s, 300);
	config_unref(&c);
}

END_TEST

/* --- who gets reports --- */

static void
on_rua(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_tls_rua *m = msg;

	(void)ctx;
	loop_stop(loop);
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(type, TYPE_answer_tls_rua);
	got.nanswers++;
	got.ttl_s = m->ttl_s;
	snprintf(got.rua, sizeof(got.rua), "%.*s", (int)m->text.len, m->text.p);
}

static void
expect_rua(const char *domain, const char *text)
{
	struct ask_tls_rua m = { .domain = str_of(domain) };

	memset(&got, 0, sizeof(got));
	channel_ask(agent, TYPE_ask_tls_rua, &m, on_rua, NULL);
	while (got.nanswers == 0)
		loop_run(loop);
	ck_assert_str_eq(got.rua, text);
}

START_TEST(rua)
{
	expect_rua("one.example", "v=TLSRPTv1; rua=mailto:a@one.example");
	ck_assert_uint_eq(got.ttl_s, 60);
	expect_rua("two.example", "");
	expect_rua("none.example", "");
	ck_assert_uint_gt(got.ttl_s, 0);
	/* Nothing is known. */
	expect_rua("sick.example", "");
	ck_assert_uint_eq(got.ttl_s, 0);
	expect_rua("no domain", "");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("dane");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, decisions);
	tcase_add_test(c, of_a_host_at_its_port);
	tcase_add_test(c, how_long_it_holds);
	tcase_add_test(c, insecure_asks_for_nothing);
	tcase_add_test(c, others_are_not_asked);
	tcase_add_test(c, nor_is_the_cache);
	tcase_add_test(c, off_without_a_trusted_server);
	tcase_add_test(c, rua);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
