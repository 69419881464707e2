#include "resolver/cares.h"

#include <ares.h>
#include <bsd/stdlib.h>
#include <bsd/sys/queue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/answer.h"

enum {
	/* One channel has one server at a time, and one socket. */
	CHANNELS_UDP = 64,
	CHANNELS_PLAIN = 16,
	CHANNELS_TCP = 16,
	CHANNELS = CHANNELS_UDP + CHANNELS_PLAIN + CHANNELS_TCP,
	/* Idle ones that only a server without any may take. */
	RESERVE = 8,
	ASKS_MAX = 256, /* on one channel */
	EDNS_SIZE = 1232,
	PLAIN_SIZE = 512,
	/* c-ares forgets a question then; long before, we gave it up. */
	FORGET_MS = 60000,
	CLASS_IN = 1,
	HEADER = 12,
	EDNS_BYTES = 11, /* its record, the last of a question */
	FLAG_AD = 0x20,  /* in byte 3: we want to know (RFC 6840 5.7) */
	RCODE_FORMERR = 1,
	RCODE_NOTIMP = 4
};

/* All of an answer comes to us, be it truncated or bad. */
#define FLAGS                                                               \
	(ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP | \
	    ARES_FLAG_IGNTC)

/* A channel has its flags for ever. */
enum way { BY_UDP, BY_PLAIN_UDP, BY_TCP };

static const struct {
	size_t first, n;
	int flags;
} ways[] = {
	[BY_UDP] = { 0, CHANNELS_UDP, FLAGS | ARES_FLAG_EDNS },
	[BY_PLAIN_UDP] = { CHANNELS_UDP, CHANNELS_PLAIN, FLAGS },
	[BY_TCP] = { CHANNELS_UDP + CHANNELS_PLAIN, CHANNELS_TCP,
	    FLAGS | ARES_FLAG_USEVC },
};

TAILQ_HEAD(asks, cares_ask);

struct line {
	ares_channel channel;
	struct loop_fd *watch; /* its socket, while it has one */
	int fd;
	struct server server; /* while it is in use */
	struct asks asks;     /* that c-ares holds */
	size_t nasks;
	size_t nwanted; /* of these, by somebody */
};

/* The asker's until it was told; c-ares' while it stands on a line. */
struct cares_ask {
	TAILQ_ENTRY(cares_ask) next;
	struct line *line; /* NULL: c-ares is done with it */
	struct server server;
	uint8_t *question; /* owned by c-ares' allocator */
	int size;
	enum way way;
	bool edns;
	bool given_up;   /* nobody waits; c-ares does not know yet */
	const char *why; /* the result, or */
	uint8_t *packet; /* owned */
	size_t packet_len;
	struct timer *timer;
	struct deferred done;
	cares_fn *fn;
	void *ctx;
};

static struct {
	struct loop *loop;
	struct line lines[CHANNELS];
} cares;

static void on_result(
    void *ctx, int status, int timeouts, unsigned char *p, int len);

/* --- lines --- */

static void
on_ready(void *ctx, int what)
{
	struct line *l = ctx;

	ares_process_fd(l->channel,
	    (what & LOOP_READ) != 0 ? l->fd : ARES_SOCKET_BAD,
	    (what & LOOP_WRITE) != 0 ? l->fd : ARES_SOCKET_BAD);
}

/* c-ares opened a socket, waits for something else, or closes it now. */
static void
on_socket(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct line *l = ctx;

	if (l->watch == NULL || l->fd != fd) {
		loop_fd_free(&l->watch);
		l->fd = fd;
		l->watch = loop_fd_new(cares.loop, fd, on_ready, l);
	}
	loop_fd_want(l->watch,
	    (readable != 0 ? LOOP_READ : 0) | (writable != 0 ? LOOP_WRITE : 0));
	if (readable == 0 && writable == 0)
		loop_fd_free(&l->watch);
}

static void
node_of(const struct server *s, struct ares_addr_port_node *n)
{
	*n = (struct ares_addr_port_node){ .udp_port = s->port,
		.tcp_port = s->port };
	n->family = s->addr.family == ADDR_V4 ? AF_INET : AF_INET6;
	memcpy(&n->addr, s->addr.bytes,
	    n->family == AF_INET ? sizeof(n->addr.addr4) :
				   sizeof(n->addr.addr6));
}

static bool
node_eq(
    const struct ares_addr_port_node *a, const struct ares_addr_port_node *b)
{
	return a->family == b->family && a->udp_port == b->udp_port &&
	       a->tcp_port == b->tcp_port &&
	       memcmp(&a->addr, &b->addr,
		   a->family == AF_INET ? sizeof(a->addr.addr4) :
					  sizeof(a->addr.addr6)) == 0;
}

