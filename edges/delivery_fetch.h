/* delivery_fetch: an agent (A) asks the fetcher (B) for the MTA-STS policy of
 * a mail domain (RFC 8461). */
#ifndef POSTERN_EDGES_DELIVERY_FETCH_H
#define POSTERN_EDGES_DELIVERY_FETCH_H

#include "lib/ipc/channel.h"

enum {
	STS_ID_MAX = 32,        /* of the TXT record */
	STS_MXS_MAX = 4096,     /* the patterns, a blank between them */
	STS_PATIENCE_MS = 70000 /* an answer that takes longer comes too late */
};

/* The domain of the recipients: A-labels, lower case. */
#define ASK_STS(F) F(str, domain, 255)
WIRE_DECLARE(ask_sts, ASK_STS)

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

/* Why there is no (new) policy, for reports (RFC 8460 4.3.2.2). */
enum sts_fault {
	STS_NO_FAULT,
	STS_FETCH_ERROR,    /* sts-policy-fetch-error */
	STS_INVALID,        /* sts-policy-invalid */
	STS_WEBPKI_INVALID, /* sts-webpki-invalid */
	STS_UNANSWERED      /* nobody can tell whether there is one, for a fault
			     * of ours: mail waits, no report has it */
};

#define ANSWER_STS(F)                                                         \
	F(u8, mode, STS_ENFORCE)     /* enum sts_mode; NONE: there is none */ \
	F(u8, fault, STS_UNANSWERED) /* enum sts_fault */                     \
	F(u32, ttl_s, 86400) /* how long the answer may be remembered */      \
	F(str, id, STS_ID_MAX)                                                \
	F(u32, max_age_s, 31557600)                                           \
	F(str, mxs, STS_MXS_MAX) /* "mx.example.com *.example.net" */
WIRE_DECLARE(answer_sts, ANSWER_STS)

/* clang-format off */
#define DELIVERY_FETCH(M)                                                     \
	M(ask_sts,    EDGE_A_TO_B, PHASE_RUN, 0)                              \
	M(answer_sts, EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(delivery_fetch, DELIVERY_FETCH)

#endif
