/*
 * queue_delivery: the queue (A) gives work to an agent (B): delivery, maildir
 * or mda, which speak the same words.
 *
 * The agent says how many mails it can hold (tell_capacity; 0: no more from
 * here on); every tell_done gives one place back.
 */
#ifndef POSTERN_EDGES_QUEUE_DELIVERY_H
#define POSTERN_EDGES_QUEUE_DELIVERY_H

#include "lib/base/id.h"
#include "lib/ipc/channel.h"
#include "lib/mail/envelope.h"

#define TELL_CAPACITY(F) F(u32, mails, 100000)
WIRE_DECLARE(tell_capacity, TELL_CAPACITY)

/* Deliver this mail to these recipients, who share a destination. The
 * request id names the work; nrcpt tell_work_rcpt and inline_size bytes of
 * tell_work_content follow under it. With a file the body (body_size bytes)
 * is in it and only the header block inline. */
#define TELL_WORK(F)                                                   \
	F(str, msgid, ID_LEN)                                          \
	F(str, from, ENVELOPE_ADDRESS_MAX)                             \
	F(u32, flags, ENVELOPE_FLAGS_ALL)                              \
	F(str, action, 64)  /* its name */                             \
	F(str, hops, 4096)  /* relay: URLs; maildir: empty */          \
	F(str, domain, 255) /* of the recipients, for `deliver for` */ \
	F(u64, received_ms, UINT64_MAX)                                \
	F(u32, nrcpt, 100000)                                          \
	F(u32, header_size, 2097152)                                   \
	F(u32, inline_size, 2359296)                                   \
	F(u64, body_size, UINT64_MAX)                                  \
	F(u8, in_file, 1) /* tell_work_file follows the recipients */  \
	F(str, envid, ENVELOPE_ENVID_MAX)
WIRE_DECLARE(tell_work, TELL_WORK)

#define TELL_WORK_RCPT(F)                                                     \
	F(u32, index, UINT32_MAX) /* in the message; comes back in results */ \
	F(u32, attempts, UINT32_MAX) /* made before this one */               \
	F(str, to, ENVELOPE_ADDRESS_MAX)                                      \
	F(u8, notify, NOTIFY_ALL)                                             \
	F(str, orcpt, ENVELOPE_ORCPT_MAX) /* or empty */
WIRE_DECLARE(tell_work_rcpt, TELL_WORK_RCPT)

#define TELL_WORK_FILE(F) F(fd, file, 0) /* read-only, body from offset 0 */
WIRE_DECLARE(tell_work_file, TELL_WORK_FILE)

#define TELL_WORK_CONTENT(F) F(bin, bytes, CHANNEL_CONTENT_MAX)
WIRE_DECLARE(tell_work_content, TELL_WORK_CONTENT)

enum outcome { OUTCOME_DELIVERED, OUTCOME_DEFERRED, OUTCOME_FAILED };

/* Who tells the sender of a success, if NOTIFY asks for it. */
enum handover {
	HANDOVER_FINAL,   /* we do: it is in a mailbox */
	HANDOVER_RELAYED, /* we do: the next hop knows no DSN (RFC 3461 5.2.2)
			   */
	HANDOVER_DSN      /* the next hop has taken that over */
};

/* What became of one recipient; each of the work's gets exactly one. */
#define TELL_RESULT(F)                                                         \
	F(u32, index, UINT32_MAX)                                              \
	F(u8, outcome, OUTCOME_FAILED)                                         \
	F(u16, code, 599)             /* SMTP reply code, 0: none was heard */ \
	F(str, status, 15)            /* enhanced status, always there */      \
	F(str, relay, 320)            /* host[address]:port, or the path */    \
	F(str, reply, 512)            /* text, printable ASCII */              \
	F(u8, possible_duplicate, 1)  /* the end came after our dot */         \
	F(u8, handover, HANDOVER_DSN) /* enum handover, of OUTCOME_DELIVERED   \
				       */                                      \
	F(str, tls, 128) /* as the log has it: version, cipher, how verified;  \
			  * empty: in the clear, or no connection */
