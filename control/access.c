/* Who may ask what: credentials that the kernel vouches for. */
#include "control/access.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"

/* Linux allows a process 65,536 groups (NGROUPS_MAX). */
enum { GROUPS_USUAL = 64, GROUPS_MAX = 65536 };

static bool
is_member(gid_t wanted, const gid_t *groups, size_t ngroups)
{
	if (wanted == ACCESS_NO_GROUP)
		return false;
	for (size_t i = 0; i < ngroups; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

unsigned int
access_permits(
    const struct access *a, uid_t uid, const gid_t *groups, size_t ngroups)
{
	if (uid == 0 || uid == a->owner)
		return PERMIT_ALL;
	if (is_member(a->group, groups, ngroups))
		return PERMIT_ALL;
	if (is_member(a->view, groups, ngroups))
		return PERMIT_VIEW;
	return 0;
}

/*
 * The supplementary groups of the process that connected. Returns them (to
 * be freed) with one place left over in front for the primary group, which
 * is not always among them; *n counts without that place.
 */
static gid_t *
peer_groups(int fd, size_t *n)
{
	size_t room = GROUPS_USUAL;
	for (;;) {
		gid_t *groups = xcalloc(room + 1, sizeof(*groups));
		socklen_t len = (socklen_t)(room * sizeof(*groups));

		if (getsockopt(
			fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &len) == 0) {
			*n = len / sizeof(*groups);
			return groups;
		}
		free(groups);
		if (errno != ERANGE || room == GROUPS_MAX)
			return NULL;
		room = GROUPS_MAX;
	}
}

int
access_caller(const struct access *a, int fd, struct caller *out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	size_t n = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1 ||
	    len != sizeof(cred))
		return -1;
	out->uid = cred.uid;
	out->pid = cred.pid;
	gid_t *groups = peer_groups(fd, &n);
	if (groups == NULL) {
		out->permits = access_permits(a, cred.uid, &cred.gid, 1);
		return 0;
	}
	groups[0] = cred.gid;
	out->permits = access_permits(a, cred.uid, groups, n + 1);
	free(groups);
	return 0;
}
