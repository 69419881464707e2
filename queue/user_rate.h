/*
 * `limit rate-per-user': how many recipients each authenticated user had, as
 * a bucket that empties with time. A stolen password is found by it.
 */
#ifndef POSTERN_QUEUE_USER_RATE_H
#define POSTERN_QUEUE_USER_RATE_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/rules/config.h"

enum { USER_RATES_MAX = 10000 }; /* users; who was seen last stays */

struct user_rate;
RB_HEAD(user_rate_tree, user_rate);
TAILQ_HEAD(user_rate_list, user_rate);

struct user_rates {
	struct user_rate_tree by_name;
	struct user_rate_list seen; /* the latest first */
	size_t count;
	uint64_t held; /* mails that were too many */
};

void user_rates_init(struct user_rates *all);
void user_rates_clear(struct user_rates *all);
/* A mail of this user to n recipients: does it fit? What does not is not
 * counted. now_ms: monotonic. */
bool user_rate_take(struct user_rates *all, const struct limits *limits,
    struct str user, uint32_t n, uint64_t now_ms);
/* "200/1h", of the limit. */
void user_rate_format(const struct limits *limits, struct buf *out);

#endif
