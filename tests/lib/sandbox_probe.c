/*
 * Makes a running thread ask the kernel for something, and says what came of
 * it: sandbox_probe TID NUMBER [argument …]
 *
 * The thread is stopped in the system call that it waits in, its registers
 * are set to the wanted call at that same `syscall` instruction, and one step
 * is taken. An argument is a number, or @TEXT: then TEXT is put below the
 * thread's stack and the argument is its address.
 *
 * sandbox_probe TID spin: the thread computes for ever from now on.
 *
 * Prints `SIGSYS` (or another signal) when the process died of it, `errno N`
 * or `returned N`. Exits with 0 for each of these, 77 when it cannot be tried
 * on this machine, 1 when something went wrong.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

enum {
	ARGUMENTS = 6,
	CANNOT = 77,
	TEXT_MAX = 256,
	BELOW_STACK = 4096,
	TRIES = 100000,
	/* ERESTARTSYS to ERESTART_RESTARTBLOCK */
	RESTART_FIRST = 512,
	RESTART_LAST = 516
};

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "sandbox_probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ptrace takes addresses and data as pointers, and means numbers. */
static void *
number(uint64_t n)
{
	return (void *)(uintptr_t)n;
}

/* Puts text (and its NUL) at address, a word at a time. */
static void
poke(pid_t tid, uint64_t address, const char *text)
{
	char words[TEXT_MAX] = { 0 };
	snprintf(words, sizeof(words), "%s", text);
	for (size_t i = 0; i <= strlen(text); i += sizeof(long)) {
		long word;
		memcpy(&word, words + i, sizeof(word));
		if (ptrace(PTRACE_POKEDATA, tid, number(address + i),
			number((uint64_t)word)) == -1)
			give_up("PTRACE_POKEDATA");
	}
}

/* Waits for a stop; ends us when the process is gone. */
static void
wait_stop(pid_t tid)
{
	int status;
	if (waitpid(tid, &status, __WALL) == -1)
		give_up("waitpid");
	if (WIFSIGNALED(status)) {
		printf("SIG%s\n", sigabbrev_np(WTERMSIG(status)));
		exit(0);
	}
	if (WIFEXITED(status)) {
		printf("exited %d\n", WEXITSTATUS(status));
		exit(0);
	}
}

static void
set_arguments(pid_t tid, struct user_regs_struct *r, int argc, char **argv)
{
	unsigned long long *const where[ARGUMENTS] = { &r->rdi, &r->rsi,
		&r->rdx, &r->r10, &r->r8, &r->r9 };
	uint64_t below = r->rsp - BELOW_STACK;
	for (int i = 0; i < ARGUMENTS; i++) {
		*where[i] = 0;
		if (i >= argc)
			continue;
		if (argv[i][0] != '@') {
			*where[i] =
			    (unsigned long long)strtoll(argv[i], NULL, 0);
			continue;
		}
		poke(tid, below, argv[i] + 1);
		*where[i] = below;
		below -= TEXT_MAX;
	}
}

/* Stops the thread where it waits: behind a `syscall`, which is 0f 05. While
 * it computes it is let go and stopped again. */
static void
stop_in_call(pid_t tid, struct user_regs_struct *r)
{
	for (int i = 0; i < TRIES; i++) {
		if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == -1)
			give_up("PTRACE_INTERRUPT");
		wait_stop(tid);
		if (ptrace(PTRACE_GETREGS, tid, NULL, r) == -1)
			give_up("PTRACE_GETREGS");
		errno = 0;
		long code =
		    ptrace(PTRACE_PEEKTEXT, tid, number(r->rip - 2), NULL);
		if (errno == 0 && (code & 0xffff) == 0x050f)
			return;
		if (ptrace(PTRACE_CONT, tid, NULL, NULL) == -1)
			give_up("PTRACE_CONT");
		sched_yield();
	}
	give_up("the thread is never in a system call");
}

static void
try(pid_t tid, long call, int argc, char **argv)
{
	struct user_regs_struct saved, r;
	stop_in_call(tid, &saved);
	r = saved;
	r.rip -= 2;
	set_arguments(tid, &r, argc, argv);
	r.rax = (unsigned long long)call;
	r.orig_rax = ~0ULL; /* nothing to restart */
	if (ptrace(PTRACE_SETREGS, tid, NULL, &r) == -1 ||
	    ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) == -1)
		give_up("PTRACE_SINGLESTEP");
	wait_stop(tid);
	if (ptrace(PTRACE_GETREGS, tid, NULL, &r) == -1)
		give_up("PTRACE_GETREGS");
	long long result = (long long)r.rax;
	if (result < 0 && result > -4096)
		printf("errno %s\n", strerrorname_np((int)-result));
	else
		printf("returned %lld\n", result);
	/* A call that had ended keeps its result; one that was to begin again
	 * (as the kernel says it to itself) is ended as by a signal: the loop
	 * waits again. */
	long long before = (long long)saved.rax;
	if (before <= -RESTART_FIRST && before >= -RESTART_LAST)
		saved.rax = (unsigned long long)-EINTR;
	saved.orig_rax = ~0ULL;
	if (ptrace(PTRACE_SETREGS, tid, NULL, &saved) == -1)
		give_up("PTRACE_SETREGS");
}

/* A jump to itself where the thread will go on (in a copy of the page that
 * is the process' own). */
static void
spin(pid_t tid)
{
	static const char jump[2] = { '\xeb', '\xfe' };
	struct user_regs_struct r;
	stop_in_call(tid, &r);
	errno = 0;
	long code = ptrace(PTRACE_PEEKTEXT, tid, number(r.rip), NULL);
	if (errno != 0)
		give_up("PTRACE_PEEKTEXT");
	memcpy(&code, jump, sizeof(jump));
	if (ptrace(PTRACE_POKETEXT, tid, number(r.rip),
		number((uint64_t)code)) == -1)
		give_up("PTRACE_POKETEXT");
	printf("spins\n");
}

int
main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: sandbox_probe tid number [arg ...]\n");
		return 1;
	}
	pid_t tid = (pid_t)strtol(argv[1], NULL, 10);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) == -1) {
		fprintf(stderr, "sandbox_probe: %s\n", strerror(errno));
		return errno == EPERM ? CANNOT : 1;
	}
	if (strcmp(argv[2], "spin") == 0)
		spin(tid);
	else
		try(tid, strtol(argv[2], NULL, 0), argc - 3, argv + 3);
	if (ptrace(PTRACE_DETACH, tid, NULL, NULL) == -1)
		give_up("PTRACE_DETACH");
	return 0;
}

#else

int
main(void)
{
	fprintf(stderr, "sandbox_probe: only for x86-64\n");
	return 77;
}

#endif
