/* The fields of a MIME header, and what two of them say (RFC 2045 5, 6). */
#ifndef POSTERN_DELIVERY_MIME_FIELD_H
#define POSTERN_DELIVERY_MIME_FIELD_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum mime_field {
	MIME_FIELD_OTHER,
	MIME_FIELD_DECLARED, /* Content-Transfer-Encoding */
	MIME_FIELD_TYPE,     /* Content-Type */
	MIME_FIELD_VERSION   /* MIME-Version */
};

enum mime_type { MIME_LEAF, MIME_MULTIPART, MIME_DIGEST, MIME_MESSAGE };

enum mime_encoding {
	MIME_UNSAID,  /* 7bit, none, or a word that nobody knows */
	MIME_8BIT,    /* 8bit, binary */
	MIME_QUOTED,  /* quoted-printable */
	MIME_ENCODED, /* base64, uuencode */
};

enum { MIME_BOUNDARY_MAX = 200 /* RFC 2046 5.1.1 has 70 */ };

/* Does a line begin a field? Which one? As header.h has it, with blanks before
 * the colon too (RFC 5322 4.5.8): who reads the mail may take them so, and
 * what is put behind the last field would cut the others off. */
bool mime_field_find(struct str s, enum mime_field *field);
/* The value of Content-Type, unfolded or not; a multipart without a boundary
 * (or with one beyond MIME_BOUNDARY_MAX) is a leaf. boundary is reset, and
 * set for multiparts. Message: message/rfc822 alone; other kinds may be
 * encoded (RFC 6532 3.5). */
enum mime_type mime_type_parse(struct str value, struct buf *boundary);
/* The value of Content-Transfer-Encoding. */
enum mime_encoding mime_encoding_parse(struct str value);

#endif
