#include "edges/queue_delivery.h"

WIRE_DEFINE(tell_capacity, TELL_CAPACITY)
WIRE_DEFINE(tell_work, TELL_WORK)
WIRE_DEFINE(tell_work_rcpt, TELL_WORK_RCPT)
WIRE_DEFINE(tell_work_file, TELL_WORK_FILE)
WIRE_DEFINE(tell_work_content, TELL_WORK_CONTENT)
WIRE_DEFINE(tell_result, TELL_RESULT)
WIRE_DEFINE(tell_done, TELL_DONE)
WIRE_DEFINE(tell_leaving, TELL_LEAVING)
WIRE_DEFINE(tell_tls_tally, TELL_TLS_TALLY)

EDGE_DEFINE(queue_delivery, QUEUE_DELIVERY, "queue", "delivery",
    CHANNEL_MESSAGE_MAX, 4194304, PHASE_RUN)
