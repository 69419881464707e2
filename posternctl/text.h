/* Text for people: safe for their terminal, and as wide as it is. */
#ifndef POSTERN_POSTERNCTL_TEXT_H
#define POSTERN_POSTERNCTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

/* Appends s so that it cannot steer a terminal: controls (C0, C1, DEL),
 * characters that turn the direction of writing, and what is not UTF-8 come
 * out as \xHH, a backslash as \\. */
void text_add(struct buf *out, struct str s);
/* The same, but line ends and tabs stay: for content shown on a terminal. */
void text_add_lines(struct buf *out, struct str s);
/* An address in its angle brackets. */
void text_add_address(struct buf *out, struct str address);
/* "42s", "5m", "3h", "2d". Returns out. */
const char *text_duration(uint64_t seconds, char out[static 24]);
/* "512", "1.2K", "34M". Returns out. */
const char *text_size(uint64_t bytes, char out[static 24]);
/* Columns of the terminal standard output is; 0: it is none, no limit. */
size_t text_columns(void);
/* Lines of it; 0: it is none, or does not say. */
size_t text_rows(void);
/* Appends line, cut to the columns there are, and a line end to out; line is
 * empty afterwards. */
void text_end_line(struct buf *out, struct buf *line);
/* The same, but what is too long goes on in more lines, indented. */
void text_wrap_line(struct buf *out, struct buf *line, size_t indent);
/* s and a line end, broken into lines of so many columns (0: not), those
 * behind the first indented. */
void text_wrap(struct buf *out, struct str s, size_t columns, size_t indent);
/* The same, of as many columns as there are. */
void text_wrap_to_terminal(struct buf *out, struct str s, size_t indent);
/* "192.0.2.1:25", "[2001:db8::1]:25", "/a/path" (port 0). */
void text_add_socket(struct buf *out, struct str address, unsigned int port);
/* Blanks up to this column (at least one). */
void text_pad(struct buf *line, size_t column);

#endif
