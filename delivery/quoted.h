/* Quoted-printable (RFC 2045 6.7), line by line. */
#ifndef POSTERN_DELIVERY_QUOTED_H
#define POSTERN_DELIVERY_QUOTED_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

enum {
	/* Room for what becomes of one byte, of a blank before it, and of the
	 * end of a line. */
	QUOTED_ROOM = 16
};

/* Where an encoder stands; all zero at the beginning. */
struct quoted {
	unsigned int column; /* bytes on the present line */
	char blank;          /* held back: the line may end behind it */
	bool soft;           /* the present line continues one of the text */
};

/* Each writes at most QUOTED_ROOM bytes to out and returns how many. */
size_t quoted_byte(struct quoted *q, char c, char *out);
/* The line of the text ends: with CRLF, unless it is the last and has none. */
size_t quoted_line_end(struct quoted *q, bool crlf, char *out);

#endif
