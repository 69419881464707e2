/* The inside of a conversation: talk.c (questions, replies) and talk_content.c
 * (a mail's content) only. */
#ifndef POSTERN_MILTERS_CLIENT_TALK_STATE_H
#define POSTERN_MILTERS_CLIENT_TALK_STATE_H

#include "lib/base/buf.h"
#include "lib/net/stream.h"
#include "milters/client/event.h"
#include "milters/client/negotiate.h"
#include "milters/client/talk.h"

/* What the filter believes. */
enum talk_state {
	TALK_KEEP, /* in tables: as it was */
	TALK_OFFERED,
	TALK_READY,   /* negotiated */
	TALK_SESSION, /* it knows the client */
	TALK_MAIL,
	TALK_RCPT,
	TALK_DATA,
	TALK_HEADER,
	TALK_EOH,
	TALK_BODY,
	TALK_DONE_MESSAGE, /* wants nothing before the next MAIL or HELO */
	TALK_DONE_SESSION, /* wants nothing more */
	TALK_DEAD
};

/* A mail's content, as far as it was shown. */
struct talk_showing {
	const struct headers *headers;
	const struct header_node *at; /* shown last; NULL: none */
	const struct milter_mail *mail;
	struct edits *edits;
	uint64_t done; /* bytes of the body */
	bool skip;     /* it wants no more of it */
};

struct talk {
	struct loop *loop;
	struct stream *stream; /* NULL: dead */
	const struct milter *milter;
	const struct milter_facts *facts;
	const struct talk_ops *ops;
	void *ctx;
	struct negotiated agreed;
	enum talk_state state;
	enum event waiting;  /* a reply to this is due */
	uint32_t ahead;      /* replies due to fields before it */
	enum event question; /* EVENT_END: the content */
	struct talk_answer answer;
	struct talk_showing show;
	struct timer *more;   /* made when the filter never replies to content:
			       * go on in the next round */
	uint64_t total_at_ms; /* no progress beyond this */
	struct buf refused;   /* packets about refused recipients, to be sent
			       * one by one */
	char *reply;          /* owned: the text of its reply code; or NULL */
	char *fault;          /* owned: why it is dead; or NULL */
	struct deferred release, unhold;
	bool connected;
	bool open, begun; /* a question was asked; it was sent */
	bool in_message;  /* ABORT would mean something to it */
	bool blocked;     /* too much is unsent */
	bool held;        /* its last word came, the new body is stored */
	bool lost;        /* fault: by the other end */
	bool stale;       /* it refused a field with others on their way, and
			   * may have more to say: the next message gets a
			   * new connection */
};

/* --- talk.c --- */

/* Sends an event with its macros, or the macros alone, or nothing, as agreed;
 * payload where the facts have none for it. Afterwards waiting is set, or the
 * state is the next, or it is dead. */
void talk_send(struct talk *t, enum event e, struct str payload);
/* The filter goes on behind the event: its state. */
void talk_pass(struct talk *t, enum event e);
/* It works on and gets more time, but not for ever. */
void talk_wait_on(struct talk *t);
/* Nothing came that was not asked for? Else it is dead now. */
bool talk_is_silent(struct talk *t);
/* Ends the connection with a fault, which nobody is told of yet. */
void talk_fail(struct talk *t, bool lost, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The next recipient that we refused. */
void talk_send_refused(struct talk *t);
/* Goes on with the open question. True: it has its answer. */
bool talk_run(struct talk *t);
/* What follows a pause in a content that it does not reply to. */
void talk_unblock(struct talk *t);
/* To the owner, who may free the conversation: the last act of a callback.
 * The answer; that it is dead. */
void talk_answer_now(struct talk *t);
void talk_tell_death(struct talk *t);

/* --- talk_content.c --- */

/* Shows what can be shown now. */
void talk_show(struct talk *t);

/* --- talk_reply.c --- */

/* The stream's on_data. */
size_t talk_take(void *ctx, struct str in);

#endif
