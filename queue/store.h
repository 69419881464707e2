/*
 * The store: mail and the states of its recipients on stable storage.
 *
 * It is the only part that knows segments, batches, generations and files;
 * the rest of the queue knows messages by their seq and a struct store_ref.
 * What is added waits for store_commit, which writes all of it and syncs
 * once; then, and only then, the callbacks say what is durable.
 */
#ifndef POSTERN_QUEUE_STORE_H
#define POSTERN_QUEUE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"
#include "lib/rules/config.h"

struct store;

/* Where a message's record lies; opaque, but part of every index entry. */
struct store_ref {
	uint32_t segment;
	uint32_t slot;
};

/* In mail_rcpt.start beside enum rcpt_start: nothing happens to it before an
 * administrator releases it. */
enum { MAIL_RCPT_HELD = 0x80 };

struct mail_rcpt {
	struct str to, action, orig;
	struct str orcpt; /* "type;address" (RFC 3461), or empty */
	uint8_t start;    /* enum rcpt_start of smtpd_queue.h: what it is as
			   * long as no state record says otherwise */
	uint8_t notify;   /* enum notify */
};

/* A message as it is recorded. Views are the caller's and must live until
 * the call returned. */
struct mail_record {
	uint64_t seq; /* the queue's own key, above 0, never reused */
	struct str msgid, from, client, client_name, listener;
	struct str user;      /* who has authenticated, or empty */
	uint32_t flags;       /* enum envelope_flags */
	uint64_t received_ms; /* wall */
	const struct mail_rcpt *rcpts;
	uint32_t nrcpt;
	uint32_t header_size; /* bytes of content that are the header block */
	uint64_t bodyfile;    /* 0: the body is in content; that of another
			       * message when it takes that one's place */
	uint64_t body_size;
	struct str content; /* header block, and body unless in a bodyfile */
	/* of START_QUARANTINED: which filter, and why */
	struct str filter, reason;
	/* what filters have to be told to see it again; may be empty */
	struct str context;
	struct str envid; /* RFC 3461; or empty */
	struct str held;  /* why, of those with MAIL_RCPT_HELD */
};

enum {
	STATE_RCPT_WAITING,
	STATE_RCPT_DELIVERED,
	STATE_RCPT_BOUNCED,
	STATE_RCPT_REMOVED,
	STATE_RCPT_HELD,
	STATE_RCPT_FAILED,      /* for good, and its sender was not told yet */
	STATE_RCPT_QUARANTINED, /* reply: why, relay: by which filter, next_ms:
				 * since when */
	/* delivered, which its sender wants to know and was not told yet: to
	 * its mailbox, or passed on to a host that does not tell */
	STATE_RCPT_ARRIVED,
	STATE_RCPT_RELAYED,
	STATE_RCPT_LAST = STATE_RCPT_RELAYED
};

/* Beside the state, in the same byte. */
enum {
	STATE_RCPT_UNFILTERED = 0x40, /* filters are to see it before anybody
				       * gets it */
	STATE_RCPT_WARNED = 0x80,     /* the sender was told of a delay */
	STATE_RCPT_FLAGS = STATE_RCPT_UNFILTERED | STATE_RCPT_WARNED
};

/* What became of a recipient: absolute, so that the last record wins. */
struct state_rcpt {
	uint32_t index;
	uint8_t state; /* STATE_RCPT_, perhaps with STATE_RCPT_FLAGS */
	uint32_t attempts;
	uint64_t next_ms; /* wall time of the next try; 0: none */
	struct str reply; /* the last, with its code; at most 600 bytes */
	struct str relay; /* who said it; at most 320 bytes */
	/* Empty: that of the mail record; else the rules have decided anew. */
	struct str action;
	uint64_t operation; /* that made it so, and can be undone; 0: none */
	uint64_t was_ms;    /* then: next_ms, and the state, before it */
	uint8_t was;
};

struct state_record {
	uint64_t seq;
	uint64_t when_ms;   /* wall */
	uint64_t operation; /* of the administrator's change; 0: none */
	const struct state_rcpt *rcpts;
	uint32_t nrcpt;
};

