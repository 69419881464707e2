#include "edges/delivery_vault.h"

WIRE_DEFINE(ask_client_sign, ASK_CLIENT_SIGN)
WIRE_DEFINE(answer_client_signed, ANSWER_CLIENT_SIGNED)
WIRE_DEFINE(ask_credentials, ASK_CREDENTIALS)
WIRE_DEFINE(answer_credentials, ANSWER_CREDENTIALS)

EDGE_DEFINE(delivery_vault, DELIVERY_VAULT, "delivery", "vault", 8192, 1048576,
    PHASE_RUN)
