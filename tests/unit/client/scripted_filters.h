/*
 * A world for the chain: filters that speak the real protocol by a script, a
 * dialer that connects to them or says why not, and a session that asks. One
 * loop; it runs until something awaited has happened, never for a time.
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
#include "milters/client/health.h"
#include "milters/client/milter.h"
#include "milters/client/packet.h"
#include "tests/unit/client/body_stub.h"

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
	bool silent_dial;       /* its dialling is not answered */
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
	timer_set(w.guard, 20000);
	loop_run(w.loop);
	timer_stop(w.guard);
	w.until = NULL;
}

/* --- the session --- */

static inline void
keep_answer(const struct milter_answer *a)
{
	w.answer = *a;
	strlcpy(w.reply, a->reply != NULL ? a->reply : "", sizeof(w.reply));
	w.answers++;
}

static inline void
world_answer(void *ctx, const struct milter_answer *a)
{
	ck_assert_ptr_eq(ctx, &w);
	keep_answer(a);
	if (w.free_at_answer)
		milters_free(&w.m);
}

/* "a content tempfail fault" and the like. */
static inline void
world_event(void *ctx, const struct milter_event *e)
{
	char *at = w.events[w.nevents++];

	ck_assert_ptr_eq(ctx, &w);
	ck_assert_int_lt(w.nevents, EVENTS_KEPT);
	snprintf(at, sizeof(w.events[0]), "%s %s %s%s%s%s%s%s", e->filter,
	    milter_stage_name(e->stage), milter_verdict_name(e->verdict),
	    e->fault != NULL ? " fault" : "", e->shadow ? " shadow" : "",
	    e->differs ? " differs" : "", e->edits != NULL ? " " : "",
	    e->edits != NULL ? e->edits : "");
	if (w.free_at != NULL && strcmp(w.free_at, e->filter) == 0)
		milters_free(&w.m);
}

static inline void
stub_show(const void *body, struct milter_mail *mail)
{
	const struct stub_body *b = body;

	mail->body = buf_str(&b->bytes);
	mail->fd = -1;
	mail->body_size = b->bytes.len;
}

static const struct milter_ops world_ops = { world_answer, world_event,
	stub_new, stub_add, stub_free, stub_show };

static inline bool
is_answered(void)
{
	return w.answers > 0 || w.m == NULL;
}

static inline enum milter_verdict
asked(bool done, const struct milter_answer *a)
{
	if (done)
		keep_answer(a);
	else
		run_until(is_answered);
	ck_assert(w.answers == 1 || w.m == NULL);
	return w.answer.verdict;
}

static inline enum milter_verdict
ask(enum milter_stage stage)
{
	struct milter_answer a;

	w.answers = 0;
	return asked(milters_ask(w.m, stage, &a), &a);
}

static inline enum milter_verdict
filter_mail(const char *header, const char *body)
{
	struct milter_answer a;

	w.answers = 0;
	w.mail = (struct milter_mail){ .header = str_of(header),
		.body = str_of(body),
		.fd = -1,
		.body_size = strlen(body),
		.max_size = 4096 };
	return asked(milters_filter(w.m, &w.mail, &a), &a);
}

#define HEADER "Subject: one\r\nTo: x\r\n\r\n"

/* MAIL to DATA, all to go on. */
static inline void
begin_message(void)
{
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_DATA), MILTER_CONTINUE);
}

/* A whole message; the verdict on its content. */
static inline enum milter_verdict
message(void)
{
	begin_message();
	return filter_mail(HEADER, "body\r\n");
}

static inline void
session_start(const struct milter_set *set)
{
	w.m = milters_new(w.loop, w.config, &w.facts, &world_ops, &w);
	milters_choose(w.m, set, false);
}

static inline bool
has_event(const char *text)
{
	for (int i = 0; i < w.nevents; i++)
		if (strcmp(w.events[i], text) == 0)
			return true;
	return false;
}

/* --- a set: "ab{cd}", members in a row, those in braces side by side --- */

static inline const struct milter_set *
set_of(const char *text)
{
	struct config *c = w.config;
	struct milter_set *s = &c->milter_sets[c->nmilter_sets];
	uint32_t step = 0;
	bool group = false;

	memset(s, 0, sizeof(*s));
	s->id = (uint32_t)c->nmilter_sets++;
	ck_assert_uint_le(c->nmilter_sets, 8);
	for (; *text != '\0'; text++) {
		if (*text == '{' || *text == '}') {
			group = *text == '{';
			step += *text == '}';
			continue;
		}
		s->members[s->n++] =
		    (struct milter_member){ &c->milters[*text - 'a'], step };
		step += !group;
	}
	return s;
}

static inline struct milter *
milter(char name)
{
	return &w.config->milters[name - 'a'];
}

static inline struct filter *
filter(char name)
{
	return &w.filters[name - 'a'];
}

static inline struct milter_report
report_of(char name)
{
	struct milter_report r;

	health_report(milter(name), &r);
	return r;
}

static inline void
make_milters(struct config *c)
{
	c->milters = xcalloc(FILTERS, sizeof(*c->milters));
	c->milter_sets = xcalloc(8, sizeof(*c->milter_sets));
	c->nmilters = FILTERS;
	for (uint32_t i = 0; i < FILTERS; i++) {
		struct milter *m = &c->milters[i];
		char text[8] = { (char)('a' + i), '\0' };
		m->id = i;
		m->name = xstrdup(text);
		for (m->nsockets = 0; m->nsockets < 1; m->nsockets++) {
			text[1] = (char)('0' + m->nsockets);
			m->sockets[m->nsockets].text = xstrdup(text);
		}
		m->connect_timeout = m->command_timeout = m->content_timeout =
		    m->total_timeout = 60000;
		m->connections = 100;
		m->failures = 3;
		m->rest = 60000;
	}
}

static inline void
second_socket(char name)
{
	struct milter *m = milter(name);

	m->sockets[m->nsockets++].text = xstrdup("two");
}

static inline void
setup(void)
{
	memset(&w, 0, sizeof(w));
	stub_room = MILTER_ROOM;
	w.loop = loop_new();
	w.guard = timer_new(w.loop, on_guard, NULL);
	w.wake = timer_new(w.loop, on_wake, NULL);
	loop_on_round(w.loop, before_round);
	for (int i = 0; i < FILTERS; i++)
		TAILQ_INIT(&w.filters[i].peers);
	w.config = config_new();
	make_milters(w.config);
	milters_set_config(w.loop, w.config, 1);
	dialer_start();
	w.facts.hostname = STR("gate.example");
	w.facts.client_name = STR("client.example");
	w.facts.client_addr = STR("192.0.2.1");
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &w.facts.client), 0);
	w.facts.helo = STR("client.example");
	w.facts.msgid = STR("id");
	w.facts.mail = STR("<a@b.example>");
	w.facts.rcpt = STR("<x@y.example>");
}

static inline bool
is_quiet(void)
{
	for (int i = 0; i < FILTERS; i++)
		if (!TAILQ_EMPTY(&w.filters[i].peers))
			return false;
	return true;
}

/* Nothing is left: no connection, no claim, no body. */
static inline void
teardown(void)
{
	milters_free(&w.m);
	run_until(is_quiet);
	for (int i = 0; i < FILTERS; i++)
		ck_assert_uint_eq(report_of((char)('a' + i)).sessions, 0);
	ck_assert_int_eq(stub_bodies, 0);
	channel_free(&w.dialer);
	milters_clear();
	config_unref(&w.config);
	loop_settle(w.loop);
	timer_free(&w.guard);
	timer_free(&w.wake);
	loop_free(&w.loop);
}

#endif
