/*
 * One command that runs: a session of its own, the mail on its standard
 * input, what it writes caught, its time limited.
 */
#ifndef POSTERN_MDA_RUN_H
#define POSTERN_MDA_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "delivery/agents/mail_text.h"
#include "lib/base/fault.h"
#include "lib/base/loop.h"

enum {
	RUN_OUTPUT_MAX = 4096, /* kept of what it writes */
	RUN_KILL_MS = 5000     /* between SIGTERM and SIGKILL */
};

/* Why it ended. */
enum run_end {
	RUN_EXITED,     /* by itself: status says how */
	RUN_TIMED_OUT,  /* its time was over */
	RUN_UNREADABLE, /* the mail could not be read to its end */
	RUN_STOPPED     /* run_stop */
};

struct run_order {
	char *const *argv; /* argv[0] is the program's path */
	char *const *envp;
	const char *folder; /* where it runs; "/" when that cannot be entered */
	const struct mail_text *text; /* copied; what it points to stays */
	uint64_t timeout_ms;
};

struct run;

/* It is no more, and was waited for; output lives until this returns. status:
 * as waitpid has it. The run frees itself behind it. */
typedef void run_fn(void *ctx, enum run_end end, int status, struct str output);

/* NULL with why when it does not start; what is wrong with its program shows
 * in its output and as status 127. */
struct run *run_start(struct loop *l, const struct run_order *o, run_fn *fn,
    void *ctx, struct fault *why);
/* It and its children are asked to end (SIGTERM), RUN_KILL_MS later they are
 * made to. */
void run_stop(struct run *r);
/* Ends it and its children at once, and waits for it; nobody is called. */
void run_kill(struct run **r);

#endif