struct store_ops {
	/* Recovery, from inside store_open: each surviving message in the order
	 * of its seq's last copy, then later states. */
	void (*on_mail)(
	    void *ctx, const struct mail_record *m, struct store_ref ref);
	void (*on_state)(void *ctx, const struct state_record *s);
	/* It ended before the restart (its record may be there): forget it. */
	void (*on_finished)(void *ctx, uint64_t seq);
	/* Say its whole state again with store_add_state: the segment of its
	 * last one is about to be reused. */
	void (*on_restate)(void *ctx, uint64_t seq);
	/* Space or health changed (enum queue_space of smtpd_queue.h). */
	void (*on_space)(void *ctx, uint8_t space, uint64_t free_bytes);
};

/*
 * The order of a start, which the jail imposes: store_new while preparing (no
 * spool, no settings yet), store_start_thread when the rights are gone and
 * seccomp is not yet on (the thread idles), store_open once the configuration
 * is there. Between store_new and store_open only store_start_thread and
 * store_close may be called.
 */
struct store *store_new(struct loop *l);
/* The housekeeping thread; 0/-1. Without it (unit tests) all is done in the
 * caller. */
int store_start_thread(struct store *s);
/* dir: the spool, taken. Takes the lock, reads and checks every segment, cuts
 * the torn tail, sets damage aside in corrupt/, removes body files nobody
 * names. -1 with why when the spool cannot be used (locked, unreadable,
 * unknown version: nothing is touched then). settings are copied. */
int store_open(struct store *s, int dir, const struct queue_settings *settings,
    uint64_t max_message, const struct store_ops *ops, void *ctx,
    struct fault *why);
/* After a reload: what of the settings can change while running (the
 * reserve, undo) does. */
void store_set_settings(struct store *s, const struct queue_settings *settings,
    uint64_t max_message);
/* Commits what was added, ends the thread, unlocks. */
void store_close(struct store **s);

/* The next seq; each call gives a new one. */
uint64_t store_next_seq(struct store *s);

/* ok: durable, ref is where. Not ok: not kept, and it will not come back at
 * the next start. Called from store_commit, or later for a bodyfile. */
typedef void store_committed_fn(void *ctx, bool ok, struct store_ref ref);
/* Copies m's bytes into the batch. -1: there is no place for it now; fn is
 * told so in its time. */
int store_add_mail(struct store *s, const struct mail_record *m,
    store_committed_fn *fn, void *ctx);
void store_add_state(
    struct store *s, struct store_ref ref, const struct state_record *st);
/* The message is over: its bytes may be reused once this is durable. Its
 * bodyfile is unlinked after that. */
void store_finish(struct store *s, struct store_ref ref, uint64_t seq);
/* Writes and syncs all that was added since the last time; nothing happens
 * when nothing was. The queue calls it at the end of a loop round. */
void store_commit(struct store *s);
bool store_is_dirty(const struct store *s);
/* Is there perhaps something that no commit could write (it is, once the disk
 * takes it)? Nobody may be told that it is written. */
bool store_is_behind(const struct store *s);

/* The message read back (by the housekeeping thread): m's views live until
 * fn returns; NULL m: it cannot be read (why; FAULT_PERM: it is damaged and
 * will not get better). Never from inside the call. */
typedef void store_read_fn(
    void *ctx, const struct mail_record *m, const struct fault *why);
void store_read(
    struct store *s, struct store_ref ref, store_read_fn *fn, void *ctx);

/* A new body file, open for writing and reading; *number names it. -1: no space
 * or a failure. The descriptor is the caller's. */
int store_bodyfile_new(struct store *s, uint64_t *number);
/* Not wanted any more (never committed). */
void store_bodyfile_drop(struct store *s, uint64_t number);
/* A fresh read-only descriptor, the caller's; -1 when it is not there. */
int store_bodyfile_open(struct store *s, uint64_t number);

/* The latest wall time recovery met, also of messages that are over; or 0. */
uint64_t store_latest_ms(const struct store *s);
uint8_t store_space(const struct store *s, uint64_t *free_bytes);

/* For show stats. */
struct store_totals {
	uint64_t commits, batched, bytes, syncs, segments, segments_reused;
};
const struct store_totals *store_totals(const struct store *s);

#endif
