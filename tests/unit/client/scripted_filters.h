/*
 * Filters that speak the real protocol by a script, and a dialer that connects
 * to them or says why not. One loop; it runs until something awaited has
 * happened, never for a time.
 */
#ifndef POSTERN_TESTS_UNIT_CLIENT_SCRIPTED_FILTERS_H
#define POSTERN_TESTS_UNIT_CLIENT_SCRIPTED_FILTERS_H

#include <bsd/string.h>
#include <bsd/sys/queue.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/smtpd_dialer.h"
#include "lib/base/alloc.h"
#include "milters/client/dial.h"
#include "milters/client/health.h"
#include "milters/client/milter.h"
#include "milters/client/packet.h"

enum { FILTERS = 4, EVENTS_KEPT = 64 };

/* One connection to a filter. */
struct peer {
	TAILQ_ENTRY(peer) entry;
	struct filter *filter;
	uint32_t socket;
	int fd;
	struct loop_fd *watch;
	struct buf in;
	char held; /* the command that has no reply yet */
};

/* What it does, and what it has seen. A reply: tokens separated by `|':
 * c a r t d; y CODE TEXT; h NAME=VALUE; m N NAME=VALUE; b BODY; q REASON;
 * hang; end. NULL: c. */
struct filter {
	TAILQ_HEAD(, peer) peers;
	const char *reply[128]; /* by command */
	const char *refuse[2];  /* by socket: why it cannot be connected */
	bool deaf[2];           /* by socket: ends when it is greeted */
	bool silent_dial;       /* its dialling is not answered */
	unsigned int dials;
	int connections;
	char log[512];    /* the commands, but O and D */
	char fields[512]; /* of the last message: NAME:VALUE; */
	char body[512];
};

static struct {
	struct loop *loop;
	struct config *config;
	struct filter filters[FILTERS];
	struct channel *dialer;
	struct timer *guard, *wake;
	struct milter_facts facts;
	struct milters *m;
	struct milter_answer answer;
	char reply[700]; /* of answer */
	int answers;
	bool (*until)(void);
	char events[EVENTS_KEPT][200];
	int nevents;
	const char *free_at; /* a filter: its event frees the milters */
	bool free_at_answer;
	struct milter_mail mail;
} w;

/* --- filters --- */

static inline void
peer_end(struct peer *p)
{
	TAILQ_REMOVE(&p->filter->peers, p, entry);
	loop_fd_free(&p->watch);
	close(p->fd);
	buf_clear(&p->in);
	free(p);
}

static inline void
peer_send(struct peer *p, char code, struct str payload)
{
	struct buf b;
	size_t at;

	buf_init(&b, 65536);
	at = packet_start(&b, code);
	buf_add_str(&b, payload);
	ck_assert_int_eq(packet_finish(&b, at), 0);
	/* The other side may be gone. */
	ck_assert(send(p->fd, b.p, b.len, MSG_NOSIGNAL) != 0);
	buf_clear(&b);
}

static inline void
add_field(struct buf *b, struct str s)
{
	size_t eq = str_find(s, '=');

	packet_add_string(b, str_head(s, eq));
	packet_add_string(b, str_skip(s, eq + 1));
}

/* One token; false: the connection is closed. */
static inline bool
peer_say(struct peer *p, struct str token)
{
	struct str rest = str_skip(token, 2);
	struct buf b;

	if (str_eq(token, STR("hang")))
		return true;
	if (str_eq(token, STR("end"))) {
		peer_end(p);
		return false;
	}
	buf_init(&b, 65536);
	switch (token.p[0]) {
	case 'y':
	case 'q':
		packet_add_string(&b, rest);
		break;
	case 'h':
		add_field(&b, rest);
		break;
	case 'm':
		packet_add_u32(&b, (uint32_t)(rest.p[0] - '0'));
		add_field(&b, str_skip(rest, 2));
		break;
	case 'b':
		buf_add_str(&b, rest);
		break;
	default:
		break;
	}
	peer_send(p, token.p[0], buf_str(&b));
	buf_clear(&b);
	return true;
}

/* False: the connection is closed. */
static inline bool
peer_reply(struct peer *p, const char *script)
{
	struct str s = str_of(script != NULL ? script : "c");

	while (s.len > 0) {
		size_t n = str_find(s, '|');
		if (!peer_say(p, str_head(s, n)))
			return false;
		s = str_skip(s, n + 1);
	}
	return true;
}

static inline void
note(char *log, size_t size, struct str s, const char *end)
{
	size_t n = strlen(log);

	ck_assert_uint_lt(n + s.len + 2, size);
	memcpy(log + n, s.p, s.len);
	strlcpy(log + n + s.len, end, size - n - s.len);
}

