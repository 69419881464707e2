/* What the configuration says of the filters (milters). */
#ifndef POSTERN_RULES_MILTER_CONF_H
#define POSTERN_RULES_MILTER_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net/addr.h"

/* What happens to mail when a filter cannot be asked or breaks the
 * protocol. */
enum milter_failure {
	MILTER_FAIL_TEMPFAIL,   /* 451 4.7.1 */
	MILTER_FAIL_ACCEPT,     /* as if it were not configured */
	MILTER_FAIL_REJECT,     /* 550 5.7.1 */
	MILTER_FAIL_QUARANTINE, /* taken, and set aside */
	MILTER_FAIL_DISCONNECT  /* 421 4.7.1, the session ends */
};

enum {
	MILTER_SOCKETS_MAX = 8, /* of one filter */
	MILTER_SET_MAX = 16     /* filters in one set */
};

/* Where a filter listens, in libmilter's notation. */
struct milter_socket {
	char *text; /* as configured */
	char *path; /* unix: absolute; else NULL */
	char *host; /* a host name to look up; NULL: path or addr */
	bool ipv6;  /* of host: inet6 */
	struct addr addr;
	uint16_t port;
};

struct milter {
	uint32_t id; /* its index */
	uint32_t line;
	char *name;
	struct milter_socket sockets[MILTER_SOCKETS_MAX];
	size_t nsockets;
	enum milter_failure on_failure;
	bool lock_step;   /* it is sent nothing before it has replied */
	bool shadow;      /* asked, logged, counted, never obeyed */
	bool after_queue; /* `phase queue': asked after the 250 */
	/* milliseconds */
	uint64_t connect_timeout; /* with the negotiation */
	uint64_t command_timeout; /* each reply but those on content */
	uint64_t content_timeout; /* each reply on content */
	uint64_t total_timeout;   /* all of what follows the end of message */
	uint32_t connections;     /* at once, of the whole gateway */
	uint32_t failures;        /* in a row, then it is left alone … */
	uint64_t rest;            /* … for so long (ms), then probed */
};

struct milter_member {
	const struct milter *milter; /* not owned */
	uint32_t step; /* members of one step are asked side by side; counts
			* up from 0 without gaps */
};

/* The filters of a listener or a rule in their order. Two sets of one
 * configuration differ: the same filters in the same steps are one set. */
struct milter_set {
	uint32_t id; /* its index */
	struct milter_member members[MILTER_SET_MAX];
	size_t n; /* 0: `milters { }', none */
};

#endif
