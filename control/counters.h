/* What control counts of itself, for `show stats`. */
#ifndef POSTERN_CONTROL_COUNTERS_H
#define POSTERN_CONTROL_COUNTERS_H

#include "lib/base/counter.h"

enum control_counter {
	CONTROL_CONNECTIONS, /* accepted */
	CONTROL_TURNED_AWAY, /* closed at once: too many */
	CONTROL_ASKED,
	CONTROL_REFUSED, /* questions */
	CONTROL_COUNTERS
};

/* The array, ended by a NULL name. */
struct counter *control_counters(void);

#endif
