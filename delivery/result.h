/* What a reply, or the lack of one, means for a recipient. */
#ifndef POSTERN_DELIVERY_RESULT_H
#define POSTERN_DELIVERY_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery/agent_work.h"
#include "edges/queue_delivery.h"
#include "lib/mail/reply.h"

enum { VERDICT_TLS_MAX = 128 };

/* An outcome and how it came about. */
struct verdict {
	enum outcome outcome;
	uint16_t code; /* 0: no reply was heard */
	struct status status;
	bool possible_duplicate;
	enum handover handover; /* when delivered */
	char text[REPLY_KEPT_MAX + 1];
	char relay[PLACE_TEXT_MAX]; /* empty: none was asked */
	char tls[VERDICT_TLS_MAX];  /* as secure_format; empty: in the clear */
};

/* From a reply: 2xx delivered, 4xx deferred, 5xx failed; its enhanced status
 * or one derived from the code. */
void verdict_of_reply(struct verdict *v, const struct reply *r);
/* Without one: status as "4.4.1", whose class is the outcome. */
void verdict_set(struct verdict *v, const char *status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A 452 or 552 to RCPT that speaks of the number of recipients rather than
 * of this one (RFC 5321 4.5.3.1.10). */
bool reply_is_too_many(const struct reply *r);

/* Keeps v as why the work's next hop failed. A permanent one never replaces
 * one that allows a later try. */
void work_set_failure(struct work *w, const struct verdict *v);
void verdict_free(struct verdict **v);

/* Tells the queue about one recipient, who is done then. */
void result_tell(struct work *w, struct work_rcpt *r, const struct verdict *v);
/* About every one in this state. */
void result_tell_all(struct work *w, enum to_state st, const struct verdict *v);

/* How many had which outcome, since the start. */
uint64_t result_count(enum outcome o);

#endif
