#include "edges/fetch_resolver.h"

WIRE_DEFINE(ask_sts_texts, ASK_STS_TEXTS)
WIRE_DEFINE(tell_sts_text, TELL_STS_TEXT)
WIRE_DEFINE(answer_sts_texts, ANSWER_STS_TEXTS)
WIRE_DEFINE(ask_sts_addrs, ASK_STS_ADDRS)
WIRE_DEFINE(tell_sts_addr, TELL_STS_ADDR)
WIRE_DEFINE(answer_sts_addrs, ANSWER_STS_ADDRS)

EDGE_DEFINE(fetch_resolver, FETCH_RESOLVER, "fetch", "resolver", 4096, 262144,
    PHASE_RUN)
