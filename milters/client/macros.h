/*
 * Macros: what a filter may know beside the events, by Sendmail's names. A
 * stage's macros go before its event; which ones, the filter says when it
 * negotiates, or a list of ours does.
 */
#ifndef POSTERN_MILTERS_CLIENT_MACROS_H
#define POSTERN_MILTERS_CLIENT_MACROS_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "milters/client/milter.h"

/* As numbered in the filter's lists. */
enum macro_stage {
	MACROS_CONNECT,
	MACROS_HELO,
	MACROS_MAIL,
	MACROS_RCPT,
	MACROS_DATA,
	MACROS_END,
	MACROS_EOH,
	MACRO_STAGES,
	MACROS_NONE = MACRO_STAGES /* an event without macros */
};

enum {
	MACRO_VALUE_MAX = 4096,  /* bytes; what is longer is cut */
	MACRO_PACKET_MAX = 32768 /* a macro that does not fit is left out */
};

/* A bit for each macro that there is. */
typedef uint64_t macro_set;

/* What a filter gets that asks for nothing. */
macro_set macros_default(enum macro_stage stage);
/* A filter's list: names with or without braces, between them blanks and
 * commas. Those that we do not have are none. */
macro_set macros_parse(struct str list);
/* Appends the packet for the event with that code; nothing when the set is
 * empty or none of it has a value. */
void macros_encode(struct buf *out, char event, enum macro_stage stage,
    macro_set wanted, const struct milter_facts *facts);

#endif
