/*
 * control: the administrator's door; a router of questions.
 *
 * Runs as its own user, chrooted to an empty directory; no network, no
 * files. It holds the control socket, and a channel to every process.
 * Trusts: the kernel about who called; the other processes about their rows.
 * Trusted by: everyone, that who asks for a change may have it.
 * Edges: control_all (both stretches, and to web, which may look), all_parent.
 * If it dies: mail goes on; posternctl gets no answer until it is back.
 * Read next: router.c, from_posternctl.c, from_others.c.
 */
#include <unistd.h>

#include "control/answerer.h"
#include "control/asker.h"
#include "control/router.h"
#include "control/socket.h"
#include "lib/base/log.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"

/* Questions in progress may still be answered when we are told to stop:
 * the one that says so is often among them. */
enum { LAST_WORDS_MS = 2000 };

static struct deferred leave_later;
static struct timer *last_words;
static bool have_socket;

static void
on_listen(uint32_t id, int fd)
{
	if (id != 0) {
		log_warn(NULL, "listener-unknown", "id=%u", id);
		close(fd);
		return;
	}
	socket_set(fd);
	have_socket = true;
}

static void
on_control_access(const struct tell_control_access *m)
{
	struct access a = { .owner = m->owner_uid,
		.group = m->group_gid,
		.view = m->view_gid };

	socket_set_access(&a);
}

static void
on_config(struct config *c)
{
	route_set_submit_path(c->submit_path);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int fd)
{
	if (peer == ROLE_WEB)
		return asker_new_web(child_loop(), fd);
	return answerer_add(child_loop(), peer, instance, fd);
}

static int
on_go(struct fault *why)
{
	if (!have_socket)
		return fault_set(why, FAULT_OURS, "no control socket");
	socket_start(child_loop());
	return 0;
}

static void
leave(void *ctx)
{
	(void)ctx;
	asker_drop_all();
	child_exit();
}

static void
leave_soon(void)
{
	loop_after(child_loop(), &leave_later);
}

static void
on_stop(uint32_t grace_ms)
{
	socket_stop();
	deferred_init(&leave_later, leave, NULL);
	if (route_count() == 0) {
		leave_soon();
		return;
	}
	route_on_idle(leave_soon);
	last_words = timer_new(child_loop(), leave, NULL);
	timer_set(
	    last_words, grace_ms < LAST_WORDS_MS ? grace_ms : LAST_WORDS_MS);
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_CONTROL,
		.promises = PROMISE_LISTEN | PROMISE_ACCEPT | PROMISE_WATCHDOG,
		.on_listen = on_listen,
		.on_control_access = on_control_access,
		.on_config = on_config,
		.on_peer = on_peer,
		.on_go = on_go,
		.on_stop = on_stop,
	};

	child_main(argc, argv, &ops);
}
