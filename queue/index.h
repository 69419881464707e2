/*
 * The index: what the queue keeps in memory of each message, one block of
 * memory each. A million of them are normal, so every byte counts: a struct
 * entry and one struct rcpt are at most 256 bytes, the addresses follow.
 */
#ifndef POSTERN_QUEUE_INDEX_H
#define POSTERN_QUEUE_INDEX_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "lib/base/id.h"
#include "lib/mail/envelope.h"
#include "queue/origin.h"
#include "queue/store.h"
#include "queue/word.h"

struct content;
struct destination;
struct undo_note;
struct work;

/* Where a recipient is held: in exactly one of these places. */
enum rcpt_place {
	PLACE_NONE,    /* held, or final, or being filtered */
	PLACE_WAITING, /* in its destination's line */
	PLACE_WORK,    /* with an agent */
	PLACE_RETRY,   /* in the retry heap */
	PLACE_FILTER   /* in the line for the filters */
};

enum rcpt_marks {
	MARK_DUPLICATE = 1,   /* an attempt ended unheard: the next may be a
			       * second delivery */
	MARK_HOLD = 2,        /* hold once the attempt under way is over */
	MARK_REMOVE = 4,      /* remove then */
	MARK_RECOVERED = 8,   /* not tried since we started */
	MARK_CHANGED = 16,    /* the store does not know yet */
	MARK_UNREADABLE = 32, /* its content could not be read last time */
	MARK_WARNED = 64,     /* the sender was told of the delay */
	MARK_REPORT = 128,    /* the sender is to be told: that it failed, or
			       * that it was delivered */
	MARK_REQUEUE = 256,   /* ask the rules again, after the attempt */
	MARK_REROUTED = 512,  /* its action is not the mail record's: the state
			       * records say it */
	MARK_UNFILTERED = 1024, /* filters are to see it first */
	MARK_RELAYED = 2048,    /* delivered to a host that does not tell its
				 * sender what becomes of it there */
	/* an administrator's, seen to when the attempt under way is over */
	MARK_WISHES = MARK_HOLD | MARK_REMOVE | MARK_REQUEUE
};

struct rcpt {
	TAILQ_ENTRY(rcpt) link; /* in the destination's line, the work or the
				 * line for the filters */

	union {
		struct destination *destination; /* PLACE_WAITING */
		struct work *work;               /* PLACE_WORK */
		uint64_t since_ms;               /* RCPT_QUARANTINED, wall */
	} in;
	struct word *action; /* its name */
	struct word *reply;  /* the last; NULL: none */
	struct word *relay;  /* who said it */
	uint64_t due_ms;     /* monotonic; PLACE_RETRY; of a quarantined one,
			      * wherever it is: when it expires; of one that
			      * failed and is to be reported: when, 0: not
			      * known */
	uint32_t index;      /* in the message */
	uint32_t attempts;   /* ended ones */
	uint32_t slot;       /* in the retry heap */
	uint32_t to_at;      /* its address: bytes from the entry on */
	uint16_t to_len;
	uint16_t marks;     /* enum rcpt_marks; rcpt_mark, rcpt_unmark */
	uint8_t state;      /* enum rcpt_state; rcpt_set_state only */
	uint8_t place : 4;  /* enum rcpt_place */
	uint8_t notify : 4; /* enum notify */
};

TAILQ_HEAD(rcpt_list, rcpt);

/* Of a recovered message of which no state told its age. */
#define BORN_UNKNOWN INT64_MAX

