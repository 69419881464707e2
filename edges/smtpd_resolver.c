#include "edges/smtpd_resolver.h"

WIRE_DEFINE(ask_client, ASK_CLIENT)
WIRE_DEFINE(answer_client, ANSWER_CLIENT)
WIRE_DEFINE(ask_dnsbl, ASK_DNSBL)
WIRE_DEFINE(answer_dnsbl, ANSWER_DNSBL)

EDGE_DEFINE(smtpd_resolver, SMTPD_RESOLVER, "smtpd", "resolver", 4096, 262144,
    PHASE_RUN)
