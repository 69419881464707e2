/* Routes: the order drawn for each work, and what is remembered. */
#include "delivery/routes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/ipc/channel.h"

static struct loop *loop;
static struct channel *names;
static unsigned int nquestions;
static uint32_t ttl_s;

/* The hosts of every answer: preference and how many addresses. */
static struct {
	uint16_t preference;
	unsigned int naddrs;
} hosts[80];

static size_t nhosts;

/* What is said of which host's TLSA, when it is asked for. */
static struct {
	const char *host, *base;
	enum way_dane is;
	size_t nrecords;
} said[4];

static size_t nsaid;

static void
tell_dane(struct channel *ch, uint64_t id)
{
	for (size_t i = 0; i < nsaid; i++) {
		struct tell_way_dane m = { .host = str_of(said[i].host),
			.dane = (uint8_t)said[i].is,
			.base = str_of(said[i].base) };

		channel_tell(ch, TYPE_tell_way_dane, &m, id);
		for (size_t j = 0; j < said[i].nrecords; j++) {
			struct tell_way_tlsa t = { .usage = 3,
				.selector = 1,
				.matching = (uint8_t)(j % 3),
				.data = STR("0123456789abcdef") };

			channel_tell(ch, TYPE_tell_way_tlsa, &t, id);
		}
	}
}

static void
on_ask_way(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_way end = { .result = WAY_FOUND, .ttl_s = ttl_s };
	char host[32], address[32];

	(void)ctx;
	nquestions++;
	for (unsigned int i = 0; i < nhosts; i++)
		for (unsigned int j = 0; j < hosts[i].naddrs; j++) {
			struct tell_way_addr m = { .preference =
						       hosts[i].preference };

			snprintf(host, sizeof(host), "h%u.test", i);
			snprintf(address, sizeof(address), "10.0.%u.%u", i, j);
			m.host = str_of(host);
			m.address = str_of(address);
			channel_tell(ch, TYPE_tell_way_addr, &m, id);
		}
	if (((const struct ask_way *)msg)->dane)
		tell_dane(ch, id);
	channel_tell(ch, TYPE_answer_way, &end, id);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

static void
setup(void)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_way, on_ask_way },
		{ 0, NULL },
	};
	int sv[2];

	loop = loop_new();
	from_resolver_init(loop, QUESTION_PATIENCE_MS);
	routes_init(loop);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	names = channel_new(loop, sv[0], &delivery_resolver_edge, EDGE_B,
	    handlers, on_closed, NULL);
	from_resolver_open(sv[1]);
	nquestions = 0;
	nhosts = nsaid = 0;
	ttl_s = 300;
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

	routes_clear();
	ck_assert_uint_eq(routes_count(), 0);
	from_resolver_close();
	channel_free(&names);
	deferred_init(&last, stop, loop);
	loop_after(loop, &last);
	loop_run(loop);
	loop_free(&loop);
}

static void
add_host(uint16_t preference, unsigned int naddrs)
{
	hosts[nhosts].preference = preference;
	hosts[nhosts++].naddrs = naddrs;
}

static struct hop_url
url_of(const char *text)
{
	struct hop_url url;

	ck_assert_int_eq(hop_url_parse(str_of(text), &url, NULL), 0);
	return url;
}

static const char *
host_name(const struct route *r, size_t addr)
{
	return route_host_of(r, addr)->name;
}

static void
on_route(void *ctx, struct route *r)
{
	*(struct route **)ctx = r;
	loop_stop(loop);
}

/* With a reference. */
static struct route *
get_with(const char *text, bool dane)
{
	struct hop_url url = url_of(text);
	struct route *r = NULL, *known;
	struct route_wait w = { .fn = on_route, .ctx = &r };

	known = routes_get(&url, dane, &w);
	if (known != NULL)
		return known;
	ck_assert_ptr_eq(r, NULL);
	loop_run(loop);
	ck_assert_ptr_ne(r, NULL);
	return r;
}

static struct route *
get(const char *text)
{
	return get_with(text, false);
}

static void
touch(const char *text)
{
	struct route *r = get(text);

	route_unref(&r);
}

/* --- the order --- */

static uint16_t
preference_of(const struct route *r, size_t addr)
{
	for (size_t i = 0; i < r->nhosts; i++)
		if (addr >= r->hosts[i].first &&
		    addr < (size_t)r->hosts[i].first + r->hosts[i].count)
			return r->hosts[i].preference;
	return 0;
}

