/* What may be said between two processes: one table per edge. */
#ifndef POSTERN_IPC_EDGE_H
#define POSTERN_IPC_EDGE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/wire.h"

/* An edge has two ends, A and B, in the order of its name: in smtpd_queue
 * smtpd is A and the queue B. */
enum edge_end { EDGE_A, EDGE_B };

enum edge_direction { EDGE_A_TO_B = 1, EDGE_B_TO_A = 2 };

/* A channel goes through these in order and never back; in which phase a
 * type may come stands in its row. Before all of them comes the hello. */
enum edge_phase {
	PHASE_SETUP = 1, /* configuration is handed over */
	PHASE_RUN = 2
};

struct edge_row {
	uint16_t type;     /* above 0, unique in the edge */
	uint8_t direction; /* of enum edge_direction, or both */
	uint8_t phases;    /* of enum edge_phase */
	uint8_t once;      /* 1: a second one is a breach */
	const struct wire_msg *wire;
};

struct edge {
	const char *name;
	const char *end[2]; /* names of the two ends */
	const struct edge_row *rows;
	size_t nrows;
	uint32_t max_message;  /* bytes of one encoded message */
	size_t queue_bytes;    /* unsent bytes from which on it is full */
	enum edge_phase start; /* phase right after the hello */
};

/*
 * An edge's list is M(message, direction, phases, once) per message; it makes
 * enum { TYPE_message, ... } (types count from 1 in the list's order) and
 * the table NAME_edge.
 */
#define EDGE_TYPE(msg, direction, phases, once) TYPE_##msg,
#define EDGE_ROW(msg, direction, phases, once) \
	{ TYPE_##msg, (direction), (phases), (once), &msg##_wire },

#define EDGE_DECLARE(name, LIST)                                       \
	enum { name##_types_begin, LIST(EDGE_TYPE) name##_types_end }; \
	extern const struct edge name##_edge;

#define EDGE_DEFINE(name, LIST, a, b, max, queue, start)                      \
	static const struct edge_row name##_rows[] = { LIST(EDGE_ROW) };      \
	const struct edge name##_edge = { #name, { (a), (b) }, name##_rows,   \
		sizeof(name##_rows) / sizeof(name##_rows[0]), (max), (queue), \
		(start) };

/* The row of a type, or NULL. */
const struct edge_row *edge_row(const struct edge *e, uint16_t type);
/* How a message of this row (NULL: none) in this direction breaks the contract
 * now, or NULL. seen: a bit for each type that came already. */
const char *edge_breach(const struct edge_row *row, uint8_t direction,
    enum edge_phase phase, uint64_t *seen);
/* Over everything that defines the edge. */
uint64_t edge_hash(const struct edge *e);

#endif
