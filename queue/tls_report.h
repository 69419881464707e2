/*
 * Daily reports of how TLS went (RFC 8460): what agents tell is gathered by
 * day and domain, kept in the spool (file `tls-reports'), and told to the
 * domain when the day is over.
 */
#ifndef POSTERN_QUEUE_TLS_REPORT_H
#define POSTERN_QUEUE_TLS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "edges/queue_delivery.h"
#include "queue/tally.h"

struct queue;
struct timer;

struct tls_reporting {
	struct tallies tallies;
	struct timer *save; /* what is not on disk */
	struct timer *look; /* for days that are over */
	bool saving;        /* a write is under way */
	bool changed;       /* since the last one began */
	uint64_t due_ms;    /* by when that is to be on disk */
	size_t nsending;
	uint64_t made; /* since the start */
};

void tls_report_init(struct queue *q);
/* From the spool; a damaged file is set aside. Once the store is open. */
void tls_report_load(struct queue *q);
/* Mail may be made of it from now on, when it is time. */
void tls_report_start(struct queue *q);
/* Counts it, unless nobody sends reports. */
void tls_report_tally(struct queue *q, const struct tell_tls_tally *m);
/* Writes what is not on disk; before the store is closed. */
void tls_report_stop(struct queue *q);

/* When the report about this day of the domain is due, wall. */
uint64_t tls_report_due_ms(
    uint32_t day, const char *domain, const char *hostname);

#endif
