#include "edges/smtpd_dialer.h"

WIRE_DEFINE(ask_dial, ASK_DIAL)
WIRE_DEFINE(answer_dialed, ANSWER_DIALED)
WIRE_DEFINE(answer_not_dialed, ANSWER_NOT_DIALED)

EDGE_DEFINE(
    smtpd_dialer, SMTPD_DIALER, "smtpd", "dialer", 8192, 1048576, PHASE_RUN)
