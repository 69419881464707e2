/* The administrator's questions to smtpd: its numbers and sessions, what it
 * knows of filters, and a filter tried out. */
#ifndef POSTERN_SMTPD_FROM_CONTROL_H
#define POSTERN_SMTPD_FROM_CONTROL_H

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

/* A channel over fd (taken); the one before is dead. */
struct channel *from_control_start(struct loop *l, int fd);
void from_control_stop(void);

#endif
