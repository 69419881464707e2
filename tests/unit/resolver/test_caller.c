/*
 * Who calls, from the question of a session to its answer: the test is smtpd
 * at the other end of a channel, and the name server.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "edges/smtpd_resolver.h"
#include "lib/base/log.h"
#include "resolver/caller.h"
#include "resolver/from_smtpd.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "tests/unit/resolver/nameserver.h"

static struct loop *loop;
static struct nameserver ns;
static struct channel *smtpd;

static struct {
	size_t nanswers, nfaults;
	enum client_name state;
	char name[256];
	uint32_t ttl_s;
} got;

#define PTR(last) #last ".2.0.192.in-addr.arpa"
#define NIBBLES   "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"

/* clang-format off */
static const struct ns_record records[] = {
	{ PTR(1), DNS_PTR, "Mail.Good.example", 1000, 0 },
	{ "mail.good.example", DNS_A, "192.0.2.200", 0, 0 },
	{ "mail.good.example", DNS_A, "192.0.2.1", 0, 0 },
	{ PTR(2), DNS_PTR, "liar.example", 0, 0 },
	{ "liar.example", DNS_A, "192.0.2.200", 0, 0 },
	{ PTR(3), DNS_PTR, "nowhere.example", 0, 0 },
	{ PTR(4), DNS_PTR, NULL, 0, NS_SERVFAIL },
	{ PTR(5), DNS_PTR, "fault.example", 0, 0 },
	{ "fault.example", DNS_A, NULL, 0, NS_SERVFAIL },
	{ PTR(6), DNS_TXT, "no PTR", 0, 0 },
	/* The first that is right, whatever stands around it. */
	{ PTR(7), DNS_PTR, "evil\r\nX-Forged: yes.example", 0, 0 },
	{ PTR(7), DNS_PTR, "192.0.2.7", 0, 0 },
	{ PTR(7), DNS_PTR, "fault.example", 0, 0 },
	{ PTR(7), DNS_PTR, "liar.example", 0, 0 },
	{ PTR(7), DNS_PTR, "seven.example", 0, 0 },
	{ PTR(7), DNS_PTR, "also.seven.example", 0, 0 },
	{ "seven.example", DNS_A, "192.0.2.7", 0, 0 },
	{ "also.seven.example", DNS_A, "192.0.2.7", 0, 0 },
	/* Nothing but what is no name. */
	{ PTR(8), DNS_PTR, "evil\r\nX-Forged: yes.example", 0, 0 },
	{ PTR(8), DNS_PTR, "a b.example", 0, 0 },
	{ PTR(8), DNS_PTR, "\033[2J.example", 0, 0 },
	/* The sixth is not looked at. */
	{ PTR(9), DNS_PTR, "n1.example", 0, 0 },
	{ PTR(9), DNS_PTR, "n2.example", 0, 0 },
	{ PTR(9), DNS_PTR, "n3.example", 0, 0 },
	{ PTR(9), DNS_PTR, "n4.example", 0, 0 },
	{ PTR(9), DNS_PTR, "n5.example", 0, 0 },
	{ PTR(9), DNS_PTR, "nine.example", 0, 0 },
	{ "nine.example", DNS_A, "192.0.2.9", 0, 0 },
	/* The same name twice. */
	{ PTR(10), DNS_PTR, "ten.example", 0, 0 },
	{ PTR(10), DNS_PTR, "ten.example", 0, 0 },
	{ "ten.example", DNS_A, "192.0.2.10", 2, 0 },
	{ PTR(11), DNS_PTR, NULL, 0, NS_MUTE },
	{ PTR(12), DNS_PTR, "silent.example", 0, 0 },
	{ PTR(12), DNS_PTR, "silent.example", 0, 0 },
	{ "silent.example", DNS_A, NULL, 0, NS_MUTE },
	/* A V6 client needs an AAAA. */
	{ "1." NIBBLES ".ip6.arpa", DNS_PTR, "six.example", 0, 0 },
	{ "six.example", DNS_AAAA, "2001:db8::1", 0, 0 },
	{ "six.example", DNS_A, "192.0.2.1", 0, 0 },
	{ NULL, 0, NULL, 0, 0 },
};

/* clang-format on */

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_client *m = msg;

	(void)ctx;
	loop_stop(loop);
	if (fault != NULL) {
		got.nfaults++;
		return;
	}
	ck_assert_uint_eq(type, TYPE_answer_client);
	got.nanswers++;
	got.state = (enum client_name)m->state;
	got.ttl_s = m->ttl_s;
	snprintf(
	    got.name, sizeof(got.name), "%.*s", (int)m->name.len, m->name.p);
}

static void
connect_smtpd(uint16_t instance)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_smtpd_add(instance, sv[0]);
	smtpd = channel_new(
	    loop, sv[1], &smtpd_resolver_edge, EDGE_A, NULL, NULL, NULL);
}