START_TEST(test_order)
{
	uint8_t order[WAY_ALL_MAX];
	unsigned int first[3] = { 0 }, of_three[3] = { 0 };
	struct route *r;
	size_t n;

	/* not even in order: b, c and d are alike */
	add_host(20, 1);
	add_host(10, 2);
	add_host(10, 1);
	add_host(10, 3);
	add_host(5, 1);
	r = get("mx://a.test");
	for (int round = 0; round < 300; round++) {
		n = route_draw(r, order);
		ck_assert_uint_eq(n, 8);
		ck_assert_str_eq(host_name(r, order[0]), "h4.test");
		ck_assert_str_eq(host_name(r, order[7]), "h0.test");
		for (size_t i = 1; i < n; i++) {
			ck_assert_uint_le(preference_of(r, order[i - 1]),
			    preference_of(r, order[i]));
			/* h3's, which are three: together, each first as
			 * often */
			if (r->hosts[3].first <= order[i] &&
			    order[i] < r->hosts[3].first + 3U &&
			    strcmp(host_name(r, order[i - 1]), "h3.test") !=
				0) {
				of_three[order[i] - r->hosts[3].first]++;
				ck_assert_str_eq(
				    host_name(r, order[i + 2]), "h3.test");
			}
		}
		first[host_name(r, order[1])[1] - '1']++;
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_gt(first[i], 40);
		ck_assert_uint_gt(of_three[i], 40);
	}
	route_unref(&r);
}

END_TEST

/* A resolver that says more than it may. */
START_TEST(test_too_much)
{
	uint8_t order[WAY_ALL_MAX];
	struct route *r;

	if (_i == 0) {
		add_host(10, 200);
	} else {
		for (uint16_t i = 0; i < 80; i++)
			add_host(i, 1);
	}
	r = get("mx://a.test");
	ck_assert_uint_eq(r->naddrs, WAY_ALL_MAX);
	ck_assert_uint_eq(route_draw(r, order), WAY_ALL_MAX);
	for (unsigned int i = 0, sum = 0; i < WAY_ALL_MAX; i++) {
		ck_assert_uint_lt(order[i], WAY_ALL_MAX);
		sum += order[i];
		ck_assert(i + 1U < WAY_ALL_MAX || sum == 49 * 50 / 2);
	}
	route_unref(&r);
}

END_TEST

/* --- what is remembered --- */

START_TEST(test_keys)
{
	struct route *r, *other;

	add_host(10, 1);
	r = get("mx://a.test:25");
	other = get("MX://A.TEST");
	ck_assert_ptr_eq(r, other);
	route_unref(&other);
	other = get("mx://a.test:26");
	ck_assert_ptr_ne(r, other);
	route_unref(&other);
	other = get("smtp://a.test");
	ck_assert_ptr_ne(r, other);
	route_unref(&other);
	other = get("mx://a.tes");
	ck_assert_ptr_ne(r, other);
	route_unref(&other);
	ck_assert_uint_eq(nquestions, 4);
	ck_assert_uint_eq(routes_count(), 4);
	/* who holds one keeps it */
	routes_clear();
	ck_assert_str_eq(host_name(r, 0), "h0.test");
	route_unref(&r);
	touch("mx://a.test");
	ck_assert_uint_eq(nquestions, 5);
}

END_TEST

START_TEST(test_bounded)
{
	char url[40];

	add_host(10, 1);
	for (int i = 0; i <= ROUTES_MAX; i++) {
		snprintf(url, sizeof(url), "mx://d%d.test", i);
		touch(url);
		if (i == ROUTES_MAX - 1)
			touch("mx://d0.test"); /* used again: it stays */
	}
	ck_assert_uint_eq(routes_count(), ROUTES_MAX);
	ck_assert_uint_eq(nquestions, ROUTES_MAX + 1);
	touch("mx://d0.test");
	ck_assert_uint_eq(nquestions, ROUTES_MAX + 1);
	touch("mx://d1.test");
	ck_assert_uint_eq(nquestions, ROUTES_MAX + 2);
}

END_TEST

static bool is_over;

static void
on_time(void *ctx)
{
	is_over = true;
	loop_stop(ctx);
}

