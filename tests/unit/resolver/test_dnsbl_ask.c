/*
 * What DNS lists say, from the question of a session to its answer: the test
 * is smtpd at the other end of a channel, and the name server.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "edges/smtpd_resolver.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/dnsbl.h"
#include "resolver/from_smtpd.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "resolver/way.h"
#include "tests/unit/resolver/nameserver.h"

static struct loop *loop;
static struct nameserver ns;
static struct channel *smtpd;
static struct config *config;

static struct {
	size_t nanswers, nfaults;
	int32_t score;
	unsigned int silent;
	char lists[600];
	uint32_t ttl_s;
} got;

#define NIBBLES \
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"

/* clang-format off */
static const struct ns_record records[] = {
	{ "1.2.0.192.a.example", DNS_A, "127.0.0.2", 500, 0 },
	{ "2.2.0.192.a.example", DNS_A, "127.0.0.3", 1000, 0 },
	{ "2.2.0.192.b.example", DNS_A, "127.0.0.4", 700, 0 },
	{ "2.2.0.192.b.example", DNS_A, "127.0.0.5", 700, 0 },
	{ "3.2.0.192.a.example", DNS_A, "127.0.0.2", 10, 0 },
	{ "3.2.0.192.w.example", DNS_A, "127.0.0.2", 0, 0 },
	/* A parked domain, and a refusal. */
	{ "4.2.0.192.a.example", DNS_A, "192.0.2.80", 0, 0 },
	{ "4.2.0.192.b.example", DNS_A, "127.255.255.254", 0, 0 },
	{ "5.2.0.192.a.example", DNS_A, "192.0.2.80", 0, 0 },
	{ "5.2.0.192.a.example", DNS_A, "127.0.0.9", 0, 0 },
	{ "6.2.0.192.a.example", DNS_A, NULL, 0, NS_SERVFAIL },
	{ "6.2.0.192.b.example", DNS_A, "127.0.0.6", 0, 0 },
	/* Only the one of several that is meant. */
	{ "7.2.0.192.b.example", DNS_A, "127.0.0.99", 0, 0 },
	{ "8.2.0.192.a.example", DNS_TXT, "no A", 0, 0 },
	{ "9.2.0.192.a.example", DNS_A, NULL, 0, NS_MUTE },
	{ "9.2.0.192.b.example", DNS_A, "127.0.0.4", 0, 0 },
	{ "10.2.0.192.a.example", DNS_A, "127.0.0.2", 100000, 0 },
	{ "10.2.0.192.b.example", DNS_A, "127.0.0.4", 100000, 0 },
	{ "10.2.0.192.w.example", DNS_A, "127.0.0.4", 100000, 0 },
	{ NIBBLES ".a.example", DNS_A, "127.0.0.2", 0, 0 },
	{ NULL, 0, NULL, 0, 0 },
};

static const char *const lists[][2] = {
	{ "a.example", "3" },
	{ "b.example=127.0.0.[4..6]", "2" },
	{ "w.example", "-4" },
};

/* clang-format on */

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_dnsbl *m = msg;

	(void)ctx;
	loop_stop(loop);
	if (fault != NULL) {
		got.nfaults++;
		return;
	}
	ck_assert_uint_eq(type, TYPE_answer_dnsbl);
	got.nanswers++;
	got.score = (int32_t)m->score - DNSBL_SCORE_MAX;
	got.silent = m->silent;
	got.ttl_s = m->ttl_s;
	snprintf(got.lists, sizeof(got.lists), "%.*s", (int)m->lists.len,
	    m->lists.p);
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
send_ask(const char *address, const char *table)
{
	struct ask_dnsbl m = { .address = str_of(address),
		.table = str_of(table) };

	channel_ask(smtpd, TYPE_ask_dnsbl, &m, on_answer, NULL);
}

static void
ask(const char *address)
{
	memset(&got, 0, sizeof(got));
	send_ask(address, "lists");
	while (got.nanswers == 0)
		loop_run(loop);
	ck_assert_uint_eq(got.nanswers, 1);
}

static struct table *
make_table(void)
{
	struct table_builder *b = table_builder_new("lists");
	struct fault why;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		ck_assert_int_eq(table_builder_add(
				     b, str_of(lists[i][0]), lists[i][1], &why),
		    0);
	return table_open(table_builder_seal(&b, &why), "lists", &why);
}

static void
setup(void)
{
	loop = loop_new();
	query_init(loop);
	dnsbl_init(loop);
	peer_init(loop);
	ns_start(&ns, loop, records);
	ns.address.timeout_ms = 30000;
	query_set_servers(&ns.address, 1);
	config = config_new();
	config->tables = xcalloc(1, sizeof(struct table *));
	config->dnsbls[0] = config->tables[0] = make_table();
	config->ntables = config->ndnsbls = 1;
	ck_assert_ptr_nonnull(config->dnsbls[0]);
	way_set_config(config);
	connect_smtpd(0);
	memset(&got, 0, sizeof(got));
}

