/*
 * What a report says: a multipart/report (RFC 6522) with a part for people, a
 * part for machines (RFC 3464, RFC 6533) and the header of the mail it is
 * about. A pure function of what it is given, all of which may be hostile.
 */
#ifndef POSTERN_QUEUE_REPORT_TEXT_H
#define POSTERN_QUEUE_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum report_kind {
	REPORT_FAILED,  /* to its sender */
	REPORT_DELAYED, /* to its sender, who need do nothing */
	REPORT_DOUBLE,  /* failed, and no sender to tell: to the postmaster */
	REPORT_SUCCESS  /* delivered or relayed, to its sender, who asked */
};

/* In the header of a REPORT_DOUBLE: the id of the mail it is about. */
#define REPORT_DOUBLE_FIELD "X-Postern-Double-Bounce"

enum {
	REPORT_HEADER_MAX = 65536, /* bytes of the original's header */
	REPORT_TOLD_MAX = 131072,  /* about so much is said of recipients */
	REPORT_BODY_MAX = 131072,  /* a longer body is not returned */
	REPORT_MAX = 393216        /* more than any report */
};

struct report_rcpt {
	struct str to;
	struct str reply;  /* the last, with its code; empty: none */
	struct str relay;  /* who said it; empty: we did */
	struct str orcpt;  /* "type;address", as its sender had it; or empty */
	bool relayed;      /* REPORT_SUCCESS: not to a mailbox, but further */
	uint64_t last_ms;  /* wall, of the last attempt; 0: not known */
	uint64_t until_ms; /* wall; REPORT_DELAYED: when we give up */
};

struct report {
	enum report_kind kind;
	struct str id; /* the report's own */
	struct str hostname;
	struct str to; /* who gets it */
	uint64_t now_ms;
	/* the mail it is about */
	struct str original_id;
	struct str from; /* its sender; REPORT_DOUBLE says it */
	uint64_t arrival_ms;
	bool utf8; /* it was SMTPUTF8, so its sender takes that */
	bool has_header;
	struct str header; /* its header block */
	struct str envid;  /* its sender's name for it; or empty */
	bool returns_body; /* if its form allows */
	struct str body;
	const struct report_rcpt *rcpts;
	uint32_t nrcpt; /* at least 1 */
};

struct report_made {
	uint32_t nrcpt; /* of the first so many it tells; at least 1 */
	uint32_t header_size;
	uint32_t flags; /* enum envelope_flags of the report */
};

/* out is reset, and never over REPORT_MAX bytes. Lines end with CRLF and are
 * at most 998 bytes; 8-bit only with ENVELOPE_8BIT, and outside of a returned
 * body only with ENVELOPE_SMTPUTF8. */
void report_build(
    const struct report *r, struct buf *out, struct report_made *made);

#endif
