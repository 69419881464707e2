/*
 * The real session code in one process with a client and a queue that are
 * played: both ends of every socket live in the same loop. Included by unit
 * tests and by the fuzz target; nothing in here waits for the clock.
 */
#ifndef POSTERN_TESTS_HARNESS_H
#define POSTERN_TESTS_HARNESS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/net/stream.h"
#include "smtpd/client_name.h"
#include "smtpd/from_queue.h"
#include "smtpd/from_resolver.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum { HARNESS_GUARD_MS = 60000, HARNESS_ROUNDS = 8 };

enum fake_answer { FAKE_COMMIT, FAKE_REFUSE, FAKE_HOLD, FAKE_DIE };

/* The fake queue, and the last mail it was handed. */
struct fake {
	struct channel *ch;
	enum fake_answer answer; /* to a commit */
	enum fake_answer file;   /* to the wish for a file */
	enum queue_refusal why;
	uint64_t held;         /* request not answered yet */
	unsigned int ncommits; /* mails handed over in whole */
	unsigned int nfiles, ndropped;
	char msgid[ID_LEN + 1];
	char from[400], to[4000], client[70], client_name[300], orig[400];
	char filter[70], reason[520];
	char starts[4000]; /* one digit for each recipient */
	char events[65536];
	size_t context_len;
	bool replaces;
	uint32_t flags, nrcpt, rcpts_seen, header_size, inline_size;
	uint64_t body_size, bodyfile;
	int file_fd;
	struct buf content; /* inline, then the file's */
};

struct harness {
	struct loop *loop;
	struct config *config;
	const char *from; /* the next client's address; NULL: 192.0.2.1 */
	struct stream *client;
	struct buf got; /* what the client was told */
	bool eof;
	size_t nwant; /* replies to wait for */
	struct timer *guard, *tick;
	unsigned int rounds;
	bool (*until)(struct harness *h);
	struct fake fake;
};

/* --- the fake queue --- */

static inline void
fake_take_file(struct harness *h)
{
	struct fake *f = &h->fake;
	char piece[65536];
	ssize_t n;

	if (f->bodyfile == 0 || f->file_fd < 0)
		return;
	lseek(f->file_fd, 0, SEEK_SET);
	while ((n = read(f->file_fd, piece, sizeof(piece))) > 0)
		buf_add(&f->content, piece, (size_t)n);
}

static inline void
fake_whole(struct harness *h, uint64_t id)
{
	struct fake *f = &h->fake;
	struct answer_commit yes = { 0 };
	struct answer_refused no = { .why = (uint8_t)f->why };

	if (f->rcpts_seen < f->nrcpt || f->content.len < f->inline_size)
		return;
	fake_take_file(h);
	f->ncommits++;
	switch (f->answer) {
	case FAKE_COMMIT:
		channel_tell(f->ch, TYPE_answer_commit, &yes, id);
		break;
	case FAKE_REFUSE:
		channel_tell(f->ch, TYPE_answer_refused, &no, id);
		break;
	case FAKE_HOLD:
		f->held = id;
		break;
	case FAKE_DIE:
		channel_free(&f->ch);
		break;
	}
}

static inline void
copy(char *to, size_t size, struct str s)
{
	size_t n = s.len < size ? s.len : size - 1;

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

static inline void
fake_commit(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct harness *h = ctx;
	struct fake *f = &h->fake;
	const struct ask_commit *m = msg;

	(void)ch;
	copy(f->msgid, sizeof(f->msgid), m->msgid);
	copy(f->from, sizeof(f->from), m->from);
	copy(f->client, sizeof(f->client), m->client);
	copy(f->client_name, sizeof(f->client_name), m->client_name);
	copy(f->filter, sizeof(f->filter), m->filter);
	copy(f->reason, sizeof(f->reason), m->reason);
	f->context_len = m->context.len;
	f->replaces = m->replaces;
	f->to[0] = f->orig[0] = f->starts[0] = f->events[0] = '\0';
	f->flags = m->flags;
	f->nrcpt = m->nrcpt;
	f->rcpts_seen = 0;
	f->header_size = m->header_size;
	f->inline_size = m->inline_size;
	f->body_size = m->body_size;
	f->bodyfile = m->bodyfile;
	buf_reset(&f->content);
	fake_whole(h, id);
}

static inline void
fake_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct harness *h = ctx;
	struct fake *f = &h->fake;
	const struct tell_rcpt *m = msg;
	size_t n = strlen(f->to);

	(void)ch;
	if (n + m->to.len + 2 < sizeof(f->to)) {
		if (n > 0)
			f->to[n++] = ' ';
		copy(f->to + n, sizeof(f->to) - n, m->to);
	}
	copy(f->orig, sizeof(f->orig), m->orig);
	if (f->rcpts_seen + 1 < sizeof(f->starts)) {
		f->starts[f->rcpts_seen] = (char)('0' + m->start);
		f->starts[f->rcpts_seen + 1] = '\0';
	}
	f->rcpts_seen++;
	fake_whole(h, id);
}

