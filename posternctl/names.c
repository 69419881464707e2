/* The words for the states, as interface and filters have them. */
#include "posternctl/names.h"

#include "edges/control_all.h"

const char *
name_message_state(uint8_t state)
{
	static const char *const names[] = {
		[STATE_ACTIVE] = "active",
		[STATE_DEFERRED] = "deferred",
		[STATE_HELD] = "held",
	};

	return state <= STATE_HELD ? names[state] : "?";
}

const char *
name_rcpt_state(uint8_t state)
{
	static const char *const names[] = {
		[RCPT_ACTIVE] = "active",
		[RCPT_DEFERRED] = "deferred",
		[RCPT_HELD] = "held",
		[RCPT_DELIVERED] = "delivered",
		[RCPT_BOUNCED] = "bounced",
		[RCPT_REMOVED] = "removed",
	};

	return state <= RCPT_REMOVED ? names[state] : "?";
}