static void
teardown(void)
{
	channel_free(&smtpd);
	peer_clear();
	ns_stop(&ns);
	way_set_config(NULL);
	/* Nobody but us has it any more. */
	ck_assert_uint_eq(config->refs, 1);
	config_unref(&config);
	query_clear();
	loop_settle(loop);
	loop_free(&loop);
}

START_TEST(scores)
{
	static const struct {
		const char *address;
		int32_t score;
		const char *has[2]; /* in any order; NULL: nothing */
		unsigned int silent;
		uint32_t ttl_min, ttl_max;
	} cases[] = {
		{ "192.0.2.99", 0, { NULL }, 0, 60, 3600 },
		{ "192.0.2.1", 3, { "a.example=127.0.0.2" }, 0, 60, 500 },
		{ "192.0.2.2", 5,
		    { "a.example=127.0.0.3", "b.example=127.0.0.4" }, 0, 60,
		    700 },
		{ "192.0.2.3", -1,
		    { "a.example=127.0.0.2", "w.example=127.0.0.2" }, 0, 60,
		    60 },
		{ "192.0.2.4", 0, { NULL }, 1, 60, 60 },
		{ "192.0.2.5", 3, { "a.example=127.0.0.9" }, 0, 60, 300 },
		{ "192.0.2.6", 2, { "b.example=127.0.0.6" }, 1, 60, 60 },
		{ "192.0.2.7", 0, { NULL }, 0, 60, 3600 },
		{ "192.0.2.8", 0, { NULL }, 0, 60, 3600 },
		{ "192.0.2.10", 1,
		    { "a.example=127.0.0.2", "w.example=127.0.0.4" }, 0, 3600,
		    3600 },
		{ "2001:db8::1", 3, { "a.example=127.0.0.2" }, 0, 60, 300 },
		{ "::ffff:192.0.2.1", 3, { "a.example=127.0.0.2" }, 0, 60,
		    500 },
		{ "fe80::1%3", 0, { NULL }, 0, 60, 3600 },
		{ "local", 0, { NULL }, 0, 0, 0 },
		{ "banana", 0, { NULL }, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(cases[i].address);
		ck_assert_msg(got.score == cases[i].score, "%s: %d",
		    cases[i].address, (int)got.score);
		ck_assert_uint_eq(got.silent, cases[i].silent);
		ck_assert_uint_ge(got.ttl_s, cases[i].ttl_min);
		ck_assert_uint_le(got.ttl_s, cases[i].ttl_max);
		ck_assert((cases[i].has[0] == NULL) == (got.lists[0] == '\0'));
		for (size_t k = 0; k < 2 && cases[i].has[k] != NULL; k++)
			ck_assert_ptr_nonnull(
			    strstr(got.lists, cases[i].has[k]));
	}
}

END_TEST

/* It has its time, and then the others count. */
START_TEST(a_silent_list)
{
	ask("192.0.2.9");
	ck_assert_int_eq(got.score, 2);
	ck_assert_uint_eq(got.silent, 1);
	ck_assert_str_eq(got.lists, "b.example=127.0.0.4");
	ck_assert_uint_eq(got.ttl_s, DNSBL_TTL_MIN_S);
}

END_TEST

START_TEST(another_table)
{
	send_ask("192.0.2.1", "no such");
	while (got.nanswers == 0)
		loop_run(loop);
	ck_assert_int_eq(got.score, 0);
	ck_assert_uint_eq(got.ttl_s, 0);
	ck_assert_uint_eq(ns.nasked, 0);
}

END_TEST

/* Each list is asked once, whoever wants to know. */
START_TEST(asked_once)
{
	for (int i = 0; i < 5; i++)
		send_ask("192.0.2.2", "lists");
	while (got.nanswers < 5)
		loop_run(loop);
	ck_assert_int_eq(got.score, 5);
	ck_assert_uint_eq(ns.nasked, 3);
}

END_TEST

/* The asker goes, at any moment, and the configuration with its table. */
START_TEST(gone_meanwhile)
{
	for (uint16_t i = 0; i < 10; i++) {
		send_ask("192.0.2.9", "lists");
		send_ask("192.0.2.2", "lists");
		way_set_config(i % 2 == 0 ? NULL : config);
		for (uint16_t k = 0; k < i && got.nanswers == 0; k++)
			loop_settle(loop);
		channel_free(&smtpd);
		connect_smtpd((uint16_t)(i + 1));
	}
	way_set_config(config);
	ask("192.0.2.1");
	ck_assert_int_eq(got.score, 3);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("dnsbl_ask");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, scores);
	tcase_add_test(c, a_silent_list);
	tcase_add_test(c, another_table);
	tcase_add_test(c, asked_once);
	tcase_add_test(c, gone_meanwhile);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
