#include "edges/delivery_dialer.h"

WIRE_DEFINE(ask_dial_path, ASK_DIAL_PATH)
WIRE_DEFINE(answer_path_dialed, ANSWER_PATH_DIALED)
WIRE_DEFINE(answer_path_not_dialed, ANSWER_PATH_NOT_DIALED)

EDGE_DEFINE(delivery_dialer, DELIVERY_DIALER, "delivery", "dialer", 1024,
    262144, PHASE_RUN)
