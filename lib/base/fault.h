/* Why something failed, and whose failure it is. */
#ifndef POSTERN_BASE_FAULT_H
#define POSTERN_BASE_FAULT_H

#include <stdbool.h>

enum fault_class {
	FAULT_NONE,
	FAULT_OURS, /* disk, memory, descriptors, a dead process: try later */
	FAULT_PEER, /* the other side broke the protocol */
	FAULT_TEMP, /* the world says: later */
	FAULT_PERM  /* the world says: never */
};

struct fault {
	enum fault_class class;
	char text[200]; /* for the log and the administrator; may be cut */
};

/* Fills f (which may be NULL); always returns -1, so that a function can end
 * with `return fault_set(...)`. */
int fault_set(struct fault *f, enum fault_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with ": " and strerror(errno) behind the text. */
int fault_errno(struct fault *f, enum fault_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
