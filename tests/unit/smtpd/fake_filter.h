/*
 * Filters of the sessions' tests, played in the same loop: the dialer's end of
 * its edge, and behind each connection a filter that speaks the protocol by a
 * script. One script for each configured name; what is not scripted is
 * answered with CONTINUE.
 */
#ifndef POSTERN_TESTS_FAKE_FILTER_H
#define POSTERN_TESTS_FAKE_FILTER_H

#include <arpa/inet.h>

#include "edges/smtpd_dialer.h"
#include "milters/client/milter.h"
#include "smtpd/admission.h"
#include "tests/unit/smtpd/fake_names.h"
#include "tests/unit/smtpd/talk.h"

enum { FILTERS_MAX = 4, FILTER_CONNS_MAX = 64 };

struct fake_filter {
	const char *name;
	struct buf answers[128]; /* packets, by the command they answer */
	bool hold[128];          /* waits with the answer to it */
	uint32_t steps;          /* of its negotiation */
	bool refuse;             /* cannot be reached */
	unsigned int nconns;
	struct buf heard;  /* the commands with their first text */
	struct buf macros; /* all of them: "name=value\n" */
	struct buf header, body;
};

struct filter_conn {
	struct fake_filter *f;
	struct stream *stream;
	char held; /* the command that is not answered yet */
};

static struct {
	struct channel *ch;
	struct fake_filter filters[FILTERS_MAX];
	size_t nfilters;
	struct filter_conn conns[FILTER_CONNS_MAX];
	size_t nconns;
} fakes;

static inline void
packet_add(struct buf *b, char code, const void *p, size_t len)
{
	uint32_t n = htonl((uint32_t)len + 1);

	buf_add(b, &n, sizeof(n));
	buf_add_char(b, code);
	buf_add(b, p, len);
}

/* One packet more of the answer to a command. */
static inline void
filter_says(struct fake_filter *f, char command, char code, struct str payload)
{
	packet_add(
	    &f->answers[(unsigned char)command], code, payload.p, payload.len);
}

#define SAYS(f, command, code, payload)     \
	filter_says((f), (command), (code), \
	    (struct str){ (payload), sizeof(payload) })

/* Its answer is CONTINUE again. */
static inline void
filter_forget(struct fake_filter *f, char command)
{
	buf_clear(&f->answers[(unsigned char)command]);
}

static inline void
negotiate(struct filter_conn *c)
{
	uint32_t words[3] = { htonl(6), htonl(0x1ff), htonl(c->f->steps) };
	struct buf b;

	buf_init(&b, 64);
	packet_add(&b, 'O', words, sizeof(words));
	stream_write(c->stream, b.p, b.len);
	buf_clear(&b);
}

static inline void
filter_reply(struct filter_conn *c, char command)
{
	struct buf *b = &c->f->answers[(unsigned char)command], plain;

	c->held = 0;
	if (b->len > 0) {
		stream_write(c->stream, b->p, b->len);
		return;
	}
	buf_init(&plain, 16);
	packet_add(&plain, 'c', "", 0);
	stream_write(c->stream, plain.p, plain.len);
	buf_clear(&plain);
}

static inline void
hear_macros(struct fake_filter *f, struct str p)
{
	bool value = false;

	for (size_t i = 1; i < p.len; i++) {
		if (p.p[i] != '\0') {
			buf_add_char(&f->macros, p.p[i]);
			continue;
		}
		buf_add_char(&f->macros, value ? '\n' : '=');
		value = !value;
	}
}

static inline void
hear(struct filter_conn *c, char code, struct str p)
{
	struct fake_filter *f = c->f;
	struct str first = str_head(p, str_find(p, '\0'));

	if (code == 'D') {
		hear_macros(f, p);
		return;
	}
	if (code == 'O') {
		negotiate(c);
		return;
	}
	buf_add_char(&f->heard, code);
	if (code == 'B')
		buf_add_str(&f->body, p);
	else if (code == 'L')
		buf_addf(&f->header, "%.*s:%s\n", (int)first.len, first.p,
		    str_skip(p, first.len + 1).p);
	else if (code == 'M' || code == 'R' || code == 'H' || code == 'U')
		buf_add_str(&f->heard, first);
	buf_add_char(&f->heard, ' ');
	if (strchr("AQ", code) != NULL)
		return;
	if (f->hold[(unsigned char)code])
		c->held = code;
	else
		filter_reply(c, code);
}

static size_t
filter_data(void *ctx, struct str in)
{
	struct filter_conn *c = ctx;
	size_t used = 0;

	while (in.len - used >= 5) {
		uint32_t n;

		memcpy(&n, in.p + used, sizeof(n));
		n = ntohl(n);
		if (in.len - used < 4 + (size_t)n)
			break;
		hear(c, in.p[used + 4],
		    (struct str){ in.p + used + 5, (size_t)n - 1 });
		used += 4 + (size_t)n;
	}
	return used;
}

static inline void
filter_timeout(void *ctx)
{
	(void)ctx;
}

static inline void
filter_end(void *ctx, int error)
{
	struct filter_conn *c = ctx;

	(void)error;
	stream_close(&c->stream);
}

static const struct stream_ops filter_ops = { filter_data, NULL, filter_timeout,
	filter_end, NULL };

static inline struct fake_filter *
filter_called(struct str name)
{
	for (size_t i = 0; i < fakes.nfilters; i++)
		if (str_eq(str_of(fakes.filters[i].name), name))
			return &fakes.filters[i];
	abort();
}

