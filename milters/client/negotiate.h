/* What a filter and the gateway agree on when they meet. */
#ifndef POSTERN_MILTERS_CLIENT_NEGOTIATE_H
#define POSTERN_MILTERS_CLIENT_NEGOTIATE_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "milters/client/macros.h"

enum { MILTER_VERSION = 6, MILTER_VERSION_MIN = 2 };

/* What a filter may ask for at the end of the message: SMFIF_… */
enum {
	ACTION_ADD_HEADER = 0x001, /* and insert */
	ACTION_BODY = 0x002,
	ACTION_ADD_RCPT = 0x004,
	ACTION_DEL_RCPT = 0x008,
	ACTION_CHANGE_HEADER = 0x010, /* and delete */
	ACTION_QUARANTINE = 0x020,
	ACTION_FROM = 0x040,
	ACTION_ADD_RCPT_ARGS = 0x080,
	ACTION_MACROS = 0x100,
	ACTIONS_ALL = 0x1ff
};

/* How events go: SMFIP_… */
enum {
	STEP_NO_CONNECT = 0x000001, /* do not send it */
	STEP_NO_HELO = 0x000002,
	STEP_NO_MAIL = 0x000004,
	STEP_NO_RCPT = 0x000008,
	STEP_NO_BODY = 0x000010,
	STEP_NO_HEADER = 0x000020,
	STEP_NO_EOH = 0x000040,
	STEP_QUIET_HEADER = 0x000080, /* it never replies to it */
	STEP_NO_UNKNOWN = 0x000100,
	STEP_NO_DATA = 0x000200,
	STEP_SKIP = 0x000400,    /* may say: no more of the body */
	STEP_REFUSED = 0x000800, /* wants recipients that we refused */
	STEP_QUIET_CONNECT = 0x001000,
	STEP_QUIET_HELO = 0x002000,
	STEP_QUIET_MAIL = 0x004000,
	STEP_QUIET_RCPT = 0x008000,
	STEP_QUIET_DATA = 0x010000,
	STEP_QUIET_UNKNOWN = 0x020000,
	STEP_QUIET_EOH = 0x040000,
	STEP_QUIET_BODY = 0x080000,
	STEP_LEAD_SPACE = 0x100000, /* values with all behind the colon */
	STEPS_ALL = 0x1fffff
};

struct negotiated {
	uint32_t version; /* 0: not yet */
	uint32_t actions;
	uint32_t steps; /* with those that its version implies */
	macro_set macros[MACRO_STAGES];
};

/* Appends our offer. */
void negotiate_offer(struct buf *out);
/* Its answer. 0; or -1, with *fault for the log appended. */
int negotiate_take(struct negotiated *n, struct str payload, struct buf *fault);

#endif