struct entry {
	RB_ENTRY(entry) by_seq;
	struct entry *id_next;      /* in its bucket */
	struct entry *changed_next; /* of those the store is to hear of */
	uint64_t seq;
	struct store_ref ref;
	uint64_t received_ms; /* wall */
	int64_t born_ms;      /* monotonic; before our start: negative; or
			       * BORN_UNKNOWN */
	uint64_t bodyfile;    /* 0: none */
	uint64_t body_size;
	struct content *content; /* in the cache; NULL: not there */
	struct word *origin;     /* entry_origin */
	struct undo_note *undo;  /* owned: one for each recipient; NULL: none */
	uint32_t header_size;
	uint32_t nrcpt;
	/* how many of them are in which state */
	uint32_t nactive, ndeferred, nheld, nquarantined;
	uint32_t nbusy;        /* reads, works, questions that point here */
	uint16_t from_len : 9; /* its text follows the recipients */
	uint16_t flags : 7;    /* enum envelope_flags */
	uint8_t committed : 1; /* the store has it */
	uint8_t changed : 1;   /* is in the list of changed ones */
	uint8_t over : 1;      /* to be finished whatever its state */
	uint8_t reporting : 1; /* has a job: there is something to report */
	uint8_t filtering : 1; /* it is being shown to filters */
	char msgid[ID_LEN + 1];
	struct rcpt rcpts[];
};

struct index {
	RB_HEAD(entry_tree, entry) by_seq;
	struct entry **buckets; /* by msgid; a power of two of them */
	size_t nbuckets, count;
	struct words words;
	/* messages by enum message_state; those with nothing to do left */
	uint64_t nstate[STATE_QUARANTINED + 1], nkept;
	uint64_t bytes; /* sizes of all */
};

void index_init(struct index *ix);
/* Frees every entry (cached content must be gone before). */
void index_clear(struct index *ix);

/* A new entry from a record, all recipients as they start and nowhere; in the
 * index. NULL when its msgid or seq is in use. now_ms: monotonic. */
struct entry *index_add(
    struct index *ix, const struct mail_record *m, uint64_t now_ms);
/* The same for one that is to take the place of another of its msgid, which
 * is found by that until the new one is committed and the old one over. */
struct entry *index_add_beside(
    struct index *ix, const struct mail_record *m, uint64_t now_ms);
/* Out of the index and freed; none of its recipients may be anywhere. */
void index_del(struct index *ix, struct entry **e);
struct entry *index_find_seq(struct index *ix, uint64_t seq);
struct entry *index_find_id(struct index *ix, struct str msgid);
/* The first with at least this seq, or NULL: a cursor that survives every
 * change in between. */
struct entry *index_from_seq(struct index *ix, uint64_t seq);

/* --- of an entry --- */
struct str entry_from(const struct entry *e);
struct origin entry_origin(const struct entry *e);
uint64_t entry_size(const struct entry *e);
/* Bytes that the store (or the cache) holds: header block, and the body
 * unless it has a file of its own. */
uint64_t entry_inline_size(const struct entry *e);
/* Is there a recipient something is still to be done for? */
bool entry_is_open(const struct entry *e);
/* Nothing left to see: every recipient is delivered or removed. */
bool entry_is_hidden(const struct entry *e);
/* Milliseconds since it was received, by the monotonic clock. */
uint64_t entry_age(const struct entry *e, uint64_t now_ms);
enum message_state entry_state(const struct entry *e);

/* --- of a recipient --- */
struct entry *rcpt_entry(struct rcpt *r);
struct str rcpt_to(const struct rcpt *r);
/* Behind the last @; empty when there is none. */
struct str rcpt_domain(const struct rcpt *r);
bool rcpt_is_open(const struct rcpt *r);
/* Does its sender want to hear of this (NOTIFY_SUCCESS, FAILURE, DELAY)? */
bool rcpt_wants(const struct rcpt *r, enum notify what);
void rcpt_mark(struct rcpt *r, enum rcpt_marks mark);
void rcpt_unmark(struct rcpt *r, unsigned int marks);
void rcpt_set_state(struct index *ix, struct rcpt *r, enum rcpt_state state);
/* Replaces action, reply or relay by a text. */
void rcpt_set_word(struct index *ix, struct word **word, struct str text);

#endif
