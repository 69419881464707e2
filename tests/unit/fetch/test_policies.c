/* What is known of domains, and for how long, with a resolver of our own; a
 * web server there is none (tests/system/mta_sts.py has one). */
#include "fetch/policies.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fetch/discovery.h"
#include "fetch/from_resolver.h"
#include "fetch/https.h"
#include "fetch/policy_store.h"
#include "lib/base/clock.h"
#include "lib/ipc/channel.h"

static struct loop *loop;
static struct channel *resolver;
static unsigned int ntexts, naddrs;
static char path[] = "/tmp/postern-policies-XXXXXX";
static int dir;

/* What the resolver says. */
static const char *record;
static uint32_t ttl_s;
static bool fault, silent;

static void
on_texts(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_sts_texts *ask = msg;
	struct tell_sts_text part = { .text = str_of(record) };
	struct answer_sts_texts m = { .fault = fault, .ttl_s = ttl_s };

	(void)ctx;
	ck_assert(str_eq(str_head(ask->name, 9), STR("_mta-sts.")));
	ntexts++;
	if (silent) {
		loop_stop(loop);
		return;
	}
	if (part.text.len > 0)
		channel_tell(ch, TYPE_tell_sts_text, &part, id);
	channel_tell(ch, TYPE_answer_sts_texts, &m, id);
}

/* Nowhere. */
static void
on_addrs(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_sts_addrs *ask = msg;
	struct answer_sts_addrs m = { 0 };

	(void)ctx;
	ck_assert(str_eq(str_head(ask->name, 8), STR("mta-sts.")));
	naddrs++;
	channel_tell(ch, TYPE_answer_sts_addrs, &m, id);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

static void
open_resolver(void)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_sts_texts, on_texts },
		{ TYPE_ask_sts_addrs, on_addrs },
		{ 0, NULL },
	};
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	channel_free(&resolver);
	resolver = channel_new(loop, sv[0], &fetch_resolver_edge, EDGE_B,
	    handlers, on_closed, NULL);
	from_resolver_open(sv[1]);
}

static void
setup(void)
{
	snprintf(path, sizeof(path), "%s", "/tmp/postern-policies-XXXXXX");
	ck_assert_ptr_ne(mkdtemp(path), NULL);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	policy_store_init(dup(dir));
	loop = loop_new();
	from_resolver_init(loop, UINT32_MAX);
	discovery_init(loop);
	policies_init(loop);
	open_resolver();
	ntexts = naddrs = 0;
	record = "";
	ttl_s = 300;
	fault = silent = false;
}

static void
stop(void *ctx)
{
	loop_stop(ctx);
}

/* What waits in channels is said and heard. */
static void
settle(void)
{
	struct timer *t = timer_new(loop, stop, loop);

	for (int i = 0; i < 8; i++) {
		timer_set(t, 0);
		loop_run(loop);
	}
	timer_free(&t);
}

static void
teardown(void)
{
	char command[64];

	policies_clear();
	from_resolver_close();
	channel_free(&resolver);
	settle();
	loop_free(&loop);
	policy_store_init(-1);
	close(dir);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	ck_assert_int_eq(system(command), 0);
}

static struct answer_sts answer;
static char answer_id[64], answer_mxs[256];
static unsigned int nanswers;

static void
keep(const struct answer_sts *m)
{
	answer = *m;
	snprintf(answer_id, sizeof(answer_id), "%.*s", (int)m->id.len, m->id.p);
	snprintf(
	    answer_mxs, sizeof(answer_mxs), "%.*s", (int)m->mxs.len, m->mxs.p);
}

static void
on_policy(struct policy_wait *w, const struct answer_sts *m)
{
	ck_assert_ptr_eq(w->domain, NULL);
	keep(m);
	nanswers++;
	loop_stop(loop);
}

/* The answer is kept; true: it came at once. */
static bool
get(const char *domain)
{
	struct policy_wait w = { .fn = on_policy };
	struct answer_sts m;
	unsigned int before = nanswers;

	if (policies_get(str_of(domain), &w, &m)) {
		keep(&m);
		return true;
	}
	while (nanswers == before)
		loop_run(loop);
	return false;
}

