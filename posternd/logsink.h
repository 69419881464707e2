/* Where the log goes. */
#ifndef POSTERN_POSTERND_LOGSINK_H
#define POSTERN_POSTERND_LOGSINK_H

#include "lib/base/fault.h"
#include "posternd/gateway.h"

/* While the variables are there: is standard error the journal of systemd? */
void logsink_init(void);
/* That, as a variable for who follows in our place; NULL: it is not. */
const char *logsink_variable(void);

/* Opens it into gw and makes it the parent's log (which owns the
 * descriptor). Returns 0, or -1 with why, and the log stays what it was. */
int logsink_open(struct gateway *gw, struct fault *why);

/* Where the log of another configuration goes. */
struct logsink {
	int fd; /* -1: where it goes now */
	enum log_sink sink;
};

/* Opens it, when it is another place. 0, or -1 with why. */
int logsink_prepare(const struct gateway *gw, const struct config *next,
    struct logsink *out, struct fault *why);
void logsink_abandon(struct logsink *s);
/* Makes it ours, with the format and the host name of gw->conf; the children
 * are not told. */
void logsink_commit(struct gateway *gw, struct logsink *s);

#endif