static inline void
fake_event(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct harness *h = ctx;
	const struct tell_event *m = msg;
	size_t n = strlen(h->fake.events);

	(void)ch;
	(void)id;
	snprintf(h->fake.events + n, sizeof(h->fake.events) - n, "%.*s %.*s\n",
	    (int)m->event.len, m->event.p, (int)m->text.len, m->text.p);
}

static inline void
fake_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct harness *h = ctx;
	const struct tell_content *m = msg;

	(void)ch;
	buf_add_str(&h->fake.content, m->bytes);
	fake_whole(h, id);
}

static inline void
fake_bodyfile(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct harness *h = ctx;
	struct fake *f = &h->fake;
	struct answer_refused no = { .why = (uint8_t)f->why };

	(void)msg;
	f->nfiles++;
	if (f->file == FAKE_REFUSE) {
		channel_tell(ch, TYPE_answer_refused, &no, id);
		return;
	}
	if (f->file == FAKE_HOLD) {
		f->held = id;
		return;
	}
	if (f->file == FAKE_DIE) {
		channel_free(&f->ch);
		return;
	}
	if (f->file_fd >= 0)
		close(f->file_fd);
	f->file_fd = memfd_create("body", MFD_CLOEXEC);
	struct answer_bodyfile yes = { .bodyfile = f->nfiles,
		.file = f->file_fd };
	channel_tell(ch, TYPE_answer_bodyfile, &yes, id);
}

static inline void
fake_dropped(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct harness *h = ctx;

	(void)ch;
	(void)msg;
	(void)id;
	h->fake.ndropped++;
}

static inline void
fake_closed(void *ctx, struct channel *ch)
{
	struct harness *h = ctx;

	if (ch == h->fake.ch)
		channel_free(&h->fake.ch);
}

static const struct handler fake_handlers[] = {
	{ TYPE_ask_commit, fake_commit },
	{ TYPE_tell_rcpt, fake_rcpt },
	{ TYPE_tell_content, fake_content },
	{ TYPE_tell_event, fake_event },
	{ TYPE_ask_bodyfile, fake_bodyfile },
	{ TYPE_tell_bodyfile_dropped, fake_dropped },
	{ 0, NULL },
};

/* --- the client --- */

/* Whole replies in what we got. */
static size_t
count_replies(struct str s)
{
	size_t n = 0;

	while (s.len > 0) {
		size_t lf = str_find(s, '\n');

		if (lf == s.len)
			break;
		if (lf >= 4 && s.p[3] == ' ')
			n++;
		s = str_skip(s, lf + 1);
	}
	return n;
}

static inline void
client_check(struct harness *h)
{
	if (h->until != NULL ?
		h->until(h) :
		h->nwant > 0 &&
		    (h->eof || count_replies(buf_str(&h->got)) >= h->nwant))
		loop_stop(h->loop);
}

static size_t
client_data(void *ctx, struct str in)
{
	struct harness *h = ctx;

	buf_add_str(&h->got, in);
	client_check(h);
	return in.len;
}

static inline void
client_timeout(void *ctx)
{
	(void)ctx;
}

static inline void
client_end(void *ctx, int error)
{
	struct harness *h = ctx;

	(void)error;
	h->eof = true;
	client_check(h);
}

static const struct stream_ops client_ops = { client_data, NULL, client_timeout,
	client_end, NULL };

/* --- the stage --- */

static inline void
on_guard(void *ctx)
{
	struct harness *h = ctx;

	fprintf(stderr, "stuck; the client was told:\n%.*s\n", (int)h->got.len,
	    h->got.p);
	abort();
}

static inline void
on_tick(void *ctx)
{
	struct harness *h = ctx;

	if (h->rounds-- == 0)
		loop_stop(h->loop);
	else
		timer_set(h->tick, 0);
}

static struct rule *
harness_rule(struct config *c, enum verdict_kind verdict, const char *reply)
{
	struct rule *r;

	c->rules = xreallocarray(c->rules, c->nrules + 1, sizeof(*c->rules));
	r = &c->rules[c->nrules++];
	memset(r, 0, sizeof(*r));
	r->verdict = verdict;
	r->text = xstrdup("match");
	if (verdict == VERDICT_ACTION)
		r->action = &c->actions[0];
	if (reply != NULL)
		r->reply = xstrdup(reply);
	return r;
}

