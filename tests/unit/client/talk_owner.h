/*
 * Who asks a filter (filter_peer.h) in the tests of the conversation: facts,
 * a mail, what was answered.
 */
#ifndef POSTERN_TESTS_TALK_OWNER_H
#define POSTERN_TESTS_TALK_OWNER_H

#include "tests/unit/client/filter_peer.h"

static struct milter milter;
static struct milter_facts facts;
static struct headers headers;
static struct milter_mail mail;
static struct edits *edits;
static struct talk_answer got;
static char reply[1024], fault[300];
static unsigned int nanswers, nlost;
static enum milter_room body_room;
static char new_body[4096];
static size_t new_len;
static struct timer *guard;
static bool free_in_answer, body_waits;

static const char header[] =
    "Received: ours\r\nSubject: probe\r\nX-Tab:\tv\r\n folded\r\nX-Empty:\r\n"
    "\r\n";

/* --- the owner --- */

static inline void
keep(const struct talk_answer *a)
{
	got = *a;
	snprintf(reply, sizeof(reply), "%s", a->reply == NULL ? "" : a->reply);
	snprintf(fault, sizeof(fault), "%s", a->fault == NULL ? "" : a->fault);
}

static inline void
on_answer(void *ctx, const struct talk_answer *a)
{
	(void)ctx;
	nanswers++;
	ck_assert(!body_waits);
	keep(a);
	if (free_in_answer)
		talk_free(&talk);
	loop_stop(loop);
}

static inline void
on_lost(void *ctx, const struct talk_answer *a)
{
	(void)ctx;
	nlost++;
	snprintf(fault, sizeof(fault), "%s", a->fault);
	loop_stop(loop);
}

static const struct talk_ops ops = { on_answer, on_lost };

static void *
body_new(void *ctx, uint64_t max)
{
	(void)max;
	new_len = 0;
	return ctx;
}

static inline void
body_is_ready(void *ctx)
{
	(void)ctx;
	body_waits = false;
	talk_body_ready(talk, true);
}

static enum milter_room
body_add(void *body, struct str bytes)
{
	static struct deferred d;

	(void)body;
	ck_assert_uint_le(new_len + bytes.len, sizeof(new_body));
	memcpy(new_body + new_len, bytes.p, bytes.len);
	new_len += bytes.len;
	if (body_room == MILTER_WAIT) {
		body_waits = true;
		deferred_init(&d, body_is_ready, NULL);
		loop_after(loop, &d);
	}
	return body_room;
}

static inline void
body_free(void *body)
{
	(void)body;
}

static const struct milter_ops body_ops = {
	.body_new = body_new, .body_add = body_add, .body_free = body_free
};

static inline void
on_guard(void *ctx)
{
	(void)ctx;
	ck_abort_msg("nothing happens any more");
}

static inline void
stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

/* Until all is still: for what nobody answers. */
static inline void
settle(void)
{
	static struct timer *t;

	for (int i = 0; i < 8; i++) {
		t = timer_new(loop, stop, NULL);
		timer_set(t, 0);
		loop_run(loop);
		timer_free(&t);
	}
}

static inline void
facts_init(void)
{
	memset(&facts, 0, sizeof(facts));
	addr_parse(STR("192.0.2.1"), &facts.client);
	facts.hostname = STR("mx.test");
	facts.port = 4321;
	facts.client_name = STR("a.test");
	facts.helo = STR("helo.test");
	facts.msgid = STR("id1");
	facts.mail = STR("<a@b.test>");
	facts.mail_addr = STR("a@b.test");
	facts.mail_args = STR("SIZE=100 BODY=8BITMIME");
	facts.rcpt = STR("<c@d.test>");
	facts.rcpt_addr = STR("c@d.test");
	facts.line = STR("XYZZY now");
}

static inline void
mail_init(void)
{
	headers_init(&headers, (struct str){ header, sizeof(header) - 1 },
	    strlen("Received: ours\r\n"));
	mail = (struct milter_mail){ .header = { header, sizeof(header) - 1 },
		.ours = strlen("Received: ours\r\n"),
		.body = STR("hello\r\n"),
		.fd = -1,
		.body_size = 7,
		.max_size = 1 << 20 };
	edits = edits_new(&headers, &mail, 1, &body_ops, new_body);
}

