/* What comes back over the network, and how questions leave: by UDP and TCP,
 * with random ids and ports. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/resolver/scripted.c"

/* --- answers that are not --- */

static void
script_spoofs(const struct question *q)
{
	struct pkt bad;
	int other;

	pkt_begin(&bad, q->id ^ 1, QR, q->name, q->type);
	pkt_a(&bad, q->name, 300, 66);
	send_to(q, pkt_str(&bad));
	pkt_begin(&bad, q->id, QR, "other.example.com", q->type);
	pkt_a(&bad, "other.example.com", 300, 66);
	send_to(q, pkt_str(&bad));
	pkt_begin(&bad, q->id, QR, q->name, DNS_AAAA);
	send_to(q, pkt_str(&bad));
	send_to(q, STR(""));
	send_to(q, STR("\0\1\2"));
	/* The right packet from the wrong port. */
	pkt_begin(&bad, q->id, QR, q->name, q->type);
	pkt_a(&bad, q->name, 300, 66);
	other = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(sendto(other, bad.p, bad.n, 0,
			     (const struct sockaddr *)&q->from, q->from_len),
	    (int)bad.n);
	close(other);
	script_good(q);
}

START_TEST(test_spoofs)
{
	fakes[0].script = script_spoofs;
	for (int i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof(name), "h%d.example.com", i);
		ask(name);
		expect_addr(1);
	}
	ck_assert_uint_eq(fakes[1].nudp, 0);
}

END_TEST

static struct question late;

static void
script_late(const struct question *q)
{
	late = *q;
}

/* The first one's answer comes when the second has it already. */
static void
script_second(const struct question *q)
{
	begin(&late, 0);
	pkt_a(&k, late.name, 300, 66);
	send_to(&late, pkt_str(&k));
	script_good(q);
}

START_TEST(test_late_answer)
{
	fakes[0].script = script_late;
	fakes[1].script = script_second;
	fakes[0].address.timeout_ms = SHORT_MS;
	use(2);
	ask("h.example.com");
	expect_addr(2);
	ck_assert_uint_eq(fakes[0].nudp, 1);
}

END_TEST

START_TEST(test_echo)
{
	fakes[0].script = script_echo;
	ask("h.example.com");
	expect_addr(2);
}

END_TEST

/* --- truncation, EDNS --- */

START_TEST(test_tcp)
{
	fakes[0].script = script_truncated;
	ask("h.example.com");
	expect_addr(1);
	ck_assert_uint_eq(fakes[0].nudp, 1);
	ck_assert_uint_eq(fakes[0].ntcp, 1);
	ck_assert_uint_eq(fakes[1].nudp, 0);
}

END_TEST

static void
script_large(const struct question *q)
{
	if (!q->tcp) {
		script_truncated(q);
		return;
	}
	begin(q, 0);
	while (k.n + 100 < PACKET_MAX)
		pkt_a(&k, q->name, 300, 1);
	send_to(q, pkt_str(&k));
}

START_TEST(test_tcp_64k)
{
	fakes[0].script = script_large;
	ask("h.example.com");
	expect_addr(1);
	ck_assert_uint_eq(got->nrecords, DNS_RECORDS_MAX);
}

END_TEST

/* More than 512 bytes over UDP are no reason for TCP. */
static void
script_1200(const struct question *q)
{
	begin(q, 0);
	while (k.n < 1180)
		pkt_a(&k, q->name, 300, 1);
	send_to(q, pkt_str(&k));
}

START_TEST(test_large_udp)
{
	fakes[0].script = script_1200;
	ask("h.example.com");
	expect_addr(1);
	ck_assert_uint_gt(got->nrecords, 30);
	ck_assert_uint_eq(fakes[0].ntcp, 0);
}

END_TEST

START_TEST(test_tcp_refused)
{
	fakes[0].script = script_truncated;
	fake_stop_tcp(&fakes[0]);
	ask("h.example.com");
	expect_addr(2);
	ck_assert_uint_eq(fakes[0].nudp, 1);
	use(1);
	ask("h.example.com");
	expect("unreachable");
}

END_TEST

/* What the length says is not there, then the end. */
static void
script_tcp_lies(const struct question *q)
{
	if (!q->tcp) {
		script_truncated(q);
		return;
	}
	ck_assert_int_eq(write(q->fd, "\xff\xff\0\0", 4), 4);
	shutdown(q->fd, SHUT_RDWR);
}

START_TEST(test_tcp_lies)
{
	fakes[0].script = script_tcp_lies;
	ask("h.example.com");
	expect_addr(2);
	ck_assert_uint_eq(fakes[0].ntcp, 1);
}

END_TEST

static void
script_tcp_mute(const struct question *q)
{
	if (!q->tcp)
		script_truncated(q);
}

START_TEST(test_tcp_slow)
{
	fakes[0].script = script_tcp_mute;
	fakes[0].address.timeout_ms = SHORT_MS;
	use(2);
	ask("h.example.com");
	expect_addr(2);
	ck_assert_uint_eq(fakes[0].ntcp, 1);
}

END_TEST

static void
script_no_edns(const struct question *q)
{
	if (!q->edns) {
		script_good(q);
		return;
	}
	/* "h1…": FORMERR, "h4…": NOTIMP */
	script_rcode(q);
}

