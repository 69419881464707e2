/*
 * What stands in no table here kills the process. A row with a test lets the
 * call through only when the masked argument has that value; several rows of
 * one call are alternatives.
 */
#include "lib/proc/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/proc/sandbox.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- without conditions --- */

/* Memory, time, the loop, read and write on what is open, the end. */
static const int common[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(sendfile),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(fstat),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), /* malloc, when it makes an arena */
	SCMP_SYS(sysinfo),           /* qsort, before it takes memory */
	SCMP_SYS(set_robust_list),   /* a thread that is just starting */
	SCMP_SYS(rseq),              /* the same; glibc aborts without */
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime), /* real where there is no vDSO */
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(getpid), /* the random generators ask, against fork */
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrusage),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static const int accepting[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(shutdown),
};

static const int connecting[] = {
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(shutdown),
};

/* To name servers (UDP and TCP) or filters; the kernel chooses our port. */
static const int reaching[] = {
	SCMP_SYS(connect),
};

/* What libcurl asks of a connection. */
static const int fetching[] = {
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
};

/* Below the directories that Landlock and chroot leave. */
static const int files[] = {
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(getdents64),
	SCMP_SYS(unlinkat),
	SCMP_SYS(renameat2),
	SCMP_SYS(renameat),
	SCMP_SYS(mkdirat),
	SCMP_SYS(linkat),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fadvise64),
	SCMP_SYS(flock),
	SCMP_SYS(fchmod),
	/* opendir, access and rename of the C library. */
	SCMP_SYS(faccessat),
};

/* --- with one --- */

struct condition {
	int call;
	unsigned int arg;
	uint64_t mask, value;
};

#define ALL UINT32_MAX /* the kernel takes an int: only its bits count */

static const struct condition common_if[] = {
	/* Nothing becomes executable after the start. */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	/* send(): on a socket that is connected. */
	{ SCMP_SYS(sendto), 4, UINT64_MAX, 0 },
	/* fstat() of the C library. */
	{ SCMP_SYS(newfstatat), 3, ALL, AT_EMPTY_PATH },
	{ SCMP_SYS(fcntl), 1, ALL, F_GETFL },
	{ SCMP_SYS(fcntl), 1, ALL, F_SETFL },
	{ SCMP_SYS(fcntl), 1, ALL, F_GETFD },
	{ SCMP_SYS(fcntl), 1, ALL, F_SETFD },
	{ SCMP_SYS(fcntl), 1, ALL, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(fcntl), 1, ALL, F_GET_SEALS },
	{ SCMP_SYS(ioctl), 1, ALL, FIONREAD },
	{ SCMP_SYS(ioctl), 1, ALL, FIONBIO },
};

static const struct condition files_if[] = {
	{ SCMP_SYS(fcntl), 1, ALL, F_SETLK },
	{ SCMP_SYS(fcntl), 1, ALL, F_GETLK },
	{ SCMP_SYS(fcntl), 1, ALL, F_OFD_SETLK },
	{ SCMP_SYS(fcntl), 1, ALL, F_OFD_GETLK },
};

static const struct condition watchdog_if[] = {
	{ SCMP_SYS(setitimer), 0, ALL, ITIMER_PROF },
};

/* Options of sockets: level and name. */
struct option {
	uint32_t level, name;
};

static const struct option get_options[] = {
	{ SOL_SOCKET, SO_ERROR },
	{ SOL_SOCKET, SO_TYPE },
	{ SOL_SOCKET, SO_DOMAIN },
	{ SOL_SOCKET, SO_SNDBUF },
	{ SOL_SOCKET, SO_RCVBUF },
	{ SOL_SOCKET, SO_PEERCRED },
	{ SOL_SOCKET, SO_PEERGROUPS },
	{ IPPROTO_TCP, TCP_INFO },
};

static const struct option set_options[] = {
	{ SOL_SOCKET, SO_LINGER },
	{ SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_REUSEADDR },
	{ SOL_SOCKET, SO_SNDBUF },
	{ SOL_SOCKET, SO_RCVBUF },
	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_CORK },
	{ IPPROTO_TCP, TCP_QUICKACK },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT },
	{ IPPROTO_IPV6, IPV6_V6ONLY },
};

static const struct option fetching_options[] = {
	{ SOL_SOCKET, SO_ERROR },
};

/* Whether a door goes for good. */
static const struct option serving_options[] = {
	{ SOL_SOCKET, SO_GET_FILTER },
};

static const struct option reaching_options[] = {
	{ IPPROTO_TCP, TCP_NODELAY },
};

/* The C library tries these first and goes another way when the kernel says
 * that it has no such call; a death would be for nothing. */
static const int unknown[] = {
	SCMP_SYS(clone3),
	SCMP_SYS(statx),
	SCMP_SYS(faccessat2),
};

static const struct {
	unsigned int promise; /* any of; 0: everyone */
	const int *calls;
	size_t ncalls;
	const struct condition *conditions;
	size_t nconditions;
} groups[] = {
	{ 0, common, COUNT(common), common_if, COUNT(common_if) },
	{ PROMISE_ACCEPT | PROMISE_LISTEN | PROMISE_SERVE, accepting,
	    COUNT(accepting), NULL, 0 },
	{ PROMISE_CONNECT, connecting, COUNT(connecting), NULL, 0 },
	{ PROMISE_RESOLVE | PROMISE_DIAL | PROMISE_HTTPS, reaching,
	    COUNT(reaching), NULL, 0 },
	{ PROMISE_HTTPS, fetching, COUNT(fetching), NULL, 0 },
	{ PROMISE_WATCHDOG, NULL, 0, watchdog_if, COUNT(watchdog_if) },
	{ PROMISE_FILES, files, COUNT(files), files_if, COUNT(files_if) },
};

