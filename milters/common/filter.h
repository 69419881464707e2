/*
 * What the filters that ship have in common: the options, the change to
 * another user, the life of the process. A filter is two processes: the one
 * that was started takes the signals (libmilter would end at a SIGHUP), and
 * its child, which does the work and reads its file anew when told.
 */
#ifndef POSTERN_MILTERS_COMMON_FILTER_H
#define POSTERN_MILTERS_COMMON_FILTER_H

#include <libmilter/mfapi.h>
#include <stdbool.h>

struct filter {
	const char *name;
	const char *file;      /* default of -c */
	struct smfiDesc *desc; /* xxfi_name is set from name */
	/* Reads the file; faults are written to standard error, or to the log.
	 * The one before stays in use when it is wrong. Before the filter runs,
	 * then from a thread of its own. 0/-1 */
	int (*load)(const char *file);
};

/* The main function of a filter. Returns the exit status. */
int filter_main(const struct filter *f, int argc, char **argv);

#endif
