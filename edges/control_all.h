/*
 * control_all: what an administrator may ask. posternctl (A) asks control
 * (B) on the control socket; control, then as A, asks the process (B) that
 * knows, and hands its rows on. The words are the same on both stretches.
 *
 * A question is any number of tell_term (filters), then one ask_; what comes
 * back under its id is any number of rows and one answer.
 */
#ifndef POSTERN_EDGES_CONTROL_ALL_H
#define POSTERN_EDGES_CONTROL_ALL_H

#include "edges/control_rows.h"
#include "lib/base/id.h"
#include "lib/ipc/channel.h"
#include "lib/mail/envelope.h"

/* --- filters: all terms must hold --- */
enum term_kind {
	TERM_ID,
	TERM_STATE, /* active deferred held quarantined */
	TERM_FROM,
	TERM_TO,
	TERM_DOMAIN,
	TERM_CLIENT, /* network */
	TERM_OLDER,  /* number: milliseconds */
	TERM_LARGER, /* number: bytes */
	TERM_TRIES,  /* number: attempts made, or more */
	TERM_REPLY,  /* text that the last reply holds, without case */
	TERM_MILTER, /* name of the filter that had it quarantined */
	TERM_LIMIT   /* number of messages */
};

#define TELL_TERM(F)            \
	F(u8, kind, TERM_LIMIT) \
	F(u8, negate, 1)        \
	F(str, text, 320)       \
	F(u64, number, UINT64_MAX)
WIRE_DECLARE(tell_term, TELL_TERM)

/* --- questions --- */
#define ASK_STATUS(F) WIRE_NOTHING(F) /* parent: processes, listeners */
WIRE_DECLARE(ask_status, ASK_STATUS)

#define ASK_STATS(F) WIRE_NOTHING(F) /* everyone: row_stat each */
WIRE_DECLARE(ask_stats, ASK_STATS)

#define ASK_QUEUE(F) WIRE_NOTHING(F) /* queue: row_message, row_rcpt */
WIRE_DECLARE(ask_queue, ASK_QUEUE)

#define ASK_DESTINATIONS(F) WIRE_NOTHING(F) /* queue: row_destination */
WIRE_DECLARE(ask_destinations, ASK_DESTINATIONS)

#define ASK_CONTENT(F)        \
	F(str, msgid, ID_LEN) \
	F(u8, headers_only, 1) /* queue: row_content */
WIRE_DECLARE(ask_content, ASK_CONTENT)

enum change {
	CHANGE_FLUSH,
	CHANGE_HOLD,
	CHANGE_RELEASE,
	CHANGE_REQUEUE, /* the rules decide again where it goes */
	CHANGE_REMOVE,
	/* of what is quarantined; the others but REMOVE leave that alone */
	CHANGE_UNQUARANTINE, /* deliver it */
	CHANGE_REJECT,       /* tell its sender that it was refused */
	CHANGE_RESCAN        /* ask the filters again */
};

/* queue. With no terms: all. */
#define ASK_CHANGE(F)                \
	F(u8, change, CHANGE_RESCAN) \
	F(u8, dry_run, 1)            \
	F(str, reason, 512)          \
	F(u32, uid, UINT32_MAX) /* of the caller; control fills it in */
WIRE_DECLARE(ask_change, ASK_CHANGE)

#define ASK_STOP(F) F(u32, uid, UINT32_MAX) /* parent */
WIRE_DECLARE(ask_stop, ASK_STOP)

/* parent: row_text for each thing wrong; ANSWER_REFUSED_IT then. */
#define ASK_RELOAD(F) F(u32, uid, UINT32_MAX)
WIRE_DECLARE(ask_reload, ASK_RELOAD)

/* resolver: row_resolved, row_record. */
#define ASK_RESOLVE(F)    \
	F(str, name, 255) \
	F(str, type, 16) /* A AAAA CNAME MX NS PTR TLSA TXT */
WIRE_DECLARE(ask_resolve, ASK_RESOLVE)

/* resolver: whether its name servers validate: row_dnssec. */
#define ASK_DNSSEC(F) WIRE_NOTHING(F)
WIRE_DECLARE(ask_dnssec, ASK_DNSSEC)

/* resolver: where mail of a local client to this address would go:
 * row_rule, row_passed, row_hop. */
#define ASK_ROUTES(F) F(str, address, ENVELOPE_ADDRESS_MAX)
WIRE_DECLARE(ask_routes, ASK_ROUTES)

