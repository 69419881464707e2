/* SMTP replies: parsing what a server said (RFC 5321 4.2, RFC 2034). */
#ifndef POSTERN_MAIL_REPLY_H
#define POSTERN_MAIL_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum {
	REPLY_LINE_MAX = 4096, /* bytes of one line */
	REPLY_LINES_MAX = 100,
	REPLY_TOTAL_MAX = 65536, /* bytes of one reply */
	REPLY_KEPT_MAX = 512     /* bytes of its text that we keep */
};

/* An enhanced status code x.y.z (RFC 3463); class 0: there is none. */
struct status {
	uint8_t class;
	uint16_t subject, detail;
};

/* Parses "5.1.1" at the start of s; *rest what follows. 0/-1 */
int status_parse(struct str s, struct status *out, struct str *rest);
const char *status_format(const struct status *st, char out[static 16]);

/* A reply being read line by line. */
struct reply {
	uint16_t code; /* 0 until the first line */
	struct status status;
	size_t nlines, nbytes;
	char text[REPLY_KEPT_MAX + 1]; /* printable ASCII, lines joined by a
					* blank, cut */
	size_t text_len;
};

enum reply_result {
	REPLY_MORE, /* a continuation line; the next line is awaited */
	REPLY_DONE,
	REPLY_BAD /* not a reply, or too long: end the connection */
};

void reply_init(struct reply *r);
/* One line without its CRLF. Calls for each line (EHLO keywords) are the
 * caller's own business. */
enum reply_result reply_add_line(struct reply *r, struct str line);

#endif
