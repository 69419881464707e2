/*
 * The jail, in its order. Rights go first, while everything can still be
 * asked of the kernel; the filter comes last. What a role may ask afterwards
 * stands in lib/proc/calls.c.
 */
#include "lib/proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/proc/calls.h"
#include "lib/proc/landlock.h"

bool
sandbox_is_compiled_in(void)
{
#ifdef POSTERN_NO_SANDBOX
	return false;
#else
	return true;
#endif
}

/* One more word of what holds. */
static void
say(char *text, size_t size, const char *word)
{
	size_t len = strlen(text);
	snprintf(text + len, size - len, "%s%s", len > 0 ? " " : "", word);
}

static bool
is_root(int dir)
{
	struct stat a, b;
	return fstat(dir, &a) == 0 && stat("/", &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int
change_root(const struct jail *j, char *text, size_t size, struct fault *why)
{
	if (fchdir(j->root_fd) == -1)
		return fault_errno(why, FAULT_OURS, "fchdir to the new root");
	/* The leak checker looks into /proc at the end. */
	if (!sandbox_is_compiled_in() || is_root(j->root_fd))
		return 0;
	if (chroot(".") == -1 || chdir("/") == -1)
		return fault_errno(why, FAULT_OURS, "chroot");
	say(text, size, "chroot");
	return 0;
}

/* What a program that we start would have without its user's having it. */
static int
drop_ambient(struct fault *why)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 &&
	    errno != EINVAL)
		return fault_errno(why, FAULT_OURS, "ambient capabilities");
	return 0;
}

/* What a set-user-id program could ever gain again: nothing. */
static int
drop_bounds(struct fault *why)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
		    errno != EINVAL && errno != EPERM)
			return fault_errno(
			    why, FAULT_OURS, "capability bounding set");
	return drop_ambient(why);
}

static bool
is_only(uid_t id, uid_t real, uid_t effective, uid_t saved)
{
	return real == id && effective == id && saved == id;
}

static int
set_groups(const struct jail *j, struct fault *why)
{
	gid_t groups[1 + JAIL_GROUPS_MAX] = { j->gid };
	for (size_t i = 0; i < j->ngroups; i++) {
		if (i == JAIL_GROUPS_MAX || j->groups[i] == 0)
			return fault_set(why, FAULT_OURS,
			    "a role may not have root's group, nor more than "
			    "%d",
			    JAIL_GROUPS_MAX);
		groups[1 + i] = j->groups[i];
	}
	if (setgroups(1 + j->ngroups, groups) == -1)
		return fault_errno(why, FAULT_OURS, "setgroups");
	return 0;
}

/* Groups, gid and uid; then every way back is tried. */
static int
drop_rights(const struct jail *j, struct fault *why)
{
	if (j->uid == 0 || j->gid == 0)
		return fault_set(why, FAULT_OURS,
		    "a role may not run as root (uid %u gid %u)", j->uid,
		    j->gid);
	if (set_groups(j, why) == -1)
		return -1;
	if (setresgid(j->gid, j->gid, j->gid) == -1)
		return fault_errno(why, FAULT_OURS, "setresgid %u", j->gid);
	if (setresuid(j->uid, j->uid, j->uid) == -1)
		return fault_errno(why, FAULT_OURS, "setresuid %u", j->uid);
	uid_t u[3];
	gid_t g[3];
	if (getresuid(&u[0], &u[1], &u[2]) == -1 ||
	    getresgid(&g[0], &g[1], &g[2]) == -1 ||
	    !is_only(j->uid, u[0], u[1], u[2]) ||
	    !is_only(j->gid, g[0], g[1], g[2]))
		return fault_set(why, FAULT_OURS, "the ids did not change");
	if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 ||
	    setresgid((gid_t)-1, 0, (gid_t)-1) == 0 || chroot(".") == 0)
		return fault_set(why, FAULT_OURS, "root can be had back");
	return 0;
}

static int
limit(int what, rlim_t value, const char *name, struct fault *why)
{
	struct rlimit rl = { .rlim_cur = value, .rlim_max = value };
	if (setrlimit((__rlimit_resource_t)what, &rl) == -1)
		return fault_errno(why, FAULT_OURS, "limit %s", name);
	return 0;
}

