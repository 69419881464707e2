/* A plain SMTP conversation over a socket that may block. */
#ifndef POSTERN_SUBMIT_SMTP_H
#define POSTERN_SUBMIT_SMTP_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/mail/path.h"
#include "lib/mail/reply.h"

struct smtp {
	int fd;
	struct buf in;      /* read and not used yet */
	struct buf out;     /* to be written */
	struct reply reply; /* the last */
	bool has_8bitmime, has_smtputf8, has_dsn;
	/* What completes an address without a domain there; "": not said. */
	char domain[PATH_DOMAIN_MAX + 1];
	const char *why; /* the conversation failed */
};

void smtp_init(struct smtp *s, int fd);
/* Closes the socket too. */
void smtp_clear(struct smtp *s);
/* Each returns the code of the reply, 0 when the conversation failed (why).
 * smtp_greeting reads the first one; smtp_ehlo keeps the keywords;
 * smtp_command sends a line (without its CRLF). */
int smtp_greeting(struct smtp *s);
int smtp_ehlo(struct smtp *s, const char *name);
int smtp_command(struct smtp *s, struct str line);
/* Sends content, in n pieces, the way DATA wants it, and the dot. */
int smtp_content(struct smtp *s, const struct str *pieces, size_t n);

#endif
