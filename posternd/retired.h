/*
 * Processes from before a restart in place: smtpds that finish their
 * sessions, and the resolver, dialer and vaults that these need. They are
 * waited for, told when all stops, and have channels to the present queue and
 * control; nobody starts them again.
 */
#ifndef POSTERN_POSTERND_RETIRED_H
#define POSTERN_POSTERND_RETIRED_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "posternd/gateway.h"
#include "posternd/handover.h"

enum {
	RETIRED_GRACE_MS = 600000,  /* for their sessions */
	RETIRED_GENERATIONS_MAX = 8 /* with sessions; the oldest stops */
};

struct retired {
	TAILQ_ENTRY(retired) next;
	struct process p;    /* of which only some is used */
	uint64_t edges;      /* edges_hash() where it was built */
	uint32_t generation; /* restarts before its start */
	uint64_t until_ms;   /* its sessions may last; 0: as they need it */
	struct timer *timer; /* until it is killed */
	int parent;          /* our end of all_parent while p.ch is NULL; -1 */
	bool told;           /* to stop */
};

/* --- between two programs --- */

/* Takes a process of ours over, and the descriptor of its channel (or -1);
 * ours is down then. */
void retired_add(struct process *p, int parent);
/* One that was handed over. */
void retired_adopt(struct gateway *gw, const struct handed_process *h);
/* We talk to them again. Those that were built from other definitions than we
 * only live until they are done, without a queue. */
void retired_resume(struct gateway *gw);
/* Makes descriptors of all their channels. -1: half a message of one is here,
 * a round later it may be whole; with give_up that one is left alone. */
int retired_release(struct gateway *gw, bool give_up);
/* All of them into h, for who follows us. */
void retired_hand_over(struct gateway *gw, struct handover *h);
/* What is left of its time. */
uint32_t retired_grace_ms(struct process *p);

/* --- their life --- */

/* Ends whom nobody needs any more, and the oldest when there are too many. */
void retired_check(struct gateway *gw);
/* A child that is one of them? Then it is gone. */
bool retired_reap(struct gateway *gw, pid_t pid, int status);
/* Channels to p, which has just been started. */
void retired_connect(struct gateway *gw, struct process *p);
/* NULL: there is none. */
struct process *retired_find(
    struct gateway *gw, enum role role, uint16_t instance);
/* The log has a new descriptor, or level. */
void retired_tell_log(struct gateway *gw);

/* All of this kind (smtpds, or the others) are told to stop. */
void retired_stop(struct gateway *gw, bool smtpds, uint32_t grace_ms);
bool retired_are_gone(const struct gateway *gw, bool smtpds);
/* Kills all; with wait it returns when they are gone. */
void retired_kill(struct gateway *gw, bool wait);

#endif
