/* How TLS went, counted for those that want reports: the test is the resolver
 * and the queue. */
#include "delivery/tls_tally.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "delivery/agent.h"
#include "delivery/from_queue.h"
#include "delivery/from_resolver.h"
#include "lib/base/alloc.h"
#include "lib/ipc/channel.h"

enum { TOLD = 128 };

static struct loop *loop;
static struct config *config;
static struct channel *names, *queue;
static struct timer *watchdog;
static const char *rua;
static uint32_t ttl_s;
static unsigned int nasked;
static char asked[256];

static struct told {
	uint8_t policy, result;
	uint32_t count, day;
	char domain[256], rua[1024], text[4096], mxs[4096];
	char mx[256], there[65], here[65], reason[129];
} told[TOLD];

static size_t ntold;

static void
copy(char *out, size_t size, struct str s)
{
	snprintf(out, size, "%.*s", (int)s.len, s.p);
}

static void
on_ask_rua(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_tls_rua *m = msg;
	struct answer_tls_rua a = { .text = str_of(rua), .ttl_s = ttl_s };

	(void)ctx;
	nasked++;
	copy(asked, sizeof(asked), m->domain);
	channel_tell(ch, TYPE_answer_tls_rua, &a, id);
}

static void
on_tally(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_tls_tally *m = msg;
	struct told *t = &told[ntold++];

	(void)ctx;
	(void)ch;
	(void)id;
	ck_assert_uint_le(ntold, TOLD);
	t->policy = m->policy;
	t->result = m->result;
	t->count = m->count;
	t->day = m->day;
	copy(t->domain, sizeof(t->domain), m->domain);
	copy(t->rua, sizeof(t->rua), m->rua);
	copy(t->text, sizeof(t->text), m->policy_text);
	copy(t->mxs, sizeof(t->mxs), m->mx_patterns);
	copy(t->mx, sizeof(t->mx), m->mx);
	copy(t->there, sizeof(t->there), m->mx_address);
	copy(t->here, sizeof(t->here), m->our_address);
	copy(t->reason, sizeof(t->reason), m->reason);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

static void
on_watchdog(void *ctx)
{
	(void)ctx;
	ck_abort_msg("nothing happens any more");
}

static void
connect_queue(void)
{
	static const struct handler handlers[] = {
		{ TYPE_tell_tls_tally, on_tally },
		{ 0, NULL },
	};
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	queue = channel_new(loop, sv[0], &queue_delivery_edge, EDGE_A, handlers,
	    on_closed, NULL);
	from_queue_open(loop, sv[1]);
}

static void
setup(void)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_tls_rua, on_ask_rua },
		{ 0, NULL },
	};
	int sv[2];

	loop = loop_new();
	watchdog = timer_new(loop, on_watchdog, NULL);
	timer_set(watchdog, 60000);
	from_resolver_init(loop, QUESTION_PATIENCE_MS);
	agent_init(loop);
	config = config_new();
	config->tls_reports = xcalloc(1, sizeof(*config->tls_reports));
	tls_tally_set_config(config);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	names = channel_new(loop, sv[0], &delivery_resolver_edge, EDGE_B,
	    handlers, on_closed, NULL);
	from_resolver_open(sv[1]);
	connect_queue();
	rua = "v=TLSRPTv1; rua=mailto:x@d.test";
	ttl_s = 300;
	ntold = nasked = 0;
}

/* Rounds of the loop, enough for a question, its answer and what is told of
 * it: all are in one process. */
static void
on_pause(void *ctx)
{
	loop_stop(ctx);
}

static void
settle(void)
{
	struct timer *t = timer_new(loop, on_pause, loop);

	for (int i = 0; i < 4; i++) {
		timer_set(t, 1);
		loop_run(loop);
	}
	timer_free(&t);
}

static void
teardown(void)
{
	free(config->tls_reports);
	config->tls_reports = NULL;
	tls_tally_set_config(config);
	ck_assert_uint_eq(tls_tally_count(), 0);
	channel_free(&names);
	channel_free(&queue);
	from_queue_close();
	from_resolver_close();
	settle();
	timer_free(&watchdog);
	loop_free(&loop);
	config_unref(&config);
}

/* --- sessions --- */

static struct hop hop;
static struct policy policy;
static struct sts_policy sts;
static struct conn conn;
static char domain[256], host[] = "mx1.d.test", mxs[256];

