/*
 * One filter's place in a session: its connection, what it was told over it,
 * and what it said that still counts. Asked about an event, it first has the
 * filter told what that must know (connect, helo, mail); a refusal of one of
 * these is the answer.
 */
#ifndef POSTERN_MILTERS_CLIENT_MEMBER_H
#define POSTERN_MILTERS_CLIENT_MEMBER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "milters/client/dial.h"
#include "milters/client/edits.h"
#include "milters/client/headers.h"
#include "milters/client/health.h"
#include "milters/client/milter.h"
#include "milters/client/talk.h"

/* What the filter was told over its connection. */
enum told { TOLD_NOTHING, TOLD_CONNECT, TOLD_HELO, TOLD_MAIL };

/* What a verdict holds for. */
enum scope { SCOPE_EVENT, SCOPE_MESSAGE, SCOPE_SESSION };

struct member_answer {
	enum milter_verdict verdict; /* never QUARANTINE */
	const char *reply;           /* NULL: it gave none */
	const char *fault; /* not NULL: it failed, verdict means nothing */
	bool again;        /* it, or its failure, was the answer before */
	uint64_t us;       /* it took so long */
};

struct member;
/* The answer is in m->answer; never from inside a call. */
typedef void member_fn(void *ctx, struct member *m);

struct member {
	TAILQ_ENTRY(member) entry; /* of its session's */
	struct loop *loop;
	const struct milter *milter;
	const struct milter_facts *facts;
	member_fn *fn;
	void *ctx;
	struct health *health; /* lives while there are holds; see member.c */
	/* its connection; NULL what is not there */
	struct hold *hold;
	struct dial *dial;
	struct timer *late; /* of dial */
	struct talk *talk;
	bool fresh; /* made for the present question */
	bool good;  /* it has answered */
	enum told told;
	/* the present question */
	bool waiting;
	enum milter_stage wanted, telling;
	const struct headers *headers; /* at MILTER_CONTENT */
	const struct milter_mail *mail;
	uint64_t began_us, told_us;
	struct member_answer answer;
	/* what stands */
	char *failed;  /* owned; until the next message. NULL: no */
	bool reported; /* failed was an answer */
	bool skipped;  /* failed: it was not tried */
	bool full;     /* skipped: for our limit on its connections */
	enum scope decided;
	enum milter_verdict decision;
	char *decision_reply; /* owned; NULL: none */
	/* its session's business */
	uint32_t step;
	struct edits *edits;      /* owned; of the present content */
	enum milter_verdict word; /* what it said means */
	char *reply;              /* owned, of word; NULL: none */
	bool asked;               /* in this round */
};

/* milter and facts outlive it. Connects when it is first asked. */
struct member *member_new(struct loop *l, const struct milter *milter,
    const struct milter_facts *facts, member_fn *fn, void *ctx);
/* The connection ends. Clears the pointer; NULL is allowed. */
void member_free(struct member **p);

/* True: m->answer is there; false: fn follows. */
bool member_ask(struct member *m, enum milter_stage stage);
/* MILTER_CONTENT: headers and mail outlive the question; what the filter
 * changes goes to m->edits, which are there. */
bool member_ask_content(struct member *m, const struct headers *headers,
    const struct milter_mail *mail);
void member_tell_refused(struct member *m);
/* The message is over: ABORT if the filter waits for more of it. A question
 * has no answer any more; its connection is given up. */
void member_end_message(struct member *m);

#endif
