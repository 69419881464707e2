/* What may be asked (edges/control_all.h), and who answers it. */
#ifndef POSTERN_EDGES_CONTROL_QUESTIONS_H
#define POSTERN_EDGES_CONTROL_QUESTIONS_H

#include "lib/base/id.h"
#include "lib/ipc/channel.h"
#include "lib/mail/envelope.h"

#define ASK_STATUS(F) WIRE_NOTHING(F) /* parent: processes, listeners */
WIRE_DECLARE(ask_status, ASK_STATUS)

/* Everyone: row_stat each. apart: those of each process are not added up. */
#define ASK_STATS(F) F(u8, apart, 1)
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

/* parent: row_text for each thing wrong; ANSWER_REFUSED_IT then. Else row_diff
 * for each change. confirm_ms: back to the former configuration when no
 * ask_confirm comes within this time; 0: for good. */
#define ASK_RELOAD(F)           \
	F(u32, uid, UINT32_MAX) \
	F(u64, confirm_ms, 604800000)
WIRE_DECLARE(ask_reload, ASK_RELOAD)

/* parent: the reload that waits for it stays. NOT_FOUND: none does. */
#define ASK_CONFIRM(F) F(u32, uid, UINT32_MAX)
WIRE_DECLARE(ask_confirm, ASK_CONFIRM)

/* parent: what a reload would change: row_diff each, or as ask_reload what is
 * wrong. matched: how many. */
#define ASK_CONFIG_DIFF(F) WIRE_NOTHING(F)
WIRE_DECLARE(ask_config_diff, ASK_CONFIG_DIFF)

/* parent: row_table. */
#define ASK_TABLES(F) WIRE_NOTHING(F)
WIRE_DECLARE(ask_tables, ASK_TABLES)

/* parent: how much everybody logs, until the gateway ends. */
#define ASK_LOG_LEVEL(F)  \
	F(u8, verbose, 1) \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(ask_log_level, ASK_LOG_LEVEL)

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

/* resolver: which rule decides about this recipient of this client: the rows
 * of ask_routes. What the client would be asked for is said here: nothing of
 * it is verified. */
#define ASK_MATCH(F)                                                      \
	F(str, client, 64)       /* address, or "local" */                \
	F(str, client_name, 255) /* empty: as the name servers have it */ \
	F(str, helo, 255)                                                 \
	F(str, user, 255) /* who has authenticated, or empty */           \
	F(str, tag, 64)   /* of the listener, or empty */                 \
	F(u8, tls, 1)                                                     \
	F(u8, early_talker, 1)                                            \
	F(str, from, ENVELOPE_ADDRESS_MAX)                                \
	F(str, to, ENVELOPE_ADDRESS_MAX)
WIRE_DECLARE(ask_match, ASK_MATCH)

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

/* smtpd, each: what is remembered of this session: row_session when it goes
 * on, then row_line. NOT_FOUND from all: nobody remembers it. */
#define ASK_SESSION(F) F(str, session, ID_LEN)
WIRE_DECLARE(ask_session, ASK_SESSION)

/* smtpd, each: row_line for every line of the sessions of these clients from
 * now on, until the question is cancelled. */
#define ASK_FOLLOW(F)       \
	F(str, network, 64) \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(ask_follow, ASK_FOLLOW)

/* queue: what stands still. Outlives every process, and restarts. */
enum pause_what {
	PAUSE_SMTP,     /* no mail is taken: 421 */
	PAUSE_DELIVERY, /* none leaves */
	PAUSE_DOMAIN    /* none leaves for this domain */
};

#define ASK_PAUSE(F)              \
	F(u8, what, PAUSE_DOMAIN) \
	F(u8, resume, 1)          \
	F(str, domain, 255)       \
	F(str, reason, 512)       \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(ask_pause, ASK_PAUSE)

#define ASK_PAUSES(F) WIRE_NOTHING(F) /* queue: row_pause */
WIRE_DECLARE(ask_pauses, ASK_PAUSES)

/* queue: takes back what an operation did, as far as it can be. */
#define ASK_UNDO(F)                   \
	F(u64, operation, UINT64_MAX) \
	F(u8, dry_run, 1)             \
	F(str, reason, 512)           \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(ask_undo, ASK_UNDO)

#define ASK_OPERATIONS(F) WIRE_NOTHING(F) /* queue: row_operation */
WIRE_DECLARE(ask_operations, ASK_OPERATIONS)

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

#endif
