/* One question to control, from connecting to the answer. */
#ifndef POSTERN_POSTERNCTL_ASKING_H
#define POSTERN_POSTERNCTL_ASKING_H

#include <stdint.h>

#include "edges/control_all.h"
#include "posternctl/terms.h"

/* A row of this TYPE_row_; its views live until the call returns. */
typedef void row_fn(void *ctx, uint16_t type, const void *msg);

enum { ASKING_FOR_EVER = 0x7fffffff };

struct question {
	uint16_t type; /* TYPE_ask_ */
	const void *msg;
	const struct filter *filter; /* NULL: none */
	row_fn *on_row;              /* NULL: rows are ignored */
	void *ctx;
	struct str mail;         /* that comes before it */
	unsigned int silence_ms; /* to wait for a row or the answer; 0: the
				  * usual; ASKING_FOR_EVER */
};

struct answer {
	enum answer_code code;
	char text[512 + 1];
	uint64_t matched, changed, operation;
};

/* Connects to the socket at path, asks, and waits. Returns 0 with *out, or
 * an enum ctl_exit other than CTL_DONE when there was no answer; why is said
 * on stderr unless quiet. */
int asking_run(
    const char *path, const struct question *q, struct answer *out, bool quiet);
/* What the answer means for the exit status; says why on stderr when it is
 * not CTL_DONE. */
int asking_exit(const struct answer *a);
/* The same of a question about something named: when it is not there, it is
 * said what (empty: nothing was named). */
int asking_exit_of(const struct answer *a, struct str what);

#endif
