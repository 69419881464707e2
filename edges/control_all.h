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

#include "edges/control_questions.h"
#include "edges/control_queue_rows.h"
#include "edges/control_rows.h"
#include "lib/ipc/channel.h"

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

/* The question of this id is over, whoever asked it wants no more of it; for
 * those that last until then. */
#define TELL_CANCEL(F) WIRE_NOTHING(F)
WIRE_DECLARE(tell_cancel, TELL_CANCEL)

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
	M(ask_blocks,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_confirm,     EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_config_diff, EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_tables,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_log_level,   EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_match,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_session,     EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_follow,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_pause,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_pauses,      EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_undo,        EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(ask_operations,  EDGE_A_TO_B, PHASE_RUN, 0)

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
	M(row_block,       EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_diff,        EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_table,       EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_line,        EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_pause,       EDGE_B_TO_A, PHASE_RUN, 0)                         \
	M(row_operation,   EDGE_B_TO_A, PHASE_RUN, 0)

#define CONTROL_ALL(M)                                                        \
	M(tell_term,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(tell_mail,       EDGE_A_TO_B, PHASE_RUN, 0)                         \
	M(tell_cancel,     EDGE_A_TO_B, PHASE_RUN, 0)                         \
	CONTROL_QUESTIONS(M)                                                  \
	CONTROL_ROWS(M)                                                       \
	M(answer_done,     EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(control_all, CONTROL_ALL)

#endif