static inline void
on_dial(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_dial *m = msg;
	struct fake_filter *f = filter_called(m->milter);
	struct answer_not_dialed no = { .why = STR("refused") };
	struct answer_dialed yes;
	struct filter_conn *c;
	int sv[2];

	(void)ctx;
	if (f->refuse) {
		channel_tell(ch, TYPE_answer_not_dialed, &no, id);
		return;
	}
	if (fakes.nconns == FILTER_CONNS_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		sv) != 0)
		abort();
	yes.socket = sv[0];
	channel_tell(ch, TYPE_answer_dialed, &yes, id);
	c = &fakes.conns[fakes.nconns++];
	c->f = f;
	f->nconns++;
	c->stream = stream_new(h.loop, sv[1], false, &filter_ops, c);
}

static inline void
on_dialer_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == fakes.ch)
		channel_free(&fakes.ch);
}

static const struct handler dialer_handlers[] = { { TYPE_ask_dial, on_dial },
	{ 0, NULL } };

/* A filter of this name, configured and listening; in no set yet. */
static inline struct fake_filter *
filter_new(const char *name)
{
	struct config *c = h.config;
	struct fake_filter *f = &fakes.filters[fakes.nfilters];
	struct milter *m;

	if (c->milters == NULL)
		c->milters = xcalloc(FILTERS_MAX, sizeof(*c->milters));
	m = &c->milters[c->nmilters];
	m->id = (uint32_t)c->nmilters++;
	m->name = xstrdup(name);
	m->nsockets = 1;
	m->sockets[0].text = xstrdup("unix:/filter");
	m->sockets[0].path = xstrdup("/filter");
	m->connect_timeout = m->command_timeout = m->content_timeout = 60000;
	m->total_timeout = 60000;
	m->connections = 100;
	m->failures = 100;
	m->rest = 1000;
	fakes.nfilters++;
	f->name = m->name;
	for (size_t i = 0; i < 128; i++)
		buf_init(&f->answers[i], 4 << 20);
	buf_init(&f->heard, 1 << 20);
	buf_init(&f->macros, 1 << 20);
	buf_init(&f->header, 1 << 20);
	buf_init(&f->body, 64 << 20);
	return f;
}

/* A set of all filters whose names stand in which ("a b"), one after the
 * other. */
static inline struct milter_set *
filter_set(const char *which)
{
	struct config *c = h.config;
	struct milter_set *set;

	if (c->milter_sets == NULL)
		c->milter_sets = xcalloc(FILTERS_MAX, sizeof(*set));
	set = &c->milter_sets[c->nmilter_sets];
	set->id = (uint32_t)c->nmilter_sets++;
	for (size_t i = 0; i < c->nmilters; i++) {
		if (strstr(which, c->milters[i].name) == NULL)
			continue;
		set->members[set->n].milter = &c->milters[i];
		set->members[set->n].step = (uint32_t)set->n;
		set->n++;
	}
	return set;
}

/* What the filter heard, for comparison; forgets it. */
static inline const char *
filter_heard(struct fake_filter *f)
{
	static char text[65536];

	snprintf(text, sizeof(text), "%.*s", (int)f->heard.len,
	    f->heard.len > 0 ? f->heard.p : "");
	buf_reset(&f->heard);
	return text;
}

/* Answers what was held. */
static inline void
filter_release(struct fake_filter *f)
{
	for (size_t i = 0; i < fakes.nconns; i++) {
		struct filter_conn *c = &fakes.conns[i];

		if (c->f == f && c->stream != NULL && c->held != 0)
			filter_reply(c, c->held);
	}
}

/* Is this command among those that wait? */
static inline bool
filter_waits(const struct fake_filter *f, char command)
{
	for (size_t i = 0; i < fakes.nconns; i++)
		if (fakes.conns[i].f == f && fakes.conns[i].held == command)
			return true;
	return false;
}

/* Configuration and dialer are known to the process from now on. */
static inline void
filters_start(void)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		abort();
	fakes.ch = channel_new(h.loop, sv[1], &smtpd_dialer_edge, EDGE_B,
	    dialer_handlers, on_dialer_closed, NULL);
	milters_set_dialer(h.loop, sv[0]);
	milters_set_config(h.loop, h.config, 1);
	h.config->smtpd_workers = 1;
	admission_set_config(h.config);
}

/* Of every test: nothing is left of one before. */
static inline void
filters_setup(void)
{
	harness_open(&h);
	memset(&fakes, 0, sizeof(fakes));
	accept_all();
}

static inline void
filters_teardown(void)
{
	stream_close(&h.client);
	harness_settle(&h);
	while (sessions_count() > 0)
		harness_settle(&h);
	harness_settle(&h);
	for (size_t i = 0; i < fakes.nconns; i++)
		stream_close(&fakes.conns[i].stream);
	milters_clear();
	channel_free(&fakes.ch);
	harness_close(&h);
	admission_clear();
	for (size_t i = 0; i < fakes.nfilters; i++) {
		struct fake_filter *f = &fakes.filters[i];

		for (size_t j = 0; j < 128; j++)
			buf_clear(&f->answers[j]);
		buf_clear(&f->heard);
		buf_clear(&f->macros);
		buf_clear(&f->header);
		buf_clear(&f->body);
	}
}

#endif
