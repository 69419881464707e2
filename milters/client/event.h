/*
 * The events a filter is told of: their packets, which bits leave them or
 * their reply out, and which replies are legal.
 */
#ifndef POSTERN_MILTERS_CLIENT_EVENT_H
#define POSTERN_MILTERS_CLIENT_EVENT_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "milters/client/macros.h"
#include "milters/client/milter.h"

enum event {
	EVENT_NONE,
	EVENT_OFFER,
	EVENT_CONNECT,
	EVENT_HELO,
	EVENT_MAIL,
	EVENT_RCPT,
	EVENT_DATA,
	EVENT_UNKNOWN,
	EVENT_HEADER,
	EVENT_EOH,
	EVENT_BODY,
	EVENT_END,
	EVENTS
};

/* What a reply that refuses, discards or accepts is about. */
enum event_scope {
	SCOPE_SESSION,
	SCOPE_MESSAGE,
	SCOPE_RCPT,
	SCOPE_COMMAND /* that alone */
};

struct event_row {
	const char *name; /* for the log */
	char code;
	enum event_scope scope;
	enum macro_stage macros;
	const char *replies; /* codes that may end it, but progress */
	uint32_t omit;       /* steps: not sent; 0: always sent */
	uint32_t quiet;      /* steps: never replied to */
	/* Payload from the facts; NULL: it has none, or another one. */
	void (*payload)(struct buf *out, const struct milter_facts *facts);
};

const struct event_row *event_row(enum event e);

/* What a filter's reply means. */
enum reply_class {
	REPLY_GO_ON,
	REPLY_ACCEPT,
	REPLY_REFUSE, /* also later: reject, tempfail */
	REPLY_DISCARD,
	REPLY_SHUTDOWN,
	REPLY_CLASSES
};

struct reply_row {
	char code;
	enum reply_class cls;
	enum milter_verdict verdict;
};

/* NULL: no such reply. That of `y` is decided by its text. */
const struct reply_row *reply_row(char code);

#endif
