#include "smtpd/filter_args.h"

void
filter_args(const struct log_ctx *log, struct str args, enum param_verb verb,
    struct params *out)
{
	if (param_parse(args, verb, out) == PARAM_OK)
		return;
	log_warn(log, "args-not-taken", "args=%s", log_str(args));
	*out = (struct params){ .size = 0 };
}
