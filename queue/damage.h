/*
 * What is damaged is set aside in corrupt/: the bytes as they were found and,
 * beside them, NAME.reason: where they lay and what is wrong. Nothing there
 * is ever read, used or deleted by the queue.
 */
#ifndef POSTERN_QUEUE_DAMAGE_H
#define POSTERN_QUEUE_DAMAGE_H

#include <stddef.h>
#include <stdint.h>

struct damage {
	const char *what;    /* what is wrong */
	const char *segment; /* the file's name */
	uint64_t generation, offset;
	uint64_t seq; /* 0: unknown */
};

/* Bytes into corrupt/SEGMENT-GENERATION-OFFSET. Says nothing when that is
 * there from an earlier start. 0 when it is safe there, -1. */
int damage_keep(
    int corrupt, const struct damage *d, const uint8_t *p, size_t len);
/* Moves a file that does not belong where it is. */
int damage_move(int corrupt, int dir, const char *name, const char *what);

#endif
