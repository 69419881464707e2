/* The counters of this process. */
#include "smtpd/stats.h"

static struct counter counters[STAT_COUNT + 1] = {
	[STAT_SESSIONS] = { "smtpd.sessions", 0 },
	[STAT_CONNECTIONS] = { "smtpd.connections", 0 },
	[STAT_ACCEPTED] = { "smtpd.accepted", 0 },
	[STAT_REJECTED] = { "smtpd.rejected", 0 },
	[STAT_TEMPFAILED] = { "smtpd.tempfailed", 0 },
	[STAT_BYTES] = { "smtpd.bytes", 0 },
	[STAT_RDNS_ASKED] = { "smtpd.rdns_asked", 0 },
	[STAT_RDNS_WAITED] = { "smtpd.rdns_waited", 0 },
	[STAT_DISCARDED] = { "smtpd.discarded", 0 },
	[STAT_FILTERING] = { "smtpd.filtering", 0 },
	[STAT_FILTERING_CAPACITY] = { "smtpd.filtering_capacity", 0 },
	[STAT_FILTERING_REFUSED] = { "smtpd.filtering_refused", 0 },
};

void
stats_add(enum statistic which, uint64_t n)
{
	counters[which].value += n;
}

void
stats_sub(enum statistic which, uint64_t n)
{
	counters[which].value -= n;
}

void
stats_set(enum statistic which, uint64_t n)
{
	counters[which].value = n;
}

const struct counter *
stats_all(void)
{
	return counters;
}
