/* ESMTP parameters that filters give with an address. */
#ifndef POSTERN_SMTPD_FILTER_ARGS_H
#define POSTERN_SMTPD_FILTER_ARGS_H

#include "lib/base/log.h"
#include "lib/mail/param.h"

/* Parses them; those that make no sense are as if they were not there, and
 * the log says so. */
void filter_args(const struct log_ctx *log, struct str args,
    enum param_verb verb, struct params *out);

#endif
