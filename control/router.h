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
	const char *what; /* for the log: "remove" */
	char *reason;     /* the caller's; NULL: none */
	struct leg *legs; /* one for each process that was asked */
	size_t nlegs, nopen;
	bool is_answered;       /* by one of them; end is that */
	struct sum *sum;        /* rows are gathered here, or NULL */
	struct answer_done end; /* end.text is end_text */
	char end_text[512];
	struct timer *silence; /* no word from those who were asked */
};

/* A request's part at one process. */
struct leg {
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
	ROUTE_SILENCE_MS = 30000,
	NAMES_SILENCE_MS = 40000,
	FILTER_SILENCE_MS = 660000 /* filters may take ten minutes */
};

/* A question came: checks that the asker may ask it and sends it, with the
 * terms the asker has gathered, to those who answer; or answers at once. */
void route_question(
    struct asker *a, uint16_t type, const void *msg, uint64_t id);
/* The asker is gone. */
void route_cancel(struct request **r);
/* A row for one of these legs. One that belongs to none was cancelled. */
void route_row(
    struct leg_list *legs, uint64_t id, uint16_t type, const void *msg);
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