/* hostname mx.example, domain example.com, one action, no rules. */
static struct config *
harness_config(void)
{
	struct config *c = config_new();

	free(c->hostname);
	c->hostname = xstrdup("mx.example");
	free(c->domain);
	c->domain = xstrdup("example.com");
	c->listeners = xcalloc(2, sizeof(*c->listeners));
	c->nlisteners = 2;
	c->listeners[1].id = 1;
	c->listeners[1].flags = LISTENER_SUBMIT;
	c->actions = xcalloc(1, sizeof(*c->actions));
	c->actions[0].name = xstrdup("box");
	c->actions[0].kind = ACTION_DISCARD;
	c->nactions = 1;
	return c;
}

static inline void
fake_start(struct harness *h)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		abort();
	h->fake.ch = channel_new(h->loop, sv[1], &smtpd_queue_edge, EDGE_B,
	    fake_handlers, fake_closed, h);
	from_queue_start(h->loop, sv[0]);
}

static inline void
harness_open(struct harness *h)
{
	memset(h, 0, sizeof(*h));
	h->loop = loop_new();
	h->config = harness_config();
	buf_init(&h->got, 64 << 20);
	buf_init(&h->fake.content, 64 << 20);
	h->fake.file_fd = -1;
	h->guard = timer_new(h->loop, on_guard, h);
	h->tick = timer_new(h->loop, on_tick, h);
	fake_start(h);
}

/* Runs till nothing local can happen any more. */
static inline void
harness_settle(struct harness *h)
{
	h->rounds = HARNESS_ROUNDS;
	timer_set(h->tick, 0);
	loop_run(h->loop);
}

/* Runs till the client has n replies more (or the end). */
static inline void
harness_replies(struct harness *h, size_t n)
{
	h->nwant = n;
	timer_set(h->guard, HARNESS_GUARD_MS);
	loop_run(h->loop);
	timer_stop(h->guard);
	h->nwant = 0;
}

static inline void
harness_until(struct harness *h, bool (*until)(struct harness *h))
{
	h->until = until;
	timer_set(h->guard, HARNESS_GUARD_MS);
	while (!until(h))
		harness_settle(h);
	timer_stop(h->guard);
	h->until = NULL;
}

/* A client connects to listener 0 (from h->from) or 1 (uid 1000); early:
 * what it says before the session begins. */
static inline void
harness_connect_to(struct harness *h, uint32_t listener, const char *early)
{
	int sv[2];
	struct session_args a = { .loop = h->loop,
		.config = h->config,
		.listener = &h->config->listeners[listener],
		.listener_name = "192.0.2.25:25",
		.port = 4242,
		.uid = 1000 };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		sv) != 0)
		abort();
	a.fd = sv[0];
	if (listener == 0)
		addr_parse(
		    str_of(h->from != NULL ? h->from : "192.0.2.1"), &a.client);
	else
		a.client.family = ADDR_LOCAL;
	if (early != NULL &&
	    write(sv[1], early, strlen(early)) != (ssize_t)strlen(early))
		abort();
	h->eof = false;
	buf_reset(&h->got);
	h->client = stream_new(h->loop, sv[1], false, &client_ops, h);
	session_new(&a);
}

/* Drops what was said so far, sends, waits for n replies; returns them. */
static inline const char *
harness_say(struct harness *h, struct str bytes, size_t n)
{
	buf_reset(&h->got);
	stream_write(h->client, bytes.p, bytes.len);
	if (n > 0)
		harness_replies(h, n);
	else
		harness_settle(h);
	buf_add_char(&h->got, '\0');
	h->got.len--;
	return h->got.p;
}

static inline void
harness_connect(struct harness *h)
{
	harness_connect_to(h, 0, NULL);
	harness_replies(h, 1);
}

static inline void
harness_hang_up(struct harness *h)
{
	stream_close(&h->client);
	harness_settle(h);
}

static inline void
harness_close(struct harness *h)
{
	stream_close(&h->client);
	from_queue_stop();
	from_resolver_stop();
	callers_clear();
	channel_free(&h->fake.ch);
	while (sessions_count() > 0)
		harness_settle(h);
	harness_settle(h);
	if (h->fake.file_fd >= 0)
		close(h->fake.file_fd);
	buf_clear(&h->fake.content);
	buf_clear(&h->got);
	timer_free(&h->guard);
	timer_free(&h->tick);
	config_unref(&h->config);
	loop_free(&h->loop);
	sessions_restart();
}

#endif
