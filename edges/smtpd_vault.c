#include "edges/smtpd_vault.h"

WIRE_DEFINE(ask_sign, ASK_SIGN)
WIRE_DEFINE(answer_signed, ANSWER_SIGNED)
WIRE_DEFINE(ask_password, ASK_PASSWORD)
WIRE_DEFINE(answer_password, ANSWER_PASSWORD)
WIRE_DEFINE(ask_scram, ASK_SCRAM)
WIRE_DEFINE(answer_scram, ANSWER_SCRAM)
WIRE_DEFINE(ask_scram_proof, ASK_SCRAM_PROOF)
WIRE_DEFINE(answer_scram_proof, ANSWER_SCRAM_PROOF)

EDGE_DEFINE(
    smtpd_vault, SMTPD_VAULT, "smtpd", "vault", 8192, 1048576, PHASE_RUN)
