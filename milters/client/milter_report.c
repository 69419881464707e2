/* What can be looked into, and the filters of the process as a whole. */
#include "milters/client/milter_report.h"

#include "lib/base/latency.h"
#include "milters/client/dial.h"
#include "milters/client/from_dialer.h"
#include "milters/client/health.h"

static struct config *present; /* a reference; NULL: none yet */

static const char *const stage_names[MILTER_STAGES] = {
	[MILTER_CONNECT] = "connect",
	[MILTER_HELO] = "helo",
	[MILTER_MAIL] = "mail",
	[MILTER_RCPT] = "rcpt",
	[MILTER_DATA] = "data",
	[MILTER_UNKNOWN] = "unknown",
	[MILTER_CONTENT] = "content",
};

static const char *const verdict_names[MILTER_SHUTDOWN + 1] = {
	[MILTER_ACCEPT] = "accept",
	[MILTER_CONTINUE] = "continue",
	[MILTER_QUARANTINE] = "quarantine",
	[MILTER_DISCARD] = "discard",
	[MILTER_TEMPFAIL] = "tempfail",
	[MILTER_REJECT] = "reject",
	[MILTER_SHUTDOWN] = "shutdown",
};

const char *
milter_stage_name(enum milter_stage s)
{
	return stage_names[s];
}

const char *
milter_verdict_name(enum milter_verdict v)
{
	return verdict_names[v];
}

uint64_t
milter_bucket_us(unsigned int n)
{
	return latency_bound_us(n);
}

struct channel *
milters_set_dialer(struct loop *l, int socket)
{
	struct channel *dialer = from_dialer_start(l, socket);

	dial_resume();
	return dialer;
}

void
milters_set_config(struct loop *l, struct config *c, uint32_t share)
{
	(void)l;
	health_set_config(c, share);
	config_ref(c);
	config_unref(&present);
	present = c;
}

void
milters_clear(void)
{
	from_dialer_stop();
	health_clear();
	config_unref(&present);
}

void
milters_report(void (*fn)(void *ctx, const struct milter_report *r), void *ctx)
{
	struct milter_report r;

	for (size_t i = 0; present != NULL && i < present->nmilters; i++) {
		health_report(&present->milters[i], &r);
		fn(ctx, &r);
	}
}
