/*
 * smtpd_queue: a session (A) hands mail to the queue (B); the queue has mail
 * that it holds already shown to the filters.
 */
#ifndef POSTERN_EDGES_SMTPD_QUEUE_H
#define POSTERN_EDGES_SMTPD_QUEUE_H

#include "lib/base/id.h"
#include "lib/ipc/channel.h"
#include "lib/mail/envelope.h"

/* Asks for a file to write a large body into (beyond MAIL_INLINE_MAX). The
 * queue makes it under its final name. */
#define ASK_BODYFILE(F) F(u64, size_hint, UINT64_MAX) /* SIZE=, 0 unknown */
WIRE_DECLARE(ask_bodyfile, ASK_BODYFILE)

/* Write from offset 0 on; belongs to us until ask_commit names it or
 * tell_bodyfile_dropped gives it back (as does the end of the channel). */
#define ANSWER_BODYFILE(F)                                     \
	F(u64, bodyfile, UINT64_MAX) /* its number, above 0 */ \
	F(fd, file, 0)
WIRE_DECLARE(answer_bodyfile, ANSWER_BODYFILE)

#define TELL_BODYFILE_DROPPED(F) F(u64, bodyfile, UINT64_MAX)
WIRE_DECLARE(tell_bodyfile_dropped, TELL_BODYFILE_DROPPED)

/* What has to be known to show a mail to the filters again: smtpd makes it and
 * reads it, the queue keeps it with the mail. */
enum { COMMIT_CONTEXT_MAX = 16384 };

/* Keep this mail. nrcpt tell_rcpt and then inline_size bytes of tell_content
 * follow under the same request id; answered when all is on stable storage
 * (answer_commit), or refused. content is the header block (header_size
 * bytes, Received included, up to and with the empty line if there is one)
 * and the body; with a bodyfile only the header block travels inline. */
#define ASK_COMMIT(F)                                                        \
	F(str, msgid, ID_LEN)                                                \
	F(str, from, ENVELOPE_ADDRESS_MAX) /* empty for <> */                \
	F(u32, flags, ENVELOPE_FLAGS_ALL)  /* enum envelope_flags */         \
	F(u64, received_ms, UINT64_MAX)    /* wall time */                   \
	F(str, client, 64)                 /* address text, or "local" */    \
	F(str, client_name, 255)           /* HELO name */                   \
	F(str, listener, 80)               /* address:port or path's name */ \
	F(u32, nrcpt, 100000)                                                \
	F(u32, header_size, 2097152)                                         \
	F(u32, inline_size, 2359296)                                         \
	F(u64, bodyfile, UINT64_MAX) /* 0: all inline */                     \
	F(u64, body_size, UINT64_MAX)                                        \
	F(u8, replaces, 1)  /* a mail of this id is there: in its place */   \
	F(str, filter, 64)  /* that had it quarantined, or empty */          \
	F(str, reason, 512) /* why */                                        \
	F(bin, context, COMMIT_CONTEXT_MAX) /* may be empty */               \
	F(str, envid, ENVELOPE_ENVID_MAX)   /* RFC 3461, decoded */          \
	F(str, auth_user, 255) /* who has authenticated, or empty: counts    \
				* for limit rate-per-user */
WIRE_DECLARE(ask_commit, ASK_COMMIT)

/* ask_commit.filter when a rule said so, not a filter. */
#define QUARANTINE_BY_RULE "rules"

/* What happens to a recipient's mail first. */
enum rcpt_start {
	START_WAITING,     /* delivery */
	START_QUARANTINED, /* nothing, until somebody releases it */
	START_UNFILTERED   /* ask_filter */
};

#define TELL_RCPT(F)                                                      \
	F(str, to, ENVELOPE_ADDRESS_MAX)                                  \
	F(str, action, 64)                 /* its name */                 \
	F(u8, start, START_UNFILTERED)     /* enum rcpt_start */          \
	F(str, orig, ENVELOPE_ADDRESS_MAX) /* as the client gave it, when \
					    * that differs; else empty */ \
	F(u8, notify, NOTIFY_ALL)          /* enum notify */              \
	F(str, orcpt, ENVELOPE_ORCPT_MAX)  /* "rfc822;a@b", or empty */
WIRE_DECLARE(tell_rcpt, TELL_RCPT)

#define TELL_CONTENT(F) F(bin, bytes, CHANNEL_CONTENT_MAX)
WIRE_DECLARE(tell_content, TELL_CONTENT)

/* Something that happened to the mail, for its trace; a part of the request it
 * belongs to (ask_commit, before its content; ask_filter). */
#define TELL_EVENT(F)               \
	F(u64, when_ms, UINT64_MAX) \
	F(str, event, 32)           \
	F(str, text, 1024)
WIRE_DECLARE(tell_event, TELL_EVENT)

/* It is on disk, and ours now. */
#define ANSWER_COMMIT(F) WIRE_NOTHING(F)
WIRE_DECLARE(answer_commit, ANSWER_COMMIT)

/* Not taken (a commit or a bodyfile). */
enum queue_refusal {
	REFUSED_FAULT,    /* 451 4.3.0: a write or sync failed */
	REFUSED_SPACE,    /* 452 4.3.1: disk short, or queue limit */
	REFUSED_BUSY,     /* 451 4.3.2: stopping */
	REFUSED_MALFORMED /* 451 4.3.0: id in use */
};

