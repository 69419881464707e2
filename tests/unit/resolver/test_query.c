/* Questions to a name server that plays by a script, over UDP and TCP. */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "resolver/query.h"
#include "tests/unit/resolver/packet.h"

enum {
	SERVERS = 3,
	CONNECTIONS = 40,
	ASKED_MAX = 8192,
	SHORT_MS = 60,
	LONG_MS = 10000
};

/* A question as a server got it. */
struct question {
	struct fake *at;
	const uint8_t *p;
	size_t len;
	char name[256];
	unsigned int id, type;
	bool tcp, edns;
	struct sockaddr_storage from;
	socklen_t from_len;
	int fd; /* of TCP */
};

/* What a server does with one. */
typedef void script_fn(const struct question *q);

struct fake {
	int udp, tcp;
	struct loop_fd *udp_watch, *tcp_watch;

	struct {
		int fd;
		struct loop_fd *watch;
	} conns[CONNECTIONS];

	size_t nconns, nudp, ntcp;
	script_fn *script;
	struct server address;
};

static struct loop *loop;
static struct fake fakes[SERVERS];
static uint16_t ids[ASKED_MAX], ports[ASKED_MAX];
static size_t nseen;
/* What the askers got. */
static struct dns_answer *got;
static size_t ngot, nwanted;

/* --- the server --- */

static void
send_to(const struct question *q, struct str packet)
{
	if (q->tcp) {
		uint8_t len[2] = { (uint8_t)(packet.len >> 8),
			(uint8_t)packet.len };
		ck_assert_int_eq(write(q->fd, len, 2), 2);
		ck_assert_int_eq(
		    write(q->fd, packet.p, packet.len), (int)packet.len);
	} else {
		ck_assert_int_eq(
		    sendto(q->at->udp, packet.p, packet.len, 0,
			(const struct sockaddr *)&q->from, q->from_len),
		    (int)packet.len);
	}
}

static void
read_question(struct question *q)
{
	size_t at = PACKET_HEADER, n = 0;

	ck_assert_uint_ge(q->len, PACKET_HEADER + 5);
	while (q->p[at] != 0) {
		memcpy(q->name + n, q->p + at + 1, q->p[at]);
		n += q->p[at];
		at += 1U + q->p[at];
		q->name[n++] = '.';
	}
	q->name[n > 0 ? n - 1 : 0] = '\0';
	q->id = pkt_get16(q->p);
	q->type = pkt_get16(q->p + at + 1);
	ck_assert_uint_eq(pkt_get16(q->p + at + 3), 1);
	/* A plain query, recursion and AD asked for. */
	ck_assert_uint_eq(pkt_get16(q->p + 2), RD | AD);
	q->edns = pkt_get16(q->p + 10) == 1;
	ck_assert_uint_eq(q->len, at + 5 + (q->edns ? 11 : 0));
	if (q->edns) {
		ck_assert_uint_eq(pkt_get16(q->p + at + 6), TYPE_OPT);
		ck_assert_uint_eq(pkt_get16(q->p + at + 8), 1232);
	}
}

static void
take(struct question *q)
{
	read_question(q);
	if (nseen < ASKED_MAX) {
		ids[nseen] = (uint16_t)q->id;
		ports[nseen++] =
		    ntohs(((const struct sockaddr_in *)&q->from)->sin_port);
	}
	q->at->script(q);
}

static void
on_udp(void *ctx, int what)
{
	struct fake *f = ctx;
	uint8_t p[512];
	struct question q = { .at = f, .p = p };

	(void)what;
	q.from_len = sizeof(q.from);
	ssize_t n = recvfrom(
	    f->udp, p, sizeof(p), 0, (struct sockaddr *)&q.from, &q.from_len);
	ck_assert_int_ge(n, 0);
	q.len = (size_t)n;
	f->nudp++;
	take(&q);
}

static void
hang_up(struct fake *f, size_t i)
{
	loop_fd_free(&f->conns[i].watch);
	close(f->conns[i].fd);
	f->conns[i] = f->conns[--f->nconns];
}

/* The questions are short: each comes in one piece. */
static void
on_tcp(void *ctx, int what)
{
	struct fake *f = ctx;
	uint8_t p[514];

	(void)what;
	for (size_t i = f->nconns; i-- > 0;) {
		struct question q = {
			.at = f, .p = p + 2, .tcp = true, .fd = f->conns[i].fd
		};
		ssize_t n = recv(q.fd, p, sizeof(p), MSG_DONTWAIT);
		if (n == 0)
			hang_up(f, i);
		if (n <= 0)
			continue;
		ck_assert_int_eq(n, 2 + (int)pkt_get16(p));
		q.len = (size_t)n - 2;
		f->ntcp++;
		take(&q);
	}
}

static void
on_connection(void *ctx, int what)
{
	struct fake *f = ctx;

	(void)what;
	ck_assert_uint_lt(f->nconns, CONNECTIONS);
	int fd = accept(f->tcp, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	f->conns[f->nconns].fd = fd;
	f->conns[f->nconns].watch = loop_fd_new(loop, fd, on_tcp, f);
	loop_fd_want(f->conns[f->nconns++].watch, LOOP_READ);
}

/* The same port for both. */
static void
bind_both(struct fake *f)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	for (;;) {
		sin = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_addr = { htonl(INADDR_LOOPBACK) } };
		f->udp = socket(AF_INET, SOCK_DGRAM, 0);
		f->tcp = socket(AF_INET, SOCK_STREAM, 0);
		ck_assert_int_eq(bind(f->udp, (struct sockaddr *)&sin, len), 0);
		ck_assert_int_eq(
		    getsockname(f->udp, (struct sockaddr *)&sin, &len), 0);
		if (bind(f->tcp, (struct sockaddr *)&sin, len) == 0)
			break;
		close(f->udp);
		close(f->tcp);
	}
	ck_assert_int_eq(listen(f->tcp, CONNECTIONS), 0);
	f->address.port = ntohs(sin.sin_port);
}

