/*
 * A new body as it comes from a filter, piece by piece: made canonical (every
 * line ends in CRLF, nothing else is a CR or LF) and handed to smtpd's storage.
 */
#ifndef POSTERN_MILTERS_CLIENT_EDIT_BODY_H
#define POSTERN_MILTERS_CLIENT_EDIT_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/str.h"
#include "milters/client/milter.h"

struct edit_body {
	const struct milter_ops *ops;
	void *ctx;
	void *body;     /* owned until somebody takes it; NULL: none */
	uint64_t max;   /* bytes */
	uint64_t bytes; /* so far */
	bool begun;     /* it has one, even if its storage failed */
	bool failed;    /* the storage did */
	bool waiting;   /* for edit_body_ready */
	bool cr;        /* the last byte was a CR: its LF may still come */
	bool open;      /* the last line has no end yet */
	bool ended;
};

enum edit_body_result {
	EDIT_BODY_TAKEN,
	EDIT_BODY_WAIT, /* taken; no more before edit_body_ready */
	EDIT_BODY_BIG,  /* more than max */
	EDIT_BODY_NUL
};

void edit_body_init(
    struct edit_body *b, uint64_t max, const struct milter_ops *ops, void *ctx);
/* Frees a body that nobody took. */
void edit_body_clear(struct edit_body *b);
/* The first one begins a new body, an empty one, too. */
enum edit_body_result edit_body_add(struct edit_body *b, struct str bytes);
/* Nothing follows: its last line gets its end. TAKEN or WAIT; does it once. */
enum edit_body_result edit_body_end(struct edit_body *b);
void edit_body_ready(struct edit_body *b, bool ok);

#endif