static inline void
begin(void)
{
	talk = talk_new(loop, peer_new(), &milter, &facts, &ops, NULL);
	nanswers = nlost = 0;
	fault[0] = '\0';
}

static inline void
end(void)
{
	talk_free(&talk);
	peer_free();
	loop_settle(loop);
}

static inline void
setup(void)
{
	loop = loop_new();
	guard = timer_new(loop, on_guard, NULL);
	timer_set(guard, 60000);
	milter = (struct milter){ .connect_timeout = 30000,
		.command_timeout = 30000,
		.content_timeout = 30000,
		.total_timeout = 60000 };
	facts_init();
	mail_init();
	body_room = MILTER_ROOM;
	free_in_answer = false;
	begin();
}

static inline void
teardown(void)
{
	end();
	edits_free(&edits);
	headers_clear(&headers);
	timer_free(&guard);
	loop_settle(loop);
	loop_free(&loop);
}

/* --- asking --- */

static inline enum milter_verdict
wait_answer(bool there, const struct talk_answer *a)
{
	if (there) {
		keep(a);
		return got.verdict;
	}
	unsigned int before = nanswers;
	while (nanswers == before)
		loop_run(loop);
	ck_assert_uint_eq(nanswers, before + 1);
	return got.verdict;
}

static inline enum milter_verdict
ask(enum milter_stage stage)
{
	struct talk_answer a;
	bool there;

	got.fault = NULL;
	there = stage == MILTER_CONTENT ?
		    talk_content(talk, &headers, &mail, edits, &a) :
		    talk_ask(talk, stage, &a);
	return wait_answer(there, &a);
}

static inline bool
ask_at_once(enum milter_stage stage)
{
	struct talk_answer a;

	bool there = talk_ask(talk, stage, &a);
	if (there)
		keep(&a);
	return there;
}

/* Stages up to that one go on. */
static inline void
upto(enum milter_stage last)
{
	static const enum milter_stage stages[] = { MILTER_CONNECT, MILTER_HELO,
		MILTER_MAIL, MILTER_RCPT, MILTER_DATA };

	for (size_t i = 0; i < 5 && stages[i] <= last; i++)
		ck_assert_int_eq(ask(stages[i]), MILTER_CONTINUE);
	ck_assert_str_eq(fault, "");
	settle();
	heard();
}

static inline void
expect_fault(const char *text)
{
	ck_assert_msg(strstr(fault, text) != NULL, "fault is '%s', not '%s'",
	    fault, text);
	ck_assert(talk_is_dead(talk));
}

/* A whole conversation; true when it went to its end. */
static inline bool
converse(void)
{
	for (int s = MILTER_CONNECT; s <= MILTER_DATA; s++) {
		ask((enum milter_stage)s);
		if (got.fault != NULL)
			return false;
	}
	ask(MILTER_CONTENT);
	return got.fault == NULL;
}

static inline void
with_edits(void)
{
	says_one('E', 'h', BYTES("X-A\0one\0"));
	says_also('E', 'b', BYTES("new body\r\n"));
	says_also('E', 'c', "", 0);
}

/* It replies to nothing but the end of the message. */
static inline void
quiet(void)
{
	offers(6, 0x1ff, 0x0ff080);
	for (const char *c = "CHMRTULNB"; *c != '\0'; c++)
		says_nothing(*c);
}

/* Another message, whatever it said: what it hears of it. */
static inline const char *
second_message(void)
{
	settle();
	heard();
	for (const char *c = "CHMRTULNBE"; *c != '\0'; c++)
		says(*c, BYTES("\0\0\0\1c"));
	for (int s = MILTER_MAIL; s <= MILTER_DATA; s++)
		ck_assert_int_eq(ask((enum milter_stage)s), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(fault, "");
	settle();
	return heard();
}

#endif
