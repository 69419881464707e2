/*
 * A session of two messages with a filter that says anything: the input is a
 * byte of flags, then pieces (a byte of length, so many bytes), one for each
 * event that the filter hears, and one when nothing happens any more; at their
 * end it hangs up. Whatever comes: each
 * question has one answer, what is answered is clean, and all memory is given
 * back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net/stream.h"
#include "milters/client/packet.h"
#include "milters/client/talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATIENCE = 3 /* rounds */ };

enum { REFUSED = 1, PIPE = 2, SLOW = 4, UTF8 = 8, BIG = 16, ABORT = 32 };

static struct loop *loop;
static struct stream *far_end;
static struct talk *talk;
static struct edits *edits;
static struct headers headers;
static struct milter_mail mail;
static struct str input;
static uint8_t flags;
static unsigned int nquestions, nanswers, nrounds;
static struct timer *tick;
static struct deferred next, ready;
static char big[200000];

static const enum milter_stage script[] = { MILTER_CONNECT, MILTER_HELO,
	MILTER_UNKNOWN, MILTER_MAIL, MILTER_RCPT, MILTER_RCPT, MILTER_DATA,
	MILTER_CONTENT, MILTER_MAIL, MILTER_RCPT, MILTER_CONTENT };

enum { NSCRIPT = sizeof(script) / sizeof(script[0]) };

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* --- the filter --- */

static void
say_piece(void)
{
	if (far_end == NULL)
		return;
	if (input.len == 0) {
		stream_close(&far_end);
		return;
	}
	size_t n = (uint8_t)input.p[0];
	struct str piece = str_head(str_skip(input, 1), n);
	stream_write(far_end, piece.p, piece.len);
	input = str_skip(input, n + 1);
}

static size_t
on_event(void *ctx, struct str in)
{
	struct packet p;
	uint32_t length;
	size_t used = 0;

	(void)ctx;
	while (packet_decode(str_skip(in, used), &p, &length) == PACKET_WHOLE) {
		check(p.payload.len <= PACKET_SEND_MAX);
		used += packet_size(&p);
		nrounds = 0;
		if (strchr("DAQ", p.code) == NULL)
			say_piece();
	}
	return used;
}

static void
on_tick(void *ctx)
{
	(void)ctx;
	if (++nrounds > PATIENCE)
		say_piece();
	timer_set(tick, 0);
}

static void
on_far_timeout(void *ctx)
{
	(void)ctx;
}

static void
on_far_end(void *ctx, int error)
{
	(void)ctx;
	(void)error;
	stream_close(&far_end);
}

static const struct stream_ops far_ops = { on_event, NULL, on_far_timeout,
	on_far_end, NULL };

/* --- the owner --- */

static void
check_answer(const struct talk_answer *a)
{
	if (a->fault != NULL) {
		check(a->fault[0] != '\0' && talk_is_dead(talk));
		return;
	}
	check(a->verdict <= MILTER_SHUTDOWN && a->verdict != MILTER_QUARANTINE);
	if (a->reply == NULL)
		return;
	check(a->reply[0] == '4' || a->reply[0] == '5');
	for (const char *c = a->reply; *c != '\0'; c++)
		check(*c != '\n' || (c > a->reply && c[-1] == '\r'));
}

static void
on_answer(void *ctx, const struct talk_answer *a)
{
	(void)ctx;
	nanswers++;
	check(nanswers == nquestions);
	check_answer(a);
	loop_after(loop, &next);
}

static void
on_lost(void *ctx, const struct talk_answer *a)
{
	(void)ctx;
	check(a->fault[0] != '\0' && nanswers == nquestions);
	loop_after(loop, &next);
}

static const struct talk_ops ops = { on_answer, on_lost };

static void *
body_new(void *ctx, uint64_t max)
{
	(void)max;
	return ctx;
}

static void
on_ready(void *ctx)
{
	(void)ctx;
	talk_body_ready(talk, true);
}

static enum milter_room
body_add(void *body, struct str bytes)
{
	(void)body;
	(void)bytes;
	if ((flags & SLOW) == 0)
		return MILTER_ROOM;
	loop_after(loop, &ready);
	return MILTER_WAIT;
}

static void
body_free(void *body)
{
	(void)body;
}

static const struct milter_ops body_ops = {
	.body_new = body_new, .body_add = body_add, .body_free = body_free
};

static bool
ask(enum milter_stage stage, struct talk_answer *a)
{
	if (stage != MILTER_CONTENT)
		return talk_ask(talk, stage, a);
	edits_free(&edits);
	edits = edits_new(&headers, &mail, 1, &body_ops, big);
	return talk_content(talk, &headers, &mail, edits, a);
}

static void
on_next(void *ctx)
{
	struct talk_answer a = { 0 };

	(void)ctx;
	while (nquestions < NSCRIPT && !talk_is_dead(talk)) {
		enum milter_stage stage = script[nquestions++];
		if (stage == MILTER_RCPT && (flags & REFUSED) != 0)
			talk_tell_refused(talk);
		if (stage == MILTER_DATA && (flags & ABORT) != 0)
			talk_abort(talk);
		if (!ask(stage, &a))
			return;
		nanswers++;
		check_answer(&a);
	}
	loop_stop(loop);
}

static void
start(const struct milter *milter, const struct milter_facts *facts)
{
	int fds[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	far_end = stream_new(loop, fds[0], false, &far_ops, NULL);
	talk = talk_new(loop, fds[1], milter, facts, &ops, NULL);
	deferred_init(&next, on_next, NULL);
	deferred_init(&ready, on_ready, NULL);
	nquestions = nanswers = nrounds = 0;
	tick = timer_new(loop, on_tick, NULL);
	timer_set(tick, 0);
	if ((flags & PIPE) != 0)
		loop_after(loop, &next);
	else
		on_next(NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char block[] = "Received: us\r\nA: b\r\n c\r\nD:\r\n\r\n";
	static const struct milter milter = { .connect_timeout = 600000,
		.command_timeout = 600000,
		.content_timeout = 600000,
		.total_timeout = 600000 };
	struct milter_facts facts = { .client_name = STR("a.test"),
		.helo = STR("b.test"),
		.mail = STR("<a@b.test>"),
		.mail_args = STR("SIZE=1 X=Y"),
		.rcpt = STR("<c@d.test>"),
		.line = STR("XYZZY") };

	if (size == 0)
		return 0;
	flags = data[0];
	facts.smtputf8 = (flags & UTF8) != 0;
	input = (struct str){ (const char *)data + 1, size - 1 };
	headers_init(&headers, str_of(block), 14);
	mail = (struct milter_mail){ .header = str_of(block),
		.ours = 14,
		.body = { big, (flags & BIG) != 0 ? sizeof(big) : 9 },
		.fd = -1,
		.max_size = 1 << 20 };
	mail.body_size = mail.body.len;
	loop = loop_new();
	start(&milter, &facts);
	loop_run(loop);
	check(nanswers == nquestions);
	timer_free(&tick);
	talk_free(&talk);
	stream_close(&far_end);
	edits_free(&edits);
	headers_clear(&headers);
	loop_settle(loop);
	loop_free(&loop);
	return 0;
}
