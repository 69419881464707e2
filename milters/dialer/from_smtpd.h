/* smtpd_dialer, the dialer's end. */
#ifndef POSTERN_DIALER_FROM_SMTPD_H
#define POSTERN_DIALER_FROM_SMTPD_H

#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

/* Before the jail. */
void from_smtpd_init(struct loop *l);
/* The filters from now on. Keeps a reference. */
void from_smtpd_set_config(struct config *c);
/* A channel to a smtpd process over socket (taken); one there was to the same
 * instance is dead. */
struct channel *from_smtpd_add(uint16_t instance, int socket);
/* Ended by a NULL name. */
const struct counter *from_smtpd_counters(void);

#endif
