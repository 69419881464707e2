/* A mail as a mailbox or a command gets it: two lines on top, LF for CRLF. */
#ifndef POSTERN_AGENTS_MAIL_TEXT_H
#define POSTERN_AGENTS_MAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/str.h"
#include "lib/mail/envelope.h"

/* What is left to be read; everything in it is the caller's and stays. */
struct mail_text {
	size_t ntop, top_at;
	struct str content; /* then body_size bytes of file (-1: none) */
	int file;
	uint64_t file_at, body_size;
	bool cr; /* a CR is held back at the end of a piece */
	char top[2 * ENVELOPE_ADDRESS_MAX + 64];
};

enum { MAIL_TEXT_ROOM_MIN = 16 };

/* from: empty for <>. */
void mail_text_init(struct mail_text *t, struct str from, struct str rcpt,
    struct str content, int file, uint64_t body_size);
/* The next bytes, at most size (MAIL_TEXT_ROOM_MIN or more). 0: at the end;
 * -1 with errno: the file cannot be read, or is shorter than was said. */
ssize_t mail_text_read(struct mail_text *t, char *out, size_t size);

#endif
