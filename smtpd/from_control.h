/* The channel to control: what an administrator may ask of smtpd. */
#ifndef POSTERN_SMTPD_FROM_CONTROL_H
#define POSTERN_SMTPD_FROM_CONTROL_H

#include "lib/base/loop.h"

/* A channel over fd (taken); the one before is dead. */
void from_control_start(struct loop *l, int fd);

#endif