static void
send_ask(const char *address)
{
	struct ask_client m = { .address = str_of(address) };

	channel_ask(smtpd, TYPE_ask_client, &m, on_answer, NULL);
}

static void
ask(const char *address)
{
	memset(&got, 0, sizeof(got));
	send_ask(address);
	while (got.nanswers == 0)
		loop_run(loop);
	ck_assert_uint_eq(got.nanswers, 1);
}

static uint64_t
under_way(void)
{
	for (const struct counter *c = peer_counters(); c->name != NULL; c++)
		if (strcmp(c->name, "resolver.under_way") == 0)
			return c->value;
	ck_abort_msg("no such counter");
	return 0;
}

static void
setup(void)
{
	loop = loop_new();
	query_init(loop);
	peer_init(loop);
	ns_start(&ns, loop, records);
	query_set_servers(&ns.address, 1);
	connect_smtpd(0);
	memset(&got, 0, sizeof(got));
}

static void
teardown(void)
{
	channel_free(&smtpd);
	peer_clear();
	ck_assert_uint_eq(under_way(), 0);
	ns_stop(&ns);
	query_clear();
	loop_settle(loop);
	loop_free(&loop);
}

START_TEST(names)
{
	static const struct {
		const char *address;
		enum client_name state;
		const char *name;
	} cases[] = {
		{ "192.0.2.1", CLIENT_NAME_CONFIRMED, "mail.good.example" },
		{ "192.0.2.2", CLIENT_NAME_UNCONFIRMED, "liar.example" },
		{ "192.0.2.3", CLIENT_NAME_UNCONFIRMED, "nowhere.example" },
		{ "192.0.2.4", CLIENT_NAME_FAULT, "" },
		{ "192.0.2.5", CLIENT_NAME_FAULT, "fault.example" },
		{ "192.0.2.6", CLIENT_NAME_NONE, "" },
		{ "192.0.2.7", CLIENT_NAME_CONFIRMED, "seven.example" },
		{ "192.0.2.8", CLIENT_NAME_UNCONFIRMED, "" },
		{ "192.0.2.9", CLIENT_NAME_UNCONFIRMED, "n1.example" },
		{ "192.0.2.10", CLIENT_NAME_CONFIRMED, "ten.example" },
		{ "192.0.2.99", CLIENT_NAME_NONE, "" },
		{ "2001:db8::1", CLIENT_NAME_CONFIRMED, "six.example" },
		{ "::ffff:192.0.2.1", CLIENT_NAME_CONFIRMED,
		    "mail.good.example" },
		{ "2001:db8::2", CLIENT_NAME_NONE, "" },
		{ "local", CLIENT_NAME_NONE, "" },
		{ "", CLIENT_NAME_NONE, "" },
		{ "banana", CLIENT_NAME_NONE, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(cases[i].address);
		ck_assert_msg(got.state == cases[i].state, "%s: %d",
		    cases[i].address, (int)got.state);
		ck_assert_str_eq(got.name, cases[i].name);
		ck_assert_uint_ge(got.ttl_s, CALLER_TTL_MIN_S);
		ck_assert_uint_le(got.ttl_s, CALLER_TTL_MAX_S);
	}
}

END_TEST

START_TEST(the_shortest_ttl)
{
	ask("192.0.2.10");
	ck_assert_uint_le(got.ttl_s, 2);
	ask("192.0.2.1");
	ck_assert_uint_ge(got.ttl_s, 290);
}

END_TEST

START_TEST(a_worker_that_dies)
{
	static const char *const addresses[] = { "192.0.2.11", "192.0.2.12" };

	for (uint16_t i = 0; i < 2; i++) {
		memset(&got, 0, sizeof(got));
		send_ask(addresses[i]);
		send_ask(addresses[i]);
		send_ask("192.0.2.1");
		loop_run(loop);
		ck_assert_uint_eq(got.nanswers, 1);
		ck_assert_uint_eq(under_way(), 2);
		channel_free(&smtpd);
		while (got.nfaults < 2)
			loop_run(loop);
		connect_smtpd((uint16_t)(i + 1));
		ask("192.0.2.1");
		ck_assert_uint_eq(under_way(), 0);
	}
}

END_TEST

START_TEST(no_flood)
{
	for (size_t i = 0; i < PEER_QUESTIONS_MAX; i++)
		send_ask("192.0.2.11");
	ask("192.0.2.1");
	ck_assert_int_eq(got.state, CLIENT_NAME_FAULT);
	ck_assert_uint_eq(got.ttl_s, CALLER_TTL_MIN_S);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("caller");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, names);
	tcase_add_test(c, the_shortest_ttl);
	tcase_add_test(c, a_worker_that_dies);
	tcase_add_test(c, no_flood);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