static uint64_t
stat_of(const char *name)
{
	for (const struct counter *c = policies_counters(); c->name != NULL;
	     c++)
		if (strcmp(c->name, name) == 0)
			return c->value;
	ck_abort_msg("no counter %s", name);
	return 0;
}

/* As if it had been fetched so many seconds ago. */
static void
store(const char *domain, uint32_t age_s, uint32_t max_age_s)
{
	struct stored_policy p = { .domain = str_of(domain),
		.id = STR("1"),
		.fetched_s = clock_wall_ms() / 1000 - age_s,
		.max_age_s = max_age_s,
		.mode = STS_ENFORCE,
		.mxs = STR("mx.example.com") };

	ck_assert_int_eq(policy_store_put(&p), 0);
}

START_TEST(test_nothing)
{
	ck_assert(!get("a.test"));
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_int_eq(answer.fault, STS_NO_FAULT);
	ck_assert_uint_eq(answer.ttl_s, 300);
	ck_assert(get("a.test"));
	ck_assert_uint_eq(ntexts, 1);
	ck_assert_uint_eq(naddrs, 0);
	/* What may not be remembered is asked for each time. */
	ttl_s = 0;
	ck_assert(!get("b.test"));
	ck_assert_uint_eq(answer.ttl_s, 0);
	ck_assert(!get("b.test"));
	ck_assert_uint_eq(ntexts, 3);
}

END_TEST

static const char *const no_domains[] = { "", ".", "a..b", "a/b", "a b",
	"[192.0.2.1]", "-a.test", "../x" };

START_TEST(test_no_domain)
{
	ck_assert(get(no_domains[_i]));
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_uint_eq(ntexts, 0);
}

END_TEST

/* The longest whose policy could have a name, and one that is longer. */
START_TEST(test_long_domain)
{
	char domain[256];

	memset(domain, 'a', sizeof(domain));
	for (size_t i = 60; i < 244; i += 60)
		domain[i] = '.';
	domain[244] = '\0';
	ck_assert(!get(domain));
	ck_assert_uint_eq(ntexts, 1);
	domain[244] = 'a';
	domain[245] = '\0';
	ck_assert(get(domain));
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_uint_eq(ntexts, 1);
}

END_TEST

/* A record, but no page: not again for a while, and that is not asked. */
START_TEST(test_failure)
{
	uint64_t failures = stat_of("fetch.failures");

	record = "v=STSv1; id=1;";
	ttl_s = 0;
	ck_assert(!get("a.test"));
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_int_eq(answer.fault, STS_FETCH_ERROR);
	ck_assert_uint_eq(answer.ttl_s, POLICY_FAILED_S);
	ck_assert(get("a.test"));
	ck_assert_int_eq(answer.fault, STS_FETCH_ERROR);
	ck_assert_uint_eq(naddrs, 1);
	ck_assert_uint_eq(stat_of("fetch.failures"), failures + 1);
}

END_TEST

START_TEST(test_unknown)
{
	fault = true;
	ck_assert(!get("a.test"));
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_int_eq(answer.fault, STS_NO_FAULT);
	ck_assert_uint_eq(answer.ttl_s, POLICY_UNKNOWN_S);
}

END_TEST

static void
is_held(void)
{
	ck_assert_int_eq(answer.mode, STS_ENFORCE);
	ck_assert_str_eq(answer_id, "1");
	ck_assert_str_eq(answer_mxs, "mx.example.com");
	ck_assert_uint_eq(answer.max_age_s, 86400);
}

/* What is on disk holds, whatever comes. */
static const struct {
	const char *record;
	bool fault;
	enum sts_fault want;
} comes[] = {
	{ "v=STSv1; id=1;", false, STS_NO_FAULT },
	{ "v=STSv1; id=2;", false, STS_FETCH_ERROR },
	{ "v=STSv1; nonsense", false, STS_NO_FAULT },
	{ "", false, STS_NO_FAULT },
	{ "", true, STS_NO_FAULT },
};

