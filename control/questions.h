/*
 * What may be asked: who answers it, who may ask it, and how it is passed on.
 */
#ifndef POSTERN_CONTROL_QUESTIONS_H
#define POSTERN_CONTROL_QUESTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "edges/edges.h"
#include "lib/ipc/channel.h"

struct request;

enum target {
	TO_ROLE, /* one of them */
	TO_EACH, /* all of this role */
	TO_ALL,  /* everybody; numbers are added up */
	TO_SELF
};

/* A question, and its way. */
struct route {
	const char *name; /* for the log */
	/* Sends it over ch for this caller; NULL: question_send. */
	uint64_t (*send)(struct request *r, struct channel *ch, const void *msg,
	    answer_fn *fn, void *ctx);
	/* What it is called in the log; NULL: name. */
	const char *(*describe)(const void *msg);
	enum target target;
	enum role role;       /* of TO_ROLE, TO_EACH */
	unsigned int permits; /* of enum permit, all needed; 0: anybody */
	/* Who was asked and says nothing for so long is given up; 0: never,
	 * it is told when the question is cancelled (tell_cancel). */
	unsigned int silence_ms;
	uint16_t type;
	bool has_terms; /* filters may stand before it */
};

/* Sends r's question over ch. Its field `uid', if it has one, becomes the
 * asker's, whatever he wrote there; its `reason' is kept for the log. */
uint64_t question_send(struct request *r, struct channel *ch, const void *msg,
    answer_fn *fn, void *ctx);
/* NULL: there is no such question. */
const struct route *route_find(uint16_t type);
/* Does it ask for numbers and states alone? The role web asks for no more. */
bool route_is_for_web(const struct route *r);

#endif
