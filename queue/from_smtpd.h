/* smtpd_queue, the queue's end: mail comes in. */
#ifndef POSTERN_QUEUE_FROM_SMTPD_H
#define POSTERN_QUEUE_FROM_SMTPD_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "queue/intake.h"

struct bodyfile;
struct channel;
struct commit;
struct queue;

struct smtpd_peer {
	LIST_ENTRY(smtpd_peer) next;
	struct queue *q;
	struct channel *channel;
	uint16_t instance;
	struct intakes intakes;
	LIST_HEAD(, bodyfile) bodyfiles;
	uint32_t nbodyfiles;
	LIST_HEAD(, commit) commits;
	uint32_t nquestions; /* ask_filter without an answer */
	bool stopping;       /* it takes no more of them */
};

/* A channel to smtpd `instance`; a former one is dead. Nothing is taken from
 * it before the queue has started. */
struct channel *from_smtpd_add(struct queue *q, uint16_t instance, int socket);
/* The queue has started: all may talk. */
void from_smtpd_resume(struct queue *q);
/* Tells every smtpd. */
void from_smtpd_tell_space(struct queue *q, uint8_t space, uint64_t free_bytes);

#endif
