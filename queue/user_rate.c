/* Levels are counted in recipients times milliseconds of the period, so that
 * what flows out in a millisecond is a whole number. */
#include "queue/user_rate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

struct user_rate {
	RB_ENTRY(user_rate) by_name;
	TAILQ_ENTRY(user_rate) seen;
	uint64_t level, at_ms;
	struct str name; /* views text */
	char text[];
};

static int
cmp_name(const struct user_rate *a, const struct user_rate *b)
{
	return str_cmp(a->name, b->name);
}

TREE_DEFINE(user_rate_tree, user_rate, by_name, cmp_name)

void
user_rates_init(struct user_rates *all)
{
	*all = (struct user_rates){ .count = 0 };
	RB_INIT(&all->by_name);
	TAILQ_INIT(&all->seen);
}

static void
forget(struct user_rates *all, struct user_rate *u)
{
	RB_REMOVE(user_rate_tree, &all->by_name, u);
	TAILQ_REMOVE(&all->seen, u, seen);
	all->count--;
	free(u);
}

void
user_rates_clear(struct user_rates *all)
{
	struct user_rate *u;

	while ((u = TAILQ_FIRST(&all->seen)) != NULL)
		forget(all, u);
}

static struct user_rate *
add(struct user_rates *all, struct str name, uint64_t now_ms)
{
	struct user_rate *u = xmalloc(sizeof(*u) + name.len);

	if (all->count == USER_RATES_MAX)
		forget(all, TAILQ_LAST(&all->seen, user_rate_list));
	*u = (struct user_rate){ .at_ms = now_ms };
	memcpy(u->text, name.p, name.len);
	u->name = (struct str){ u->text, name.len };
	RB_INSERT(user_rate_tree, &all->by_name, u);
	TAILQ_INSERT_HEAD(&all->seen, u, seen);
	all->count++;
	return u;
}

static struct user_rate *
find(struct user_rates *all, struct str name, uint64_t now_ms)
{
	struct user_rate key, *u;

	key.name = name;
	u = RB_FIND(user_rate_tree, &all->by_name, &key);
	if (u == NULL)
		return add(all, name, now_ms);
	TAILQ_REMOVE(&all->seen, u, seen);
	TAILQ_INSERT_HEAD(&all->seen, u, seen);
	return u;
}

/* What has flown out since the last time. What was filled under another limit
 * is full at most under this one. */
static void
drain(struct user_rate *u, uint64_t rate, uint64_t period_ms, uint64_t now_ms)
{
	uint64_t ms = now_ms > u->at_ms ? now_ms - u->at_ms : 0;
	uint64_t out = (ms < period_ms ? ms : period_ms) * rate;

	if (u->level > rate * period_ms)
		u->level = rate * period_ms;
	u->level -= out < u->level ? out : u->level;
	u->at_ms = now_ms;
}

bool
user_rate_take(struct user_rates *all, const struct limits *limits,
    struct str user, uint32_t n, uint64_t now_ms)
{
	uint64_t rate = limits->rate_per_user;
	uint64_t period_ms = limits->rate_per_user_period;
	struct user_rate *u;

	if (rate == 0 || user.len == 0)
		return true;
	u = find(all, user, now_ms);
	drain(u, rate, period_ms, now_ms);
	if (u->level + n * period_ms > rate * period_ms) {
		all->held++;
		return false;
	}
	u->level += n * period_ms;
	return true;
}

void
user_rate_format(const struct limits *limits, struct buf *out)
{
	static const struct {
		uint64_t ms;
		char unit;
	} units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' },
		{ 1000, 's' } };

	uint64_t ms = limits->rate_per_user_period;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ms % units[i].ms == 0) {
			buf_addf(out, "%" PRIu64 "/%" PRIu64 "%c",
			    limits->rate_per_user, ms / units[i].ms,
			    units[i].unit);
			return;
		}
	buf_addf(out, "%" PRIu64 "/%" PRIu64 "ms", limits->rate_per_user, ms);
}
