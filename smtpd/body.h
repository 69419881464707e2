/*
 * The content of one mail while it comes in: the header block in memory, the
 * body where smtpd/content.h has it. One pass: dots, sizes, header caps, bare
 * CR and LF. And what filters put in its place.
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
#include "smtpd/content.h"

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

struct body {
	struct dot_reader dot;
	struct header_scan head;
	const struct limits *limits; /* of the session's configuration */
	struct content content; /* header block, at the end ours on top, and
				 * body */
	size_t ours;            /* bytes of ours there */
	char *header;           /* owned: a block in its place, or NULL */
	size_t header_len;
	uint64_t max_size;
	uint64_t size;     /* octets as the client meant them */
	uint64_t raw;      /* octets as they came */
	uint64_t begin_ms; /* monotonic; moved on by what we made it wait, and
			    * by the time between chunks */
	uint64_t idle_ms;  /* the latter, in all */
	uint64_t idle_since_ms;
	uint32_t nchunks;
	enum body_fault fault;
	bool normalize; /* bare CR and LF become CRLF */
	bool ended;     /* the end of it was seen */
	bool chunked;   /* it comes with BDAT */
};

/* on_file: of its content, with ctx. */
struct body *body_new(const struct limits *limits, uint64_t max_size,
    bool normalize, content_fn *on_file, void *ctx);
/* A file that was not committed is given back to the queue. */
void body_free(struct body **b);
/* Takes what it can; sets ended. Returns the bytes consumed. */
size_t body_feed(struct body *b, struct str in);
/* Its content comes in chunks, not up to a dot; before the first. */
void body_begin_chunks(struct body *b);
/* The last of them is through. */
void body_end_chunks(struct body *b);
/* The memory is full and a file is needed to go on (or to end). */
bool body_needs_file(const struct body *b);
/* Asks for it. False: there is none, the fault is set. */
bool body_ask_file(struct body *b);
/* Its content may have failed meanwhile: takes the fault over. */
void body_check(struct body *b);
/* Gives up on the content, which still is read to its end. */
void body_fail(struct body *b, enum body_fault fault);
/* All was read: the last judgements. Returns the fault. */
enum body_fault body_finish(struct body *b);
/* A header field of ours goes on top; after body_finish. */
void body_prepend(struct body *b, struct str field);
/* A field that the client has left to us goes on top of its own ones. */
void body_add_field(struct body *b, struct str field);
/* The header block ends with an empty line: nobody can take what stands behind
 * it for a part of it; before body_prepend. */
void body_end_header(struct body *b);
/* len bytes of the header block go, from pos on; behind ours. */
void body_cut(struct body *b, size_t pos, size_t len);
/* The header block with ours. */
struct str body_header(const struct body *b);
/* Another header block (copied), ours with it. */
void body_set_header(struct body *b, struct str header);
/* Another body (taken, the pointer is cleared). */
void body_set_content(struct body *b, struct content **content);
/* There are bytes above 127. */
bool body_is_8bit(const struct body *b);

#endif
