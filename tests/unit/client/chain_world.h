/* A session that asks scripted filters, and a configuration for it. */
#ifndef POSTERN_TESTS_UNIT_CLIENT_CHAIN_WORLD_H
#define POSTERN_TESTS_UNIT_CLIENT_CHAIN_WORLD_H

#include "tests/unit/client/body_stub.h"
#include "tests/unit/client/scripted_filters.h"

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

/* Commands that have a reply, and the question they belong to. */
static const struct {
	char command;
	enum milter_stage stage;
} places[] = {
	{ 'O', MILTER_CONNECT },
	{ 'C', MILTER_CONNECT },
	{ 'H', MILTER_HELO },
	{ 'M', MILTER_MAIL },
	{ 'R', MILTER_RCPT },
	{ 'T', MILTER_DATA },
	{ 'L', MILTER_CONTENT },
	{ 'N', MILTER_CONTENT },
	{ 'B', MILTER_CONTENT },
	{ 'E', MILTER_CONTENT },
};

enum { PLACES = sizeof(places) / sizeof(places[0]) };

#endif
