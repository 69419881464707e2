/* Named numbers a process counts, for `show stats`. */
#ifndef POSTERN_BASE_COUNTER_H
#define POSTERN_BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

/* A role has one static array of these, ended by a NULL name, and its own
 * enum of indexes into it. Names as in the contract: "smtpd.accepted". */
struct counter {
	const char *name;
	uint64_t value;
};

#endif
