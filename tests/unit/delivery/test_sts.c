/* Policies: which hosts they allow, and what is remembered of the fetcher's
 * answers. */
#include "delivery/sts.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/ipc/channel.h"

enum { PATIENCE_MS = 50, WAITERS = 3 };

static struct loop *loop;
static struct channel *fetcher;
static unsigned int nasked, nanswered;
static struct answer_sts answer;
static bool answers; /* false: it is silent */

static void
on_ask_sts(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	nasked++;
	if (answers)
		channel_tell(ch, TYPE_answer_sts, &answer, id);
	else
		loop_stop(loop);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

static const struct handler handlers[] = {
	{ TYPE_ask_sts, on_ask_sts },
	{ 0, NULL },
};

/* A fetcher, after the one before. */
static void
open_fetcher(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	channel_free(&fetcher);
	fetcher = channel_new(loop, sv[0], &delivery_fetch_edge, EDGE_B,
	    handlers, on_closed, NULL);
	from_fetch_open(loop, sv[1]);
}

static void
setup(void)
{
	loop = loop_new();
	sts_init(loop);
	from_fetch_init(loop, PATIENCE_MS);
	open_fetcher();
	nasked = nanswered = 0;
	answers = true;
	answer = (struct answer_sts){ .mode = STS_ENFORCE,
		.ttl_s = 300,
		.id = STR("7"),
		.max_age_s = 86400,
		.mxs = STR("mx.example.com *.example.net") };
}

static void
stop(void *ctx)
{
	loop_stop(ctx);
}

static void
teardown(void)
{
	struct deferred last;

	sts_clear();
	ck_assert_uint_eq(sts_count(), 0);
	from_fetch_close();
	channel_free(&fetcher);
	deferred_init(&last, stop, loop);
	loop_after(loop, &last);
	loop_run(loop);
	loop_free(&loop);
}

static void
on_policy(void *ctx, struct sts_policy *p)
{
	*(struct sts_policy **)ctx = p;
	nanswered++;
	loop_stop(loop);
}

/* With a reference. */
static struct sts_policy *
get(const char *domain)
{
	struct sts_policy *p = NULL, *known;
	struct sts_wait w = { .fn = on_policy, .ctx = &p };

	known = sts_get(str_of(domain), &w);
	if (known != NULL)
		return known;
	ck_assert_ptr_eq(p, NULL);
	loop_run(loop);
	ck_assert_ptr_ne(p, NULL);
	ck_assert_ptr_eq(w.domain, NULL);
	return p;
}

static const struct {
	const char *mxs, *host;
	bool allowed;
} cases[] = {
	{ "mx.example.com *.example.net", "mx.example.com", true },
	{ "mx.example.com *.example.net", "MX.Example.COM", true },
	{ "mx.example.com *.example.net", "a.example.net", true },
	{ "mx.example.com *.example.net", "A.EXAMPLE.NET", true },
	{ "mx.example.com *.example.net", "a.b.example.net", false },
	{ "mx.example.com *.example.net", "example.net", false },
	{ "mx.example.com *.example.net", ".example.net", false },
	{ "mx.example.com *.example.net", "xexample.net", false },
	{ "mx.example.com *.example.net", "example.com", false },
	{ "mx.example.com *.example.net", "a.mx.example.com", false },
	{ "mx.example.com", "mx.example.co", false },
	{ "mx.example.com", "mx.example.comx", false },
	{ "mx.example.com", "", false },
	{ "*.com", "example.com", true },
	{ "", "mx.example.com", false },
	{ "", "", false },
};

START_TEST(test_allows)
{
	char mxs[64];
	struct sts_policy p = { .mxs = mxs };

	snprintf(mxs, sizeof(mxs), "%s", cases[_i].mxs);
	ck_assert_int_eq(sts_allows(&p, cases[_i].host), cases[_i].allowed);
}

END_TEST

START_TEST(test_remembered)
{
	struct sts_policy *p = get("a.test"), *again = get("a.test");

	ck_assert_int_eq(p->mode, STS_ENFORCE);
	ck_assert_str_eq(p->id, "7");
	ck_assert_str_eq(p->mxs, "mx.example.com *.example.net");
	ck_assert_uint_eq(p->max_age_s, 86400);
	ck_assert_ptr_eq(p, again);
	ck_assert_uint_eq(nasked, 1);
	sts_unref(&again);
	sts_clear();
	ck_assert_uint_eq(p->refs, 1); /* who holds it keeps it */
	sts_unref(&p);
	p = get("a.test");
	ck_assert_uint_eq(nasked, 2);
	sts_unref(&p);
}

END_TEST

/* An answer that may not be kept serves those who waited for it. */
START_TEST(test_not_kept)
{
	struct sts_policy *p;

	answer.ttl_s = 0;
	for (unsigned int i = 1; i <= 2; i++) {
		p = get("a.test");
		sts_unref(&p);
		ck_assert_uint_eq(nasked, i);
	}
}

END_TEST

START_TEST(test_bounded)
{
	char domain[32];
	struct sts_policy *p;

	for (unsigned int i = 0; i <= STS_DOMAINS_MAX; i++) {
		snprintf(domain, sizeof(domain), "d%u.test", i);
		p = get(domain);
		sts_unref(&p);
	}
	ck_assert_uint_eq(sts_count(), STS_DOMAINS_MAX);
	nasked = 0;
	p = get("d1.test");
	sts_unref(&p);
	ck_assert_uint_eq(nasked, 0);
	p = get("d0.test");
	sts_unref(&p);
	ck_assert_uint_eq(nasked, 1);
}

END_TEST

static struct sts_wait waiters[WAITERS];

/* One is told, and takes the others back. */
static void
on_first(void *ctx, struct sts_policy *p)
{
	(void)ctx;
	nanswered++;
	sts_unref(&p);
	for (size_t i = 0; i < WAITERS; i++)
		sts_cancel(&waiters[i]);
	loop_stop(loop);
}

START_TEST(test_shared)
{
	struct sts_policy *p;

	for (size_t i = 0; i < WAITERS; i++) {
		waiters[i].fn = on_first;
		ck_assert_ptr_eq(sts_get(STR("a.test"), &waiters[i]), NULL);
	}
	loop_run(loop);
	ck_assert_uint_eq(nanswered, 1);
	ck_assert_uint_eq(nasked, 1);
	p = get("a.test");
	ck_assert_uint_eq(nasked, 1);
	sts_unref(&p);
}

END_TEST

START_TEST(test_cancel)
{
	struct sts_policy *p = NULL;
	struct sts_wait w = { .fn = on_policy, .ctx = &p };

	ck_assert_ptr_eq(sts_get(STR("a.test"), &w), NULL);
	sts_cancel(&w);
	sts_cancel(&w);
	p = get("b.test");
	sts_unref(&p);
	ck_assert_uint_eq(nanswered, 1);
	ck_assert_uint_eq(sts_count(), 1);
}

END_TEST

static void
is_no_answer(struct sts_policy *p)
{
	ck_assert_int_eq(p->mode, STS_NONE);
	ck_assert_int_eq(p->fault, STS_UNANSWERED);
	ck_assert(!sts_allows(p, "mx.example.com"));
	sts_unref(&p);
}

/* Nobody is there, or it is and says nothing. */
START_TEST(test_patience)
{
	struct sts_policy *p = NULL;
	struct sts_wait w = { .fn = on_policy, .ctx = &p };

	answers = false;
	if (_i == 0)
		from_fetch_close();
	ck_assert_ptr_eq(sts_get(STR("a.test"), &w), NULL);
	while (p == NULL)
		loop_run(loop);
	is_no_answer(p);
	/* That is remembered, too. */
	nasked = 0;
	is_no_answer(get("a.test"));
	ck_assert_uint_eq(nasked, 0);
}

END_TEST

/* Its successor is asked; one question kills not more than so many of them. */
START_TEST(test_deaths)
{
	struct sts_policy *p = NULL;
	struct sts_wait w = { .fn = on_policy, .ctx = &p };
	unsigned int deaths = _i == 0 ? 1 : STS_TRIES_MAX;

	from_fetch_init(loop, UINT32_MAX);
	answers = false;
	ck_assert_ptr_eq(sts_get(STR("a.test"), &w), NULL);
	for (unsigned int i = 1; i <= deaths; i++) {
		loop_run(loop);
		ck_assert_uint_eq(nasked, i);
		answers = i == deaths;
		open_fetcher();
	}
	while (p == NULL)
		loop_run(loop);
	if (_i == 0) {
		ck_assert_int_eq(p->mode, STS_ENFORCE);
		ck_assert_uint_eq(nasked, 2);
		sts_unref(&p);
	} else {
		is_no_answer(p);
		ck_assert_uint_eq(nasked, STS_TRIES_MAX);
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("sts");
	TCase *tc = tcase_create("sts");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(
	    tc, test_allows, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, test_remembered);
	tcase_add_test(tc, test_not_kept);
	tcase_add_test(tc, test_bounded);
	tcase_add_test(tc, test_shared);
	tcase_add_test(tc, test_cancel);
	tcase_add_loop_test(tc, test_patience, 0, 2);
	tcase_add_loop_test(tc, test_deaths, 0, 2);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
