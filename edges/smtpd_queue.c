#include "edges/smtpd_queue.h"

WIRE_DEFINE(ask_bodyfile, ASK_BODYFILE)
WIRE_DEFINE(answer_bodyfile, ANSWER_BODYFILE)
WIRE_DEFINE(tell_bodyfile_dropped, TELL_BODYFILE_DROPPED)
WIRE_DEFINE(ask_commit, ASK_COMMIT)
WIRE_DEFINE(tell_rcpt, TELL_RCPT)
WIRE_DEFINE(tell_content, TELL_CONTENT)
WIRE_DEFINE(answer_commit, ANSWER_COMMIT)
WIRE_DEFINE(answer_refused, ANSWER_REFUSED)
WIRE_DEFINE(tell_space, TELL_SPACE)
WIRE_DEFINE(tell_event, TELL_EVENT)
WIRE_DEFINE(tell_blocks, TELL_BLOCKS)
WIRE_DEFINE(tell_block, TELL_BLOCK)
WIRE_DEFINE(tell_paused, TELL_PAUSED)
WIRE_DEFINE(ask_filter, ASK_FILTER)
WIRE_DEFINE(tell_body, TELL_BODY)
WIRE_DEFINE(answer_filtered, ANSWER_FILTERED)

EDGE_DEFINE(smtpd_queue, SMTPD_QUEUE, "smtpd", "queue", CHANNEL_MESSAGE_MAX,
    4194304, PHASE_RUN)
