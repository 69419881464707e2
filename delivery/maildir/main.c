/*
 * maildir: writes mail into Maildirs.
 *
 * Runs as the user of its actions; no network, no file but below the base
 * directories that the parent opened for it. One mail at a time; may block.
 * Trusts: the queue.  Trusted by: the queue (delivered means synced in new).
 * Faces: addresses in path names; never the mail's content.
 * Edges: queue_delivery, control_all, all_parent.
 * If it dies: the queue gives what it had to the next one; a mail that was
 * in new already but not told comes twice.
 * Read next: ../agents/from_queue.c, deliver.c, mdpath.c, maildir.c.
 */
#include "delivery/agents/from_queue.h"
#include "delivery/maildir/boxes.h"
#include "delivery/maildir/deliver.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "lib/proc/tell_stats.h"

enum { CAPACITY = 16 }; /* one is worked on, the others wait in the channel */

static void
prepare(struct loop *l)
{
	static const struct from_queue_ops ops = {
		.capacity = CAPACITY,
		.on_work = deliver,
	};

	(void)l;
	from_queue_init(&ops);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	(void)instance;
	if (peer == ROLE_QUEUE)
		return from_queue_open(child_loop(), socket);
	if (peer == ROLE_CONTROL)
		return tell_stats_serve(
		    child_loop(), socket, "delivery", local_work_counters);
	return NULL;
}

static int
on_go(struct fault *why)
{
	(void)why;
	from_queue_go();
	return 0;
}

static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	from_queue_stop();
	boxes_clear();
	from_queue_leave();
	child_exit();
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_MAILDIR,
		.promises = PROMISE_FILES,
		.prepare = prepare,
		.on_dir = boxes_add,
		.on_config = boxes_set_config,
		.on_peer = on_peer,
		.on_go = on_go,
		.on_stop = on_stop,
	};

	child_main(argc, argv, &ops);
}
