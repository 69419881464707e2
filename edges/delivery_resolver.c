#include "edges/delivery_resolver.h"

WIRE_DEFINE(ask_way, ASK_WAY)
WIRE_DEFINE(tell_way_addr, TELL_WAY_ADDR)
WIRE_DEFINE(tell_way_dane, TELL_WAY_DANE)
WIRE_DEFINE(tell_way_tlsa, TELL_WAY_TLSA)
WIRE_DEFINE(answer_way, ANSWER_WAY)
WIRE_DEFINE(ask_tls_rua, ASK_TLS_RUA)
WIRE_DEFINE(answer_tls_rua, ANSWER_TLS_RUA)

EDGE_DEFINE(delivery_resolver, DELIVERY_RESOLVER, "delivery", "resolver", 8192,
    262144, PHASE_RUN)