START_TEST(test_held)
{
	store("a.test", 100, 86400);
	policies_load();
	ck_assert_uint_eq(stat_of("fetch.policies"), 1);
	record = comes[_i].record;
	fault = comes[_i].fault;
	ck_assert(!get("a.test"));
	is_held();
	ck_assert_int_eq(answer.fault, comes[_i].want);
	ck_assert_uint_eq(ntexts, 1);
	ck_assert_uint_eq(naddrs, comes[_i].want == STS_FETCH_ERROR);
	ck_assert(get("a.test"));
	is_held();
	ck_assert_uint_eq(ntexts, 1);
}

END_TEST

/* It may be remembered no longer than it holds. */
START_TEST(test_ttl)
{
	store("a.test", 86000, 86400);
	policies_load();
	record = "v=STSv1; id=1;";
	ttl_s = 86400;
	ck_assert(!get("a.test"));
	is_held();
	ck_assert_uint_le(answer.ttl_s, 400);
	ck_assert_uint_gt(answer.ttl_s, 300);
}

END_TEST

/* The record is looked at again when the policy ends, whatever its TTL. */
START_TEST(test_ends_within_ttl)
{
	store("a.test", 0, 2);
	policies_load();
	record = "v=STSv1; id=1;";
	ttl_s = 86400;
	ck_assert(!get("a.test"));
	ck_assert_int_eq(answer.mode, STS_ENFORCE);
	while (stat_of("fetch.policies") > 0)
		settle();
	ck_assert(!get("a.test"));
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_uint_eq(naddrs, 1);
}

END_TEST

START_TEST(test_expired)
{
	store("a.test", 86401, 86400);
	policies_load();
	record = "v=STSv1; id=1;"; /* the id that was known counts no more */
	ck_assert(!get("a.test"));
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_uint_eq(naddrs, 1);
	while (stat_of("fetch.policies") > 0)
		settle();
	ck_assert_int_eq(faccessat(dir, "a.test", F_OK, 0), -1);
}

END_TEST

/* Of four only that one is refreshed which is a day old, or has lived half of
 * its time: nobody asked. */
START_TEST(test_refresh)
{
	uint64_t before = stat_of("fetch.refreshes");

	store("young.test", 86300, 604800);
	store("day.test", 86500, 604800);
	store("half.test", 5100, 10000);
	store("less.test", 4900, 10000);
	policies_load();
	while (stat_of("fetch.refreshes") < before + 2 || naddrs < 2)
		settle();
	settle();
	ck_assert_uint_eq(ntexts, 2);
	ck_assert_uint_eq(naddrs, 2);
	ck_assert_uint_eq(stat_of("fetch.refreshes"), before + 2);
	ck_assert_uint_eq(stat_of("fetch.policies"), 4);
	ck_assert(get("day.test"));
	ck_assert_int_eq(answer.mode, STS_ENFORCE);
	ck_assert_int_eq(answer.fault, STS_FETCH_ERROR);
}

END_TEST

/* What is known is said while it is refreshed. */
START_TEST(test_while_refreshed)
{
	uint64_t before = stat_of("fetch.refreshes");

	store("a.test", 86398, 604800);
	policies_load();
	record = "v=STSv1; id=1;";
	ck_assert(!get("a.test"));
	silent = true;
	while (stat_of("fetch.refreshes") == before)
		settle();
	ck_assert(get("a.test"));
	ck_assert_int_eq(answer.mode, STS_ENFORCE);
}

END_TEST

