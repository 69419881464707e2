/*
 * Mail on its way in: ask_commit and the parts that follow under its request
 * id become one record. What has not all come yet is bounded per channel.
 */
#ifndef POSTERN_QUEUE_INTAKE_H
#define POSTERN_QUEUE_INTAKE_H

#include "lib/base/tree.h"
#include <stdbool.h>
#include <stdint.h>

#include "edges/smtpd_queue.h"
#include "lib/base/buf.h"
#include "queue/cache.h"
#include "queue/store.h"

struct intake;
RB_HEAD(intake_tree, intake);

/* All unfinished ones of one channel. */
struct intakes {
	struct intake_tree by_id;
	struct intake *last; /* the parts of one mail come together */
	uint64_t bytes;      /* memory that they hold */
	uint32_t count;
};

/* One mail, complete; its views point into it. */
struct intake_mail {
	struct mail_record record; /* but for its seq */
	bool replaces;             /* a mail of its id that we hold */
	uint64_t body_size;        /* as it was said */
	uint64_t asked_us;         /* monotonic: when the question came */
	struct content *content;   /* the caller's from now on */
	struct mail_rcpt *rcpts;   /* the caller's, of record */
	char *text;                /* the caller's, of the views */
};

enum intake_result {
	INTAKE_MORE,      /* parts are missing */
	INTAKE_WHOLE,     /* out is filled; the request is forgotten here */
	INTAKE_MALFORMED, /* against the contract: refuse it (forgotten) */
	INTAKE_BUSY,      /* too much at once: refuse it (forgotten) */
	INTAKE_UNKNOWN    /* a part of what was refused before: ignore it */
};

void intakes_init(struct intakes *all);
/* Forgets all that is unfinished. */
void intakes_clear(struct intakes *all);
/* The question, and each of its parts. */
enum intake_result intake_begin(struct intakes *all, uint64_t id,
    const struct ask_commit *m, struct intake_mail *out);
enum intake_result intake_add_rcpt(struct intakes *all, uint64_t id,
    const struct tell_rcpt *m, struct intake_mail *out);
enum intake_result intake_add_content(struct intakes *all, uint64_t id,
    const struct tell_content *m, struct intake_mail *out);
/* The msgid of the unfinished one of this id; empty: there is none. Valid
 * until its next part. */
struct str intake_msgid(struct intakes *all, uint64_t id);
/* Frees what is still set of it. */
void intake_mail_clear(struct intake_mail *mail);

#endif