static void
use_policy(enum tls_policy from, const char *whose)
{
	hop = (struct hop){ 0 };
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &hop.at.addr), 0);
	snprintf(domain, sizeof(domain), "%s", whose);
	policy = (struct policy){ .refs = 1, .from = from, .domain = domain };
	if (from == TLS_POLICY_STS) {
		snprintf(mxs, sizeof(mxs), "mx1.d.test *.e.test");
		sts = (struct sts_policy){ .refs = 1,
			.mode = STS_TESTING,
			.mxs = mxs,
			.max_age_s = 86400 };
		policy.sts = &sts;
	}
	conn = (struct conn){ .policy = &policy, .hop = &hop, .host = host };
}

START_TEST(test_counted_alike)
{
	use_policy(TLS_POLICY_NONE, "D.test");
	for (int i = 0; i < 3; i++)
		tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	for (int i = 0; i < 2; i++)
		tls_tally_add(&conn, TLS_RESULT_EXPIRED, "expired");
	settle();
	ck_assert_uint_eq(nasked, 1);
	ck_assert_str_eq(asked, "d.test");
	tls_tally_flush();
	settle();
	ck_assert_uint_eq(ntold, 2);
	ck_assert_str_eq(told[0].domain, "d.test");
	ck_assert_str_eq(told[0].rua, rua);
	ck_assert_uint_eq(told[0].result, TLS_RESULT_SUCCESS);
	ck_assert_uint_eq(told[0].count, 3);
	ck_assert_str_eq(told[0].mx, "");
	ck_assert_uint_gt(told[0].day, 20000);
	ck_assert_uint_eq(told[1].result, TLS_RESULT_EXPIRED);
	ck_assert_uint_eq(told[1].count, 2);
	ck_assert_str_eq(told[1].mx, "mx1.d.test");
	ck_assert_str_eq(told[1].there, "192.0.2.1");
	ck_assert_str_eq(told[1].reason, "expired");
	/* told once */
	tls_tally_flush();
	settle();
	ck_assert_uint_eq(ntold, 2);
	ck_assert_uint_eq(nasked, 1);
}

END_TEST

START_TEST(test_policies)
{
	uint8_t data[] = { 0xab, 0x01 };
	struct tls_tlsa tlsas[] = { { 3, 1, 1, data, 2 },
		{ 2, 0, 1, data, 2 } };

	use_policy(TLS_POLICY_TLSA, "base.test");
	policy.tlsas = tlsas;
	policy.ntlsas = 2;
	tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	use_policy(TLS_POLICY_STS, "d.test");
	tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	conn.host = (char[]){ "other.test" };
	tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	settle();
	tls_tally_flush();
	settle();
	ck_assert_uint_eq(ntold, 3);
	/* the domain seen last comes first */
	ck_assert_str_eq(told[0].text,
	    "version: STSv1\nmode: testing\nmx: mx1.d.test\n"
	    "mx: *.e.test\nmax_age: 86400");
	ck_assert_str_eq(told[0].mxs, "mx1.d.test *.e.test");
	ck_assert_uint_eq(told[0].result, TLS_RESULT_SUCCESS);
	ck_assert_uint_eq(told[1].result, TLS_RESULT_VALIDATION);
	ck_assert_str_eq(told[1].mx, "other.test");
	ck_assert_str_eq(told[2].text, "3 1 1 ab01\n2 0 1 ab01");
	ck_assert_uint_eq(told[2].policy, TLS_POLICY_TLSA);
	ck_assert_str_eq(told[2].domain, "base.test");
}

END_TEST

START_TEST(test_places_that_were_refused)
{
	struct hop_url url;
	struct host_dane dane = { .is = DANE_FAULT,
		.base = (char[]){ "base.test" } };
	struct place place = { .host = host };

	use_policy(TLS_POLICY_STS, "d.test");
	sts.mode = STS_ENFORCE;
	ck_assert_int_eq(hop_url_parse(STR("mx://d.test"), &url, NULL), 0);
	ck_assert_int_eq(addr_parse(STR("192.0.2.9"), &place.at.addr), 0);
	struct policy_parts q = { .url = &url, .dane = &dane, .sts = &sts };

	tls_tally_refused(&q, &place, POLICY_DANE_FAULT);
	tls_tally_refused(&q, &place, POLICY_STS_DENIED);
	tls_tally_refused(&q, &place, POLICY_IN_CLEAR);
	tls_tally_refused(&q, &place, POLICY_NO_REQUIRE);
	sts.fault = STS_FETCH_ERROR;
	tls_tally_sts(STR("d.test"), &sts);
	sts.fault = STS_NO_FAULT;
	tls_tally_sts(STR("d.test"), &sts);
	settle();
	tls_tally_flush();
	settle();
	ck_assert_uint_eq(ntold, 3);
	ck_assert_str_eq(told[0].domain, "d.test");
	ck_assert_uint_eq(told[0].result, TLS_RESULT_VALIDATION);
	ck_assert_str_eq(told[0].mx, "mx1.d.test");
	ck_assert_str_eq(told[0].there, "192.0.2.9");
	ck_assert_uint_eq(told[1].result, TLS_RESULT_STS_FETCH_ERROR);
	ck_assert_str_eq(told[2].domain, "base.test");
	ck_assert_uint_eq(told[2].result, TLS_RESULT_DNSSEC_INVALID);
}

