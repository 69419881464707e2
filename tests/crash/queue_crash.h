/* Of queue_crash: what goes through the queue, and its one life in a child. */
#ifndef POSTERN_TESTS_CRASH_QUEUE_CRASH_H
#define POSTERN_TESTS_CRASH_QUEUE_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/queue_delivery.h"
#include "edges/smtpd_queue.h"

enum {
	MAILS = 8,
	WORKS = 64, /* with the agent at a time */
	CONTENT_MAX = 65536,
	CODE_BROKEN = 3, /* the child's exit codes */
	CODE_NO_START = 2
};

/* The recipients of every mail, and what becomes of them. */
static const struct {
	const char *to;
	enum outcome outcome;
	const char *told; /* Action of its report; NULL: none is due */
	enum notify notify;
	const char *orcpt;
	enum handover handover;
} rcpts[] = {
	{ "good@there.example", OUTCOME_DELIVERED, NULL, NOTIFY_DEFAULT, "",
	    HANDOVER_RELAYED },
	{ "gone@there.example", OUTCOME_FAILED, "failed", NOTIFY_DEFAULT, "",
	    HANDOVER_RELAYED },
	{ "late@there.example", OUTCOME_DEFERRED, "delayed", NOTIFY_DEFAULT, "",
	    HANDOVER_RELAYED },
	{ "closed@there.example", OUTCOME_FAILED, "failed", NOTIFY_FAILURE,
	    "rfc822;shut@old.example", HANDOVER_RELAYED },
	{ "boxed@there.example", OUTCOME_DELIVERED, "delivered", NOTIFY_SUCCESS,
	    "rfc822;box@old.example", HANDOVER_FINAL },
	{ "passed@there.example", OUTCOME_DELIVERED, "relayed", NOTIFY_SUCCESS,
	    "", HANDOVER_RELAYED },
	{ "known@there.example", OUTCOME_DELIVERED, NULL, NOTIFY_SUCCESS, "",
	    HANDOVER_DSN },
	{ "mute@there.example", OUTCOME_FAILED, NULL, NOTIFY_NEVER, "",
	    HANDOVER_RELAYED },
};

#define ENVID "an envelope"

enum { RCPTS = sizeof(rcpts) / sizeof(rcpts[0]) };

/* How the mails of each number begin, in turn. */
static const enum rcpt_start starts[] = { START_WAITING, START_UNFILTERED,
	START_QUARANTINED };

enum { STARTS = sizeof(starts) / sizeof(starts[0]) };

/* One line of the ledger, from a child to the parent. */
struct event {
	uint32_t mail, rcpt;
	char what; /* A accepted, D delivered (or tried), R reported */
};

struct loop;
struct queue;
struct channel;

struct work_in {
	uint64_t id; /* 0: free */
	bool is_report;
	uint32_t mail, nrcpt, size;
	uint32_t index[RCPTS], which[RCPTS], nindex;
	char content[CONTENT_MAX];
	size_t len;
};

struct child {
	struct loop *loop;
	struct queue *q;
	struct channel *smtpd, *agent, *control;
	int out;
	uint32_t answers;
	bool first;     /* the life in which mail comes in */
	bool releasing; /* asked, and no answer yet */
	bool looked;    /* for what was removed in an earlier life */
	bool removed;   /* asked ever */
	uint64_t undo;  /* an operation that is to be undone; 0: none */
	bool released;  /* asked ever */
	struct work_in works[WORKS];
};

/* One life of the queue, in this process: on the spool dir, events go to out.
 * first: mail comes in; bounded: it may never be through. Its exit code. */
int live(const char *dir, int out, bool first, bool bounded);
/* That life. */
struct child *child(void);
/* It is not as it should be: ends the process. */
_Noreturn void broken(const char *why);
void tell_parent(char what, uint32_t mail, uint32_t rcpt);

/* What the agent and smtpd hear. */
const struct handler *agent_handlers(void);
const struct handler *smtpd_handlers(void);

#endif
