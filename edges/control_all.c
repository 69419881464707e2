#include "edges/control_all.h"

WIRE_DEFINE(tell_term, TELL_TERM)
WIRE_DEFINE(ask_status, ASK_STATUS)
WIRE_DEFINE(ask_stats, ASK_STATS)
WIRE_DEFINE(ask_queue, ASK_QUEUE)
WIRE_DEFINE(ask_content, ASK_CONTENT)
WIRE_DEFINE(ask_change, ASK_CHANGE)
WIRE_DEFINE(ask_stop, ASK_STOP)
WIRE_DEFINE(ask_submit_path, ASK_SUBMIT_PATH)
WIRE_DEFINE(row_gateway, ROW_GATEWAY)
WIRE_DEFINE(row_process, ROW_PROCESS)
WIRE_DEFINE(row_listener, ROW_LISTENER)
WIRE_DEFINE(row_stat, ROW_STAT)
WIRE_DEFINE(row_message, ROW_MESSAGE)
WIRE_DEFINE(row_rcpt, ROW_RCPT)
WIRE_DEFINE(row_content, ROW_CONTENT)
WIRE_DEFINE(row_text, ROW_TEXT)
WIRE_DEFINE(answer_done, ANSWER_DONE)

EDGE_DEFINE(control_all, CONTROL_ALL, "asker", "answerer", CHANNEL_MESSAGE_MAX,
    262144, PHASE_RUN)
