/* One piece of work: a mail, its recipients here, and what became of them. */
#ifndef POSTERN_DELIVERY_AGENT_WORK_H
#define POSTERN_DELIVERY_AGENT_WORK_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "delivery/hops.h"
#include "delivery/routes.h"
#include "delivery/sts.h"
#include "edges/queue_delivery.h"
#include "lib/ipc/channel.h"

struct conn;
struct verdict;

enum to_state {
	TO_OPEN,  /* to be asked for */
	TO_ASKED, /* RCPT was sent, or is about to be */
	TO_TAKEN, /* the next hop said yes to RCPT */
	TO_DONE   /* its result was told */
};

struct work_rcpt {
	char *to;       /* and behind it orcpt */
	char *orcpt;    /* "type;address", or "" */
	uint32_t index; /* the queue's number for it */
	uint8_t state;  /* enum to_state */
	uint8_t notify; /* enum notify */
	bool in_tx;     /* its RCPT reply is still to come */
	bool vrfied;    /* this next hop was asked about it */
};

/* A place put off because it was dead. */
struct later {
	struct place place;  /* policy a reference */
	struct route *route; /* a reference, NULL: none; its host is there */
};

/* How far the work came on its next hops; see way_walk.h. */
struct walk {
	struct str rest; /* URLs whose turn is to come */

	enum walk_step {
		STEP_URL,    /* to the next one */
		STEP_STS,    /* the policy of its domain is asked for */
		STEP_ROUTE,  /* then the way to it */
		STEP_ADDRS,  /* then its addresses have their turn */
		STEP_ADDRESS /* it is one itself */
	} step;
	struct str url_text; /* the present one */
	struct hop_url url;
	struct sts_wait sts_wait;
	struct sts_policy *sts; /* a reference, or NULL */
	struct route_wait wait;
	struct route *route; /* a reference, or NULL */
	uint8_t order[WAY_ALL_MAX];
	size_t at, norder;
	uint16_t preference;   /* of the place of the route given last */
	struct policy *policy; /* of the place given last; a reference */
	struct later *later;   /* owned */
	size_t nlater, later_at;
	size_t nplaces;   /* given out */
	bool bad;         /* there was a URL that is none */
	bool sourceless;  /* an address, and none of ours to reach it from */
	bool reached_out; /* the network was asked, and be it for the way */
};

struct race;

struct work {
	TAILQ_ENTRY(work) entry;
	struct channel *queue; /* NULL: nobody to tell any more */
	uint64_t id;           /* the queue's request */
	uint64_t begun_ms;     /* loop time of tell_work */
	char msgid[ID_LEN + 1];
	char *from, *action, *hops_text, *domain;
	char *envid;    /* or "" */
	uint32_t flags; /* enum envelope_flags */
	/* content: inline_size bytes here, then body_size from file */
	char *content;
	size_t header_size, inline_size, ncontent;
	uint64_t body_size; /* bytes in the file; 0 without */
	int file;           /* -1: none */
	bool in_file;
	struct work_rcpt *rcpts;
	uint32_t nrcpts, nexpected;
	uint32_t nopen; /* in TO_OPEN */
	uint32_t nleft; /* not in TO_DONE */
	/* the way out */
	struct walk walk;
	bool talked; /* some next hop let us in */
	bool vrfy;   /* recipients are asked about before MAIL */
	struct conn *conn;
	struct race *race;       /* to the next connection; or NULL */
	struct verdict *failure; /* why the last next hop failed, or NULL */
};

TAILQ_HEAD(work_list, work);

/* From the queue's words; NULL when they make no sense. */
struct work *work_new(const struct tell_work *m, uint64_t id, uint64_t now_ms);
void work_free(struct work **w);
/* Its parts, as they come. 0, or -1 when that makes no sense. The file is
 * the work's then. */
int work_add_rcpt(struct work *w, const struct tell_work_rcpt *m);
int work_add_file(struct work *w, int file);
int work_add_content(struct work *w, struct str bytes);
bool work_is_complete(const struct work *w);
/* Bytes of the mail. */
uint64_t work_size(const struct work *w);
void work_set_state(struct work *w, struct work_rcpt *r, enum to_state st);
/* What was asked or taken but has no result is open again. */
void work_reopen(struct work *w);

#endif
