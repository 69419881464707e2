#include "lib/proc/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's headers know version 2; later ones are asked for by number. */
#define FS_TRUNCATE         (UINT64_C(1) << 14) /* from 3 on */
#define FS_IOCTL_DEV        (UINT64_C(1) << 15) /* from 5 on */
#define NET_BIND_TCP        (UINT64_C(1) << 0)  /* from 4 on */
#define NET_CONNECT_TCP     (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0) /* from 6 on */
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)

enum { RULE_NET_PORT = 2, HTTPS_PORT = 443 };

struct port_rule {
	uint64_t access;
	uint64_t port;
};

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

/* All that version 1 knows. */
static const uint64_t fs_1 =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
    LANDLOCK_ACCESS_FS_MAKE_SYM;

/* What a role may do in the directories that it was handed: plain files and
 * directories, and moving them about. */
static const uint64_t fs_granted =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE;

/* What is there to forbid in this version, short of what was promised. */
static struct ruleset
ruleset_of(int abi, const struct jail *j)
{
	struct ruleset r = { .fs = fs_1 };
	if (abi >= 2)
		r.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	/* Next hops have whatever port they have, and no name that the
	 * kernel could know. */
	if (abi >= 4 && (j->promises & PROMISE_CONNECT) == 0)
		r.net = NET_BIND_TCP | NET_CONNECT_TCP;
	/* Name servers and filters may get other ports with a reload. */
	if (j->promises & (PROMISE_RESOLVE | PROMISE_DIAL))
		r.net &= ~NET_CONNECT_TCP;
	if (abi >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		r.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	return r;
}

/* The one port that HTTPS needs. */
static int
add_port(int ruleset, const struct ruleset *r, const struct jail *j,
    struct fault *why)
{
	struct port_rule rule = { .access = NET_CONNECT_TCP,
		.port = HTTPS_PORT };

	if ((r->net & NET_CONNECT_TCP) == 0 ||
	    (j->promises & PROMISE_HTTPS) == 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) ==
	    -1)
		return fault_errno(why, FAULT_OURS, "landlock_add_rule");
	return 0;
}

static size_t
ruleset_size(int abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

static int
add_dirs(int ruleset, uint64_t handled, const struct jail *j, struct fault *why)
{
	for (size_t i = 0; i < j->ndirs; i++) {
		struct landlock_path_beneath_attr rule = {
			.allowed_access = fs_granted & handled,
			.parent_fd = j->dirs[i],
		};
		if (syscall(SYS_landlock_add_rule, ruleset,
			LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == -1)
			return fault_errno(
			    why, FAULT_OURS, "landlock_add_rule");
	}
	return 0;
}

int
landlock_enter(const struct jail *j, struct fault *why)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	/* Not built in, or not switched on at boot. */
	if (abi == -1 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;
	if (abi < 1)
		return fault_errno(why, FAULT_OURS, "landlock version");
	struct ruleset r = ruleset_of(abi, j);
	int fd =
	    (int)syscall(SYS_landlock_create_ruleset, &r, ruleset_size(abi), 0);
	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "landlock_create_ruleset");
	int rc = add_dirs(fd, r.fs, j, why);
	if (rc == 0)
		rc = add_port(fd, &r, j, why);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, fd, 0) == -1)
		rc = fault_errno(why, FAULT_OURS, "landlock_restrict_self");
	close(fd);
	return rc == 0 ? abi : -1;
}
