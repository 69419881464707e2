/* Servers in their order, what is remembered, chains, askers that go. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/resolver/scripted.c"

/* --- the usual --- */

START_TEST(test_cached)
{
	uint64_t hits = counted("resolver.cache_hits");

	ask("Host.Example.com");
	expect_addr(1);
	ck_assert_uint_eq(got->ttl_s, 300);
	ask("hOST.example.COM");
	expect_addr(1);
	ck_assert_uint_eq(fakes[0].nudp, 1);
	ck_assert_uint_eq(fakes[1].nudp, 0);
	ck_assert_uint_eq(counted("resolver.cache_hits"), hits + 1);
	ck_assert_uint_eq(counted("resolver.cache_entries"), 1);
	query_ask(STR("host.example.com"), DNS_AAAA, on_answer, NULL);
	wait_for(1);
	ck_assert_uint_eq(fakes[0].nudp, 2);
}

END_TEST

START_TEST(test_coalesced)
{
	for (int i = 0; i < 10; i++)
		start(i % 2 ? "h.example.com" : "H.example.com");
	wait_for(10);
	expect_addr(1);
	ck_assert_uint_eq(fakes[0].nudp, 1);
	ck_assert_uint_eq(counted("resolver.pending"), 0);
}

END_TEST

START_TEST(test_ad)
{
	ask("a.example.com");
	ck_assert(!got->ad);
}

END_TEST

START_TEST(test_unaskable)
{
	static const char *const names[] = { "a..b", ".", "a.", "a\\b",
		"something.onion" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ask(names[i]);
		expect("nxdomain");
	}
	static char name[5000];
	memset(name, 'a', sizeof(name) - 1);
	ask(name);
	expect("nxdomain");
	ck_assert_uint_eq(nseen, 0);
}

END_TEST

START_TEST(test_no_server)
{
	query_set_servers(NULL, 0);
	ask("h.example.com");
	expect("no-server");
	use(1);
	ask("h.example.com");
	expect_addr(1);
}

END_TEST

/* --- servers that fail --- */

START_TEST(test_rcodes)
{
	static const struct {
		const char *name, *word;
	} rows[] = { { "h1.example.com", "formerr" },
		{ "h2.example.com", "servfail" },
		{ "h4.example.com", "notimp" }, { "h5.example.com", "refused" },
		{ "h9.example.com", "rcode" } };

	for (size_t n = 1; n <= 2; n++) {
		fakes[0].script = script_rcode;
		use(n);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			ask(rows[i].name);
			if (n == 1)
				expect(rows[i].word);
			else
				expect_addr(2);
		}
	}
	/* The kinds that are an answer are nobody else's business. */
	ask("h3.example.com");
	expect("nxdomain");
	ask("h0.example.com");
	expect("nodata");
	ck_assert_uint_eq(fakes[2].nudp, 0);
}

END_TEST

/* A fault is kept for a while, but not long. */
START_TEST(test_fault_kept)
{
	fakes[0].script = script_rcode;
	use(1);
	ask("h2.example.com");
	expect("servfail");
	ck_assert_uint_eq(fakes[0].nudp, 2); /* two rounds */
	ask("h2.example.com");
	expect("servfail");
	ck_assert_uint_eq(fakes[0].nudp, 2);
	ck_assert_uint_le(got->ttl_s, 60);
}

END_TEST

START_TEST(test_dead_first)
{
	fakes[0].script = script_mute;
	fakes[0].address.timeout_ms = SHORT_MS;
	use(2);
	ask("a.example.com");
	expect_addr(2);
	ck_assert_uint_eq(fakes[0].nudp, 1);
	/* Now it is known: the other one comes first. */
	for (int i = 0; i < 5; i++) {
		char name[32];
		snprintf(name, sizeof(name), "h%d.example.com", i);
		ask(name);
		expect_addr(2);
	}
	ck_assert_uint_eq(fakes[0].nudp, 1);
	/* It is the last, and not forgotten. */
	fakes[0].script = script_good;
	fakes[1].script = script_mute;
	fakes[1].address.timeout_ms = SHORT_MS;
	use(2);
	ask("b.example.com");
	expect_addr(1);
}

