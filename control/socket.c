/* Accepting on the control socket, within its limits. */
#include "control/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/asker.h"
#include "control/counters.h"
#include "lib/base/log.h"

/* In one round, so that a crowd does not hold the others up. */
enum { ACCEPTS_A_ROUND = 16, ACCEPT_PAUSE_MS = 1000 };

static struct {
	struct loop *loop;
	int fd;
	struct loop_fd *event;
	struct timer *pause; /* until accepting is tried again */
	struct access access;
	/* Turning away is logged once until it ends. */
	bool turned_away;
} sock = { .fd = -1,
	.access = { (uid_t)-1, ACCESS_NO_GROUP, ACCESS_NO_GROUP } };

static void
turn_away(int fd, uid_t uid, const char *why)
{
	control_counters()[CONTROL_TURNED_AWAY].value++;
	if (!sock.turned_away)
		log_warn(NULL, "control-limit", "uid=%u why=%s",
		    (unsigned int)uid, log_cstr(why));
	sock.turned_away = true;
	close(fd);
}

static void
take(int fd)
{
	struct caller who;

	if (access_caller(&sock.access, fd, &who) == -1) {
		log_warn(NULL, "control-limit", "why=%s",
		    log_cstr("the kernel does not say who called"));
		close(fd);
	} else if (asker_count() >= ASKER_MAX) {
		turn_away(fd, who.uid, "too many connections");
	} else if (asker_count_uid(who.uid) >= ASKER_PER_UID_MAX) {
		turn_away(fd, who.uid, "too many connections of this uid");
	} else {
		sock.turned_away = false;
		control_counters()[CONTROL_CONNECTIONS].value++;
		asker_new(sock.loop, fd, &who);
	}
}

static void
on_pause_over(void *ctx)
{
	(void)ctx;
	if (sock.event != NULL)
		loop_fd_want(sock.event, LOOP_READ);
}

static void
on_ready(void *ctx, int what)
{
	(void)ctx;
	(void)what;
	for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
		int fd =
		    accept4(sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			take(fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		/* Descriptors or memory are short: not a reason to spin. */
		log_warn(NULL, "accept-failed", "errno=%d", errno);
		loop_fd_want(sock.event, 0);
		timer_set(sock.pause, ACCEPT_PAUSE_MS);
		return;
	}
}

/* Who has connected to a socket that goes is not sent away. */
static void
leave_old(void)
{
	if (sock.event != NULL)
		on_ready(NULL, LOOP_READ);
	loop_fd_free(&sock.event);
	if (sock.fd != -1)
		close(sock.fd);
	sock.fd = -1;
}

static void
watch(void)
{
	sock.event = loop_fd_new(sock.loop, sock.fd, on_ready, NULL);
	loop_fd_want(sock.event, LOOP_READ);
}

void
socket_set(int fd)
{
	leave_old();
	sock.fd = fd;
	if (sock.loop != NULL)
		watch();
}

void
socket_set_access(const struct access *a)
{
	sock.access = *a;
}

void
socket_start(struct loop *l)
{
	sock.loop = l;
	sock.pause = timer_new(l, on_pause_over, NULL);
	watch();
}

void
socket_stop(void)
{
	sock.loop = NULL;
	loop_fd_free(&sock.event);
	timer_free(&sock.pause);
	if (sock.fd != -1)
		close(sock.fd);
	sock.fd = -1;
}