/* Of many that are due only so many at once. */
START_TEST(test_refreshes_at_once)
{
	char domain[32];

	silent = true;
	for (int i = 0; i < 3 * POLICY_REFRESHES_MAX; i++) {
		snprintf(domain, sizeof(domain), "d%d.test", i);
		store(domain, 86500, 604800);
	}
	policies_load();
	while (ntexts < POLICY_REFRESHES_MAX)
		loop_run(loop);
	settle();
	ck_assert_uint_eq(ntexts, POLICY_REFRESHES_MAX);
	silent = false;
	open_resolver(); /* which is asked anew */
	while (naddrs < 3 * POLICY_REFRESHES_MAX)
		settle();
	ck_assert_uint_eq(stat_of("fetch.policies"), 3 * POLICY_REFRESHES_MAX);
}

END_TEST

START_TEST(test_bounded)
{
	char domain[32];

	for (unsigned int i = 0; i <= POLICIES_MAX; i++) {
		snprintf(domain, sizeof(domain), "d%u.test", i);
		ck_assert(!get(domain));
	}
	ck_assert(get("d1.test"));
	ck_assert(!get("d0.test"));
}

END_TEST

/* The longest unused policy goes, from the disk too. */
START_TEST(test_bounded_policies)
{
	char domain[32];

	for (unsigned int i = 0; i < POLICIES_MAX + 3; i++) {
		snprintf(domain, sizeof(domain), "d%u.test", i);
		store(domain, 100, 86400);
	}
	policies_load();
	ck_assert_uint_eq(stat_of("fetch.policies"), POLICIES_MAX);
	policies_clear();
	policies_init(loop);
	policies_load();
	ck_assert_uint_eq(stat_of("fetch.policies"), POLICIES_MAX);
}

END_TEST

START_TEST(test_shared)
{
	struct policy_wait waits[3] = { { .fn = on_policy },
		{ .fn = on_policy }, { .fn = on_policy } };
	struct answer_sts m;

	silent = true;
	nanswers = 0;
	for (size_t i = 0; i < 3; i++)
		ck_assert(!policies_get(STR("a.test"), &waits[i], &m));
	loop_run(loop);
	policies_cancel(&waits[1]);
	policies_cancel(&waits[1]);
	silent = false;
	open_resolver();
	while (nanswers < 2)
		loop_run(loop);
	settle();
	ck_assert_uint_eq(nanswers, 2);
	ck_assert_uint_eq(ntexts, 2);
}

END_TEST

/* Resolvers that die of a question: after a few it is not known. */
START_TEST(test_deaths)
{
	struct policy_wait w = { .fn = on_policy };
	struct answer_sts m;

	silent = true;
	nanswers = 0;
	ck_assert(!policies_get(STR("a.test"), &w, &m));
	for (unsigned int i = 1; i <= RESOLVER_TRIES_MAX; i++) {
		ck_assert_uint_eq(nanswers, 0);
		while (ntexts < i)
			loop_run(loop);
		open_resolver();
	}
	while (nanswers == 0)
		loop_run(loop);
	ck_assert_int_eq(answer.mode, STS_NONE);
	ck_assert_uint_eq(answer.ttl_s, POLICY_UNKNOWN_S);
	settle();
	ck_assert_uint_eq(ntexts, RESOLVER_TRIES_MAX);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("policies");
	TCase *tc = tcase_create("policies");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_nothing);
	tcase_add_loop_test(tc, test_no_domain, 0,
	    (int)(sizeof(no_domains) / sizeof(no_domains[0])));
	tcase_add_test(tc, test_long_domain);
	tcase_add_test(tc, test_failure);
	tcase_add_test(tc, test_unknown);
	tcase_add_loop_test(
	    tc, test_held, 0, (int)(sizeof(comes) / sizeof(comes[0])));
	tcase_add_test(tc, test_ttl);
	tcase_add_test(tc, test_ends_within_ttl);
	tcase_add_test(tc, test_expired);
	tcase_add_test(tc, test_refresh);
	tcase_add_test(tc, test_while_refreshed);
	tcase_add_test(tc, test_refreshes_at_once);
	tcase_add_test(tc, test_bounded);
	tcase_add_test(tc, test_bounded_policies);
	tcase_add_test(tc, test_shared);
	tcase_add_test(tc, test_deaths);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
