/*
 * Standard output: text gathers in memory and leaves as fast as the reader
 * takes it. While the gateway talks, nothing here waits for a slow reader (a
 * pager), because the gateway would wait with us.
 */
#ifndef POSTERN_POSTERNCTL_OUT_H
#define POSTERN_POSTERNCTL_OUT_H

#include "lib/base/buf.h"

/* What is to be printed is appended here. */
struct buf *out_buf(void);
/* Writes what can leave without waiting, when it is worth a call. -1: nobody
 * reads any more. */
int out_turn(void);
/* For whoever reads along: writes what there is, waiting; what he is too slow
 * for the gateway drops. -1: nobody reads any more. */
int out_now(void);
/* Writes the rest, waiting. Returns 0, or -1 when it cannot be written (said
 * on stderr). */
int out_end(void);

/* A line for people, as wide as their terminal; of words that are ours. */
void out_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A line "name      value", for people. */
void out_field(const char *name, struct str value);

#endif
