#include "milters/client/negotiate.h"

#include <stddef.h>

#include "milters/client/packet.h"

enum { INTERNAL = 0x70000000 }; /* between libmilter and Sendmail */

/* Events that came with a version are not for filters before it. */
static const struct {
	uint32_t version;
	uint32_t steps;
} came_with[] = {
	{ 3, STEP_NO_UNKNOWN },
	{ 4, STEP_NO_DATA },
};

void
negotiate_offer(struct buf *out)
{
	size_t start = packet_start(out, 'O');

	packet_add_u32(out, MILTER_VERSION);
	packet_add_u32(out, ACTIONS_ALL);
	packet_add_u32(out, STEPS_ALL);
	packet_finish(out, start);
}

/* u32 stage, string; again and again. */
static int
take_lists(struct negotiated *n, struct str in, struct buf *fault)
{
	uint32_t stage;
	struct str list;

	while (in.len > 0) {
		if (packet_take_u32(&in, &stage) != 0 ||
		    packet_take_string(&in, &list) != 0) {
			buf_addf(fault, "a macro list in its offer is cut off");
			return -1;
		}
		if (stage < MACRO_STAGES)
			n->macros[stage] = macros_parse(list);
	}
	return 0;
}

static int
check(const struct negotiated *n, struct buf *fault)
{
	if (n->version > MILTER_VERSION || n->version < MILTER_VERSION_MIN)
		buf_addf(fault, "it speaks protocol version %u, we %u to %u",
		    (unsigned int)n->version, (unsigned int)MILTER_VERSION_MIN,
		    (unsigned int)MILTER_VERSION);
	else if ((n->actions & ~(uint32_t)ACTIONS_ALL) != 0)
		buf_addf(fault, "it wants actions that were not offered: %#x",
		    n->actions & ~(uint32_t)ACTIONS_ALL);
	else if ((n->steps & ~(uint32_t)STEPS_ALL) != 0)
		buf_addf(fault, "it wants steps that were not offered: %#x",
		    n->steps & ~(uint32_t)STEPS_ALL);
	else
		return 0;
	return -1;
}

int
negotiate_take(struct negotiated *n, struct str payload, struct buf *fault)
{
	struct negotiated got = { 0 };

	if (packet_take_u32(&payload, &got.version) != 0 ||
	    packet_take_u32(&payload, &got.actions) != 0 ||
	    packet_take_u32(&payload, &got.steps) != 0) {
		buf_addf(fault, "its answer to the offer is cut off");
		return -1;
	}
	got.steps &= ~(uint32_t)INTERNAL;
	if (check(&got, fault) != 0)
		return -1;
	for (int i = 0; i < MACRO_STAGES; i++)
		got.macros[i] = macros_default((enum macro_stage)i);
	if (take_lists(&got, payload, fault) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(came_with) / sizeof(came_with[0]); i++)
		if (got.version < came_with[i].version)
			got.steps |= came_with[i].steps;
	*n = got;
	return 0;
}
