/*
 * The header block of a mail (RFC 5322 2.2), split one way for everybody.
 *
 * The block is the longest run of header fields at the start of the content,
 * and the empty line behind them if there is one. A field is a name of
 * printable ASCII (33-126, no colon), a colon at once, a value, and the lines
 * that begin with a blank behind it. The first line that is neither a field
 * nor belongs to one is the beginning of the body.
 */
#ifndef POSTERN_MAIL_HEADER_H
#define POSTERN_MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

/* Finds the end of the block while the content arrives. */
struct header_scan {
	size_t size;  /* of the block so far; final when done */
	size_t seen;  /* bytes searched for the end of the present line */
	size_t field; /* where the present field begins */
	size_t nfields;
	size_t nreceived; /* Received: fields, for the loop check */
	size_t longest;   /* longest field in bytes, with its CRLF */
	bool done;        /* the end was found */
	/* The owner's, before the first feed: fields with blanks before their
	 * colon (RFC 5322 4.5.8) belong to the block, too. header_next knows
	 * none: the blanks are to be removed first. */
	bool obsolete;
};

void header_scan_init(struct header_scan *h);
/* content: all of it from its first byte to the last that has arrived; each
 * call gets at least what the one before had. whole: nothing more will come
 * (a last line may lack its CRLF). Returns done. */
bool header_scan_feed(struct header_scan *h, struct str content, bool whole);

struct header_field {
	struct str raw; /* with its folded lines and last CRLF */
	struct str name;
	struct str value; /* behind the colon, as it stands, without the
			   * last CRLF */
};

/* The field at *pos of a block, and *pos moved behind it; false at its end. */
bool header_next(struct str block, size_t *pos, struct header_field *out);

#endif
