/*
 * The channels between our children, and control's to us: made when a process
 * starts, and made anew when one ends between two that live on, because one of
 * them broke the contract.
 */
#ifndef POSTERN_POSTERND_LINKS_H
#define POSTERN_POSTERND_LINKS_H

#include <stdint.h>

#include "edges/edges.h"
#include "posternd/gateway.h"

/* The queue's end of a channel that a smtpd has already, while there is no
 * queue: what comes meanwhile waits in it. */
struct queue_end {
	int fd; /* owned */
	uint32_t number;
};

/* A new channel to the queue for this smtpd, whose other end stays in its
 * queue_end. 0/-1. */
int links_hold(struct process *smtpd, struct process *queue);
/* That end, once it comes from elsewhere (takes fd). */
struct queue_end *links_keep(int fd, uint32_t number);
/* Gives it to the queue, which runs. */
void links_give(struct process *queue, struct process *smtpd);
/* Closes it, if there is one. */
void links_drop(struct process *smtpd);
/* p is not one of our processes any more. */
void links_forget(struct process *p);

/* A channel between these two, if the map has an edge for them. */
void links_join(struct process *a, struct process *b);
/* A channel between control and ourselves. */
void links_join_parent(struct process *control);
/* p says that the channel which it was given under this number has ended. */
void links_lost(
    struct process *p, enum role role, uint16_t instance, uint32_t number);

#endif
