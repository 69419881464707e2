/*
 * What a gateway that restarts in place leaves to its successor: lines of text
 * in a sealed memfd, whose number stands in the environment, and the
 * descriptors that they name. Text, so that a line that one of the two does
 * not know does no harm.
 */
#ifndef POSTERN_POSTERND_HANDOVER_H
#define POSTERN_POSTERND_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "edges/edges.h"
#include "lib/base/buf.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"
#include "posternd/inherited.h"
#include "posternd/tickets.h"

#define HANDOVER_VARIABLE "POSTERN_HANDOVER"

enum { HANDOVER_MAX = 4096 /* sockets, and processes */ };

/* A process of before, which lives on. */
struct handed_process {
	enum role role;
	uint16_t instance;
	uint64_t edges;      /* edges_hash() where it was built */
	uint32_t generation; /* how many restarts there had been by its start */
	pid_t pid;
	uint64_t started_ms, until_ms; /* monotonic; until: it may live */
	int parent;                    /* descriptor: our end of all_parent */
	int queue; /* likewise the queue's end of its channel; or -1 */
	uint32_t number;
};

struct handover {
	pid_t pid;           /* of whom it is for */
	uint64_t started_ms; /* the first of all starts, monotonic */
	uint32_t restarts;
	unsigned int log_level;
	int oom_others; /* see environment.h */
	int log_fd;     /* descriptor of the log; or -1 */
	enum log_sink log_sink;
	bool log_json;
	uint8_t tickets[TICKETS_SIZE];
	size_t ntickets; /* bytes */
	struct inherited *sockets;
	size_t nsockets;
	struct handed_process *processes;
	size_t nprocesses;
};

void handover_format(const struct handover *h, struct buf *out);
/* -1: that is none, or not one of ours. Looks at the text only. */
int handover_parse(struct str text, struct handover *h, struct fault *why);
/* Frees; the descriptors stay. */
void handover_clear(struct handover *h);

/* Into a sealed memfd that is not closed by exec, as no descriptor of h from
 * here on. Returns it, or -1. */
int handover_write(const struct handover *h, struct fault *why);
/* What the environment names: 1 and h, or 0: nothing. -1: there is something
 * that was left to us, but we cannot take it. All its descriptors are closed
 * by exec again; those that are not what they should be are not in h. */
int handover_read(struct handover *h, struct fault *why);
/* All descriptors of h, in rising order: n of them, which the caller frees. */
int *handover_descriptors(const struct handover *h, size_t *n);
/* After an exec that failed: all stays ours. */
void handover_take_back(const struct handover *h, int fd);

#endif
