/* What a domain publishes for MTA-STS: the TXT record (RFC 8461 3.1) and the
 * policy itself (3.2). */
#ifndef POSTERN_FETCH_POLICY_TEXT_H
#define POSTERN_FETCH_POLICY_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "edges/delivery_fetch.h"
#include "lib/base/buf.h"
#include "lib/base/fault.h"
#include "lib/base/str.h"

enum { POLICY_AGE_MAX_S = 31557600 /* a longer one is cut to this */ };

/* A policy as its domain wrote it. */
struct policy_text {
	enum sts_mode mode;
	uint32_t max_age_s;
	/* The patterns, lower case, a blank between them: as it goes to
	 * delivery. */
	struct buf mxs;
};

/* Any bytes. Fills p, which the caller clears; 0, or -1 with why, and then
 * there is nothing to clear. */
int policy_text_parse(
    struct str text, struct policy_text *p, struct fault *why);
void policy_text_clear(struct policy_text *p);

/* "enforce", "testing", "none". */
const char *sts_mode_name(enum sts_mode m);
/* -1 when there is no such mode. */
int sts_mode_find(struct str name);

/* The id that the TXT records of _mta-sts.DOMAIN announce: in exactly one of
 * them, which is well formed. The empty view: they announce no policy. */
struct str policy_record_id(char *const *texts, size_t ntexts);

#endif
