/* The command line of a filter. */
#ifndef POSTERN_MILTERS_COMMON_OPTIONS_H
#define POSTERN_MILTERS_COMMON_OPTIONS_H

#include <stdbool.h>

#include "milters/common/filter.h"

struct options {
	const char *socket; /* -p, in libmilter's notation */
	const char *file;   /* -c */
	const char *user;   /* -u; NULL: stay who we are */
	bool foreground;    /* -f */
	bool check;         /* -n: look at the file, no more */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /* help was asked for */
	OPTIONS_WRONG /* said on standard error */
};

enum options_result options_parse(
    const struct filter *f, int argc, char **argv, struct options *out);

#endif
