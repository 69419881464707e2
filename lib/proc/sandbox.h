/* What a role may ask of the kernel once it runs. */
#ifndef POSTERN_PROC_SANDBOX_H
#define POSTERN_PROC_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/fault.h"

/* Each lets a group of system calls through; everything else kills the
 * process (SECCOMP_RET_KILL_PROCESS). The common ground (memory, epoll, time,
 * read and write on what is open, recvmsg with descriptors, exit) is in
 * every role's filter. */
enum promise {
	PROMISE_ACCEPT = 1, /* accept4 on inherited listeners, names and options
			       of sockets */
	PROMISE_CONNECT =
	    2, /* socket(AF_INET, AF_INET6, STREAM), connect, bind */
	PROMISE_FILES = 4,   /* openat, unlinkat, renameat2, fsync … below
			      * what Landlock leaves */
	PROMISE_DIAL = 8,    /* socket(AF_UNIX, AF_INET, AF_INET6, STREAM),
			      * connect; no bind */
	PROMISE_LISTEN = 16, /* reserved to control: accept4 on its socket with
				SO_PEERCRED */
	PROMISE_RESOLVE =
	    32, /* socket(AF_INET, AF_INET6, DGRAM, STREAM), connect; no bind */
	PROMISE_WATCHDOG = 64, /* setitimer(ITIMER_PROF): lib/proc/watchdog.h */
	PROMISE_HTTPS = 128,   /* socket(AF_INET, AF_INET6, STREAM), connect (to
				  port 443 where Landlock knows ports); no bind */
	PROMISE_SERVE = 512, /* as PROMISE_ACCEPT; and socket() fails, since the
			      * C library wants one to name the interface of a
			      * link-local client */
	/* Alone. Starts programs that are not ours, which inherit what we are
	 * in: so the user changes, and bounds are put up that a child can take
	 * down; the rest of what sandbox_enter does is left out. */
	PROMISE_RUN = 256
};

enum { JAIL_GROUPS_MAX = 32 };

struct jail {
	int root_fd; /* directory to chroot to; "/" itself: only the ids
		      * change; -1: none (not root) */
	uid_t uid;   /* with root_fd >= 0 */
	gid_t gid;
	const gid_t *groups; /* besides gid, at most JAIL_GROUPS_MAX */
	size_t ngroups;
	const int *dirs; /* directories that stay reachable (Landlock) */
	size_t ndirs;
	unsigned int promises;     /* of enum promise */
	int (*threads)(void *ctx); /* starts the role's threads, after the
				    * rights are gone and before seccomp; may
				    * be NULL */
	void *ctx;
	size_t nofile; /* RLIMIT_NOFILE */
	size_t memory; /* RLIMIT_AS in bytes; 0: unlimited */
};

/* In this order: chroot, groups, gid and uid (and a check that there is no
 * way back), no_new_privs, dumpable off, rlimits, Landlock, threads, seccomp.
 * What the kernel does not have (Landlock) is left out and said in the text.
 * Returns 0 and a text of what holds ("chroot uid landlock seccomp"), or -1
 * with why. */
int sandbox_enter(
    const struct jail *j, char *text, size_t size, struct fault *why);
/* False in builds for the sanitizers, whose run time needs calls the filter
 * forbids. */
bool sandbox_is_compiled_in(void);

#endif
