/*
 * Lines of one session, the last of them: a block of memory that grows in
 * small steps up to a bound. Beyond it the oldest lines go, a quarter of the
 * block at a time, so that a line costs a copy and no more.
 */
#ifndef POSTERN_SMTPD_RECORDING_H
#define POSTERN_SMTPD_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "lib/base/str.h"

enum {
	/* Of one recording; and when all together have taken RECORDINGS_MANY.
	 */
	RECORDING_MAX = 4096,
	RECORDING_SHORT = 1024,
	/* Of all together: those that begin then hold nothing. */
	RECORDINGS_MANY = 8388608,
	RECORDINGS_MAX = 16777216,
	/* Of a line. */
	RECORDING_TEXT_MAX = 512
};

struct recording;

typedef void recording_fn(
    void *ctx, enum line_way way, uint64_t wall_ms, struct str text);

/* Adds a line of RECORDING_TEXT_MAX bytes at most, as of now; the first makes
 * the recording, where there is room for it. */
void recording_add(struct recording **r, enum line_way way, struct str text);
/* fn for each line, in order; before them, when some are gone, a note of how
 * many. NULL: there are none. */
void recording_each(const struct recording *r, recording_fn *fn, void *ctx);
/* Nothing more will be added: gives back what it does not use, and counts no
 * longer among those that grow. */
void recording_finish(struct recording **r);
/* Bytes that it takes; of NULL 0. */
size_t recording_size(const struct recording *r);
/* Clears the pointer; NULL is allowed. */
void recording_free(struct recording **r);
/* Bytes of all that are not finished. */
size_t recordings_size(void);

#endif
