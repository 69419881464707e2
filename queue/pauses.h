/*
 * What stands still: the administrator's pauses. Kept in the spool (file
 * `pauses'); smtpds are told of theirs, the scheduler holds back what is not
 * to leave.
 */
#ifndef POSTERN_QUEUE_PAUSES_H
#define POSTERN_QUEUE_PAUSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "lib/base/str.h"
#include "lib/base/tree.h"
#include "queue/side_text.h"

enum { PAUSES_MAX = 10000, PAUSE_REASON_MAX = 512 };

struct queue;
struct rcpt;
struct smtpd_peer;

struct pause {
	RB_ENTRY(pause) node;
	uint8_t what; /* enum pause_what */
	struct str
	    domain; /* of PAUSE_DOMAIN: A-labels, lower case; behind it */
	uint64_t since_ms; /* wall */
	uint32_t uid;      /* who said so */
	struct str reason; /* likewise */
};

RB_HEAD(pause_tree, pause);

struct pauses {
	struct pause_tree tree; /* by what, then by domain */
	size_t n, ndomains;
	bool smtp; /* there is one */
	struct side_list list;
};

void pauses_init(struct queue *q);
/* From the spool, and in force; each is logged. A damaged file is set aside.
 * Once the store is open, before mail goes anywhere. */
void pauses_load(struct queue *q);
/* Whether there is one for it: to a smtpd that has just come. */
void pauses_tell(struct queue *q, struct smtpd_peer *p);
/* Is mail for this recipient's domain held back? */
bool pauses_has_domain(const struct pauses *ps, const struct rcpt *r);

/* In force at once, durable with the next pauses_save. like: its domain in the
 * form above. 1: there was one, which stays; -1: there are too many. */
int pauses_add(struct queue *q, const struct pause *like);
/* -1: there was none. */
int pauses_del(struct queue *q, uint8_t what, struct str domain);
/* The first one behind `after' (NULL: of all). */
const struct pause *pauses_next(
    const struct pauses *ps, const struct pause *after);
/* fn(ctx, NULL) when all that holds now is durable. */
void pauses_save(struct queue *q, side_file_fn *fn, void *ctx);

/* "smtp", "delivery", "domain". */
const char *pause_name(uint8_t what);

#endif
