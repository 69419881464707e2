/* Calls of the kernel that somebody in a jail may try. */
#ifndef POSTERN_TESTS_UNIT_LIB_CALLS_TRIED_H
#define POSTERN_TESTS_UNIT_LIB_CALLS_TRIED_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static int dir = -1; /* granted to PROMISE_FILES */
static int foreign;  /* an open directory that is not granted */
static int pair[2];  /* a socket pair */

/* Ends of a case: 0 it went well, 1 the kernel said no, else a signal. */
enum { WENT = 0, REFUSED = 1, KILLED = SIGSYS, ABORTED = SIGABRT };

static inline int
went(long rc)
{
	return rc == -1 ? REFUSED : WENT;
}

static inline int
call_open(void)
{
	return went(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
}

static inline int
call_open_old(void)
{
	return went(syscall(SYS_open, "/etc/passwd", O_RDONLY));
}

static inline int
call_openat2(void)
{
	return went(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0));
}

static inline int
call_granted(void)
{
	int fd = openat(dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1 || write(fd, "x", 1) != 1 || fsync(fd) == -1)
		return REFUSED;
	close(fd);
	if (mkdirat(dir, "sub", 0700) == -1 ||
	    renameat2(dir, "file", dir, "sub/file", 0) == -1 ||
	    unlinkat(dir, "sub/file", 0) == -1 ||
	    unlinkat(dir, "sub", AT_REMOVEDIR) == -1)
		return REFUSED;
	return WENT;
}

static inline int
call_foreign(void)
{
	return went(openat(foreign, "new", O_RDWR | O_CREAT, 0600));
}

static inline int
call_socket(void)
{
	return went(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}

static inline int
call_socket6(void)
{
	return went(syscall(SYS_socket, AF_INET6,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static inline int
call_socket_dgram(void)
{
	return went(syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0));
}

static inline int
call_socket_unix(void)
{
	return went(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}

static inline int
call_socket_raw(void)
{
	return went(syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_TCP));
}

static inline int
call_connect(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	syscall(SYS_connect, pair[0], &in, sizeof(in));
	return WENT; /* let through: whatever the kernel made of it */
}

static inline int
call_listen(void)
{
	return went(syscall(SYS_listen, pair[0], 1));
}

static inline int
call_bind(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	syscall(SYS_bind, pair[0], &in, sizeof(in));
	return WENT;
}

static inline int
call_accept(void)
{
	syscall(SYS_accept4, pair[0], NULL, NULL, 0);
	return WENT;
}

static inline int
call_sendto(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	return went(
	    sendto(pair[0], "x", 1, 0, (struct sockaddr *)&in, sizeof(in)));
}

static inline int
call_send(void)
{
	return went(send(pair[0], "x", 1, MSG_NOSIGNAL));
}

static inline int
call_option(void)
{
	int size = 65536;
	return went(
	    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
}

static inline int
call_option_filter(void)
{
	int on = 1;
	return went(
	    setsockopt(pair[0], SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)));
}

static inline int
call_fork(void)
{
	return went(syscall(SYS_fork));
}

static inline int
call_vfork_like(void)
{
	return went(syscall(SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0));
}

static inline int
call_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS ? REFUSED :
								       WENT;
}

static inline int
call_exec(void)
{
	char *const argv[] = { NULL };
	return went(syscall(SYS_execve, "/bin/true", argv, argv));
}

static inline int
call_nodelay(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	return went(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

static inline int
set_timer(__itimer_which_t which)
{
	struct itimerval far = { .it_value = { .tv_sec = 1000 } };
	return went(setitimer(which, &far, NULL));
}

static inline int
call_timer_prof(void)
{
	return set_timer(ITIMER_PROF);
}

static inline int
call_timer_real(void)
{
	return set_timer(ITIMER_REAL);
}

static inline int
call_kill(void)
{
	return went(syscall(SYS_kill, getpid(), 0));
}

static inline int
call_tgkill_other(void)
{
	return went(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static inline int
call_tgkill_self(void)
{
	return went(syscall(SYS_tgkill, getpid(), gettid(), 0));
}

static inline int
call_abort(void)
{
	abort();
}

static inline int
call_ptrace(void)
{
	return went(syscall(SYS_ptrace, 0, 0, 0, 0));
}

static inline int
call_vm_read(void)
{
	return went(
	    syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static inline int
call_pidfd(void)
{
	return went(syscall(SYS_pidfd_open, getppid(), 0));
}

static inline int
call_setuid(void)
{
	return went(syscall(SYS_setuid, 0));
}

static inline int
call_prctl(void)
{
	return went(syscall(SYS_prctl, PR_SET_DUMPABLE, 1));
}

static inline int
call_limit(void)
{
	struct rlimit rl = { 0, 0 };
	return went(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &rl, NULL));
}

static inline int
call_limit_get(void)
{
	struct rlimit rl;
	return went(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &rl));
}

static inline int
call_mmap_exec(void)
{
	return went(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static inline int
call_mprotect_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return went(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static inline int
call_malloc(void)
{
	char *big = malloc(1 << 24), *small = malloc(100);
	if (big == NULL || small == NULL)
		return REFUSED;
	memset(big, 1, 1 << 24);
	free(big);
	free(small);
	return WENT;
}

static inline int
compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The C library looks at the machine's memory for a large array. */
static inline int
call_qsort(void)
{
	static int numbers[4096];
	for (int i = 0; i < 4096; i++)
		numbers[i] = 4096 - i;
	qsort(numbers, 4096, sizeof(numbers[0]), compare);
	return numbers[0] == 1 ? WENT : REFUSED;
}

static inline int
call_fstat(void)
{
	struct stat st;
	return went(fstat(pair[0], &st));
}

static inline int
call_stat(void)
{
	struct stat st;
	return went(stat("/etc/passwd", &st));
}

static inline int
call_fcntl_owner(void)
{
	return went(fcntl(pair[0], F_SETOWN, getpid()));
}

static inline int
call_fcntl(void)
{
	return went(fcntl(pair[0], F_DUPFD_CLOEXEC, 0));
}

static inline int
call_ioctl_inject(void)
{
	return went(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
}

static inline int
call_bpf(void)
{
	return went(syscall(SYS_bpf, 0, NULL, 0));
}

static inline int
call_uring(void)
{
	return went(syscall(SYS_io_uring_setup, 1, NULL));
}

/* The x32 way of asking, which a filter by number alone would miss. */
static inline int
call_x32(void)
{
	return went(syscall(0x40000000L | SYS_getpid));
}

#endif