/* This one server and no other; read back, because a c-ares that could not
 * do it has 127.0.0.1 instead. */
static int
line_set_server(struct line *l, const struct server *s)
{
	struct ares_addr_port_node want, *got = NULL;
	int rc = -1;

	node_of(s, &want);
	if (ares_set_servers_ports(l->channel, &want) != ARES_SUCCESS ||
	    ares_get_servers_ports(l->channel, &got) != ARES_SUCCESS)
		return -1;
	if (got != NULL && got->next == NULL && node_eq(&want, got))
		rc = 0;
	ares_free_data(got);
	l->server = *s;
	return rc;
}

static void
line_init(struct line *l, int flags)
{
	static const struct server nobody = {
		.addr = { .family = ADDR_V4, .bytes = { 192, 0, 2, 1 } },
		.port = SERVER_PORT,
	};
	struct ares_options o = { .flags = flags,
		.timeout = FORGET_MS,
		.tries = 1,
		.ndots = 1,
		.lookups = (char[]){ "b" },
		.sock_state_cb = on_socket,
		.sock_state_cb_data = l,
		.ednspsz = EDNS_SIZE };
	struct in_addr server;

	/* With these it has no question left for resolv.conf. */
	memcpy(&server, nobody.addr.bytes, sizeof(server));
	o.servers = &server;
	o.nservers = 1;
	TAILQ_INIT(&l->asks);
	int rc = ares_init_options(&l->channel, &o,
	    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		ARES_OPT_NDOTS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS |
		ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB |
		ARES_OPT_EDNSPSZ | ARES_OPT_NOROTATE);
	if (rc != ARES_SUCCESS)
		fatal("c-ares: %s", ares_strerror(rc));
	if (line_set_server(l, &nobody) == -1)
		fatal("c-ares: it has other name servers than it was told");
	if (ares_set_servers_ports(l->channel, NULL) != ARES_SUCCESS)
		fatal("c-ares: it does not forget its name servers");
}

void
cares_init(struct loop *l)
{
	static const char *const names[] = { "LOCALDOMAIN", "RES_OPTIONS",
		"HOSTALIASES", "CARES_HOSTS" };
	int rc = ares_library_init(ARES_LIB_INIT_ALL);

	if (rc != ARES_SUCCESS)
		fatal("c-ares: %s", ares_strerror(rc));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	cares.loop = l;
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
		for (size_t i = 0; i < ways[w].n; i++)
			line_init(
			    &cares.lines[ways[w].first + i], ways[w].flags);
}

void
cares_clear(void)
{
	/* What is left on the lines was given up. */
	for (size_t i = 0; i < CHANNELS; i++) {
		ares_destroy(cares.lines[i].channel);
		loop_fd_free(&cares.lines[i].watch);
	}
	memset(&cares, 0, sizeof(cares));
	ares_library_cleanup();
}

static bool
line_is_at(const struct line *l, const struct server *s)
{
	return l->server.port == s->port && addr_eq(&l->server.addr, &s->addr);
}

/* Of those that nobody uses a random one; when they are few, the least used
 * that has this server already. NULL: none will do. */
static struct line *
pick_line(const struct cares_ask *q)
{
	struct line *first = &cares.lines[ways[q->way].first];
	struct line *idle = NULL, *least = NULL;
	uint32_t nidle = 0;

	for (struct line *l = first; l < first + ways[q->way].n; l++) {
		if (l->nasks == 0) {
			if (arc4random_uniform(++nidle) == 0)
				idle = l;
		} else if (line_is_at(l, &q->server) &&
			   (least == NULL || l->nasks < least->nasks)) {
			least = l;
		}
	}
	if (nidle > RESERVE || (least == NULL && nidle > 0))
		return idle;
	return least != NULL && least->nasks < ASKS_MAX ? least : NULL;
}

/* Nobody waits for any of them: c-ares forgets them and closes the socket. */
static void
line_settle(struct line *l)
{
	if (l->nasks > 0 && l->nwanted == 0)
		ares_cancel(l->channel);
}

/* --- questions --- */

static void
ask_free(struct cares_ask *q)
{
	loop_after_cancel(cares.loop, &q->done);
	timer_free(&q->timer);
	ares_free_string(q->question);
	free(q->packet);
	free(q);
}

static void
result(struct cares_ask *q, const char *why)
{
	q->why = why;
	timer_stop(q->timer);
	loop_after(cares.loop, &q->done);
}

/* An id that nothing else on this line has. */
static void
set_id(struct cares_ask *q, const struct line *l)
{
	const struct cares_ask *other;
	uint8_t id[2];

	do {
		arc4random_buf(id, sizeof(id));
		TAILQ_FOREACH(other, &l->asks, next)
			if (memcmp(other->question, id, sizeof(id)) == 0)
				break;
	} while (other != NULL);
	memcpy(q->question, id, sizeof(id));
}

