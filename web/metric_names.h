/*
 * THE TABLE OF METRICS: which number of `show stats` is which metric.
 */
#ifndef POSTERN_WEB_METRIC_NAMES_H
#define POSTERN_WEB_METRIC_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
	/* The number's name. A star in it stands for the value of the label:
	 * "milter.*.passed". A histogram's: what its rows begin with. */
	const char *stat;
	const char *label; /* NULL: no star */
	enum metric_type type;
	bool is_apart;    /* a sample for each process; else their sum */
	const char *name; /* in base units */
	const char *help; /* without backslash or line end */
};

extern const struct metric metric_table[];
extern const size_t metric_table_size;

#endif
