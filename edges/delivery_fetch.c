#include "edges/delivery_fetch.h"

WIRE_DEFINE(ask_sts, ASK_STS)
WIRE_DEFINE(answer_sts, ANSWER_STS)

EDGE_DEFINE(delivery_fetch, DELIVERY_FETCH, "delivery", "fetch", 8192, 262144,
    PHASE_RUN)