START_TEST(test_expires)
{
	struct timer *t = timer_new(loop, on_time, loop);
	struct route *r;

	ttl_s = 1;
	add_host(10, 1);
	r = get("mx://a.test");
	timer_set(t, r->expires_ms - loop_now_ms(loop) + 1);
	while (!is_over)
		loop_run(loop);
	touch("mx://a.test");
	ck_assert_uint_eq(nquestions, 2);
	ck_assert_uint_eq(routes_count(), 1);
	route_unref(&r);
	timer_free(&t);
}

END_TEST

/* Nobody waits any more: no answer is kept, nothing is left behind. */
START_TEST(test_cancel)
{
	struct hop_url url = url_of("mx://a.test");
	struct route *r = NULL;
	struct route_wait one = { .fn = on_route, .ctx = &r },
			  two = { .fn = on_route, .ctx = &r };

	add_host(10, 1);
	ck_assert_ptr_eq(routes_get(&url, false, &one), NULL);
	ck_assert_ptr_eq(routes_get(&url, false, &two), NULL);
	routes_cancel(&one);
	routes_cancel(&one);
	if (_i == 0) {
		loop_run(loop);
		ck_assert_ptr_ne(r, NULL);
		route_unref(&r);
		ck_assert_uint_eq(routes_count(), 1);
		return;
	}
	routes_cancel(&two);
	touch("mx://b.test");
	ck_assert_uint_eq(routes_count(), 1);
	touch("mx://a.test");
	ck_assert_uint_eq(routes_count(), 2);
}

END_TEST

/* --- DANE --- */

START_TEST(test_dane)
{
	struct route *r;

	add_host(10, 1);
	add_host(20, 1);
	add_host(30, 1);
	said[0].host = "h0.test";
	said[0].base = "base.test";
	said[0].is = DANE_RECORDS;
	said[0].nrecords = 3;
	said[1].host = "H1.test";
	said[1].is = DANE_FAULT;
	said[2].host = "other.test"; /* nobody's */
	said[2].is = DANE_RECORDS;
	said[2].nrecords = 1;
	nsaid = 3;
	r = get_with("mx://a.test", true);
	ck_assert_int_eq(r->hosts[0].dane.is, DANE_RECORDS);
	ck_assert_str_eq(r->hosts[0].dane.base, "base.test");
	ck_assert_uint_eq(r->hosts[0].dane.ntlsas, 3);
	ck_assert_uint_eq(r->hosts[0].dane.tlsas[2].matching, 2);
	ck_assert_uint_eq(r->hosts[0].dane.tlsas[0].len, 16);
	ck_assert_int_eq(
	    memcmp(r->hosts[0].dane.tlsas[1].data, "0123456789abcdef", 16), 0);
	ck_assert_int_eq(r->hosts[1].dane.is, DANE_FAULT);
	ck_assert_int_eq(r->hosts[2].dane.is, DANE_NONE);
	route_unref(&r);
	/* who does not ask for it is told nothing, and the other way round */
	r = get("mx://a.test");
	ck_assert_int_eq(r->hosts[0].dane.is, DANE_NONE);
	route_unref(&r);
	ck_assert_uint_eq(nquestions, 2);
	ck_assert_uint_eq(routes_count(), 2);
	r = get_with("mx://a.test", true);
	ck_assert_int_eq(r->hosts[0].dane.is, DANE_RECORDS);
	route_unref(&r);
	ck_assert_uint_eq(nquestions, 2);
}

END_TEST

/* Records that do not come are no reason to do without. */
START_TEST(test_dane_without_records)
{
	struct route *r;

	add_host(10, 1);
	said[0].host = "h0.test";
	said[0].is = DANE_RECORDS;
	nsaid = 1;
	r = get_with("mx://a.test", true);
	ck_assert_int_eq(r->hosts[0].dane.is, DANE_FAULT);
	route_unref(&r);
	said[0].nrecords = WAY_TLSAS_MAX + 5;
	r = get_with("mx://b.test", true);
	ck_assert_uint_eq(r->hosts[0].dane.ntlsas, WAY_TLSAS_MAX);
	ck_assert_str_eq(r->hosts[0].dane.base, "h0.test");
	route_unref(&r);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("routes");
	TCase *tc = tcase_create("routes");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_order);
	tcase_add_loop_test(tc, test_too_much, 0, 2);
	tcase_add_test(tc, test_keys);
	tcase_add_test(tc, test_bounded);
	tcase_add_test(tc, test_expires);
	tcase_add_loop_test(tc, test_cancel, 0, 2);
	tcase_add_test(tc, test_dane);
	tcase_add_test(tc, test_dane_without_records);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