#define ASK_MILTERS(F) WIRE_NOTHING(F) /* smtpd: row_milter each */
WIRE_DECLARE(ask_milters, ASK_MILTERS)

/* queue: row_quarantined each, row_rcpt behind it. */
#define ASK_QUARANTINE(F) WIRE_NOTHING(F)
WIRE_DECLARE(ask_quarantine, ASK_QUARANTINE)

#define ASK_TRACE(F) F(str, msgid, ID_LEN) /* queue: row_event */
WIRE_DECLARE(ask_trace, ASK_TRACE)

/* smtpd, one of them: shows a mail to one filter. Its content comes before as
 * tell_mail. row_event for each verdict, then row_content: the mail as the
 * filter would have it. */
#define ASK_TEST_MILTER(F)                 \
	F(str, milter, 64)                 \
	F(str, client, 64)                 \
	F(str, helo, 255)                  \
	F(str, from, ENVELOPE_ADDRESS_MAX) \
	F(str, to, ENVELOPE_ADDRESS_MAX)
WIRE_DECLARE(ask_test_milter, ASK_TEST_MILTER)

#define TELL_MAIL(F) F(bin, bytes, CHANNEL_CONTENT_MAX)
WIRE_DECLARE(tell_mail, TELL_MAIL)

#define ASK_SESSIONS(F) WIRE_NOTHING(F) /* smtpd: row_session each */
WIRE_DECLARE(ask_sessions, ASK_SESSIONS)

/* queue: who may not (or always may) come in. One entry for a network: the
 * last one said. */
#define ASK_BLOCK(F)                                            \
	F(str, network, 64) /* "192.0.2.0/24", "2001:db8::1" */ \
	F(u8, allow, 1)                                         \
	F(u64, duration_ms, UINT64_MAX) /* 0: for ever */       \
	F(str, reason, 512)                                     \
	F(u32, uid, UINT32_MAX) /* as in ask_change */
WIRE_DECLARE(ask_block, ASK_BLOCK)

#define ASK_UNBLOCK(F)      \
	F(str, network, 64) \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(ask_unblock, ASK_UNBLOCK)

#define ASK_BLOCKS(F) WIRE_NOTHING(F) /* queue: row_block */
WIRE_DECLARE(ask_blocks, ASK_BLOCKS)

#define ASK_SUBMIT_PATH(F) WIRE_NOTHING(F) /* control itself: row_text */
WIRE_DECLARE(ask_submit_path, ASK_SUBMIT_PATH)

/* --- the end of every question --- */
enum answer_code {
	ANSWER_OK,
	ANSWER_REFUSED_IT, /* not allowed, or makes no sense */
	ANSWER_NOT_FOUND,  /* the named id is not there */
	ANSWER_UNAVAILABLE /* the process that knows is not there now */
};

#define ANSWER_DONE(F)                           \
	F(u8, code, ANSWER_UNAVAILABLE)          \
	F(str, text, 512) /* why, when not OK */ \
	F(u64, matched, UINT64_MAX)              \
	F(u64, changed, UINT64_MAX)              \
	F(u64, operation, UINT64_MAX) /* 0: nothing changed */
WIRE_DECLARE(answer_done, ANSWER_DONE)

/* clang-format off */
#define CONTROL_QUESTIONS(M)                                                  \
	M(ask_status,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_stats,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_queue,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_destinations, EDGE_A_TO_B, PHASE_RUN, 0)                        \
	M(ask_content,     EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_change,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_stop,        EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_submit_path, EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_reload,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_resolve,     EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_dnssec,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_routes,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_milters,     EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_quarantine,  EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_trace,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_test_milter, EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_sessions,    EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_block,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_unblock,     EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_blocks,      EDGE_A_TO_B, PHASE_RUN, 0)

#define CONTROL_ROWS(M)                                                       \
	M(row_gateway,     EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_process,     EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_listener,    EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_stat,        EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_message,     EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_rcpt,        EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_destination, EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_content,     EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_text,        EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_resolved,    EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_record,      EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_dnssec,      EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_rule,        EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_passed,      EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_hop,         EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_quarantined, EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_event,       EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_milter,      EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_milter_socket, EDGE_B_TO_A, PHASE_RUN, 0)                       \
	M(row_session,     EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_block,       EDGE_B_TO_A, PHASE_RUN, 0)

#define CONTROL_ALL(M)                                                        \
	M(tell_term,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(tell_mail,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	CONTROL_QUESTIONS(M)                                                  \
	CONTROL_ROWS(M)                                                       \
	M(answer_done,     EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(control_all, CONTROL_ALL)

#endif
