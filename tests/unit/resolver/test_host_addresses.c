/*
 * The addresses of a filter's host, from the dialer's question to its answer:
 * the test is the dialer at the other end of a channel, and the name server.
 */
#include <bsd/string.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "edges/dialer_resolver.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/from_dialer.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "tests/unit/resolver/nameserver.h"

static struct loop *loop;
static struct nameserver ns;
static struct channel *dialer;

static struct {
	size_t nanswers, naddrs;
	char addrs[1024]; /* with blanks between */
	bool found;
	uint32_t ttl_s;
	char text[256];
} got;

/* clang-format off */
static const struct ns_record records[] = {
	{ "f.example", DNS_A, "192.0.2.1", 120, 0 },
	{ "f.example", DNS_AAAA, "2001:db8::1", 60, 0 },
	{ "brief.example", DNS_A, "192.0.2.2", 0, 0 },
	{ "alias.example", DNS_CNAME, "f.example", 30, 0 },
	{ "fault.example", DNS_A, NULL, 0, NS_SERVFAIL },
	{ "mute.example", DNS_A, NULL, 0, NS_MUTE },
	{ "many.example", DNS_A, "192.0.2.1", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.2", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.3", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.4", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.5", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.6", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.7", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.8", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.9", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.10", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.11", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.12", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.13", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.14", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.15", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.16", 9, 0 },
	{ "many.example", DNS_A, "192.0.2.17", 9, 0 },
	{ NULL, 0, NULL, 0, 0 },
};

/* clang-format on */

static void
on_addr(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_host_addr *m = msg;
	char one[80];

	(void)ctx;
	(void)ch;
	(void)id;
	snprintf(one, sizeof(one), "%s%.*s", got.naddrs == 0 ? "" : " ",
	    (int)m->address.len, m->address.p);
	strlcat(got.addrs, one, sizeof(got.addrs));
	got.naddrs++;
}

static const struct handler handlers[] = {
	{ TYPE_tell_host_addr, on_addr },
	{ 0, NULL },
};

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_host *m = msg;

	(void)ctx;
	loop_stop(loop);
	if (fault != NULL)
		return;
	ck_assert_uint_eq(type, TYPE_answer_host);
	got.nanswers++;
	got.found = m->found != 0;
	got.ttl_s = m->ttl_s;
	snprintf(
	    got.text, sizeof(got.text), "%.*s", (int)m->text.len, m->text.p);
}

static void
send_ask(const char *name, bool ipv6)
{
	struct ask_host m = { .name = str_of(name), .ipv6 = ipv6 };

	channel_ask(dialer, TYPE_ask_host, &m, on_answer, NULL);
}

static void
ask(const char *name, bool ipv6)
{
	memset(&got, 0, sizeof(got));
	send_ask(name, ipv6);
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
	ck_abort_msg("no counter");
	return 0;
}

static void
connect_dialer(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_dialer_add(0, sv[0]);
	dialer = channel_new(
	    loop, sv[1], &dialer_resolver_edge, EDGE_A, handlers, NULL, NULL);
}

static void
setup(void)
{
	loop = loop_new();
	query_init(loop);
	peer_init(loop);
	ns_start(&ns, loop, records);
	query_set_servers(&ns.address, 1);
	connect_dialer();
}

static void
teardown(void)
{
	channel_free(&dialer);
	peer_clear();
	ck_assert_uint_eq(under_way(), 0);
	ns_stop(&ns);
	query_clear();
	loop_settle(loop);
	loop_free(&loop);
}

START_TEST(by_family)
{
	ask("f.example", false);
	ck_assert(got.found);
	ck_assert_str_eq(got.addrs, "192.0.2.1");
	ck_assert_uint_eq(got.ttl_s, 120);
	ask("F.Example", true);
	ck_assert_str_eq(got.addrs, "2001:db8::1");
	ck_assert_uint_eq(got.ttl_s, 60);
}

END_TEST

START_TEST(no_more_than_are_wanted)
{
	ask("many.example", false);
	ck_assert(got.found);
	ck_assert_uint_eq(got.naddrs, HOST_ADDRS_MAX);
}

END_TEST

START_TEST(a_time_that_is_over_is_still_an_answer)
{
	ask("brief.example", false);
	ck_assert(got.found);
	ck_assert_uint_ge(got.ttl_s, 1);
}

END_TEST

/* What is known (a time) and what is not (0) differ. */
START_TEST(why_there_is_none)
{
	ask("f.nowhere.example", false);
	ck_assert(!got.found);
	ck_assert_uint_gt(got.ttl_s, 0);
	ck_assert_str_eq(got.text, "nxdomain");
	ask("brief.example", true);
	ck_assert(!got.found);
	ck_assert_uint_gt(got.ttl_s, 0);
	ck_assert_str_eq(got.text, "nodata");
	ask("fault.example", false);
	ck_assert(!got.found);
	ck_assert_uint_eq(got.ttl_s, 0);
	ck_assert_str_eq(got.text, "servfail");
	ask("no name", false);
	ck_assert(!got.found);
	ck_assert_uint_gt(got.ttl_s, 0);
	ck_assert_uint_eq(got.naddrs, 0);
}

END_TEST

START_TEST(a_dialer_that_leaves)
{
	send_ask("mute.example", false);
	/* The answer to the second says that the first one was heard. */
	ask("f.example", false);
	ck_assert_uint_eq(under_way(), 1);
	channel_free(&dialer);
	connect_dialer();
	ck_assert_uint_eq(under_way(), 0);
	ask("f.example", true);
	ck_assert_str_eq(got.addrs, "2001:db8::1");
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("host_addresses");
	TCase *tc = tcase_create("host_addresses");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, by_family);
	tcase_add_test(tc, no_more_than_are_wanted);
	tcase_add_test(tc, a_time_that_is_over_is_still_an_answer);
	tcase_add_test(tc, why_there_is_none);
	tcase_add_test(tc, a_dialer_that_leaves);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