static int
add_conditions(scmp_filter_ctx ctx, const struct condition *c, size_t n)
{
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, c[i].call, 1,
		    SCMP_CMP(
			c[i].arg, SCMP_CMP_MASKED_EQ, c[i].mask, c[i].value));
	return rc;
}

static int
add_groups(scmp_filter_ctx ctx, unsigned int promises)
{
	int rc = 0;
	for (size_t g = 0; g < COUNT(groups) && rc == 0; g++) {
		if (groups[g].promise != 0 &&
		    (groups[g].promise & promises) == 0)
			continue;
		for (size_t i = 0; i < groups[g].ncalls && rc == 0; i++)
			rc = seccomp_rule_add(
			    ctx, SCMP_ACT_ALLOW, groups[g].calls[i], 0);
		if (rc == 0)
			rc = add_conditions(
			    ctx, groups[g].conditions, groups[g].nconditions);
	}
	return rc;
}

static int
add_options(scmp_filter_ctx ctx, int call, const struct option *o, size_t n)
{
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 2,
		    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, ALL, o[i].level),
		    SCMP_CMP(2, SCMP_CMP_MASKED_EQ, ALL, o[i].name));
	return rc;
}

enum {
	CONNECTS =
	    PROMISE_CONNECT | PROMISE_RESOLVE | PROMISE_DIAL | PROMISE_HTTPS
};

static const struct {
	unsigned int promise;
	int family, type;
} sockets[] = {
	{ CONNECTS, AF_INET, SOCK_STREAM },
	{ CONNECTS, AF_INET6, SOCK_STREAM },
	{ PROMISE_DIAL, AF_UNIX, SOCK_STREAM },
	{ PROMISE_RESOLVE, AF_INET, SOCK_DGRAM },
	{ PROMISE_RESOLVE, AF_INET6, SOCK_DGRAM },
};

/* With or without the flags. */
static int
add_sockets(scmp_filter_ctx ctx, unsigned int promises)
{
	const uint32_t type = ALL & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK);
	int rc = 0;
	for (size_t i = 0; i < COUNT(sockets) && rc == 0; i++)
		if ((sockets[i].promise & promises) != 0)
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
			    SCMP_SYS(socket), 2,
			    SCMP_CMP(0, SCMP_CMP_MASKED_EQ, ALL,
				(scmp_datum_t)sockets[i].family),
			    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, type,
				(scmp_datum_t)sockets[i].type));
	return rc;
}

static int
add_net(scmp_filter_ctx ctx, unsigned int promises)
{
	int rc = 0;
	if (promises & (PROMISE_ACCEPT | PROMISE_CONNECT | PROMISE_LISTEN |
			   PROMISE_SERVE)) {
		rc = add_options(
		    ctx, SCMP_SYS(getsockopt), get_options, COUNT(get_options));
		if (rc == 0)
			rc = add_options(ctx, SCMP_SYS(setsockopt), set_options,
			    COUNT(set_options));
	}
	if (rc == 0 && (promises & PROMISE_SERVE))
		rc = add_options(ctx, SCMP_SYS(getsockopt), serving_options,
		    COUNT(serving_options));
	if (rc == 0 && (promises & PROMISE_HTTPS))
		rc = add_options(ctx, SCMP_SYS(getsockopt), fetching_options,
		    COUNT(fetching_options));
	if (rc == 0 &&
	    (promises & (PROMISE_RESOLVE | PROMISE_DIAL | PROMISE_HTTPS)))
		rc = add_options(ctx, SCMP_SYS(setsockopt), reaching_options,
		    COUNT(reaching_options));
	return rc == 0 ? add_sockets(ctx, promises) : rc;
}

/* What depends on the process itself, or answers instead of killing. */
static int
add_special(scmp_filter_ctx ctx, unsigned int promises)
{
	int rc = 0;
	/* abort() and the checks of the C library end with a signal to
	 * ourselves; it has to be seen as what it is. */
	rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
	    SCMP_CMP(0, SCMP_CMP_MASKED_EQ, ALL, (scmp_datum_t)getpid()));
	/* Looking at one's own limits. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64),
		    2, SCMP_CMP(0, SCMP_CMP_MASKED_EQ, ALL, 0),
		    SCMP_CMP(2, SCMP_CMP_MASKED_EQ, UINT64_MAX, 0));
	/* Is it a terminal? No. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOTTY),
		    SCMP_SYS(ioctl), 1,
		    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, ALL, TCGETS));
	for (size_t i = 0; i < COUNT(unknown) && rc == 0; i++)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ERRNO(ENOSYS), unknown[i], 0);
	if (rc == 0 && (promises & PROMISE_SERVE) != 0)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 0);
	if (rc == 0 && (promises & PROMISE_FILES) == 0)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
	return rc;
}

static int
set_attributes(scmp_filter_ctx ctx)
{
	/* All threads at once; no_new_privs is ours to set; a foreign
	 * architecture (x32, i386) dies; a tree instead of a list, since every
	 * call pays for it. */
	int rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (rc == 0)
		rc = seccomp_attr_set(
		    ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return rc;
}

int
calls_lock(unsigned int promises, struct fault *why)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (ctx == NULL)
		return fault_set(why, FAULT_OURS, "seccomp_init");
	int rc = set_attributes(ctx);
	if (rc == 0)
		rc = add_groups(ctx, promises);
	if (rc == 0)
		rc = add_net(ctx, promises);
	if (rc == 0)
		rc = add_special(ctx, promises);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0) {
		errno = -rc;
		return fault_errno(why, FAULT_OURS, "seccomp");
	}
	return 0;
}