#define ANSWER_REFUSED(F) F(u8, why, REFUSED_MALFORMED)
WIRE_DECLARE(answer_refused, ANSWER_REFUSED)

/* Whether new mail can be taken; smtpd answers 452 (or 451) at MAIL while
 * not. Said after the hello and at each change. */
enum queue_space { SPACE_OK, SPACE_SHORT, SPACE_SUSPECT /* storage failed */ };

#define TELL_SPACE(F)               \
	F(u8, state, SPACE_SUSPECT) \
	F(u64, free_bytes, UINT64_MAX) /* beyond the reserve */
WIRE_DECLARE(tell_space, TELL_SPACE)

/* --- who may not, or always may, come in --- */

enum block_kind { BLOCK_DENY, BLOCK_ALLOW };

/* The administrator's entries, kept by the queue: all of them behind the
 * hello, begun by tell_blocks and in any order. A tell_block that comes behind
 * them is a change: an entry that is new, or in the place of one for the same
 * network; one whose time was over long ago (until_ms 1) takes it away. */
#define TELL_BLOCKS(F) F(u32, count, 100000) /* tell_block that follow */
WIRE_DECLARE(tell_blocks, TELL_BLOCKS)

#define TELL_BLOCK(F)                                        \
	F(u8, kind, BLOCK_ALLOW)                             \
	F(str, network, 64)          /* "192.0.2.0/24" */    \
	F(u64, until_ms, UINT64_MAX) /* wall; 0: for ever */ \
	F(str, reason, 512)
WIRE_DECLARE(tell_block, TELL_BLOCK)

/* The administrator has smtpd paused: nobody is let in. Said after the hello
 * and at each change. */
#define TELL_PAUSED(F) F(u8, paused, 1)
WIRE_DECLARE(tell_paused, TELL_PAUSED)

/* --- the queue asks --- */

enum filter_why {
	FILTER_AFTER_QUEUE, /* filters with `phase queue' */
	FILTER_REPORT,      /* a report of ours: `queue report-milters' */
	FILTER_RESCAN       /* it was quarantined: by all that it met */
};

/* Show this mail to the filters. nrcpt tell_rcpt, a tell_body when has_file,
 * and inline_size bytes of tell_content follow under the id. When the filters
 * changed it an ask_commit with `replaces' comes first, then in any case
 * answer_filtered. */
#define ASK_FILTER(F)                       \
	F(str, msgid, ID_LEN)               \
	F(u8, why, FILTER_RESCAN)           \
	F(str, from, ENVELOPE_ADDRESS_MAX)  \
	F(u32, flags, ENVELOPE_FLAGS_ALL)   \
	F(u64, received_ms, UINT64_MAX)     \
	F(str, client, 64)                  \
	F(str, client_name, 255)            \
	F(str, listener, 80)                \
	F(u32, nrcpt, 100000)               \
	F(u32, header_size, 2097152)        \
	F(u32, inline_size, 2359296)        \
	F(u8, has_file, 1)                  \
	F(u64, body_size, UINT64_MAX)       \
	F(bin, context, COMMIT_CONTEXT_MAX) \
	F(str, envid, ENVELOPE_ENVID_MAX)
WIRE_DECLARE(ask_filter, ASK_FILTER)

/* The body, to be read. */
#define TELL_BODY(F) F(fd, file, 0)
WIRE_DECLARE(tell_body, TELL_BODY)

enum filtered {
	FILTERED_PASS,
	FILTERED_QUARANTINE, /* reply: the reason */
	FILTERED_DISCARD,
	FILTERED_REJECT,   /* its sender is told, unless it is a report */
	FILTERED_TEMPFAIL, /* to be asked again later */
	FILTERED_STOPPING  /* the worker goes: it takes no more questions */
};

#define ANSWER_FILTERED(F)                                               \
	F(u8, verdict, FILTERED_STOPPING)                                \
	F(u8, replaced, 1) /* a commit in its place was answered well */ \
	F(str, filter, 64)                                               \
	F(str, reply, 600)
WIRE_DECLARE(answer_filtered, ANSWER_FILTERED)

/* clang-format off */
#define SMTPD_QUEUE(M)                                                        \
	M(ask_bodyfile,          EDGE_A_TO_B, PHASE_RUN, 0)                   \
	M(answer_bodyfile,       EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(tell_bodyfile_dropped, EDGE_A_TO_B, PHASE_RUN, 0)                   \
	M(ask_commit,            EDGE_A_TO_B, PHASE_RUN, 0)                   \
	M(tell_rcpt,             EDGE_A_TO_B | EDGE_B_TO_A, PHASE_RUN, 0)     \
	M(tell_content,          EDGE_A_TO_B | EDGE_B_TO_A, PHASE_RUN, 0)     \
	M(tell_event,            EDGE_A_TO_B, PHASE_RUN, 0)                   \
	M(answer_commit,         EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(answer_refused,        EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(tell_space,            EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(tell_blocks,           EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(tell_block,            EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(tell_paused,           EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(ask_filter,            EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(tell_body,             EDGE_B_TO_A, PHASE_RUN, 0)                   \
	M(answer_filtered,       EDGE_A_TO_B, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(smtpd_queue, SMTPD_QUEUE)

#endif