END_TEST

START_TEST(test_closed_port)
{
	uint64_t before = clock_mono_ms();

	fake_stop(&fakes[0]);
	ask("a.example.com");
	expect_addr(2);
	/* The kernel says so: nobody waits for the time-out. */
	ck_assert_uint_lt(clock_mono_ms() - before, LONG_MS);
}

END_TEST

START_TEST(test_all_dead)
{
	for (size_t i = 0; i < 2; i++) {
		fakes[i].script = script_mute;
		fakes[i].address.timeout_ms = SHORT_MS;
	}
	use(2);
	start("h.example.com");
	start("h.example.com");
	wait_for(2);
	expect("timeout");
	ck_assert_uint_eq(fakes[0].nudp, 2);
	ck_assert_uint_eq(fakes[1].nudp, 2);
}

END_TEST

/* So many under way, no more; whoever joins one of them may. */
START_TEST(test_too_many)
{
	char name[48];

	fakes[0].script = script_mute;
	use(1);
	for (int i = 0; i < 4096; i++) {
		snprintf(name, sizeof(name), "h%d.example.com", i);
		start(name);
	}
	ask("one.too.many");
	expect("busy");
	ck_assert_uint_eq(counted("resolver.pending"), 4096);
	start("h7.example.com");
	ask("a..b");
	ck_assert_uint_eq(ngot, 2);
}

END_TEST

/* However many clients call, a route is found, and what lists say; and so with
 * each of them. */
START_TEST(test_shares)
{
	typedef struct query_wait *ask_fn(
	    struct str, enum dns_type, query_fn *, void *);
	ask_fn *const asks[] = { query_ask, query_ask_for_client,
		query_ask_for_list };
	char name[48];

	for (int flood = 0; flood < 3; flood++) {
		fakes[0].script = script_mute;
		use(1);
		for (int i = 0; i < 4097; i++) {
			snprintf(name, sizeof(name), "%c%d.example.com",
			    'a' + flood, i);
			asks[flood](str_of(name), DNS_A, on_answer, NULL);
		}
		wait_for(1);
		expect("busy");
		/* Another server: the flood has filled the first one's ears. */
		query_set_servers(&fakes[1].address, 1);
		for (int other = 1; other < 3; other++) {
			asks[(flood + other) % 3](
			    STR("h.example.com"), DNS_A, on_answer, NULL);
			wait_for(1);
			expect_addr(2);
		}
		query_clear();
		query_init(loop);
	}
}

END_TEST

START_TEST(test_malformed)
{
	fakes[0].script = script_echo;
	use(1);
	ask("h.example.com");
	expect("malformed");
	ck_assert_uint_eq(fakes[0].nudp, 2);
}

END_TEST

/* --- chains over several answers --- */

/* hN leads to h(N-1), h0 is there; "loop" to "pool", that to "loop". */
static void
script_chain(const struct question *q)
{
	char target[64];

	if (strcmp(q->name, "h0.example.com") == 0) {
		script_good(q);
		return;
	}
	begin(q, 0);
	if (q->name[0] == 'h')
		snprintf(target, sizeof(target), "h%d.example.com",
		    atoi(q->name + 1) - 1);
	else if (strcmp(q->name, "bad.example.com") == 0)
		snprintf(target, sizeof(target), "b\nd.example.com");
	else
		snprintf(target, sizeof(target), "%s.example.com",
		    strncmp(q->name, "loop", 4) == 0 ? "pool" : "loop");
	pkt_to(&k, q->name, DNS_CNAME, 100, target);
	send_to(q, pkt_str(&k));
}

