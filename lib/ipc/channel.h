/*
 * One end of an edge: framing, batching, descriptor passing, back-pressure,
 * requests and their answers over a stream socketpair.
 *
 * A frame is 16 bytes (u32 length of the payload, u16 type, u16 flags, u64
 * request id, little-endian) and the payload. The first frame each way is
 * the hello with the hash of the edge; two builds that disagree part there.
 * Frames leave at the end of the loop round, many in one system call; one
 * with a descriptor goes in a call of its own.
 *
 * A peer that breaks the contract (type, phase, direction, length, bounds,
 * descriptor) loses the channel, which is logged with both names, and
 * nothing else happens to the receiver.
 */
#ifndef POSTERN_IPC_CHANNEL_H
#define POSTERN_IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/base/loop.h"
#include "lib/ipc/edge.h"

struct channel;

/* Largest payload of any edge: a content frame of 64 KiB and its fields. */
enum { CHANNEL_CONTENT_MAX = 65536, CHANNEL_MESSAGE_MAX = 65536 + 4096 };

/* What to do with a message: msg is the struct of its wire, its views live
 * until the handler returns, a fd in it is the handler's from then on. id is
 * the request it belongs to (0: none). */
typedef void handler_fn(
    void *ctx, struct channel *ch, const void *msg, uint64_t id);

struct handler {
	uint16_t type; /* 0 ends the table */
	handler_fn *fn;
};

/* The peer is gone or broke the contract; all pending requests were called
 * with a fault before. The owner calls channel_free, now or later. */
typedef void channel_closed_fn(void *ctx, struct channel *ch);

/* Takes fd over (made non-blocking). handlers: the types we receive that are
 * not answers to our own asks (of two rows for one type the later). A type the
 * edge allows us to receive, that has no handler and answers nothing, breaks
 * the contract too. */
struct channel *channel_new(struct loop *l, int fd, const struct edge *edge,
    enum edge_end end, const struct handler *handlers,
    channel_closed_fn *closed, void *ctx);
/* Pending requests are called with a fault; safe inside its own callbacks
 * (the memory goes after the round). Clears the caller's pointer. */
void channel_free(struct channel **p);

/* Gives up our end while the peer lives on, for channel_adopt in whatever
 * program follows here: sends what waits (blocking up to ms milliseconds), and
 * returns the descriptor. -1: half a message is left, the channel stays as it
 * is. Whoever waits for an answer hears a fault. */
int channel_release(struct channel **p, unsigned int ms);
/* As channel_new, over what channel_release returned: the hellos were said,
 * and both are in the last phase. Only for the same edge. */
struct channel *channel_adopt(struct loop *l, int fd, const struct edge *edge,
    enum edge_end end, const struct handler *handlers,
    channel_closed_fn *closed, void *ctx);

/* On to a later phase, as our side sees it. */
void channel_set_phase(struct channel *ch, enum edge_phase phase);
/* the peer (and which of them), for the log; copied. */
void channel_set_peer(struct channel *ch, const char *name);
const char *channel_peer(const struct channel *ch);
/* What is sent and what comes from now on is secret: no copy of it stays here.
 */
void channel_set_secret(struct channel *ch);
bool channel_is_open(const struct channel *ch);
/* How the peer broke the contract; NULL when it did not. */
const char *channel_breach(const struct channel *ch);

/* Says something that has no answer, or one more part of request id (0:
 * none). Returns 0, or -1 when the channel is closed or msg does not fit its
 * field list. A descriptor in msg is duplicated: it stays the caller's. */
int channel_tell(
    struct channel *ch, uint16_t type, const void *msg, uint64_t id);

/* Called exactly once, never before channel_ask returned: with the answer's
 * type and message, or with fault set (FAULT_OURS) and msg NULL when the
 * channel died, the question does not fit its field list (it was not sent, the
 * channel goes on), or there was no descriptor left for what came with it. A fd
 * in msg is the callee's. */
typedef void answer_fn(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg);
/* Sends the request and returns its id (never 0), under which parts can be
 * told; also when the channel is closed: then the answer is the fault. The
 * answer is the first message from the peer with this id whose type has no
 * row in handlers (rows with handlers are parts, and leave it pending). */
uint64_t channel_ask(struct channel *ch, uint16_t type, const void *msg,
    answer_fn *fn, void *ctx);
/* The asker is going away: its callback will not run, a late answer is
 * dropped (a fd in it closed). */
void channel_cancel(struct channel *ch, uint64_t id);
/* Asks that were sent and have no answer yet. */
size_t channel_npending(const struct channel *ch);

/* More than the edge's queue_bytes wait to be sent, where a descriptor counts
 * for 1 KiB: whoever feeds this
 * channel stops reading its own sources until on_drained. */
bool channel_is_full(const struct channel *ch);
/* Called each time the channel falls below a quarter of the bound after it
 * was full. */
void channel_on_drained(struct channel *ch, void (*fn)(void *ctx), void *ctx);
/* fn before the owner's closed, when it ends but not by channel_free: for who
 * made the socket, not the owner. It leaves the channel alone. */
void channel_on_ended(struct channel *ch, channel_closed_fn *fn, void *ctx);
/* fn once, behind a round: nothing that was asked waits for its answer any
 * more (perhaps nothing does now). */
void channel_on_quiet(struct channel *ch, void (*fn)(void *ctx), void *ctx);
/* Stop and go on taking messages from the peer. */
void channel_pause(struct channel *ch);
void channel_resume(struct channel *ch);
/* Tries to send all that waits now, blocking up to ms milliseconds; for the
 * last words of a process. */
void channel_drain(struct channel *ch, unsigned int ms);

/* Messages and system calls of this process over all channels, for the
 * bench: sent, received, sendmsg calls, recvmsg calls. */
struct channel_totals {
	uint64_t sent, received, send_calls, receive_calls;
};
const struct channel_totals *channel_totals(void);

#endif
