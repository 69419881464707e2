/* How text from outside gets into a report: cleaned, folded, encoded. Nothing
 * here can end a line, open a header field or make a line too long. */
#ifndef POSTERN_QUEUE_REPORT_MIME_H
#define POSTERN_QUEUE_REPORT_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum {
	MIME_TEXT_MAX = 640, /* bytes of one text from outside */
	MIME_FOLD_AT = 78,   /* RFC 5322 2.1.1 */
	MIME_LINE_MAX = 998
};

/* A text made harmless. */
struct clean {
	char text[MIME_TEXT_MAX];
	struct str s; /* into text */
};

/* Printable ASCII (and, with utf8, well-formed characters beyond it), the
 * rest as question marks; cut. */
void mime_clean(struct clean *out, struct str in, bool utf8);
/* Clean words, one blank between them, each line ended; `first` begins the
 * first line, `indent` (blanks) every other one. */
void mime_fold(
    struct buf *out, const char *first, const char *indent, struct str words);
/* Do all its lines end with CRLF, none of them too long, with nothing but
 * text in them: ASCII, or UTF-8 if that is allowed? */
bool mime_is_plain(struct str s, bool utf8);
bool mime_is_ascii(struct str s);
/* Do all its lines end with CRLF, none of them too long? */
bool mime_is_lines(struct str s);
/* Quoted-printable (RFC 2045 6.7); ends with a CRLF. */
void mime_quote(struct buf *out, struct str s);

#endif
