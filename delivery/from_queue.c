#include "delivery/from_queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "delivery/agent.h"
#include "delivery/agent_work.h"
#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "lib/base/log.h"

static struct loop *loop;
static struct channel *queue;
static struct work_list coming = TAILQ_HEAD_INITIALIZER(coming);
static size_t ncoming;
static bool going, stopping;

static void
drop_coming(void)
{
	struct work *w;

	while ((w = TAILQ_FIRST(&coming)) != NULL) {
		TAILQ_REMOVE(&coming, w, entry);
		work_free(&w);
	}
	ncoming = 0;
}

void
from_queue_close(void)
{
	drop_coming();
	agent_drop_all();
	channel_free(&queue);
}

/* What makes no sense costs the queue its channel, and us nothing. */
static void
breach(const char *what)
{
	log_warn(NULL, "channel", "peer=%s why=%s", log_cstr("queue"),
	    log_cstr(what));
	from_queue_close();
}

static struct work *
find(uint64_t id)
{
	struct work *w;

	TAILQ_FOREACH(w, &coming, entry)
		if (w->id == id)
			return w;
	return NULL;
}

/* When all of it is here the agent takes it. */
static void
came(struct work *w)
{
	if (!work_is_complete(w))
		return;
	TAILQ_REMOVE(&coming, w, entry);
	ncoming--;
	agent_add(w);
}

static void
on_work(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct work *w;

	(void)ctx;
	if (stopping)
		return;
	if (ncoming + agent_count() >= AGENT_CAPACITY) {
		breach("more work than we have places");
		return;
	}
	w = id == 0 || find(id) != NULL ? NULL :
					  work_new(msg, id, loop_now_ms(loop));
	if (w == NULL) {
		breach("malformed work");
		return;
	}
	w->queue = ch;
	TAILQ_INSERT_TAIL(&coming, w, entry);
	ncoming++;
}

/* The work that a part belongs to. Parts of a work that came while stopping
 * have none. */
static struct work *
part_of(uint64_t id)
{
	struct work *w = find(id);

	if (w == NULL && !stopping)
		breach("a part of no work");
	return w;
}

static void
on_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct work *w = part_of(id);

	(void)ctx;
	(void)ch;
	if (w == NULL)
		return;
	if (work_add_rcpt(w, msg) == -1)
		breach("more recipients than announced");
	else
		came(w);
}

static void
on_file(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_file *m = msg;
	struct work *w = part_of(id);

	(void)ctx;
	(void)ch;
	if (w == NULL || work_add_file(w, m->file) == -1) {
		(void)close(m->file);
		if (w != NULL)
			breach("a file that was not announced");
		return;
	}
	came(w);
}

static void
on_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_content *m = msg;
	struct work *w = part_of(id);

	(void)ctx;
	(void)ch;
	if (w == NULL)
		return;
	if (work_add_content(w, m->bytes) == -1)
		breach("more content than announced");
	else
		came(w);
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
	struct tell_capacity m = { .mails = stopping ? 0 : AGENT_CAPACITY };

	if (going && queue != NULL)
		(void)channel_tell(queue, TYPE_tell_capacity, &m, 0);
}

struct channel *
from_queue_open(struct loop *l, int socket)
{
	loop = l;
	if (queue != NULL)
		from_queue_close();
	queue = channel_new(
	    l, socket, &queue_delivery_edge, EDGE_B, handlers, on_closed, NULL);
	tell_capacity();
	return queue;
}

int
from_queue_tell_tally(const struct tell_tls_tally *m)
{
	if (queue == NULL || channel_is_full(queue))
		return -1;
	return channel_tell(queue, TYPE_tell_tls_tally, m, 0);
}

void
from_queue_go(void)
{
	going = true;
	stopping = false;
	tell_capacity();
}

void
from_queue_stop(void)
{
	stopping = true;
	drop_coming();
	tell_capacity();
}

void
from_queue_leave(void)
{
	struct tell_leaving m = { 0 };

	if (queue != NULL)
		(void)channel_tell(queue, TYPE_tell_leaving, &m, 0);
}
