/*
 * A question and its way: which process answers it, who may ask it, and the
 * rows and the answer on their way back.
 */
#ifndef POSTERN_CONTROL_ROUTER_H
#define POSTERN_CONTROL_ROUTER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

#include "edges/control_all.h"
#include "lib/base/loop.h"

struct answerer;
struct asker;
struct route;
struct sum;

/* A question in progress. */
struct request {
	TAILQ_ENTRY(request) link; /* of its asker's */
	struct asker *asker;
	uint64_t id; /* under which the asker knows it */
	const struct route *route;
	const char *what;       /* for the log: "remove" */
	char *reason;           /* the caller's; NULL: none */
	SLIST_HEAD(, leg) legs; /* one for each process that was asked */
	size_t nopen;
	TAILQ_ENTRY(request) lasting; /* with what it asks for; of one that
				       * lasts */
	char *network;
	bool is_answered;       /* by one of them; end is the best of theirs */
	struct sum *sum;        /* rows are gathered here, or NULL */
	bool is_apart;          /* those of each process for themselves */
	struct answer_done end; /* end.text is end_text */
	char end_text[512];
	uint64_t nlost;        /* rows that its asker had no room for, of one
				* that lasts */
	struct timer *silence; /* no word from those who were asked */
};

/* A request's part at one process. */
struct leg {
	SLIST_ENTRY(leg) next; /* of its request's */
	TAILQ_ENTRY(leg) link; /* of its answerer's */
	struct request *request;
	struct answerer *answerer; /* NULL: over */
	uint64_t id;               /* under which the answerer knows it */
	bool is_paused;
};

TAILQ_HEAD(leg_list, leg);

/* An answerer that says nothing; name servers may take 30 s, and the resolver
 * then has something to say. */
enum {
	PART_SILENCE_MS = 3000,  /* a part: the rest goes without it */
	NEAR_SILENCE_MS = 10000, /* has the answer in its memory */
	ROUTE_SILENCE_MS = 30000,
	NAMES_SILENCE_MS = 40000,
	FILTER_SILENCE_MS = 660000 /* filters may take ten minutes */
};

/* A question came: checks that the asker may ask it and sends it, with the
 * terms the asker has gathered, to those who answer; or answers at once. */
void route_question(
    struct asker *a, uint16_t type, const void *msg, uint64_t id);
/* A process has come: who looks on while things happen hears of it, too. */
void route_joined(struct answerer *a);
/* The question that this asker knows by id; NULL: none in progress. */
struct request *route_find_request(const struct asker *a, uint64_t id);
/* The asker is gone, or does not want to know any more. */
void route_cancel(struct request **r);
/* A row for one of these legs. One that belongs to none was cancelled. */
void route_row(
    struct leg_list *legs, uint64_t id, uint16_t type, const void *msg);
/* The asker has room again: of a question that lasts he hears how many rows he
 * missed. */
void route_caught_up(struct request *r);
/* The process behind ch, whose legs these are, is gone. */
void route_gone(struct leg_list *legs, struct channel *ch);
/* The asker of r does not read (or does again): the processes that answer it
 * are not read either meanwhile. */
void route_stall(struct request *r);
void route_resume(struct request *r);
/* What ask_submit_path is answered with; copied. */
void route_set_submit_path(const char *path);
/* Questions in progress. When the last is done, idle is called (NULL: not). */
size_t route_count(void);
void route_on_idle(void (*idle)(void));

#endif
