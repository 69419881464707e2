/*
 * The parts of a mail while its header and body come by: their types and file
 * names. Nothing is kept of the content, nothing calls itself however deep
 * the parts are nested, and what cannot be followed is ambiguous.
 */
#ifndef POSTERN_MILTERS_RULES_MIME_SCAN_H
#define POSTERN_MILTERS_RULES_MIME_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "milters/rules/mime_name.h"

enum {
	MIME_DEPTH_MAX = 50, /* multiparts in multiparts */
	MIME_PARTS_MAX = 10000
};

struct mime_scan {
	struct mime_names files; /* names of attachments */
	struct mime_names types; /* "text/plain" */
	bool ambiguous;          /* it may have others */
	size_t parts;

	struct {
		char *text; /* owned */
		size_t len;
	} bounds[MIME_DEPTH_MAX];

	size_t nbounds;
	bool in_header;          /* of a part */
	bool encoded;            /* the part's content is base64 or the like */
	bool typed;              /* the part has a Content-Type */
	bool nested;             /* it is a message */
	struct mime_names bound; /* the part's boundary */
	struct buf field;        /* of the part's header, unfolded so far */
	struct buf line;
};

void mime_scan_init(struct mime_scan *m);
void mime_scan_clear(struct mime_scan *m);
/* A field of the mail's header; then its end. */
void mime_scan_field(struct mime_scan *m, struct str name, struct str value);
void mime_scan_header_end(struct mime_scan *m);
void mime_scan_body(struct mime_scan *m, struct str bytes);
/* The body is over. */
void mime_scan_end(struct mime_scan *m);

#endif
