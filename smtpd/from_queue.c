/* What the queue tells us, and the end of its channel. */
#include "smtpd/from_queue.h"

#include "edges/smtpd_queue.h"
#include "smtpd/blocks.h"
#include "smtpd/command.h"
#include "smtpd/scan_queue.h"
#include "smtpd/session.h"
#include "smtpd/sessions.h"

static struct channel *channel;
static struct loop *loop;
static uint64_t generation;
/* Of the first channel from which on each was handed over to the next. */
static uint64_t unbroken;
/* The one before, while answers are still to come from it. */
static struct channel *former;

static enum { HAND_NOT, HAND_EXPECTED, HAND_DONE } handing;

static void (*handed_over)(void);
static enum queue_space space;
static struct commands waiting = TAILQ_HEAD_INITIALIZER(waiting);

static void
on_drained(void *ctx)
{
	(void)ctx;
	command_wake(&waiting);
}

static void on_quiet(void *ctx);

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == former)
		on_quiet(NULL);
	if (ch != channel)
		return;
	channel_free(&channel);
	scan_queue_lost();
	command_wake(&waiting);
}

static void
on_space(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_space *m = msg;

	(void)ctx;
	(void)id;
	if (ch == channel)
		space = (enum queue_space)m->state;
}

static void
on_blocks(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_blocks *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	blocks_begin(m->count);
}

static void
on_block(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)id;
	blocks_add(msg);
}

/* Until it is said nothing changes: a new queue does not open what the former
 * one had closed. */
static void
on_paused(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_paused *m = msg;

	(void)ctx;
	(void)id;
	if (ch == channel)
		sessions_pause(m->paused != 0);
}

static const struct handler handlers[] = {
	{ TYPE_tell_paused, on_paused },
	{ TYPE_tell_space, on_space },
	{ TYPE_tell_blocks, on_blocks },
	{ TYPE_tell_block, on_block },
	{ TYPE_ask_filter, scan_queue_on_filter },
	{ TYPE_tell_rcpt, scan_queue_on_rcpt },
	{ TYPE_tell_body, scan_queue_on_body },
	{ TYPE_tell_content, scan_queue_on_content },
	{ 0, NULL },
};

/* --- one queue hands over to the next --- */

/* What the former one was asked is answered, or never will be. */
static void
on_quiet(void *ctx)
{
	(void)ctx;
	channel_free(&former);
	handing = HAND_NOT;
	if (handed_over != NULL)
		handed_over();
}

void
from_queue_hand_over(void (*fn)(void))
{
	handed_over = fn;
	handing = HAND_EXPECTED;
}

uint64_t
from_queue_unbroken(void)
{
	return unbroken;
}

/* The channel of before is in its last hour, or dead. */
static void
give_up_former(void)
{
	bool gone = channel == NULL;

	if (handing != HAND_EXPECTED) {
		from_queue_stop();
		unbroken = generation + 1;
		return;
	}
	channel_free(&former);
	former = channel;
	channel = NULL;
	handing = HAND_DONE;
	if (gone)
		unbroken = generation + 1;
	command_wake(&waiting);
}

/* --- the channel --- */

struct channel *
from_queue_start(struct loop *l, int fd)
{
	give_up_former();
	loop = l;
	generation++;
	space = SPACE_OK;
	scan_queue_init(l);
	channel = channel_new(
	    l, fd, &smtpd_queue_edge, EDGE_A, handlers, on_closed, NULL);
	channel_on_drained(channel, on_drained, NULL);
	if (handing == HAND_DONE && former == NULL)
		on_quiet(NULL);
	else if (handing == HAND_DONE)
		channel_on_quiet(former, on_quiet, NULL);
	return channel;
}

void
from_queue_stop(void)
{
	channel_free(&channel);
	generation++;
	scan_queue_lost();
	command_wake(&waiting);
}

struct channel *
from_queue_channel(void)
{
	return channel != NULL && channel_is_open(channel) ? channel : NULL;
}

uint64_t
from_queue_generation(void)
{
	return generation;
}

static const char *
refusal(const char **why)
{
	if (from_queue_channel() == NULL) {
		*why = "no-queue";
		return "451 4.3.0 Mail cannot be stored now, try again later";
	}
	switch (space) {
	case SPACE_OK:
		break;
	case SPACE_SHORT:
		*why = "space";
		return "452 4.3.1 Out of space, try again later";
	case SPACE_SUSPECT:
		*why = "storage";
		return "451 4.3.0 Mail cannot be stored now, try again later";
	}
	return NULL;
}

enum stage
from_queue_check(struct command *c)
{
	const char *why, *reply = refusal(&why);

	if (reply != NULL)
		return command_refuse(c, why, reply);
	if (!channel_is_full(channel))
		return STAGE_GO;
	command_wait(c, &waiting, SESSION_BUSY);
	return STAGE_WAITING;
}
