/*
 * A destination: what recipients share that go the same way, and what is
 * known of how it behaves: window, back-off, rate, class.
 */
#ifndef POSTERN_QUEUE_DESTINATION_H
#define POSTERN_QUEUE_DESTINATION_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/rules/config.h"
#include "queue/index.h"

struct agent;

enum {
	WINDOW_FIRST = 2,
	SLOW_MS = 5000 /* a work that takes longer makes a bad impression */
};

/* What makes two recipients share a destination. */
struct route {
	uint32_t pool;
	struct word *action; /* its name; not owned */
	struct str hops;     /* empty for maildir */
	const struct deliver_numbers *numbers;
	uint64_t numbers_hash; /* of them: schedule_hash */
	bool held;             /* a pause keeps it back */
};

/* What it may have of a pool, see pool.h. */
enum destination_class {
	CLASS_GOOD, /* the last work ended well and soon, none is slow */
	CLASS_NEW,  /* not known */
	CLASS_BAD,  /* slow, or not reachable */
	CLASSES
};

enum destination_proof { PROOF_NONE, PROOF_SOON, PROOF_LATE };

struct destination {
	RB_ENTRY(destination) by_key;
	RB_ENTRY(destination) by_wake; /* while asleep */
	TAILQ_ENTRY(destination) turn; /* while it is ready */
	struct rcpt_list waiting;
	struct rcpt *hurried;   /* the last of those that were; or NULL */
	struct rcpt *swept;     /* the next to be swept; NULL: the first */
	struct agent *last;     /* who had its last work: kept connections */
	struct word *action;    /* counted */
	struct word *reply;     /* counted; the last that put mail off */
	struct str hops;        /* into text */
	uint64_t numbers_hash;  /* of the deliver numbers: part of the key */
	uint64_t not_before_ms; /* back-off, monotonic */
	uint64_t rate_us;       /* when the rate allows one more */
	uint64_t wake_ms;
	uint64_t gap_us; /* between two works; 0: no rate */
	uint32_t pool;
	uint32_t concurrency, recipients; /* as configured */
	uint32_t nwaiting;                /* recipients */
	uint32_t nflight;                 /* works */
	uint32_t nslow;                   /* of them: slow ones */
	uint32_t window;                  /* works it may have */
	uint32_t failures;                /* unreachable in a row */
	uint8_t class; /* enum destination_class, as last counted */
	uint8_t proof; /* enum destination_proof */
	bool ready;    /* in a ring of turns */
	bool asleep;   /* in the tree of sleepers */
	bool idle;     /* asleep until it is forgotten */
	bool held;     /* as its route: part of the key */
	char text[];
};

TAILQ_HEAD(turn_list, destination);

/* Nothing waits, nothing is known. The caller sets action (which it counts)
 * and frees. */
struct destination *destination_new(const struct route *to);
uint8_t destination_class(const struct destination *d);
/* When it may go on by its back-off and its rate. */
uint64_t destination_may_go_ms(const struct destination *d);
/* For how long it is worth remembering once nothing is left to do; 0: not. */
uint64_t destination_keep_ms(const struct destination *d, uint64_t now_ms);

/* --- what happened --- */
/* A work begins: the rate counts it. */
void destination_begun(struct destination *d, uint64_t now_ms);
/* One ended: well (ms: it took so long), or it was not reachable, and rests
 * from now on for a time that doubles up to max_ms. */
void destination_did_well(struct destination *d, uint64_t ms);
void destination_failed(
    struct destination *d, uint64_t now_ms, uint64_t max_ms);

#endif