static inline void
note_content(struct filter *f, const struct packet *k)
{
	struct str s = k->payload, name, value;

	if (k->code == 'M')
		f->fields[0] = f->body[0] = '\0';
	if (k->code == 'L' && packet_take_string(&s, &name) == 0 &&
	    packet_take_string(&s, &value) == 0) {
		note(f->fields, sizeof(f->fields), name, ":");
		note(f->fields, sizeof(f->fields), str_trim(value), ";");
	}
	if (k->code == 'B')
		note(f->body, sizeof(f->body), k->payload, "");
}

/* False: the connection is closed. */
static inline bool
peer_take(struct peer *p, const struct packet *k)
{
	static const char offer[] = { 0, 0, 0, 6, 0, 0, 1, (char)0xff, 0, 0, 0,
		0 };
	struct filter *f = p->filter;

	if (k->code == 'D')
		return true;
	if (k->code == 'O' && f->deaf[p->socket]) {
		peer_end(p);
		return false;
	}
	if (k->code == 'O') {
		if (f->reply['O'] != NULL)
			return peer_reply(p, f->reply['O']);
		peer_send(p, 'O', (struct str){ offer, sizeof(offer) });
		return true;
	}
	note(f->log, sizeof(f->log), (struct str){ &k->code, 1 }, "");
	note_content(f, k);
	if (k->code == 'A' || k->code == 'Q')
		return true;
	p->held = k->code;
	return peer_reply(p, f->reply[(unsigned char)k->code]);
}

static inline void
on_peer(void *ctx, int what)
{
	struct peer *p = ctx;
	struct packet k;
	uint32_t length;
	char *room = buf_reserve(&p->in, 65536);
	ssize_t n = read(p->fd, room, 65536);

	(void)what;
	if (n <= 0) {
		peer_end(p);
		return;
	}
	buf_commit(&p->in, (size_t)n);
	while (packet_decode(buf_str(&p->in), &k, &length) == PACKET_WHOLE) {
		size_t size = packet_size(&k);
		if (!peer_take(p, &k))
			return;
		buf_drop(&p->in, size);
	}
}

static inline int
filter_connect(struct filter *f, uint32_t socket)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	p->filter = f;
	p->socket = socket;
	p->fd = fds[0];
	buf_init(&p->in, 1 << 20);
	p->watch = loop_fd_new(w.loop, p->fd, on_peer, p);
	loop_fd_want(p->watch, LOOP_READ);
	TAILQ_INSERT_TAIL(&f->peers, p, entry);
	f->connections++;
	return fds[1];
}

/* The filter is started anew: its connections end. */
static inline void
filter_restart(struct filter *f)
{
	while (!TAILQ_EMPTY(&f->peers))
		peer_end(TAILQ_FIRST(&f->peers));
}

/* --- the dialer --- */

static inline void
on_ask_dial(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_dial *ask = msg;
	uint32_t i = (uint32_t)(ask->milter.p[0] - 'a');
	struct filter *f = &w.filters[i];
	struct answer_dialed dialed;

	(void)ctx;
	ck_assert_uint_lt(i, FILTERS);
	ck_assert(str_eq(ask->address,
	    str_of(w.config->milters[i].sockets[ask->socket].text)));
	f->dials++;
	if (f->silent_dial)
		return;
	if (f->refuse[ask->socket] != NULL) {
		channel_tell(ch, TYPE_answer_not_dialed,
		    &(struct answer_not_dialed){
			.why = str_of(f->refuse[ask->socket]) },
		    id);
		return;
	}
	dialed.socket = filter_connect(f, ask->socket);
	channel_tell(ch, TYPE_answer_dialed, &dialed, id);
	close(dialed.socket);
}

static const struct handler dialer_handlers[] = {
	{ TYPE_ask_dial, on_ask_dial }, { 0, NULL }
};

static inline void
on_dialer_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&w.dialer);
}

static inline void
dialer_start(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	channel_free(&w.dialer);
	w.dialer = channel_new(w.loop, fds[0], &smtpd_dialer_edge, EDGE_B,
	    dialer_handlers, on_dialer_closed, NULL);
	milters_set_dialer(w.loop, fds[1]);
}

/* --- the loop --- */

static inline void
on_guard(void *ctx)
{
	(void)ctx;
	ck_abort_msg("what was waited for does not come");
}

static inline void
on_wake(void *ctx)
{
	(void)ctx;
}

/* All that was put off in the round before is done. */
static inline void
before_round(void)
{
	if (w.until == NULL || !w.until())
		return;
	loop_stop(w.loop);
	timer_set(w.wake, 0);
}

/* Runs until it holds, looked at after every round. */
static inline void
run_until(bool (*until)(void))
{
	if (until())
		return;
	w.until = until;
	timer_set(w.guard, 60000);
	loop_run(w.loop);
	timer_stop(w.guard);
	w.until = NULL;
}

#endif
