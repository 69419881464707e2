/* A mail as programs write it, made what SMTP carries: lines end with CRLF,
 * whatever ended them (LF, CRLF, CR), and there is no NUL. */
#ifndef POSTERN_SENDMAIL_READING_H
#define POSTERN_SENDMAIL_READING_H

#include <stdbool.h>

#include "lib/base/buf.h"

struct reading {
	struct buf *out;
	size_t line;   /* where the present line begins */
	size_t ncr;    /* CRs whose LF may come */
	bool dot_ends; /* a line with a dot alone ends the mail */
	bool is_ended;
};

void reading_init(struct reading *r, struct buf *out, bool dot_ends);
/* What comes behind the end is dropped. */
void reading_feed(struct reading *r, struct str s);
/* Nothing comes any more. */
void reading_end(struct reading *r);

/* All of fd. Returns 0, or -1 with errno when it cannot be read or out takes
 * no more (EFBIG). */
int reading_run(struct reading *r, int fd);

#endif
