/* queue_crash: one life of the queue, with its peers in the same loop. */
#include "tests/crash/queue_crash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "edges/edges.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "queue/from_control.h"
#include "queue/from_delivery.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"
#include "queue/report.h"

enum {
	TURNS_MAX = 100000, /* of a life whose disk fails */
	WATCHDOG_S = 60     /* for a life that does not end */
};

struct child *
child(void)
{
	static struct child one;

	return &one;
}

void
broken(const char *why)
{
	fprintf(stderr, "queue_crash: %s\n", why);
	_exit(CODE_BROKEN);
}

void
tell_parent(char what, uint32_t mail, uint32_t rcpt)
{
	struct event e = { .mail = mail, .rcpt = rcpt, .what = what };

	if (write(child()->out, &e, sizeof(e)) != sizeof(e))
		broken("no parent");
}

/* --- the administrator --- */

/* Of an earlier life: what it removed and nobody had back. */
static void
on_operation(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_operation *m = msg;

	(void)ctx, (void)ch, (void)id;
	if (str_eq(m->change, STR("remove")) && m->until_ms != 0)
		child()->undo = m->operation;
}

static const struct handler control_handlers[] = {
	{ TYPE_row_operation, on_operation },
	{ 0, NULL },
};

static void
on_released(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx, (void)fault, (void)type, (void)msg;
	child()->releasing = false;
}

/* What filters were to see later, because a changed mail could not be kept. */
static void
flush_unfiltered(void)
{
	struct tell_term term = { .kind = TERM_REPLY,
		.text = STR("451 4.7.1") };
	struct ask_change m = { .change = CHANGE_FLUSH, .reason = STR("test") };

	child()->releasing = true;
	channel_tell(child()->control, TYPE_tell_term, &term, 0);
	channel_ask(child()->control, TYPE_ask_change, &m, on_released, NULL);
}

static void
look_for_removed(void)
{
	struct ask_operations m = { 0 };

	child()->releasing = child()->looked = true;
	channel_ask(
	    child()->control, TYPE_ask_operations, &m, on_released, NULL);
}

static void
undo(void)
{
	struct ask_undo m = { .operation = child()->undo,
		.reason = STR("test") };

	child()->undo = 0;
	child()->releasing = true;
	channel_ask(child()->control, TYPE_ask_undo, &m, on_released, NULL);
}

static void
on_removed(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	if (fault == NULL && type == TYPE_answer_done)
		child()->undo = ((const struct answer_done *)msg)->operation;
	on_released(ctx, fault, type, msg);
}

static void
remove_quarantined(void)
{
	struct tell_term term = { .kind = TERM_STATE,
		.text = STR("quarantined") };
	struct ask_change m = { .change = CHANGE_REMOVE,
		.reason = STR("test") };

	child()->releasing = child()->removed = true;
	channel_tell(child()->control, TYPE_tell_term, &term, 0);
	channel_ask(child()->control, TYPE_ask_change, &m, on_removed, NULL);
}

/* One after the other: what was removed comes back, or is removed (and comes
 * back), and is released then. */
static void
release_all(void)
{
	struct ask_change m = { .change = CHANGE_UNQUARANTINE,
		.reason = STR("test") };

	if (child()->releasing)
		return;
	if (!child()->first && !child()->looked) {
		look_for_removed();
		return;
	}
	if (child()->undo != 0) {
		undo();
		return;
	}
	if (child()->q->index.nstate[STATE_QUARANTINED] == 0)
		return;
	if (child()->first && !child()->removed) {
		remove_quarantined();
		return;
	}
	child()->releasing = child()->released = true;
	channel_ask(child()->control, TYPE_ask_change, &m, on_released, NULL);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx, (void)ch;
	broken("a channel was closed");
}

static const uint32_t numbers[MAILS] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const uint32_t *mail = ctx;

	(void)msg;
	child()->answers++;
	if (fault == NULL && type == TYPE_answer_commit)
		tell_parent('A', *mail, 0);
}

