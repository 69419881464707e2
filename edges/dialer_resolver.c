#include "edges/dialer_resolver.h"

WIRE_DEFINE(ask_host, ASK_HOST)
WIRE_DEFINE(tell_host_addr, TELL_HOST_ADDR)
WIRE_DEFINE(answer_host, ANSWER_HOST)

EDGE_DEFINE(dialer_resolver, DIALER_RESOLVER, "dialer", "resolver", 8192,
    262144, PHASE_RUN)
