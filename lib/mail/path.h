/* Mail addresses of the envelope (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3). */
#ifndef POSTERN_MAIL_PATH_H
#define POSTERN_MAIL_PATH_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum {
	PATH_LOCAL_MAX = 64,
	PATH_DOMAIN_MAX = 255,
	PATH_MAX_LEN = 320,    /* of local@domain as we keep it */
	PATH_FORMAT_MAX = 1280 /* room for path_format, all of it quoted */
};

enum path_flags {
	PATH_ALLOW_NULL = 1,  /* <> */
	PATH_ALLOW_BARE = 2,  /* no angle brackets */
	PATH_ALLOW_LOCAL = 4, /* no @domain (postmaster) */
	PATH_ALLOW_UTF8 = 8,  /* SMTPUTF8 was announced for this mail */
};

enum path_error {
	PATH_OK,
	PATH_SYNTAX,
	PATH_LOCAL_LONG,
	PATH_DOMAIN_LONG,
	PATH_UTF8 /* 8-bit without PATH_ALLOW_UTF8 */
};

/* A parsed address. The views point into the caller's input, but for a
 * quoted local part, whose plain form stands in scratch. */
struct path {
	struct str local;  /* unquoted: "a b"@x has a b */
	struct str domain; /* as given; empty only with PATH_ALLOW_LOCAL */
	bool is_literal;   /* domain is [1.2.3.4] or [IPv6:...] */
	bool is_utf8;
	char scratch[PATH_LOCAL_MAX + 1];
};

/* Parses an address at the start of in; *rest gets what stands behind it.
 * Source routes are parsed and dropped (RFC 5321 C). */
enum path_error path_parse(
    struct str in, unsigned int flags, struct path *out, struct str *rest);
/* local@domain, quoted where it must be; domain in lower case; "" for <>. */
void path_format(const struct path *p, struct buf *out);
/* The reverse of path_format for an address that we stored: splits at the
 * last @; unquotes into scratch. Returns 0, or -1 when it is not one. */
int path_split(struct str address, struct path *out);
/* A host name as in HELO or a domain: letters, digits, hyphens, dots, each
 * label 1-63 characters, 255 bytes in all (underscore taken); UTF-8 labels
 * with utf8. */
bool path_is_domain(struct str s, bool utf8);
/* An address literal with its brackets. */
bool path_is_literal(struct str s);

#endif
