/*
 * Name servers that play by a script, over UDP and TCP, in the loop of the
 * test, and who asks them. Included by the tests.
 */
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