WIRE_DECLARE(tell_result, TELL_RESULT)

/* All results of this work were told. unreachable: no next hop of the
 * destination could be talked to at all (for its back-off). */
#define TELL_DONE(F)          \
	F(u8, unreachable, 1) \
	F(u32, ms, UINT32_MAX) /* from tell_work to here */
WIRE_DECLARE(tell_done, TELL_DONE)

/* The agent ends as it was told to: all that it has begun was told before
 * this, and what has no result lies unread. */
#define TELL_LEAVING(F) WIRE_NOTHING(F)
WIRE_DECLARE(tell_leaving, TELL_LEAVING)

/* --- TLS reports (RFC 8460) --- */

enum tls_policy { TLS_POLICY_NONE, TLS_POLICY_TLSA, TLS_POLICY_STS };

enum tls_result {
	TLS_RESULT_SUCCESS,
	TLS_RESULT_NO_STARTTLS,       /* starttls-not-supported */
	TLS_RESULT_HOST_MISMATCH,     /* certificate-host-mismatch */
	TLS_RESULT_NOT_TRUSTED,       /* certificate-not-trusted */
	TLS_RESULT_EXPIRED,           /* certificate-expired */
	TLS_RESULT_VALIDATION,        /* validation-failure: all else */
	TLS_RESULT_TLSA_INVALID,      /* tlsa-invalid */
	TLS_RESULT_DNSSEC_INVALID,    /* dnssec-invalid */
	TLS_RESULT_DANE_REQUIRED,     /* dane-required */
	TLS_RESULT_STS_FETCH_ERROR,   /* sts-policy-fetch-error */
	TLS_RESULT_STS_INVALID,       /* sts-policy-invalid */
	TLS_RESULT_STS_WEBPKI_INVALID /* sts-webpki-invalid */
};

/* So many sessions for this policy domain had this result since the last time;
 * only of domains that ask for reports. */
#define TELL_TLS_TALLY(F)                                                    \
	F(u32, day, UINT32_MAX) /* UTC, since 1970 */                        \
	F(str, domain, 255)                                                  \
	F(str, rua, 1024) /* its TLSRPT record */                            \
	F(u8, policy, TLS_POLICY_STS)                                        \
	F(str, policy_text, 4096) /* policy-string: its lines, LF between */ \
	F(str, mx_patterns, 4096) /* of MTA-STS, a blank between */          \
	F(u8, result, TLS_RESULT_STS_WEBPKI_INVALID)                         \
	F(str, mx, 255)                                                      \
	F(str, mx_address, 64)                                               \
	F(str, our_address, 64)                                              \
	F(str, reason, 128) /* failure-reason-code; or empty */              \
	F(u32, count, UINT32_MAX)
WIRE_DECLARE(tell_tls_tally, TELL_TLS_TALLY)

/* clang-format off */
#define QUEUE_DELIVERY(M)                                                     \
	M(tell_capacity,     EDGE_B_TO_A, PHASE_RUN, 0)                       \
	M(tell_work,         EDGE_A_TO_B, PHASE_RUN, 0)                       \
	M(tell_work_rcpt,    EDGE_A_TO_B, PHASE_RUN, 0)                       \
	M(tell_work_file,    EDGE_A_TO_B, PHASE_RUN, 0)                       \
	M(tell_work_content, EDGE_A_TO_B, PHASE_RUN, 0)                       \
	M(tell_result,       EDGE_B_TO_A, PHASE_RUN, 0)                       \
	M(tell_done,         EDGE_B_TO_A, PHASE_RUN, 0)                       \
	M(tell_leaving,      EDGE_B_TO_A, PHASE_RUN, 0)                       \
	M(tell_tls_tally,    EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(queue_delivery, QUEUE_DELIVERY)

#endif
