/*
 * A daily report of how TLS went (RFC 8460): its JSON, and the mail around it.
 * A pure function of what it is given, all of which may be hostile but the
 * configuration.
 */
#ifndef POSTERN_QUEUE_TLS_REPORT_TEXT_H
#define POSTERN_QUEUE_TLS_REPORT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/rules/config.h"
#include "queue/tally.h"

enum {
	TLS_REPORT_MAX = 8 << 20, /* bytes of the mail, and of its JSON */
	TLS_REPORT_TO_MAX = 8,    /* addresses of one record */
	TLS_REPORT_NAME_MAX = 600 /* of texts about a report */
};

struct tls_report {
	const struct tally *tally;
	const struct tls_reports *by;
	struct str id; /* of the mail */
	struct str hostname;
	struct str to;
	uint64_t now_ms;
};

/* out is reset. 0, or -1: it does not fit. */
int tls_report_json(const struct tls_report *r, struct buf *out);
/* The mail; out is reset. The size of its header is *header_size. 0, or -1: it
 * does not fit. */
int tls_report_build(
    const struct tls_report *r, struct buf *out, uint32_t *header_size);

/* The mail addresses of a TLSRPT record (RFC 8460 3), decoded, each once, at
 * most TLS_REPORT_TO_MAX; out's texts are in text. *nother: addresses of other
 * kinds, or of none that we know. Returns how many. */
size_t tls_report_addresses(struct str rua, struct buf *text,
    struct str out[static TLS_REPORT_TO_MAX], size_t *nother);
/* The report's own name, the same whenever it is made:
 * DATE.DOMAIN@SUBMITTER; out is reset. */
struct str tls_report_id(const struct tls_report *r, struct buf *out);
/* "2026-11-22"; out holds 11. Returns out. */
const char *tls_report_day(uint32_t day, char out[static 11]);

#endif
