/* What is known of the gateway at a moment: the rows of a few questions. */
#ifndef POSTERN_WEB_VIEW_H
#define POSTERN_WEB_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "lib/base/str.h"

/* What was asked, as bits of view.known. */
enum {
	KNOWN_CONTROL = 1, /* it answers at all */
	KNOWN_STATUS = 2,
	KNOWN_STATS = 4,
	KNOWN_MILTERS = 8,
	KNOWN_PAUSES = 16
};

/* Of each kind: who tells more is not one of us. */
enum { VIEW_ROWS_MAX = 16384 };

struct view_stat {
	char *name;    /* owned, as in all of these */
	char *process; /* "smtpd/1" */
	uint64_t value;
};

struct view_process {
	char *role;
	uint16_t instance;
	bool is_running, is_ready;
	uint32_t restarts;
};

struct view_listener {
	char *name; /* "192.0.2.1:25", "[2001:db8::1]:25", or a path */
	uint64_t sessions;
};

/* Of all smtpd processes: up when one of them would ask it. */
struct view_milter {
	char *name;
	bool is_up;
};

struct view {
	unsigned int known;
	char *version; /* NULL: not known */
	bool is_stopping;
	bool is_paused; /* no mail is taken */
	bool is_delivery_paused;
	struct view_stat *stats;
	struct view_process *processes;
	struct view_listener *listeners;
	struct view_milter *milters;
	size_t nstats, nprocesses, nlisteners, nmilters;
};

struct view *view_new(void);
void view_free(struct view **v);

/* Rows, as they come. */
void view_add_gateway(struct view *v, const struct row_gateway *m);
void view_add_process(struct view *v, const struct row_process *m);
void view_add_listener(struct view *v, const struct row_listener *m);
void view_add_stat(struct view *v, const struct row_stat *m);
void view_add_milter(struct view *v, const struct row_milter *m);
void view_add_pause(struct view *v, const struct row_pause *m);

#endif
