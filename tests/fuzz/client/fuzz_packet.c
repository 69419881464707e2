/* What a filter sends, as packets, and each of them as its answer to the
 * offer. Cut anywhere it is the same packets. */
#include <stdlib.h>
#include <string.h>

#include "milters/client/negotiate.h"
#include "milters/client/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
check_offer(struct str payload)
{
	struct negotiated n = { 0 };
	struct buf fault;

	buf_init(&fault, 200);
	if (negotiate_take(&n, payload, &fault) == 0) {
		check(fault.len == 0);
		check(n.version >= MILTER_VERSION_MIN &&
		      n.version <= MILTER_VERSION);
		check((n.actions & ~(uint32_t)ACTIONS_ALL) == 0);
		check((n.steps & ~(uint32_t)STEPS_ALL) == 0);
	} else {
		check(fault.len > 0 && !fault.failed && n.version == 0);
	}
	buf_clear(&fault);
}

/* Less of it is not enough, more changes nothing. */
static void
check_whole(struct str in, const struct packet *p)
{
	struct packet again;
	uint32_t length;
	size_t size = packet_size(p);

	check(size <= in.len && p->payload.len <= PACKET_TAKE_MAX);
	check(packet_decode(str_head(in, size - 1), &again, &length) ==
	      PACKET_MORE);
	check(
	    packet_decode(str_head(in, size), &again, &length) == PACKET_WHOLE);
	check(again.code == p->code && str_eq(again.payload, p->payload));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct packet p;
	uint32_t length;

	while (packet_decode(in, &p, &length) == PACKET_WHOLE) {
		check_whole(in, &p);
		check_offer(p.payload);
		in = str_skip(in, packet_size(&p));
	}
	return 0;
}
