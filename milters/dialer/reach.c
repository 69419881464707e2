/* connect(), and in words why not. */
#include "milters/dialer/reach.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/rules/hop.h"

/* --- names of groups: in the jail nobody reads files --- */

static struct group_name {
	gid_t gid;
	char *name;
} * groups;

static size_t ngroups;

void
reach_init(void)
{
	FILE *f = fopen("/etc/group", "re");
	const struct group *gr;

	while (f != NULL && (gr = fgetgrent(f)) != NULL) {
		groups = xreallocarray(groups, ngroups + 1, sizeof(*groups));
		groups[ngroups++] =
		    (struct group_name){ gr->gr_gid, xstrdup(gr->gr_name) };
	}
	if (f != NULL)
		fclose(f);
}

static const char *
group_name(gid_t gid, char number[static 16])
{
	for (size_t i = 0; i < ngroups; i++)
		if (groups[i].gid == gid)
			return groups[i].name;
	snprintf(number, 16, "%u", (unsigned int)gid);
	return number;
}

/* --- who may --- */

/* With this flag the kernel lets us look at a path, which the filter knows
 * from no other. */
static int
look(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, AT_EMPTY_PATH);
}

/* The deepest part of path that can be looked at: the socket itself, which we
 * may not write to, or the folder that we may not search. */
static int
find_closed(char *path, struct stat *st)
{
	char *slash;

	while (look(path, st) == -1) {
		slash = strrchr(path, '/');
		if (slash == NULL || slash == path)
			return -1;
		*slash = '\0';
	}
	return 0;
}

static int
say_denied(const char *path, struct fault *why)
{
	char part[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char number[16];
	struct stat st;

	snprintf(part, sizeof(part), "%s", path);
	if (find_closed(part, &st) == -1)
		return fault_set(why, FAULT_TEMP, "permission denied");
	mode_t need = S_ISDIR(st.st_mode) ? S_IXGRP : S_IWGRP;
	if ((st.st_mode & need) == 0 || st.st_gid == 0)
		return fault_set(why, FAULT_TEMP,
		    "permission denied: %s is open to no group%s (mode %04o)",
		    part, (st.st_mode & need) == 0 ? "" : " but root's",
		    st.st_mode & 07777);
	return fault_set(why, FAULT_TEMP,
	    "permission denied: %s wants `dial-group %s'", part,
	    group_name(st.st_gid, number));
}

static int
say_why(int error, const char *path, struct fault *why)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return say_denied(path, why);
	case EAGAIN:
		return fault_set(why, FAULT_TEMP,
		    "it does not take the connections that wait");
	case ENOENT:
		return fault_set(why, FAULT_TEMP, "there is no %s", path);
	case ECONNREFUSED:
		return fault_set(
		    why, FAULT_TEMP, "nobody listens (connection refused)");
	default:
		errno = error;
		return fault_errno(why, FAULT_TEMP, "connect");
	}
}

/* --- connect --- */

static int
open_socket(int family, struct fault *why)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		fault_errno(why, FAULT_OURS, "socket");
	return fd;
}

int
reach_path(const char *path, bool *full, struct fault *why)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	*full = false;
	if (strlen(path) >= sizeof(sun.sun_path))
		return fault_set(why, FAULT_PERM, "the path is too long");
	memcpy(sun.sun_path, path, strlen(path));
	fd = open_socket(AF_UNIX, why);
	if (fd == -1)
		return -1;
	/* Of Unix sockets there are none on their way. */
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		int error = errno;
		close(fd);
		*full = error == EAGAIN;
		return say_why(error, path, why);
	}
	return fd;
}

int
reach_addr(const struct addr *a, uint16_t port, struct fault *why)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(a, port, &to);
	int on = 1;
	int fd;

	if (len == 0 || hop_is_unusable(a))
		return fault_set(
		    why, FAULT_PERM, "nobody can have that address");
	fd = open_socket(to.ss_family, why);
	if (fd == -1)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&to, len) == -1 &&
	    errno != EINPROGRESS) {
		int error = errno;
		close(fd);
		return say_why(error, "", why);
	}
	return fd;
}
