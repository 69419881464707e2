/*
 * web: the HTTP endpoint, for who watches over the gateway: /metrics, /health
 * and /ready.
 *
 * Runs as its own user, chrooted to an empty directory; no files, no
 * connections of its own. It holds the socket of `http' and a channel to
 * control, by which it may look at states and numbers, at no mail, and may
 * change nothing.
 * Trusts: control, about its rows. Trusted by: nobody.
 * Faces: whoever reaches the address, through libevent's evhttp.
 * Edges: control_all (as one who asks), all_parent.
 * If it dies: mail goes on; nobody reads metrics until it is back.
 * Read next: server.c, guests.c, from_control.c, metric_names.c.
 */
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "web/from_control.h"
#include "web/server.h"

static void
prepare(struct loop *l)
{
	look_init(l);
	server_init(l);
}

static void
on_listen(uint32_t id, int fd)
{
	if (id != 0) {
		log_warn(NULL, "listener-unknown", "id=%u", id);
		close(fd);
		return;
	}
	server_set(fd);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int fd)
{
	(void)peer;
	(void)instance;
	return from_control_add(fd);
}

static int
on_go(struct fault *why)
{
	if (server_start() == -1)
		return fault_set(why, FAULT_OURS, "no socket of `http'");
	return 0;
}

static void
on_end(void)
{
	child_exit();
}

/* Who asked gets his answer. */
static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	server_end(on_end);
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_WEB,
		.promises = PROMISE_SERVE | PROMISE_WATCHDOG,
		.prepare = prepare,
		.on_listen = on_listen,
		.on_peer = on_peer,
		.on_go = on_go,
		.on_stop = on_stop,
	};

	child_main(argc, argv, &ops);
}
