/*
 * One connection of posternctl (or of anything else that found the socket):
 * its terms so far, its questions in progress, its deadlines.
 */
#ifndef POSTERN_CONTROL_ASKER_H
#define POSTERN_CONTROL_ASKER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/access.h"
#include "control/router.h"
#include "lib/base/buf.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

enum {
	ASKER_TERMS_MAX = 64,         /* filters of one question */
	ASKER_MAIL_MAX = 16777216,    /* bytes of a mail that comes before it */
	ASKER_MAILS_MAX = 67108864,   /* the same, of all askers */
	ASKER_QUESTIONS_MAX = 8,      /* in progress at once */
	ASKER_PER_UID_MAX = 32,       /* connections of one uid */
	ASKER_MAX = 256,              /* connections in all */
	ASKER_QUESTION_MS = 5000,     /* to say a whole question */
	ASKER_STALL_MS = 3000,        /* without reading, once */
	ASKER_STALL_TOTAL_MS = 10000, /* the same, in all, */
	ASKER_READS_FOR = 20 /* but so much reading earns a part of it back */
};

/* A filter as it came, kept until its question comes. */
struct term {
	uint8_t kind, negate;
	uint64_t number;
	struct str text; /* text.p is owned */
};

struct asker {
	TAILQ_ENTRY(asker) link; /* of all askers */
	struct loop *loop;
	struct channel *ch;
	struct caller who;
	struct term *terms; /* said since the last question, in order */
	size_t nterms;
	struct buf mail;                /* likewise */
	TAILQ_HEAD(, request) requests; /* in progress (router.h) */
	size_t nrequests;
	struct timer *deadline; /* for a question, or for reading */
	bool is_stalled;        /* it does not read; its answerers wait */
	uint64_t stalled_at_ms, read_since_ms;
	uint64_t stall_left_ms;
	struct deferred reap; /* frees it after the round it ended in */
	bool is_dropped;
	bool is_process; /* one of ours: may be silent as long as it likes */
};

/* Begins to serve fd (taken over), which belongs to who. */
struct asker *asker_new(struct loop *l, int fd, const struct caller *who);
/* The role web, which may ask for numbers and states (route_is_for_web); who
 * was there before it is dead. Its channel is the asker's. */
struct channel *asker_new_web(struct loop *l, int fd);
/* Ends it: its questions are cancelled, its memory goes after the round. */
void asker_drop(struct asker *a);
/* Ends all of them, after what they have coming has left, as far as they take
 * it soon. */
void asker_drop_all(void);
/* Connections, in all and of one uid. */
size_t asker_count(void);
size_t asker_count_uid(uid_t uid);

/* For router.c: one more row or answer was said to it; when it does not take
 * it, the answerers of its questions wait. */
void asker_fed(struct asker *a);
/* For router.c: a question came to its end. */
void asker_answered(struct asker *a);

#endif
