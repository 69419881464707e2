/* The words for the states, as interface and filters have them. */
#include "posternctl/names.h"

const char *
name_message_state(uint8_t state)
{
	static const char *const names[] = {
		[STATE_ACTIVE] = "active",
		[STATE_DEFERRED] = "deferred",
		[STATE_HELD] = "held",
		[STATE_QUARANTINED] = "quarantined",
	};

	return state <= STATE_QUARANTINED ? names[state] : "?";
}

void
name_pause(struct buf *out, const struct row_pause *row)
{
	static const char *const names[] = {
		[PAUSE_SMTP] = "smtp",
		[PAUSE_DELIVERY] = "delivery",
		[PAUSE_DOMAIN] = "domain ",
	};

	if (row->what <= PAUSE_DOMAIN)
		buf_addf(out, "%s", names[row->what]);
	if (row->what == PAUSE_DOMAIN)
		buf_add_str(out, row->domain);
}

const char *
name_milter_state(uint8_t state)
{
	static const char *const names[] = { "up", "resting", "probing" };

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

const char *
name_milter_stage(size_t stage)
{
	static const char *const names[ROW_MILTER_STAGES] = { "connect", "helo",
		"mail", "rcpt", "data", "unknown", "content" };

	return stage < ROW_MILTER_STAGES ? names[stage] : "?";
}

const char *
name_milter_verdict(size_t verdict)
{
	static const char *const names[ROW_MILTER_VERDICTS] = { "accept",
		"continue", "quarantine", "discard", "tempfail", "reject",
		"shutdown" };

	return verdict < ROW_MILTER_VERDICTS ? names[verdict] : "?";
}
