/*
 * queue: keeps accepted mail until it is delivered.
 *
 * Runs as its own user, chrooted to the spool; no network.
 * Trusts: nobody.  Trusted by: smtpd (answer_commit means "on disk").
 * Edges: smtpd_queue, queue_delivery, control_all, all_parent.
 * If it dies: smtpd answers 451 until it is back; nothing that was committed
 * is lost, what was under way may be delivered a second time.
 * Read next: from_smtpd.c, store.h, schedule.h, work.c, fate.c.
 */
#include <unistd.h>

#include "edges/edges.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "queue/from_control.h"
#include "queue/from_delivery.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"

static struct queue *queue;

static void
prepare(struct loop *l)
{
	queue = queue_new(l);
}

static void
on_dir(uint32_t action, int dir)
{
	if (action != UINT32_MAX || queue->spool != -1) {
		close(dir);
		return;
	}
	queue->spool = dir;
}

static int
start_threads(void *unused)
{
	(void)unused;
	return store_start_thread(queue->store);
}

static void
on_config(struct config *c)
{
	queue_set_config(queue, c);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	switch (peer) {
	case ROLE_SMTPD:
		return from_smtpd_add(queue, instance, socket);
	case ROLE_DELIVERY:
	case ROLE_MAILDIR:
	case ROLE_MDA:
		return from_delivery_add(queue, peer, instance, socket);
	case ROLE_CONTROL:
		return from_control_add(queue, instance, socket);
	default:
		return NULL;
	}
}

static int
on_go(struct fault *why)
{
	return queue_start(queue, why);
}

static void
on_stop(uint32_t grace_ms)
{
	queue_stop(queue, grace_ms);
}

static const struct child_ops ops = {
	.role = ROLE_QUEUE,
	.promises = PROMISE_FILES,
	.prepare = prepare,
	.on_dir = on_dir,
	.start_threads = start_threads,
	.on_config = on_config,
	.on_peer = on_peer,
	.on_go = on_go,
	.on_stop = on_stop,
};

int
main(int argc, char **argv)
{
	child_main(argc, argv, &ops);
}