START_TEST(test_without_edns)
{
	/* On and on: a channel that has seen it does not forget EDNS. */
	fakes[0].script = script_no_edns;
	for (int i = 0; i < 200; i++) {
		char name[32];
		snprintf(
		    name, sizeof(name), "h%d.%d.example.com", i % 2 ? 1 : 4, i);
		ask(name);
		expect_addr(1);
	}
	ck_assert_uint_eq(fakes[0].nudp, 400);
	ck_assert_uint_eq(fakes[1].nudp, 0);
	/* c-ares cuts large answers now; that is noticed. */
	fakes[0].script = script_1200;
	for (int i = 0; i < 200; i++) {
		char name[32];
		snprintf(name, sizeof(name), "large%d.example.com", i);
		ask(name);
		expect_addr(1);
		ck_assert_uint_gt(got->nrecords, 30);
	}
}

END_TEST

/* --- a server by IPv6 --- */

START_TEST(test_ipv6)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_port = htons(fakes[0].address.port) };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (fd == -1 ||
	    bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) == -1) {
		close(fd);
		return; /* this machine has none */
	}
	/* The same server, at its other address. */
	loop_fd_free(&fakes[0].udp_watch);
	close(fakes[0].udp);
	fakes[0].udp = fd;
	fakes[0].udp_watch = loop_fd_new(loop, fd, on_udp, &fakes[0]);
	loop_fd_want(fakes[0].udp_watch, LOOP_READ);
	ck_assert_int_eq(addr_parse(STR("::1"), &fakes[0].address.addr), 0);
	use(1);
	ask("h.example.com");
	expect_addr(1);
	ck_assert_uint_eq(fakes[0].nudp, 1);
}

END_TEST

/* --- many --- */

static struct question held[2000];
static size_t nheld, nhold, npause;

/* All questions are answered, the last first, when all are there. */
static void
script_hold(const struct question *q)
{
	held[nheld++] = *q;
	if (nheld == npause)
		loop_stop(loop);
	if (nheld < nhold)
		return;
	while (nheld > 0)
		script_good(&held[--nheld]);
}

/* How many different ones. */
static size_t
distinct(const uint16_t *v, size_t n)
{
	static bool seen[65536];
	size_t count = 0;

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < n; i++) {
		count += !seen[v[i]];
		seen[v[i]] = true;
	}
	return count;
}

static void
ask_many(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[48];
		snprintf(name, sizeof(name), "h%zu.example.com", i);
		start(name);
	}
	wait_for(n);
}

START_TEST(test_concurrent)
{
	fakes[0].script = script_hold;
	nhold = 40;
	ask_many(nhold);
	/* One each: its own socket. */
	ck_assert_uint_eq(distinct(ports, nseen), 40);
	ck_assert_uint_eq(fakes[1].nudp, 0);

	nseen = 0;
	nhold = 1500;
	use(1); /* the cache is empty again */
	for (size_t i = 0; i < nhold; i++) {
		char name[48];
		snprintf(name, sizeof(name), "m%zu.example.com", i);
		start(name);
		/* No more at once than the socket's buffer holds. */
		npause = i + 1;
		if (npause % 100 == 0 && npause < nhold)
			loop_run(loop);
	}
	npause = 0;
	wait_for(nhold);
	expect_addr(1);
	ck_assert_uint_gt(distinct(ports, nseen), 40);
	ck_assert_uint_eq(nseen, nhold);
	ck_assert_uint_eq(counted("resolver.pending"), 0);
}

END_TEST

/* A second server is there for those that the first left, however many wait
 * for it. */
START_TEST(test_busy_server)
{
	fakes[0].script = script_mute;
	fakes[0].address.timeout_ms = SHORT_MS;
	use(2);
	ask_many(200);
	expect_addr(2);
	ck_assert_uint_ge(fakes[0].nudp, 1);
	ck_assert_uint_eq(fakes[1].nudp, 200);
}

END_TEST

static uint64_t
chi_square(const uint16_t *v, size_t n, unsigned int shift)
{
	uint64_t count[16] = { 0 }, sum = 0, mean = n / 16;

	for (size_t i = 0; i < n; i++)
		count[v[i] >> shift & 15]++;
	for (size_t i = 0; i < 16; i++)
		sum += (count[i] - mean) * (count[i] - mean);
	return sum / mean;
}

/* 15 degrees of freedom: 60 and more happens once in three million times. */
START_TEST(test_random)
{
	size_t n = 8000, same = 0;

	use(1);
	for (size_t i = 0; i < n; i++) {
		char name[48];
		snprintf(name, sizeof(name), "h%zu.example.com", i);
		ask(name);
	}
	ck_assert_uint_eq(nseen, n);
	for (unsigned int shift = 0; shift < 16; shift += 4)
		ck_assert_uint_lt(chi_square(ids, n, shift), 60);
	/* The kernel's range of ports is not a power of two: their low
	 * digits, but for the parity, which Linux prefers even. */
	ck_assert_uint_lt(chi_square(ports, n, 1), 60);
	ck_assert_uint_gt(distinct(ports, n), n / 2);
	for (size_t i = 1; i < n; i++)
		same += ports[i] == ports[i - 1];
	ck_assert_uint_lt(same, 20);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { test_spoofs, test_late_answer, test_echo,
		test_tcp, test_tcp_64k, test_large_udp, test_tcp_refused,
		test_tcp_lies, test_tcp_slow, test_without_edns, test_ipv6,
		test_concurrent, test_busy_server, test_random };
	Suite *s = suite_create("cares");
	TCase *t = tcase_create("cares");

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
