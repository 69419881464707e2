/*
 * The conversation with one filter over one connection: negotiation, events
 * with their macros, replies, time limits. It knows the protocol and nothing
 * of other filters. What it is not allowed to send (because the filter
 * declined it, or is done with the message) it leaves out and says CONTINUE.
 *
 * Source: Sendmail's mfapi and mfdef.h, protocol versions 2 to 6.
 */
#ifndef POSTERN_MILTERS_CLIENT_TALK_H
#define POSTERN_MILTERS_CLIENT_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "milters/client/edits.h"
#include "milters/client/headers.h"
#include "milters/client/milter.h"

struct talk;

/* What a filter said. */
struct talk_answer {
	enum milter_verdict verdict; /* never QUARANTINE: that is an edit */
	const char *reply; /* checked text of a reply code; NULL: it gave none.
			    * Lives until the next question. */
	const char *fault; /* not NULL: it failed, the connection is closed,
			    * verdict means nothing */
	bool lost; /* with fault: the connection ended; else the filter was
		    * late or broke the protocol */
};

struct talk_ops {
	/* The answer to the question that was asked; exactly once, never from
	 * inside a call. */
	void (*on_answer)(void *ctx, const struct talk_answer *a);
	/* Nothing was asked, and the connection ended: fault and lost. */
	void (*on_lost)(void *ctx, const struct talk_answer *a);
};

/* fd: connected, or on its way; taken over. The negotiation begins at once;
 * questions asked before its end wait for it. milter and facts outlive it. */
struct talk *talk_new(struct loop *l, int fd, const struct milter *milter,
    const struct milter_facts *facts, const struct talk_ops *ops, void *ctx);
/* QUIT and the end (at once after a fault). Safe inside callbacks. Clears the
 * pointer; NULL is allowed. */
void talk_free(struct talk **p);

/* Asks about an event. True: *a is the answer (the filter did not want the
 * event, will not reply to it, or is done with the message or the session);
 * false: on_answer follows. One question at a time, in the order connect,
 * helo, mail, rcpt…, data; the caller sees to it. */
bool talk_ask(struct talk *t, enum milter_stage stage, struct talk_answer *a);
/* Headers, body, end of message. headers: as shown to this filter now; they,
 * mail and edits (which takes what the filter changes) outlive the question.
 * on_answer with CONTINUE or ACCEPT: the edits hold; else they are moot. */
bool talk_content(struct talk *t, const struct headers *headers,
    const struct milter_mail *mail, struct edits *edits, struct talk_answer *a);
/* A body that edits had to wait for. */
void talk_body_ready(struct talk *t, bool ok);
/* RCPT_REJ: the reply is read and ignored. */
void talk_tell_refused(struct talk *t);
/* ABORT, when the filter is in a message. With a question open: the question
 * has no answer any more, and the connection is given up. */
void talk_abort(struct talk *t);
/* Has the negotiation ended well? version, actions and steps of it. */
bool talk_negotiated(const struct talk *t, uint32_t *version, uint32_t *actions,
    uint32_t *steps);
/* A fault ended it. */
bool talk_is_dead(const struct talk *t);

#endif
