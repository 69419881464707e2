#include "posternd/listen.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "posternd/account.h"
#include "posternd/complain.h"
#include "posternd/inherited.h"

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

/* Do we listen on this port already, perhaps on another address? Two of one
 * user may. */
static bool
is_port_ours(
    const struct listen_socket *list, size_t n, const struct listener *l)
{
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct addr a;
		uint16_t port;
		if (list[i].nfds == 0 || list[i].path != NULL ||
		    getsockname(list[i].fds[0], (struct sockaddr *)&ss, &len) ==
			-1)
			continue;
		addr_from_sockaddr((struct sockaddr *)&ss, len, &a, &port);
		if (port == l->port)
			return true;
	}
	return false;
}

/* Another gateway of the same user would share the port with us in silence:
 * the first socket is bound without SO_REUSEPORT, to see that nobody is
 * there, and given up again. */
static int
check_free(const struct gateway *gw, enum inherited_kind kind,
    const struct listener *l)
{
	bool ours = kind == INHERITED_HTTP ?
			is_port_ours(&gw->http, 1, l) :
			is_port_ours(gw->listens, gw->nlistens, l);
	/* Leaving: of a reload that is not over. */
	if (ours || is_port_ours(gw->leaving, gw->nleaving, l))
		return 0;
	int fd = bind_one(l, false);
	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

static void
complain_listener(enum inherited_kind kind, const struct listener *l)
{
	char text[ADDR_TEXT_MAX];
	if (kind == INHERITED_HTTP)
		complain_errno(
		    "http %s port %u", addr_format(&l->addr, text), l->port);
	else
		complain_errno("listen on %s port %u (line %u)",
		    addr_format(&l->addr, text), l->port, l->line);
}

/* In a rehearsal nobody is let in: who came to us would be lost. */
static int
begin_listening(const struct gateway *gw, int fd)
{
	return gw->rehearsal ? 0 : listen(fd, BACKLOG);
}

/* All that was handed over to us, perhaps more than there are workers: clients
 * wait in each of them. */
static void
open_network(const struct gateway *gw, struct listen_socket *s,
    enum inherited_kind kind, const struct listener *l, size_t nworkers)
{
	s->nfds = inherited_take(kind, &l->addr, l->port, NULL, &s->fds);
	if (s->nfds == 0 && check_free(gw, kind, l) == -1) {
		complain_listener(kind, l);
		return;
	}
	if (s->nfds < nworkers)
		s->fds = xreallocarray(s->fds, nworkers, sizeof(int));
	for (; s->nfds < nworkers; s->nfds++) {
		int fd = bind_one(l, true);
		if (fd == -1 || begin_listening(gw, fd) == -1) {
			complain_listener(kind, l);
			if (fd != -1)
				close(fd);
			return;
		}
		s->fds[s->nfds] = fd;
	}
}

/* `http': one socket, of one process. */
static void
open_http(
    const struct gateway *gw, struct listen_socket *s, const struct config *c)
{
	struct listener l = { .addr = c->http_addr, .port = c->http_port };
	if (l.port != 0)
		open_network(gw, s, INHERITED_HTTP, &l, 1);
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

static int
bind_unix(const struct sockaddr_un *un)
{
	int fd;
	make_parent(un->sun_path);
	if (remove_stale(un) == -1)
		return -1;
	fd = socket(AF_UNIX, flags, 0);
	if (fd == -1 ||
	    bind(fd, (const struct sockaddr *)un, sizeof(*un)) == -1) {
		complain_errno("%s", un->sun_path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	return fd;
}

static int
take_unix(enum inherited_kind kind, const char *path)
{
	int *fds, fd = -1;
	size_t n = inherited_take(kind, NULL, 0, path, &fds);
	for (size_t i = 0; i < n; i++)
		if (fd == -1)
			fd = fds[i];
		else
			close(fds[i]);
	free(fds);
	return fd;
}

/* Who may connect; gid -1: as it comes. */
struct rights {
	mode_t mode;
	gid_t gid;
};

static void
allow(const char *path, struct rights a)
{
	if ((a.gid != (gid_t)-1 && lchown(path, (uid_t)-1, a.gid) == -1) ||
	    chmod(path, a.mode) == -1)
		complain_errno("%s", path);
}

/* From its first moment the socket has no more than its mode; the umask
 * leaves it to us alone until then. */
static void
open_unix(const struct gateway *gw, struct listen_socket *s,
    enum inherited_kind kind, const char *path, struct rights rights)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(un.sun_path)) {
		complain("%s: the path is too long for a socket", path);
		return;
	}
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	int fd = take_unix(kind, path);
	s->inherited = fd != -1;
	if (fd == -1)
		fd = bind_unix(&un);
	if (fd == -1)
		return;
	s->fds = xcalloc(1, sizeof(int));
	s->fds[s->nfds++] = fd;
	s->path = xstrdup(path);
	if (gw->rehearsal && s->inherited)
		return;
	allow(path, rights);
	if (begin_listening(gw, fd) == -1)
		complain_errno("%s", path);
}

/* --- the set of a configuration --- */

static void
close_socket(struct listen_socket *s)
{
	for (size_t i = 0; i < s->nfds; i++)
		close(s->fds[i]);
	free(s->fds);
	free(s->path);
	*s = (struct listen_socket){ .fds = NULL };
}

/* Nobody finds it any more. */
static void
remove_socket(const struct listen_socket *s)
{
	if (s->path != NULL)
		unlink(s->path);
}

static void
open_listener(const struct gateway *gw, struct listen_socket *s,
    const struct listener *l, size_t nworkers)
{
	if (l->addr.family == ADDR_LOCAL)
		open_unix(gw, s, INHERITED_SUBMIT, l->path,
		    (struct rights){ MODE_SUBMIT, (gid_t)-1 });
	else
		open_network(gw, s, INHERITED_LISTEN, l, nworkers);
}

static struct rights
control_rights(uint32_t control_gid, uint32_t view_gid)
{
	return (struct rights){ view_gid == UINT32_MAX ? MODE_CONTROL :
							 MODE_CONTROL_VIEW,
		control_gid };
}

void
listen_open(struct gateway *gw)
{
	const struct config *c = gw->conf;
	gw->listens = xcalloc(c->nlisteners, sizeof(*gw->listens));
	for (size_t i = 0; i < c->nlisteners; i++) {
		open_listener(
		    gw, &gw->listens[i], &c->listeners[i], c->smtpd_workers);
		gw->nlistens = i + 1;
	}
	open_unix(gw, &gw->control, INHERITED_CONTROL, c->control_path,
	    control_rights(gw->control_gid, gw->view_gid));
	open_http(gw, &gw->http, c);
}

/* Nobody new connects from here on: his kernel tries again, and then finds the
 * port closed. Who is connected already, or nearly, stays in the backlog until
 * somebody has emptied it; without this one who comes behind that would be
 * reset with the socket. */
static void
bar(const struct listen_socket *s)
{
	enum { TCP_FLAGS_AT = 13 };
	static struct sock_filter no_syn[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_AT),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { .len = sizeof(no_syn) / sizeof(no_syn[0]),
		.filter = no_syn };
	/* Where it fails few are reset that would be anyway. */
	for (size_t i = 0; i < s->nfds; i++)
		(void)setsockopt(s->fds[i], SOL_SOCKET, SO_ATTACH_FILTER,
		    &program, sizeof(program));
}

/* It has no name any more, and stays open for who accepts there. */
static void
leave(struct gateway *gw, struct listen_socket *s)
{
	if (s->nfds == 0)
		return;
	remove_socket(s);
	gw->leaving =
	    xreallocarray(gw->leaving, gw->nleaving + 1, sizeof(*gw->leaving));
	gw->leaving[gw->nleaving++] = *s;
	*s = (struct listen_socket){ .fds = NULL };
}

void
listen_keep_left(struct gateway *gw)
{
	for (int smtps = 0; smtps <= 1; smtps++) {
		struct listen_socket left = { .smtps = smtps == 1 };
		left.nfds = inherited_take_rest(left.smtps, &left.fds);
		leave(gw, &left);
	}
}

/* In a rehearsal that would take the names of sockets that others use. */
static void
remove_ours(const struct gateway *gw, const struct listen_socket *s)
{
	if (!gw->rehearsal || !s->inherited)
		remove_socket(s);
}

void
listen_remove(const struct gateway *gw)
{
	for (size_t i = 0; i < gw->nlistens; i++)
		remove_ours(gw, &gw->listens[i]);
	remove_ours(gw, &gw->control);
}

/* --- another configuration --- */

static bool
is_same(const struct listener *a, const struct listener *b)
{
	if (a->addr.family == ADDR_LOCAL || b->addr.family == ADDR_LOCAL)
		return a->addr.family == b->addr.family &&
		       strcmp(a->path, b->path) == 0;
	return addr_eq(&a->addr, &b->addr) && a->port == b->port;
}

static size_t
find_same(const struct config *c, const struct listener *l)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (is_same(&c->listeners[i], l))
			return i;
	return SIZE_MAX;
}

void
listen_prepare(const struct gateway *gw, const struct config *next,
    struct listen_change *out)
{
	*out = (struct listen_change){ .n = next->nlisteners };
	out->sockets = xcalloc(out->n + 1, sizeof(*out->sockets));
	out->former = xcalloc(out->n + 1, sizeof(*out->former));
	out->control_gid =
	    account_group(next->control_group, "the control socket");
	out->view_gid =
	    account_group(next->control_view_group, "the control socket");
	for (size_t i = 0; i < out->n; i++) {
		const struct listener *l = &next->listeners[i];
		out->former[i] = find_same(gw->conf, l);
		if (out->former[i] == SIZE_MAX)
			open_listener(
			    gw, &out->sockets[i], l, gw->conf->smtpd_workers);
	}
	if (strcmp(gw->conf->control_path, next->control_path) != 0)
		open_unix(gw, &out->control, INHERITED_CONTROL,
		    next->control_path,
		    control_rights(out->control_gid, out->view_gid));
	out->keeps_http = next->http_port == gw->conf->http_port &&
			  addr_eq(&next->http_addr, &gw->conf->http_addr);
	if (!out->keeps_http)
		open_http(gw, &out->http, next);
}

void
listen_abandon(struct listen_change *c)
{
	for (size_t i = 0; i < c->n; i++) {
		remove_socket(&c->sockets[i]);
		close_socket(&c->sockets[i]);
	}
	remove_socket(&c->control);
	close_socket(&c->control);
	close_socket(&c->http);
	free(c->sockets);
	free(c->former);
	*c = (struct listen_change){ .n = 0 };
}

/* Its sessions are counted apart from those of others: in a place that no
 * listener has, and no session, if there is one. */
static uint32_t
free_slot(const struct gateway *gw, const bool *taken)
{
	uint32_t any = 0;
	for (uint32_t i = 0; i < SOURCES_LISTENERS_MAX; i++) {
		if (taken[i])
			continue;
		if (sources_on_listener(gw->sources, i) == 0)
			return i;
		any = i;
	}
	return any;
}

static void
give_slots(const struct gateway *gw, const struct listen_change *c,
    struct config *next)
{
	bool taken[SOURCES_LISTENERS_MAX] = { false };
	for (size_t i = 0; i < c->n; i++)
		if (c->former[i] != SIZE_MAX) {
			next->listeners[i].slot =
			    gw->conf->listeners[c->former[i]].slot;
			taken[next->listeners[i].slot] = true;
		}
	for (size_t i = 0; i < c->n; i++)
		if (c->former[i] == SIZE_MAX) {
			next->listeners[i].slot = free_slot(gw, taken);
			taken[next->listeners[i].slot] = true;
		}
}

static void
commit_control(
    struct gateway *gw, const struct config *next, struct listen_change *c)
{
	gw->control_gid = c->control_gid;
	gw->view_gid = c->view_gid;
	if (c->control.nfds == 0) {
		allow(next->control_path,
		    control_rights(gw->control_gid != UINT32_MAX ?
				       gw->control_gid :
				       getegid(),
			gw->view_gid));
		return;
	}
	remove_socket(&gw->control);
	close_socket(&gw->control);
	gw->control = c->control;
	c->control = (struct listen_socket){ .fds = NULL };
}

void
listen_commit(struct gateway *gw, struct config *next, struct listen_change *c)
{
	give_slots(gw, c, next);
	for (size_t i = 0; i < c->n; i++)
		if (c->former[i] != SIZE_MAX) {
			c->sockets[i] = gw->listens[c->former[i]];
			gw->listens[c->former[i]] =
			    (struct listen_socket){ .fds = NULL };
		}
	for (size_t i = 0; i < gw->nlistens; i++)
		leave(gw, &gw->listens[i]);
	free(gw->listens);
	gw->listens = c->sockets;
	gw->nlistens = c->n;
	if (!c->keeps_http) {
		bar(&gw->http);
		leave(gw, &gw->http);
		gw->http = c->http;
	}
	commit_control(gw, next, c);
	free(c->former);
	*c = (struct listen_change){ .n = 0 };
}

void
listen_close_left(struct gateway *gw)
{
	for (size_t i = 0; i < gw->nleaving; i++)
		close_socket(&gw->leaving[i]);
	free(gw->leaving);
	gw->leaving = NULL;
	gw->nleaving = 0;
}