static void
fake_start(struct fake *f, script_fn *script)
{
	*f = (struct fake){ .script = script };
	bind_both(f);
	f->address.timeout_ms = LONG_MS;
	ck_assert_int_eq(addr_parse(STR("127.0.0.1"), &f->address.addr), 0);
	f->udp_watch = loop_fd_new(loop, f->udp, on_udp, f);
	f->tcp_watch = loop_fd_new(loop, f->tcp, on_connection, f);
	loop_fd_want(f->udp_watch, LOOP_READ);
	loop_fd_want(f->tcp_watch, LOOP_READ);
}

static void
fake_stop_tcp(struct fake *f)
{
	loop_fd_free(&f->tcp_watch);
	close(f->tcp);
	f->tcp = -1;
}

static void
fake_stop(struct fake *f)
{
	if (f->udp_watch == NULL)
		return;
	while (f->nconns > 0)
		hang_up(f, 0);
	loop_fd_free(&f->udp_watch);
	close(f->udp);
	if (f->tcp != -1)
		fake_stop_tcp(f);
}

/* --- scripts --- */

static struct pkt k;

static void
begin(const struct question *q, unsigned int flags)
{
	pkt_begin(&k, q->id, QR | RD | RA | flags, q->name, q->type);
}

/* Its last byte is the server's number. */
static void
script_good(const struct question *q)
{
	begin(q, 0);
	pkt_a(&k, q->name, 300, (uint8_t)(1 + (q->at - fakes)));
	send_to(q, pkt_str(&k));
}

static void
script_mute(const struct question *q)
{
	(void)q;
}

/* The rcode is the second letter of the name. */
static void
script_rcode(const struct question *q)
{
	begin(q, (unsigned int)(q->name[1] - '0'));
	send_to(q, pkt_str(&k));
}

static void
script_echo(const struct question *q)
{
	send_to(q, (struct str){ (const char *)q->p, q->len });
}

/* --- asking --- */

static void
on_answer(void *ctx, struct dns_answer *a)
{
	(void)ctx;
	dns_answer_unref(&got);
	got = dns_answer_ref(a);
	if (++ngot >= nwanted)
		loop_stop(loop);
}

/* Until n more answers are there. */
static void
wait_for(size_t n)
{
	nwanted = ngot + n;
	loop_run(loop);
	ck_assert_uint_eq(ngot, nwanted);
}

static struct query_wait *
start(const char *name)
{
	size_t before = ngot;
	struct query_wait *w = query_ask(str_of(name), DNS_A, on_answer, NULL);

	ck_assert_uint_eq(ngot, before);
	return w;
}

static void
ask(const char *name)
{
	start(name);
	wait_for(1);
}

static void
expect_addr(uint8_t last)
{
	ck_assert_str_eq(dns_status_text(got), "ok");
	ck_assert_uint_ge(got->nrecords, 1);
	ck_assert_uint_eq(got->records[0].addr.bytes[3], last);
}

static void
expect(const char *status)
{
	ck_assert_str_eq(dns_status_text(got), status);
}

static uint64_t
counted(const char *name)
{
	const struct counter *c = query_counters();

	while (c->name != NULL && strcmp(c->name, name) != 0)
		c++;
	ck_assert_ptr_nonnull(c->name);
	return c->value;
}

static void
use(size_t n)
{
	struct server s[SERVERS];

	for (size_t i = 0; i < n; i++)
		s[i] = fakes[i].address;
	query_set_servers(s, n);
}

static void
setup(void)
{
	loop = loop_new();
	query_init(loop);
	nseen = ngot = nwanted = 0;
	for (size_t i = 0; i < SERVERS; i++)
		fake_start(&fakes[i], script_good);
	use(SERVERS);
}

static void
teardown(void)
{
	query_clear();
	dns_answer_unref(&got);
	for (size_t i = 0; i < SERVERS; i++)
		fake_stop(&fakes[i]);
	loop_free(&loop);
}

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

static void
script_truncated(const struct question *q)
{
	if (q->tcp) {
		script_good(q);
		return;
	}
	begin(q, TC);
	send_to(q, pkt_str(&k));
}

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

START_TEST(test_malformed)
{
	fakes[0].script = script_echo;
	use(1);
	ask("h.example.com");
	expect("malformed");
	ck_assert_uint_eq(fakes[0].nudp, 2);
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
	Suite *s = suite_create("query");
	TCase *t = tcase_create("query");

	const TTest *const tests[] = { test_cached, test_coalesced, test_ad,
		test_unaskable, test_no_server, test_spoofs, test_late_answer,
		test_echo, test_tcp, test_tcp_64k, test_large_udp,
		test_tcp_refused, test_tcp_lies, test_tcp_slow,
		test_without_edns, test_rcodes, test_fault_kept,
		test_dead_first, test_closed_port, test_all_dead,
		test_malformed, test_concurrent, test_busy_server, test_random,
		test_chases, test_servers_change, test_change_under_way,
		test_cancel, test_cancel_within, test_clear_under_way };

	tcase_set_timeout(t, 60);
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
