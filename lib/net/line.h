/*
 * Strict line and DATA readers as byte automata: they allocate nothing and
 * give the same answer however the input is split.
 */
#ifndef POSTERN_NET_LINE_H
#define POSTERN_NET_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

enum line_result {
	LINE_MORE, /* no whole line yet */
	LINE_OK,   /* line: without its CRLF */
	LINE_BARE, /* a CR or LF that is not part of CRLF, or a NUL */
	LINE_LONG  /* no CRLF within max bytes */
};

/* Looks for a line of at most max bytes (CRLF included) at the start of in.
 * *used is what the caller may drop (on LINE_OK the line and its CRLF; on
 * LINE_MORE nothing). */
enum line_result line_next(
    struct str in, size_t max, struct str *line, size_t *used);

/* --- message content between DATA and the dot (RFC 5321 4.1.1.4, 4.5.2), or
 * in chunks (RFC 3030), where a dot is a dot --- */
enum dot_state {
	DOT_BOL, /* at the beginning of a line */
	DOT_DOT, /* a dot at the beginning of a line */
	DOT_DOT_CR,
	DOT_TEXT,
	DOT_CR
};

struct dot_reader {
	enum dot_state state;
	bool bare;       /* a bare CR, bare LF or NUL was seen */
	bool nul;        /* a NUL was seen; it is kept also when normalizing */
	bool normalize;  /* make bare CR and LF to CRLF, instead of keeping */
	bool chunks;     /* nothing within the content ends it */
	size_t line_len; /* bytes of the present line so far */
	size_t longest;  /* longest line so far, without CRLF */
};

void dot_reader_init(struct dot_reader *d, bool normalize);
/* Takes content from in and gives its bytes, dots unstuffed, in pieces to
 * out. Returns how many bytes of in were consumed; *end says that the final
 * CRLF.CRLF was among them (then nothing behind it is consumed). */
size_t dot_reader_feed(struct dot_reader *d, struct str in,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx, bool *end);

/* The same for content that comes in chunks: dot_reader_feed takes all of
 * each, and never says end. */
void chunk_reader_init(struct dot_reader *d, bool normalize);
/* The last chunk is through: a CR that was held back is bare, and a last line
 * without its CRLF gets it. */
void chunk_reader_end(struct dot_reader *d,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx);

/* The way out: what stood in canonical content, made safe for DATA. */
struct dot_writer {
	enum dot_state state;
};

void dot_writer_init(struct dot_writer *d);
/* Stuffs dots; bare CR and LF become CRLF, NUL is dropped (and counted in
 * the return value: bytes changed). */
size_t dot_writer_feed(struct dot_writer *d, struct str in,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx);
/* The CRLF that was missing, and the final dot. */
void dot_writer_end(struct dot_writer *d,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx);

#endif