END_TEST

/* --- who is told --- */

START_TEST(test_domains_that_want_none)
{
	rua = "";
	use_policy(TLS_POLICY_NONE, "d.test");
	for (int i = 0; i < 3; i++) {
		tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
		settle();
		tls_tally_flush();
	}
	settle();
	ck_assert_uint_eq(ntold, 0);
	ck_assert_uint_eq(nasked, 1);
	policy.domain = NULL; /* nobody's */
	tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	ck_assert_uint_eq(tls_tally_count(), 1);
}

END_TEST

START_TEST(test_not_configured)
{
	free(config->tls_reports);
	config->tls_reports = NULL;
	tls_tally_set_config(config);
	use_policy(TLS_POLICY_STS, "d.test");
	sts.fault = STS_INVALID;
	tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	tls_tally_sts(STR("d.test"), &sts);
	ck_assert_uint_eq(tls_tally_count(), 0);
	settle();
	ck_assert_uint_eq(nasked, 0);
}

END_TEST

/* No answer, or no resolver: asked again, some time; then it is let go. */
START_TEST(test_nobody_knows)
{
	ttl_s = 0;
	use_policy(TLS_POLICY_NONE, "d.test");
	tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	settle();
	tls_tally_flush();
	settle();
	ck_assert_uint_eq(nasked, 2);
	ck_assert_uint_eq(ntold, 0);
	if (_i == 0) {
		ttl_s = 300;
		tls_tally_flush();
		settle();
		tls_tally_flush();
		settle();
		ck_assert_uint_eq(ntold, 1);
		return;
	}
	from_resolver_close();
	for (int i = 0; i < 5; i++)
		tls_tally_flush();
	ck_assert_uint_eq(tls_tally_count(), 0);
}

END_TEST

/* What the queue did not hear is told to the next one, once. */
START_TEST(test_without_a_queue)
{
	use_policy(TLS_POLICY_NONE, "d.test");
	tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	tls_tally_add(&conn, TLS_RESULT_EXPIRED, "");
	settle();
	from_queue_close();
	channel_free(&queue);
	tls_tally_flush();
	connect_queue();
	tls_tally_flush();
	tls_tally_flush();
	settle();
	ck_assert_uint_eq(ntold, 2);
	ck_assert_uint_eq(told[0].count, 1);
}

END_TEST

/* --- bounds --- */

START_TEST(test_bounded)
{
	char text[32];

	for (int i = 0; i < TALLY_DOMAINS_MAX + 10; i++) {
		snprintf(text, sizeof(text), "d%d.test", i);
		use_policy(TLS_POLICY_NONE, text);
		tls_tally_add(&conn, TLS_RESULT_SUCCESS, "");
	}
	ck_assert_uint_eq(tls_tally_count(), TALLY_DOMAINS_MAX);
	from_resolver_close();
	free(config->tls_reports);
	config->tls_reports = NULL;
	tls_tally_set_config(config);
	ck_assert_uint_eq(tls_tally_count(), 0);
}

END_TEST

START_TEST(test_bounded_in_each)
{
	char text[32];

	use_policy(TLS_POLICY_NONE, "d.test");
	for (int i = 0; i < TALLY_COUNTS_MAX + 10; i++) {
		snprintf(text, sizeof(text), "reason-%d", i);
		tls_tally_add(&conn, TLS_RESULT_VALIDATION, text);
	}
	settle();
	tls_tally_flush();
	settle();
	ck_assert_uint_eq(ntold, TALLY_COUNTS_MAX);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("tls_tally");
	TCase *tc = tcase_create("tls_tally");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_counted_alike);
	tcase_add_test(tc, test_policies);
	tcase_add_test(tc, test_places_that_were_refused);
	tcase_add_test(tc, test_domains_that_want_none);
	tcase_add_test(tc, test_not_configured);
	tcase_add_loop_test(tc, test_nobody_knows, 0, 2);
	tcase_add_test(tc, test_without_a_queue);
	tcase_add_test(tc, test_bounded);
	tcase_add_test(tc, test_bounded_in_each);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
