/*
 * What the gateway's processes know of its filters, put together: numbers are
 * added, histograms merged, of states the worst counts.
 */
#ifndef POSTERN_POSTERNCTL_MILTER_ROWS_H
#define POSTERN_POSTERNCTL_MILTER_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "lib/base/latency.h"

enum { MILTER_ROW_SOCKETS = 8 };

struct milter_socket_sum {
	char *text;  /* owned */
	char *fault; /* owned: the last; NULL: none */
	uint8_t state;
	uint64_t sessions, failures;
};

struct milter_sum {
	char *name, *on_failure; /* owned */
	bool shadow, after_queue;
	uint8_t state;
	uint64_t sessions, connections, failures, skipped, compared, differed,
	    edits;
	uint32_t version, actions, steps; /* of the last that negotiated */
	uint64_t verdicts[ROW_MILTER_VERDICTS];
	uint64_t latency[ROW_MILTER_STAGES][LATENCY_BUCKETS];
	struct milter_socket_sum sockets[MILTER_ROW_SOCKETS];
	size_t nsockets;
};

/* In the order in which they came. */
struct milter_sums {
	struct milter_sum *sums; /* owned */
	size_t n;
};

void milter_sums_init(struct milter_sums *m);
void milter_sums_clear(struct milter_sums *m);
void milter_sums_add(struct milter_sums *m, const struct row_milter *row);
void milter_sums_add_socket(
    struct milter_sums *m, const struct row_milter_socket *row);
/* Times of all stages together. */
void milter_sum_latency(
    const struct milter_sum *s, uint64_t out[static LATENCY_BUCKETS]);

#endif
