/* One mail that the queue asks about; for the scan_*.c files. */
#ifndef POSTERN_SMTPD_SCAN_JOB_H
#define POSTERN_SMTPD_SCAN_JOB_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/smtpd_queue.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/rules/config.h"
#include "smtpd/context.h"
#include "smtpd/facts.h"
#include "smtpd/mail_events.h"
#include "smtpd/scan.h"

struct content;

enum job_state {
	JOB_GATHERING, /* parts come in */
	JOB_WAITING,   /* for its turn */
	JOB_RUNNING,   /* filters look at it */
	JOB_STORING,   /* the queue has what they changed */
	JOB_OVER       /* freed after the round */
};

struct job_rcpt {
	char *to;     /* owned; the other texts stand behind it */
	char *action; /* its name */
	char *orig;   /* as the client gave it; "" when that is the same */
	char *orcpt;  /* or "" */
	uint8_t start, notify;
};

struct job {
	TAILQ_ENTRY(job) entry;
	struct loop *loop;
	enum job_state state;
	uint64_t id; /* of the question */
	struct ask_filter ask;
	char *texts; /* owned: what ask views */
	char msgid[ID_LEN + 1];
	struct log_ctx log;
	struct job_rcpt *rcpts; /* owned */
	size_t nrcpts;
	struct buf content; /* the header block and a body in memory */
	int fd;             /* of the body; -1: none */
	/* while it is shown */
	struct config *config; /* a reference */
	struct context *context;
	struct facts facts;
	struct scan_set set;
	bool obeyed;  /* one of them is no shadow */
	bool missing; /* one that it met is not configured any more */
	struct scan_rcpt *shown; /* owned: rcpts, as filters see them */
	struct scan_mail mail;
	struct scan *scan;
	struct mail_events events;
	/* then */
	struct answer_filtered verdict; /* its texts are words */
	char *words;                    /* owned */
	struct content *body;           /* a new one; or NULL */
	uint64_t commit;                /* the question to the queue; 0: none */
	struct deferred reap;
};

/* --- scan_begin.c --- */
/* Shows it; job_answer follows. config: the present one. False: a filter has
 * no connection left, nothing happened. */
bool job_begin(struct job *j, struct config *config);

/* --- scan_commit.c --- */
/* Filters let it pass, or have it quarantined: has what they changed stored,
 * if they did, and then calls job_answer. */
void job_store(struct job *j);

/* --- scan_queue.c --- */
/* What the answer will be: copied; reply in one line. */
void job_set_verdict(struct job *j, enum filtered verdict, const char *filter,
    const char *reply);
/* Says it. The job is over. */
void job_answer(struct job *j);
/* The queue is to ask again later, because of a fault of ours. */
void job_fail(struct job *j, const char *why);
void job_add_rcpt(struct job *j, const struct tell_rcpt *m);

#endif
