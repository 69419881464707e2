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

/* A channel between these two, if the map has an edge for them. */
void links_join(struct process *a, struct process *b);
/* A channel between control and ourselves. */
void links_join_parent(struct process *control);
/* p says that the channel which it was given under this number has ended. */
void links_lost(
    struct process *p, enum role role, uint16_t instance, uint32_t number);

#endif