/* As many as wanted, or what there is: an ordinary user has a ceiling. */
static int
limit_nofile(const struct jail *j, struct fault *why)
{
	struct rlimit rl;
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return fault_errno(why, FAULT_OURS, "getrlimit");
	if (j->nofile == 0)
		return 0;
	rlim_t n = j->nofile < rl.rlim_max ? j->nofile : rl.rlim_max;
	return limit(RLIMIT_NOFILE, n, "nofile", why);
}

/* What a child may put up again. */
static int
limit_softly(int what, rlim_t value, const char *name, struct fault *why)
{
	struct rlimit rl;
	if (getrlimit((__rlimit_resource_t)what, &rl) == -1)
		return fault_errno(why, FAULT_OURS, "getrlimit");
	rl.rlim_cur = value < rl.rlim_max ? value : rl.rlim_max;
	if (setrlimit((__rlimit_resource_t)what, &rl) == -1)
		return fault_errno(why, FAULT_OURS, "limit %s", name);
	return 0;
}

static int
set_limits(const struct jail *j, struct fault *why)
{
	if (limit_nofile(j, why) == -1 ||
	    limit(RLIMIT_CORE, 0, "core", why) == -1)
		return -1;
	/* The run time of the sanitizers maps terabytes. */
	if (j->memory != 0 && sandbox_is_compiled_in() &&
	    limit(RLIMIT_AS, j->memory, "memory", why) == -1)
		return -1;
	return 0;
}

static int
lock_kernel(const struct jail *j, char *text, size_t size, struct fault *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return fault_errno(why, FAULT_OURS, "no_new_privs");
	/* The leak checker traces its own process; the change of uid has taken
	 * that from it. */
	if (prctl(PR_SET_DUMPABLE, !sandbox_is_compiled_in(), 0, 0, 0) == -1)
		return fault_errno(why, FAULT_OURS, "dumpable");
	if (set_limits(j, why) == -1)
		return -1;
	if (!sandbox_is_compiled_in())
		return 0;
	int abi = landlock_enter(j, why);
	if (abi == -1)
		return -1;
	say(text, size, abi > 0 ? "landlock" : "no-landlock");
	return 0;
}

/* Of a process that starts others, which have to be free (PROMISE_RUN): the
 * bounding set stays, for what they are that set a user's id. */
static int
enter_unlocked(const struct jail *j, char *text, size_t size, struct fault *why)
{
	if (j->root_fd >= 0) {
		if (change_root(j, text, size, why) == -1 ||
		    drop_rights(j, why) == -1)
			return -1;
		say(text, size, "uid");
	} else {
		say(text, size, "none");
	}
	if (drop_ambient(why) == -1)
		return -1;
	if (prctl(PR_SET_DUMPABLE, !sandbox_is_compiled_in(), 0, 0, 0) == -1)
		return fault_errno(why, FAULT_OURS, "dumpable");
	if (limit(RLIMIT_CORE, 0, "core", why) == -1 ||
	    (j->nofile != 0 &&
		limit_softly(RLIMIT_NOFILE, j->nofile, "nofile", why) == -1))
		return -1;
	if (j->memory == 0 || !sandbox_is_compiled_in())
		return 0;
	return limit_softly(RLIMIT_AS, j->memory, "memory", why);
}

int
sandbox_enter(const struct jail *j, char *text, size_t size, struct fault *why)
{
	bool drop = j->root_fd >= 0;
	text[0] = '\0';
	if ((j->promises & PROMISE_RUN) != 0)
		return enter_unlocked(j, text, size, why);
	if (drop) {
		if (change_root(j, text, size, why) == -1 ||
		    drop_bounds(why) == -1 || drop_rights(j, why) == -1)
			return -1;
		say(text, size, "uid");
	}
	if (lock_kernel(j, text, size, why) == -1)
		return -1;
	if (j->threads != NULL && j->threads(j->ctx) == -1)
		return fault_set(why, FAULT_OURS, "threads did not start");
	if (!sandbox_is_compiled_in()) {
		say(text, size, "no-seccomp");
		return 0;
	}
	/* Counts threads too, and every process of the uid: so only with a
	 * uid of our own, and after the threads. */
	if (drop && limit(RLIMIT_NPROC, 0, "nproc", why) == -1)
		return -1;
	if (calls_lock(j->promises, why) == -1)
		return -1;
	say(text, size, "seccomp");
	return 0;
}
