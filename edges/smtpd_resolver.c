#include "edges/smtpd_resolver.h"

WIRE_DEFINE(ask_client, ASK_CLIENT)
WIRE_DEFINE(answer_client, ANSWER_CLIENT)

EDGE_DEFINE(smtpd_resolver, SMTPD_RESOLVER, "smtpd", "resolver", 4096, 262144,
    PHASE_RUN)
