/*
 * Parameters of MIME header fields (RFC 2045 5.1), with their continuations
 * and character sets (RFC 2231) and encoded words (RFC 2047), read the way
 * mail programs do, not the way they should: what one of them could make of a
 * name is a candidate, and what cannot be read for certain is ambiguous.
 */
#ifndef POSTERN_MILTERS_RULES_MIME_NAME_H
#define POSTERN_MILTERS_RULES_MIME_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

struct mime_names {
	char **v; /* owned, UTF-8 as far as we can tell */
	size_t n;
	bool ambiguous;
};

void mime_names_clear(struct mime_names *names);
/* Once each, 1000 at most (then ambiguous). */
void mime_names_add(struct mime_names *names, struct str name);
/* Adds what the parameter of that name may be, in a field's value (unfolded).
 * What stands before the first semicolon goes to *head. */
void mime_params(struct str value, const char *param, struct mime_names *out,
    struct str *head);
/* Encoded words decoded, the rest as it is. False: not for certain. */
bool mime_decode_words(struct str in, struct buf *out);

#endif
