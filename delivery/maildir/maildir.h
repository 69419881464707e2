/* One mail into one Maildir. */
#ifndef POSTERN_MAILDIR_MAILDIR_H
#define POSTERN_MAILDIR_MAILDIR_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

/* What is written: bytes from memory, then body_size from file (-1: none).
 * Lines end in CRLF as they came; the Maildir's end in LF. */
struct maildir_mail {
	struct str from; /* empty for <> */
	struct str rcpt;
	const char *hostname;
	struct str content;
	int file;
	uint64_t body_size;
};

/* Writes the mail below dir: tmp/NAME, synced, renamed into new, that
 * synced; makes dir's tmp, new and cur as needed. On top come Return-Path
 * and Delivered-To. Returns 0, or -1 with errno, and nothing is in new; what
 * was in tmp is gone. */
int maildir_write(int dir, const struct maildir_mail *m);

#endif
