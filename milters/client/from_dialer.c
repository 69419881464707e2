/* What the dialer says: answers only. */
#include "milters/client/from_dialer.h"

static struct channel *channel;
static uint64_t heard; /* answers of the present one */
static bool silent;    /* it hangs, as far as we know */

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == channel)
		channel_free(&channel);
}

static const struct handler handlers[] = { { 0, NULL } };

struct channel *
from_dialer_start(struct loop *l, int socket)
{
	from_dialer_stop();
	silent = false;
	channel = channel_new(
	    l, socket, &smtpd_dialer_edge, EDGE_A, handlers, on_closed, NULL);
	return channel;
}

void
from_dialer_stop(void)
{
	channel_free(&channel);
}

bool
from_dialer_is_there(void)
{
	return channel != NULL && channel_is_open(channel);
}

struct channel *
from_dialer_channel(void)
{
	if (!from_dialer_is_there() || channel_is_full(channel) ||
	    channel_npending(channel) >= DIALS_MAX || silent)
		return NULL;
	return channel;
}

uint64_t
from_dialer_heard(void)
{
	return heard;
}

void
from_dialer_answered(void)
{
	heard++;
	silent = false;
}

void
from_dialer_is_silent(void)
{
	silent = true;
}