START_TEST(test_chases)
{
	fakes[0].script = script_chain;
	use(1);
	ask("h8.example.com");
	expect_addr(1);
	ck_assert_uint_eq(got->ttl_s, 100);
	ck_assert_uint_eq(fakes[0].nudp, 9);
	ask("h8.example.com");
	ck_assert_uint_eq(fakes[0].nudp, 9);
	ask("h0.example.com");
	ck_assert_uint_eq(fakes[0].nudp, 10);
	ask("h1.example.com"); /* what it leads to is known */
	expect_addr(1);
	ck_assert_uint_eq(got->ttl_s, 100);
	ck_assert_uint_eq(fakes[0].nudp, 11);
	use(2);
	use(1);
	ask("h9.example.com");
	expect("loop");
	ask("loop.example.com");
	expect("loop");
	ask("bad.example.com");
	expect("malformed");
}

END_TEST

/* --- servers that change, askers that go --- */

START_TEST(test_servers_change)
{
	ask("h.example.com");
	expect_addr(1);
	use(SERVERS);
	ck_assert_uint_eq(counted("resolver.cache_entries"), 1);

	struct server s[] = { fakes[1].address };
	query_set_servers(s, 1);
	ck_assert_uint_eq(counted("resolver.cache_entries"), 0);
	ask("h.example.com");
	expect_addr(2);
}

END_TEST

static void
script_change(const struct question *q)
{
	struct server s[] = { fakes[1].address };

	query_set_servers(s, 1);
	start("h.example.com"); /* is not answered by the old one */
	script_good(q);
}

START_TEST(test_change_under_way)
{
	fakes[0].script = script_change;
	use(1);
	ask("h.example.com");
	expect_addr(1);
	wait_for(1);
	expect_addr(2);
	ck_assert_uint_eq(fakes[0].nudp, 1);
	ask("h.example.com");
	expect_addr(2);
	ck_assert_uint_eq(fakes[1].nudp, 1);
}

END_TEST

START_TEST(test_cancel)
{
	struct query_wait *a = start("h.example.com");
	struct query_wait *b = start("h.example.com");
	struct query_wait *c = start("i.example.com");
	struct query_wait *d = start("a..b"); /* its answer is there */

	query_cancel(&a);
	ck_assert_ptr_eq(a, NULL);
	query_cancel(&c);
	query_cancel(&d);
	query_cancel(&d);
	wait_for(1);
	expect_addr(1);
	(void)b;
	/* It was asked all the same, and is known now. */
	size_t asked = nseen;
	ck_assert_uint_eq(asked, 2);
	ask("i.example.com");
	ck_assert_uint_le(nseen, asked);
}

END_TEST

static struct query_wait *others[3];

/* The first that is told takes the rest back, and asks anew. */
static void
on_first(void *ctx, struct dns_answer *a)
{
	(void)ctx;
	(void)a;
	for (size_t i = 1; i < 3; i++)
		query_cancel(&others[i]);
	start("h.example.com");
	start("other.example.com");
}

START_TEST(test_cancel_within)
{
	for (size_t i = 0; i < 3; i++)
		others[i] = query_ask(STR("h.example.com"), DNS_A,
		    i == 0 ? on_first : on_answer, NULL);
	wait_for(2);
	expect_addr(1);
	ck_assert_uint_eq(nseen, 2);
}

END_TEST

/* The end with questions in every state. */
START_TEST(test_clear_under_way)
{
	fakes[0].script = script_mute;
	start("h.example.com");
	start("i.example.com");
	ask("a..b");
	start("c..d");
	fakes[0].script = script_truncated;
	start("j.example.com");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { test_cached, test_coalesced, test_ad,
		test_unaskable, test_no_server, test_rcodes, test_fault_kept,
		test_dead_first, test_closed_port, test_all_dead,
		test_malformed, test_too_many, test_shares, test_chases,
		test_servers_change, test_change_under_way, test_cancel,
		test_cancel_within, test_clear_under_way };
	Suite *s = suite_create("query");
	TCase *t = tcase_create("query");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
