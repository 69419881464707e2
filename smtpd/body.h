/*
 * The content of one mail while it comes in: a buffer in memory, and past
 * MAIL_INLINE_MAX a file of the queue's for what is behind the header block.
 * One pass: dots, sizes, header caps, 8-bit, bare CR and LF.
 */
#ifndef POSTERN_SMTPD_BODY_H
#define POSTERN_SMTPD_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/mail/header.h"
#include "lib/net/line.h"
#include "lib/rules/config.h"

struct command;

/* Why the mail will be refused when its end has come; the first counts. */
enum body_fault {
	BODY_FINE,
	BODY_BARE,         /* bare CR or LF, or NUL */
	BODY_TOO_BIG,      /* message-size */
	BODY_HEADER_SIZE,  /* header-size */
	BODY_HEADER_FIELD, /* header-field */
	BODY_HEADER_COUNT, /* header-fields */
	BODY_HOPS,         /* it loops */
	BODY_LINE,         /* text-line */
	BODY_NO_SPACE,     /* the file cannot grow */
	BODY_NO_FILE       /* no file, or it cannot be written */
};

/* A question to the queue outlives whoever asked it. */
struct file_ask {
	struct command *command; /* NULL: nobody waits for it any more */
};

struct body {
	struct dot_reader dot;
	struct header_scan head;
	const struct limits *limits; /* of the session's configuration */
	struct buf content; /* header block, body while inline; at the end ours
			     * on top */
	size_t ours;        /* bytes of ours there */
	uint64_t max_size;
	uint64_t size;        /* octets as the client meant them */
	uint64_t raw;         /* octets as they came */
	uint64_t begin_ms;    /* monotonic; moved on by what we made it wait */
	struct file_ask *ask; /* the question for a file, NULL: none pending */
	uint64_t bodyfile;    /* its number, 0: none */
	uint64_t file_size;   /* bytes written to it */
	uint64_t generation;  /* of the channel it came by */
	int fd;               /* -1: none */
	enum body_fault fault;
	bool normalize; /* bare CR and LF become CRLF */
	bool is_8bit;
	bool ended; /* the final dot was seen */
};

struct body *body_new(
    const struct limits *limits, uint64_t max_size, bool normalize);
/* A file that was not committed is given back to the queue. */
void body_free(struct body **b);
/* Takes what it can; sets ended. Returns the bytes consumed. */
size_t body_feed(struct body *b, struct str in);
/* The memory is full and a file is needed to go on (or to end). */
bool body_needs_file(const struct body *b);
/* The file: what is behind the header block goes there from now on. */
void body_set_file(
    struct body *b, uint64_t bodyfile, int fd, uint64_t generation);
/* Gives up on the content, which still is read to its end. */
void body_fail(struct body *b, enum body_fault fault);
/* All was read: the last judgements. Returns the fault. */
enum body_fault body_finish(struct body *b);
/* A header field of ours goes on top; after body_finish. */
void body_prepend(struct body *b, struct str field);
/* Bytes of the header block with ours. */
size_t body_header_size(const struct body *b);

#endif
