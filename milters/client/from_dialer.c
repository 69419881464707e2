/* What the dialer says: answers only. */
#include "milters/client/from_dialer.h"

enum { PENDING_MAX = 4096 }; /* questions without their answer */

static struct channel *channel;

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == channel)
		channel_free(&channel);
}

static const struct handler handlers[] = { { 0, NULL } };

void
from_dialer_start(struct loop *l, int socket)
{
	from_dialer_stop();
	channel = channel_new(
	    l, socket, &smtpd_dialer_edge, EDGE_A, handlers, on_closed, NULL);
}

void
from_dialer_stop(void)
{
	channel_free(&channel);
}

struct channel *
from_dialer_channel(void)
{
	if (channel == NULL || !channel_is_open(channel) ||
	    channel_is_full(channel) ||
	    channel_npending(channel) >= PENDING_MAX)
		return NULL;
	return channel;
}
