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
	[STAT_BLOCKED] = { "smtpd.blocked", 0 },
	[STAT_LISTED] = { "smtpd.listed", 0 },
	[STAT_DNSBL_ASKED] = { "smtpd.dnsbl_asked", 0 },
	[STAT_DNSBL_SILENT] = { "smtpd.dnsbl_silent", 0 },
	[STAT_EARLY_TALKERS] = { "smtpd.early_talkers", 0 },
	[STAT_PROXY_ERRORS] = { "smtpd.proxy_errors", 0 },
	[STAT_LIMIT_SOURCE] = { "smtpd.limit_source", 0 },
	[STAT_LIMIT_SUBNET] = { "smtpd.limit_subnet", 0 },
	[STAT_LIMIT_FULL] = { "smtpd.limit_full", 0 },
	[STAT_LIMIT_MESSAGES] = { "smtpd.limit_messages", 0 },
	[STAT_LIMIT_ERRORS] = { "smtpd.limit_errors", 0 },
	[STAT_LIMIT_JUNK] = { "smtpd.limit_junk", 0 },
	[STAT_LIMIT_TIME] = { "smtpd.limit_time", 0 },
	[STAT_LIMIT_SLOW] = { "smtpd.limit_slow", 0 },
	[STAT_TIMEOUTS] = { "smtpd.timeouts", 0 },
	[STAT_BARE_NEWLINES] = { "smtpd.bare_newlines", 0 },
	[STAT_STRESS] = { "smtpd.stress", 0 },
	[STAT_STRESS_REFUSED] = { "smtpd.stress_refused", 0 },
	[STAT_TLS_HALF_OPEN] = { "smtpd.tls_half_open", 0 },
	[STAT_TLS_HANDSHAKES] = { "smtpd.tls_handshakes", 0 },
	[STAT_TLS_RESUMED] = { "smtpd.tls_resumed", 0 },
	[STAT_TLS_FAILED] = { "smtpd.tls_failed", 0 },
	[STAT_TLS_REFUSED] = { "smtpd.tls_refused", 0 },
	[STAT_STARTTLS_INJECTION] = { "smtpd.starttls_injection", 0 },
	[STAT_AUTH_OK] = { "smtpd.auth_ok", 0 },
	[STAT_AUTH_FAILED] = { "smtpd.auth_failed", 0 },
	[STAT_AUTH_BUSY] = { "smtpd.auth_busy", 0 },
	[STAT_AUTH_LIMITED] = { "smtpd.auth_limited", 0 },
	[STAT_BDAT] = { "smtpd.bdat", 0 },
	[STAT_DSN] = { "smtpd.dsn", 0 },
	[STAT_SMTPUTF8] = { "smtpd.smtputf8", 0 },
	[STAT_REQUIRETLS] = { "smtpd.requiretls", 0 },
	[STAT_XCLIENT] = { "smtpd.xclient", 0 },
	[STAT_PROXY] = { "smtpd.proxy", 0 },
};

static struct latency accept_times;

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

void
stats_accept(uint64_t us)
{
	latency_add(&accept_times, us);
}

const struct latency *
stats_accept_times(void)
{
	return &accept_times;
}
