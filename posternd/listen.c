#include "posternd/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "posternd/complain.h"

enum {
	BACKLOG = 1024, /* the system cuts it to its own */
	MODE_SUBMIT = 0666,
	MODE_CONTROL = 0660,
	/* A view group is a second group, and a file has but one: control
	 * itself looks at who calls. */
	MODE_CONTROL_VIEW = 0666
};

static const int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

/* --- networks --- */

static int
set_on(int fd, int level, int option)
{
	int on = 1;
	return setsockopt(fd, level, option, &on, sizeof(on));
}

/* One socket on the address; -1 with errno. */
static int
bind_one(const struct listener *l, bool reuse_port)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&l->addr, l->port, &ss);
	int fd = socket(ss.ss_family, flags, 0);
	if (fd == -1)
		return -1;
	if (set_on(fd, SOL_SOCKET, SO_REUSEADDR) == 0 &&
	    (!reuse_port || set_on(fd, SOL_SOCKET, SO_REUSEPORT) == 0) &&
	    (ss.ss_family != AF_INET6 ||
		set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0) &&
	    bind(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Another gateway of the same user would share the port with us in silence:
 * the first socket is bound without SO_REUSEPORT, to see that nobody is
 * there, and given up again. */
static int
check_free(const struct listener *l)
{
	int fd = bind_one(l, false);
	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

static void
complain_listener(const struct listener *l)
{
	char text[ADDR_TEXT_MAX];
	complain_errno("listen on %s port %u (line %u)",
	    addr_format(&l->addr, text), l->port, l->line);
}

static void
open_network(struct listen_socket *s, const struct listener *l, size_t nworkers)
{
	if (check_free(l) == -1) {
		complain_listener(l);
		return;
	}
	s->fds = xcalloc(nworkers, sizeof(int));
	for (; s->nfds < nworkers; s->nfds++) {
		int fd = bind_one(l, true);
		if (fd == -1 || listen(fd, BACKLOG) == -1) {
			complain_listener(l);
			return;
		}
		s->fds[s->nfds] = fd;
	}
}

/* --- Unix --- */

/* The directory of the socket, when it alone is missing. */
static void
make_parent(const char *path)
{
	char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0755) == 0)
			(void)chmod(dir, 0755); /* against the umask */
	}
	free(dir);
}

/* Takes a socket away that nobody listens on any more. 0, or -1 after a
 * complaint. */
static int
remove_stale(const struct sockaddr_un *un)
{
	struct stat st;
	if (lstat(un->sun_path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		complain_errno("%s", un->sun_path);
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		complain("%s is there and is not a socket", un->sun_path);
		return -1;
	}
	int fd = socket(AF_UNIX, flags, 0);
	int rc = fd == -1 ?
		     -1 :
		     connect(fd, (const struct sockaddr *)un, sizeof(*un));
	int error = errno;
	if (fd != -1)
		close(fd);
	if (rc == 0 || error != ECONNREFUSED) {
		complain("%s: another process listens there", un->sun_path);
		return -1;
	}
	if (unlink(un->sun_path) == -1) {
		complain_errno("%s", un->sun_path);
		return -1;
	}
	return 0;
}

/* From its first moment the socket has no more than its mode; the umask
 * leaves it to us alone until then. */
static void
open_unix(struct listen_socket *s, const char *path, mode_t mode, gid_t gid)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(un.sun_path)) {
		complain("%s: the path is too long for a socket", path);
		return;
	}
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	make_parent(path);
	if (remove_stale(&un) == -1)
		return;
	int fd = socket(AF_UNIX, flags, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		complain_errno("%s", path);
		if (fd != -1)
			close(fd);
		return;
	}
	s->fds = xcalloc(1, sizeof(int));
	s->fds[s->nfds++] = fd;
	s->path = xstrdup(path);
	if ((gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) == -1) ||
	    chmod(path, mode) == -1 || listen(fd, BACKLOG) == -1)
		complain_errno("%s", path);
}

void
listen_open(struct gateway *gw)
{
	const struct config *c = gw->conf;
	gw->nlistens = c->nlisteners;
	gw->listens = xcalloc(c->nlisteners, sizeof(*gw->listens));
	for (size_t i = 0; i < c->nlisteners; i++) {
		const struct listener *l = &c->listeners[i];
		if (l->addr.family == ADDR_LOCAL)
			open_unix(
			    &gw->listens[i], l->path, MODE_SUBMIT, (gid_t)-1);
		else
			open_network(&gw->listens[i], l, c->smtpd_workers);
	}
	open_unix(&gw->control, c->control_path,
	    gw->view_gid == UINT32_MAX ? MODE_CONTROL : MODE_CONTROL_VIEW,
	    gw->control_gid);
}

void
listen_remove(const struct gateway *gw)
{
	for (size_t i = 0; i < gw->nlistens; i++)
		if (gw->listens[i].path != NULL)
			unlink(gw->listens[i].path);
	if (gw->control.path != NULL)
		unlink(gw->control.path);
}
