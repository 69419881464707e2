/* Who is on the other end of the control socket, and what he may do. */
#ifndef POSTERN_CONTROL_ACCESS_H
#define POSTERN_CONTROL_ACCESS_H

#include <stddef.h>
#include <sys/types.h>

enum permit {
	PERMIT_VIEW = 1,    /* states and numbers */
	PERMIT_CONTENT = 2, /* what is written in a mail */
	PERMIT_CHANGE = 4,
	PERMIT_ALL = 7
};

/* No such group. */
#define ACCESS_NO_GROUP ((gid_t)-1)

/* root and the owner may do everything, as may members of group; members of
 * view may look, but not at content. */
struct access {
	uid_t owner;
	gid_t group; /* or ACCESS_NO_GROUP */
	gid_t view;  /* or ACCESS_NO_GROUP */
};

struct caller {
	uid_t uid;
	pid_t pid;
	unsigned int permits; /* of enum permit */
};

/* What somebody with this uid and these groups may do. */
unsigned int access_permits(
    const struct access *a, uid_t uid, const gid_t *groups, size_t ngroups);
/* Asks the kernel who connected fd (a Unix socket). Returns 0, or -1 when it
 * does not say. */
int access_caller(const struct access *a, int fd, struct caller *out);

#endif
