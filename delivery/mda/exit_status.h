/* What the end of a command means for the mail. */
#ifndef POSTERN_MDA_EXIT_STATUS_H
#define POSTERN_MDA_EXIT_STATUS_H

#include "delivery/agents/local_work.h"
#include "delivery/mda/run.h"

/* By <sysexits.h>: 0 is delivered; 75, 71 and 74 are for later, and so are 126
 * and 127 (the command could not be run), signals, and what we ended; all else
 * is final. What the command wrote is the reply, and when it begins with an
 * enhanced status of the outcome's class that one holds. */
void exit_status_judge(
    enum run_end end, int status, struct str output, struct local_outcome *out);

#endif
