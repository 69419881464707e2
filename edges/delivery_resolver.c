#include "edges/delivery_resolver.h"

WIRE_DEFINE(ask_way, ASK_WAY)
WIRE_DEFINE(tell_way_addr, TELL_WAY_ADDR)
WIRE_DEFINE(answer_way, ANSWER_WAY)

EDGE_DEFINE(delivery_resolver, DELIVERY_RESOLVER, "delivery", "resolver", 4096,
    262144, PHASE_RUN)
