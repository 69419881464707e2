#include "delivery/agents/from_queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "edges/edges.h"
#include "lib/base/log.h"

static const struct from_queue_ops *ops;
static struct channel *queue;
static struct local_work *coming; /* one mail's messages come in a row */
static bool going, stopping;

void
from_queue_close(void)
{
	bool had = queue != NULL;

	local_work_free(&coming);
	channel_free(&queue);
	if (had && ops->on_lost != NULL)
		ops->on_lost();
}

static void
breach(const char *what)
{
	log_warn(NULL, "channel", "peer=%s why=%s", log_cstr("queue"),
	    log_cstr(what));
	from_queue_close();
}

static void
came(void)
{
	struct local_work *w = coming;

	if (!local_work_is_complete(w))
		return;
	coming = NULL;
	ops->on_work(w, queue);
}

static void
on_work(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	if (stopping)
		return;
	if (coming == NULL)
		coming = local_work_new(msg, id);
	if (coming == NULL || coming->id != id || coming->nrcpts > 0)
		breach("malformed work");
}

/* Does the part belong to what is coming? What comes while stopping belongs
 * to nothing, and that is no breach. */
static bool
is_part(uint64_t id)
{
	if (stopping)
		return false;
	if (coming != NULL && coming->id == id)
		return true;
	breach("a part of no work");
	return false;
}

static void
on_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	if (!is_part(id))
		return;
	if (local_work_add_rcpt(coming, msg) == -1)
		breach("more recipients than announced");
	else
		came();
}

static void
on_file(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_file *m = msg;

	(void)ctx;
	(void)ch;
	if (!is_part(id)) {
		(void)close(m->file);
		return;
	}
	if (local_work_add_file(coming, m->file) == -1) {
		(void)close(m->file);
		breach("a file that was not announced");
		return;
	}
	came();
}

static void
on_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_content *m = msg;

	(void)ctx;
	(void)ch;
	if (!is_part(id))
		return;
	if (local_work_add_content(coming, m->bytes) == -1)
		breach("more content than announced");
	else
		came();
}

static const struct handler handlers[] = {
	{ TYPE_tell_work, on_work },
	{ TYPE_tell_work_rcpt, on_rcpt },
	{ TYPE_tell_work_file, on_file },
	{ TYPE_tell_work_content, on_content },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == queue)
		from_queue_close();
}

static void
tell_capacity(void)
{
	struct tell_capacity m = { .mails = stopping ? 0 : ops->capacity };

	if (going && queue != NULL)
		(void)channel_tell(queue, TYPE_tell_capacity, &m, 0);
}

void
from_queue_init(const struct from_queue_ops *o)
{
	ops = o;
}

struct channel *
from_queue_open(struct loop *l, int socket)
{
	if (queue != NULL)
		from_queue_close();
	queue = channel_new(
	    l, socket, &queue_delivery_edge, EDGE_B, handlers, on_closed, NULL);
	tell_capacity();
	return queue;
}

void
from_queue_go(void)
{
	going = true;
	tell_capacity();
}

void
from_queue_stop(void)
{
	stopping = true;
	local_work_free(&coming);
	tell_capacity();
}

void
from_queue_leave(void)
{
	struct tell_leaving m = { 0 };

	if (queue != NULL)
		(void)channel_tell(queue, TYPE_tell_leaving, &m, 0);
}
