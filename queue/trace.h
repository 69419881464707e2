/*
 * The trace: what happened to recent mail, in a ring of bounded size. An event
 * is a few bytes copied; it becomes text only when somebody asks.
 */
#ifndef POSTERN_QUEUE_TRACE_H
#define POSTERN_QUEUE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/str.h"

enum { TRACE_BYTES = 33554432, TRACE_TEXTS = 5, TRACE_NUMBERS = 2 };

/* Each a row of the table in trace.c: its name, and its keys. */
enum trace_kind {
	TRACE_PAD,       /* nothing: what is left at the end of the ring */
	TRACE_TOLD,      /* by smtpd: the event's name, its text */
	TRACE_ACCEPTED,  /* from, client; recipients, bytes */
	TRACE_REPORT,    /* kind, to, id of the report */
	TRACE_DELIVERED, /* to, action, relay, reply, tls; attempts */
	TRACE_DEFERRED,
	TRACE_BOUNCED,
	TRACE_EXPIRED,
	TRACE_HELD,        /* to, reason */
	TRACE_REMOVED,     /* to */
	TRACE_RELEASED,    /* to */
	TRACE_REQUEUED,    /* to, action */
	TRACE_QUARANTINED, /* to, filter, reason */
	TRACE_DISCARDED,   /* to, filter */
	TRACE_FILTERING,   /* why; recipients, round */
	TRACE_FILTERED,    /* verdict, filter, reply; 1: it was changed */
	TRACE_REPLACED,    /* id of the one it goes on as */
	TRACE_RESTORED,    /* to; the operation that had removed it */
	/* of mail that is not here any more */
	TRACE_ENDED, /* to, state, action, relay, reply; attempts */
	TRACE_MORE,  /* recipients that are not told of */
	TRACE_KINDS
};

struct trace_event {
	enum trace_kind kind;
	uint64_t when_ms; /* wall; 0: now */
	struct str texts[TRACE_TEXTS];
	uint64_t numbers[TRACE_NUMBERS];
};

struct trace; /* owned by the queue */

struct trace *trace_new(size_t bytes);
void trace_free(struct trace **t);
/* Copies what it is given; texts too long for the ring are cut. */
void trace_add(
    struct trace *t, const char *msgid, const struct trace_event *ev);

/* Where the events of a message lie, oldest first, at most max of the latest;
 * returns how many. The places are good for trace_get for as long as nothing
 * was written over them. */
size_t trace_find(
    const struct trace *t, struct str msgid, uint64_t *places, size_t max);

/* What is shown of an event. */
struct trace_row {
	enum trace_kind kind;
	uint64_t when_ms;
	struct str event; /* static, or in the ring: until the next trace_add */
	struct buf *text; /* key=value …; reset before */
};

/* -1: it was written over meanwhile. */
int trace_get(const struct trace *t, uint64_t place, struct trace_row *row);
/* An event as it would be shown, without the ring. */
void trace_format(const struct trace_event *ev, struct trace_row *row);

#endif