static void
hand_in(uint32_t mail)
{
	static const char content[] = "Received: x\r\n\r\nbody\r\n";
	char msgid[ID_LEN + 1];
	struct ask_commit m = {
		.from = STR("anna@here.example"),
		.received_ms = clock_wall_ms(),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.nrcpt = RCPTS,
		.header_size = 15,
		.inline_size = sizeof(content) - 1,
		.filter = STR("scan"),
		.reason = STR("it smells"),
		.context = STR("context"),
		.envid = STR(ENVID),
	};
	struct tell_content c = { .bytes = { content, sizeof(content) - 1 } };
	uint64_t id;

	snprintf(msgid, sizeof(msgid), "%0*" PRIu32, ID_LEN, mail);
	m.msgid = str_of(msgid);
	id = channel_ask(child()->smtpd, TYPE_ask_commit, &m, on_answer,
	    (void *)(uintptr_t)&numbers[mail]);
	for (uint32_t i = 0; i < RCPTS; i++) {
		struct tell_rcpt r = { .to = str_of(rcpts[i].to),
			.action = STR("out"),
			.start = (uint8_t)starts[mail % STARTS],
			.notify = (uint8_t)rcpts[i].notify,
			.orcpt = str_of(rcpts[i].orcpt) };

		channel_tell(child()->smtpd, TYPE_tell_rcpt, &r, id);
	}
	channel_tell(child()->smtpd, TYPE_tell_content, &c, id);
}

static void
on_turn(void *ctx)
{
	loop_stop(ctx);
}

/* One round of the loop, with what is due. */
static void
turn(struct timer *t)
{
	timer_set(t, 0);
	loop_run(child()->loop);
}

/* Is nothing under way, and nothing left to tell? */
static bool
is_quiet(struct queue *q)
{
	return q->nworks == 0 && q->nintakes == 0 &&
	       q->index.nstate[STATE_ACTIVE] == 0 &&
	       q->index.nstate[STATE_QUARANTINED] == 0 &&
	       q->refilter.njobs == 0 && !child()->releasing &&
	       child()->undo == 0 && (child()->first || child()->looked) &&
	       q->reports.count == 0 && q->changes.first == NULL &&
	       !store_is_dirty(q->store) &&
	       index_from_seq(&q->index, q->reports.warn_seq) == NULL &&
	       !timer_is_set(q->pace.later) && !q->pace.now.queued;
}

static struct config *
make_config(void)
{
	struct config *c = config_new();

	c->queue.segment_size = 1 << 20;
	c->queue.disk_reserve = 0;
	c->queue.retry_s[0] = 3600;
	c->queue.nretry = 1;
	c->queue.warn = 1;
	c->actions = xcalloc(1, sizeof(struct action));
	c->nactions = 1;
	c->actions[0] = (struct action){ .name = xstrdup("out"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtp://127.0.0.1:2") };
	return c;
}

static struct channel *
connect_to(
    const struct edge *edge, enum edge_end end, const struct handler *handlers)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) == -1)
		broken("no sockets");
	if (handlers == smtpd_handlers())
		from_smtpd_add(child()->q, 0, s[0]);
	else if (handlers == control_handlers)
		from_control_add(child()->q, 0, s[0]);
	else
		from_delivery_add(child()->q, ROLE_DELIVERY, 0, s[0]);
	return channel_new(
	    child()->loop, s[1], edge, end, handlers, on_closed, NULL);
}

/* One life of the queue. */
int
live(const char *dir, int out, bool first, bool bounded)
{
	struct tell_capacity capacity = { .mails = 4 };
	struct fault why;
	struct timer *t;

	alarm(WATCHDOG_S);
	child()->out = out;
	child()->loop = loop_new();
	child()->q = queue_new(child()->loop);
	child()->q->spool = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	queue_set_config(child()->q, make_config());
	child()->first = first;
	child()->smtpd =
	    connect_to(&smtpd_queue_edge, EDGE_A, smtpd_handlers());
	child()->control =
	    connect_to(&control_all_edge, EDGE_A, control_handlers);
	if (queue_start(child()->q, &why) == -1)
		return CODE_NO_START;
	child()->agent =
	    connect_to(&queue_delivery_edge, EDGE_B, agent_handlers());
	channel_tell(child()->agent, TYPE_tell_capacity, &capacity, 0);
	t = timer_new(child()->loop, on_turn, child()->loop);
	for (uint32_t i = 0; first && i < MAILS; i++) {
		hand_in(i);
		for (int k = 0; k < 20; k++)
			turn(t);
	}
	if (!first)
		flush_unfiltered();
	for (int i = 0; !bounded || i < TURNS_MAX; i++) {
		if ((!first || child()->answers == MAILS) &&
		    is_quiet(child()->q))
			break;
		turn(t);
		if (!first || child()->answers == MAILS)
			release_all();
	}
	return 0;
}
