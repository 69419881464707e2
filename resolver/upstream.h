/* The name servers of a configuration, and how they are. */
#ifndef POSTERN_RESOLVER_UPSTREAM_H
#define POSTERN_RESOLVER_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/rules/config.h"

struct upstream {
	struct server server;
	unsigned int failures; /* in a row */
	uint64_t later_ms;     /* until then it comes last */
	bool dead;             /* and the log says so */
};

/* Counted: a question keeps those it began with. */
struct upstreams {
	unsigned int refs;
	size_t n;
	struct upstream all[CONFIG_SERVERS_MAX];
};

/* One reference, everybody well. */
struct upstreams *upstreams_new(const struct server *servers, size_t n);
void upstreams_unref(struct upstreams **u);
bool upstreams_are(
    const struct upstreams *u, const struct server *servers, size_t n);
/* In their order, those that failed lately last: writes indexes, returns how
 * many. When one's time is over, one question tries it, and meanwhile the
 * others pass it by. */
size_t upstreams_plan(struct upstreams *u, uint64_t now_ms,
    uint8_t order[static CONFIG_SERVERS_MAX]);

/* It did not answer, could not be reached: why, in a word. */
void upstream_failed(struct upstream *u, const char *why, uint64_t now_ms);
void upstream_answered(struct upstream *u);

enum { SERVER_TEXT_MAX = ADDR_TEXT_MAX + 10 };

/* "192.0.2.1:53", "[2001:db8::1]:53". Returns out. */
const char *server_format(
    const struct server *s, char out[static SERVER_TEXT_MAX]);

#endif