static void
send_question(struct cares_ask *q)
{
	struct line *l = pick_line(q);

	if (l == NULL) {
		result(q, "busy");
		return;
	}
	if (l->nasks == 0 && line_set_server(l, &q->server) == -1) {
		result(q, "failed");
		return;
	}
	set_id(q, l);
	q->line = l;
	TAILQ_INSERT_TAIL(&l->asks, q, next);
	l->nasks++;
	l->nwanted++;
	timer_set(q->timer, q->server.timeout_ms);
	/* May say at once that it failed: on_result. */
	ares_send(l->channel, q->question, q->size, on_result, q);
}

static void
leave_line(struct cares_ask *q)
{
	TAILQ_REMOVE(&q->line->asks, q, next);
	q->line->nasks--;
	q->line->nwanted -= !q->given_up;
	q->line = NULL;
}

/* c-ares is on the stack: the packet is kept for later. */
static void
on_result(void *ctx, int status, int timeouts, unsigned char *p, int len)
{
	struct cares_ask *q = ctx;

	(void)timeouts;
	leave_line(q);
	if (q->given_up) {
		ask_free(q);
		return;
	}
	if (status != ARES_SUCCESS || p == NULL || len <= 0) {
		result(q, status == ARES_ETIMEOUT ? "timeout" :
			  status == ARES_ENOMEM   ? "failed" :
						    "unreachable");
		return;
	}
	q->packet_len = (size_t)len;
	q->packet = xmalloc(q->packet_len);
	memcpy(q->packet, p, q->packet_len);
	result(q, NULL);
}

static void
forget_packet(struct cares_ask *q)
{
	free(q->packet);
	q->packet = NULL;
	q->packet_len = 0;
}

/* A channel that once saw a server without EDNS cuts off what is beyond 512
 * bytes, and does not say so. */
static bool
is_cut(const struct cares_ask *q, struct str packet)
{
	return answer_is_truncated(packet) ||
	       (q->way == BY_UDP && packet.len == PLAIN_SIZE);
}

/* Is there another way to ask it? Then that is taken. */
static bool
ask_again(struct cares_ask *q)
{
	struct str packet = { (const char *)q->packet, q->packet_len };
	int rcode = answer_rcode(packet);

	if (q->way != BY_TCP && is_cut(q, packet)) {
		q->way = BY_TCP;
	} else if (q->edns &&
		   (rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP)) {
		q->edns = false;
		q->way = q->way == BY_UDP ? BY_PLAIN_UDP : q->way;
		q->size -= EDNS_BYTES;
		q->question[HEADER - 1] = 0; /* additional records */
	} else {
		return false;
	}
	forget_packet(q);
	send_question(q);
	return true;
}

/* What is left of it is c-ares' alone, if anything. */
static void
let_go(struct cares_ask *q)
{
	struct line *l = q->line;

	if (l == NULL) {
		ask_free(q);
		return;
	}
	timer_stop(q->timer);
	q->given_up = true;
	l->nwanted--;
	line_settle(l);
}

static void
on_done(void *ctx)
{
	struct cares_ask *q = ctx;

	if (q->why == NULL && ask_again(q))
		return;
	q->fn(q->ctx, q->why,
	    (struct str){ (const char *)q->packet, q->packet_len });
	ask_free(q);
}

static void
on_timeout(void *ctx)
{
	struct cares_ask *q = ctx;
	cares_fn *fn = q->fn;
	void *fn_ctx = q->ctx;

	let_go(q);
	fn(fn_ctx, "timeout", (struct str){ NULL, 0 });
}

struct cares_ask *
cares_ask(const struct server *server, const char *name, enum dns_type type,
    cares_fn *fn, void *ctx)
{
	unsigned char *question;
	int size;

	int rc = ares_create_query(
	    name, CLASS_IN, (int)type, 0, 1, &question, &size, EDNS_SIZE);
	/* That there is no such name may cost a mail. */
	if (rc == ARES_ENOMEM)
		fatal("c-ares: out of memory");
	if (rc != ARES_SUCCESS)
		return NULL;
	struct cares_ask *q = xcalloc(1, sizeof(*q));
	q->server = *server;
	q->question = question;
	q->question[3] |= FLAG_AD;
	q->size = size;
	q->edns = true;
	q->fn = fn;
	q->ctx = ctx;
	q->timer = timer_new(cares.loop, on_timeout, q);
	deferred_init(&q->done, on_done, q);
	send_question(q);
	return q;
}

void
cares_cancel(struct cares_ask **q)
{
	if (*q == NULL)
		return;
	let_go(*q);
	*q = NULL;
}
