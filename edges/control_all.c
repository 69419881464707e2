#include "edges/control_all.h"

WIRE_DEFINE(tell_term, TELL_TERM)
WIRE_DEFINE(ask_status, ASK_STATUS)
WIRE_DEFINE(ask_stats, ASK_STATS)
WIRE_DEFINE(ask_queue, ASK_QUEUE)
WIRE_DEFINE(ask_destinations, ASK_DESTINATIONS)
WIRE_DEFINE(ask_content, ASK_CONTENT)
WIRE_DEFINE(ask_change, ASK_CHANGE)
WIRE_DEFINE(ask_stop, ASK_STOP)
WIRE_DEFINE(ask_submit_path, ASK_SUBMIT_PATH)
WIRE_DEFINE(ask_reload, ASK_RELOAD)
WIRE_DEFINE(ask_resolve, ASK_RESOLVE)
WIRE_DEFINE(ask_dnssec, ASK_DNSSEC)
WIRE_DEFINE(ask_routes, ASK_ROUTES)
WIRE_DEFINE(row_gateway, ROW_GATEWAY)
WIRE_DEFINE(row_process, ROW_PROCESS)
WIRE_DEFINE(row_listener, ROW_LISTENER)
WIRE_DEFINE(row_stat, ROW_STAT)
WIRE_DEFINE(row_message, ROW_MESSAGE)
WIRE_DEFINE(row_rcpt, ROW_RCPT)
WIRE_DEFINE(row_destination, ROW_DESTINATION)
WIRE_DEFINE(row_content, ROW_CONTENT)
WIRE_DEFINE(row_text, ROW_TEXT)
WIRE_DEFINE(row_resolved, ROW_RESOLVED)
WIRE_DEFINE(row_record, ROW_RECORD)
WIRE_DEFINE(row_dnssec, ROW_DNSSEC)
WIRE_DEFINE(row_rule, ROW_RULE)
WIRE_DEFINE(row_passed, ROW_PASSED)
WIRE_DEFINE(row_hop, ROW_HOP)
WIRE_DEFINE(tell_mail, TELL_MAIL)
WIRE_DEFINE(ask_milters, ASK_MILTERS)
WIRE_DEFINE(ask_quarantine, ASK_QUARANTINE)
WIRE_DEFINE(ask_trace, ASK_TRACE)
WIRE_DEFINE(ask_test_milter, ASK_TEST_MILTER)
WIRE_DEFINE(ask_sessions, ASK_SESSIONS)
WIRE_DEFINE(ask_block, ASK_BLOCK)
WIRE_DEFINE(ask_unblock, ASK_UNBLOCK)
WIRE_DEFINE(ask_blocks, ASK_BLOCKS)
WIRE_DEFINE(row_session, ROW_SESSION)
WIRE_DEFINE(row_block, ROW_BLOCK)
WIRE_DEFINE(row_quarantined, ROW_QUARANTINED)
WIRE_DEFINE(row_event, ROW_EVENT)
WIRE_DEFINE(row_milter, ROW_MILTER)
WIRE_DEFINE(row_milter_socket, ROW_MILTER_SOCKET)
WIRE_DEFINE(answer_done, ANSWER_DONE)
WIRE_DEFINE(tell_cancel, TELL_CANCEL)

WIRE_DEFINE(ask_confirm, ASK_CONFIRM)
WIRE_DEFINE(ask_config_diff, ASK_CONFIG_DIFF)
WIRE_DEFINE(ask_tables, ASK_TABLES)
WIRE_DEFINE(ask_log_level, ASK_LOG_LEVEL)
WIRE_DEFINE(ask_match, ASK_MATCH)
WIRE_DEFINE(ask_session, ASK_SESSION)
WIRE_DEFINE(ask_follow, ASK_FOLLOW)
WIRE_DEFINE(ask_pause, ASK_PAUSE)
WIRE_DEFINE(ask_pauses, ASK_PAUSES)
WIRE_DEFINE(ask_undo, ASK_UNDO)
WIRE_DEFINE(ask_operations, ASK_OPERATIONS)
WIRE_DEFINE(row_diff, ROW_DIFF)
WIRE_DEFINE(row_table, ROW_TABLE)
WIRE_DEFINE(row_line, ROW_LINE)
WIRE_DEFINE(row_pause, ROW_PAUSE)
WIRE_DEFINE(row_operation, ROW_OPERATION)

const char *
rcpt_state_name(uint8_t state)
{
	static const char *const names[] = {
		[RCPT_ACTIVE] = "active",
		[RCPT_DEFERRED] = "deferred",
		[RCPT_HELD] = "held",
		[RCPT_DELIVERED] = "delivered",
		[RCPT_BOUNCED] = "bounced",
		[RCPT_REMOVED] = "removed",
		[RCPT_QUARANTINED] = "quarantined",
	};

	return state <= RCPT_QUARANTINED ? names[state] : "?";
}

EDGE_DEFINE(control_all, CONTROL_ALL, "asker", "answerer", CHANNEL_MESSAGE_MAX,
    262144, PHASE_RUN)
