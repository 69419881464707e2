/*
 * mda: starts commands that deliver mail, such as dovecot-lda or procmail.
 *
 * Runs as the user of its actions, and so do they. No jail beyond that: a
 * filter of system calls, no_new_privs or another root would be the command's
 * too, which may do what that user may. They get no descriptor of ours but the
 * pipes with the mail and with what they write, nothing of our environment,
 * and an end when their time is over.
 * Trusts: the queue.  Trusted by: the queue (delivered means: exit status 0).
 * Faces: addresses in arguments; what the commands write.
 * Edges: queue_delivery, control_all, all_parent.
 * If it dies: its commands die (but not what they have started, to which their
 * mail seems to end), and the queue gives what it had to the next one; mail
 * that a command has kept already comes twice.
 * Read next: ../agents/from_queue.c, jobs.c, run.c, expand.c, exit_status.c.
 */
#include "delivery/agents/from_queue.h"
#include "delivery/mda/jobs.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "lib/proc/tell_stats.h"

static void
prepare(struct loop *l)
{
	static const struct from_queue_ops ops = {
		.capacity = JOBS_CAPACITY,
		.on_work = jobs_add,
		.on_lost = jobs_lose,
	};

	from_queue_init(&ops);
	jobs_init(l);
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
leave(void)
{
	from_queue_leave();
	child_exit();
}

static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	from_queue_stop();
	jobs_stop(leave);
}

static void
on_grace_over(void)
{
	jobs_kill();
	from_queue_leave();
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_MDA,
		.promises = PROMISE_RUN,
		.prepare = prepare,
		.on_config = jobs_set_config,
		.on_peer = on_peer,
		.on_go = on_go,
		.on_stop = on_stop,
		.on_grace_over = on_grace_over,
	};

	child_main(argc, argv, &ops);
}
