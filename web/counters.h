/* What web counts of itself, for `show stats`. */
#ifndef POSTERN_WEB_COUNTERS_H
#define POSTERN_WEB_COUNTERS_H

#include "lib/base/counter.h"

enum web_counter {
	WEB_CONNECTIONS, /* accepted */
	WEB_TURNED_AWAY, /* of these: slow, or in the way of others */
	WEB_REQUESTS,    /* answered with what was asked for */
	WEB_REFUSED,     /* 404, 405 */
	WEB_COUNTERS
};

/* The array, ended by a NULL name. */
struct counter *web_counters(void);

#endif
