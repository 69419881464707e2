/*
 * The queue as a whole: its parts, and what every file above the store
 * needs of the others.
 */
#ifndef POSTERN_QUEUE_QUEUE_H
#define POSTERN_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/latency.h"
#include "lib/base/loop.h"
#include "lib/rules/config.h"
#include "queue/block_list.h"
#include "queue/cache.h"
#include "queue/fate.h"
#include "queue/index.h"
#include "queue/operations.h"
#include "queue/pace.h"
#include "queue/pauses.h"
#include "queue/refilter.h"
#include "queue/report.h"
#include "queue/retry.h"
#include "queue/route.h"
#include "queue/schedule.h"
#include "queue/store.h"
#include "queue/tls_report.h"
#include "queue/trace.h"
#include "queue/trace_end.h"
#include "queue/user_rate.h"

struct obsolete;
struct smtpd_peer;
struct agent_peer;
struct control_peer;

struct queue {
	struct loop *loop;
	struct config *config; /* a reference; NULL before the first */
	struct store *store;
	int spool; /* until store_open takes it; -1 */
	struct pace pace;
	struct index index;
	struct cache cache;
	struct retry retry;
	struct changes changes;
	struct reports reports;
	struct tls_reporting tls_reporting;
	struct refilter refilter;
	struct blocks blocks;
	struct pauses pauses;
	struct operations operations;
	struct trace *trace;
	struct trace *ends; /* trace_end */
	struct router router;
	struct user_rates user_rates;
	struct schedule schedule;
	LIST_HEAD(, smtpd_peer) smtpds;
	LIST_HEAD(, agent_peer) agents;
	LIST_HEAD(, control_peer) controls;
	struct deferred run;     /* the scheduler, at the end of the round */
	struct timer *run_timer; /* the next back-off or rate that ends */
	struct timer *due_timer; /* the retry list */
	struct timer *stop_timer;
	uint64_t wall_ms, mono_ms;     /* both clocks at the last look */
	uint32_t chance;               /* state of the jitter's generator */
	struct latency commit_times;   /* of mail, from its question on */
	struct latency delivery_times; /* of recipients, since it came */
	uint64_t last_operation;       /* of an administrator's change */
	struct obsolete *obsolete;     /* recovery: whose places were taken */
	size_t nobsolete;
	uint64_t quarantine_ms; /* how long mail stays there */
	uint64_t undo_ms;       /* how long removed mail can be had back */
	uint64_t nworks;        /* with agents now */
	uint64_t nintakes;      /* commits that are not yet answered */
	bool started;           /* the store is open */
	bool stopping;
	bool was_full; /* smtpds were told the limit is reached */
};

/* Before the jail. Never freed: it is the process. */
struct queue *queue_new(struct loop *l);
/* Opens the store and rebuilds the index. 0/-1 with why. */
int queue_start(struct queue *q, struct fault *why);
/* The first configuration, or one after a reload. */
void queue_set_config(struct queue *q, struct config *c);
/* Takes nothing new and ends the process once nothing is under way, at the
 * latest a little before grace_ms. */
void queue_stop(struct queue *q, uint32_t grace_ms);
/* Something came to an end: is it time to go? */
void queue_check_stop(struct queue *q);

/* Lets the scheduler run at the end of this round. */
void queue_run_soon(struct queue *q);
/* The retry list changed at its head. */
void queue_set_due(struct queue *q);
/* Monotonic, of this round. */
uint64_t queue_now_ms(const struct queue *q);

/* e is durable at ref: its content (taken) is kept for a while, its
 * recipients go where their actions say, or to the filters, or wait in
 * quarantine. */
void queue_take_in(struct queue *q, struct entry *e, struct store_ref ref,
    struct content *content);
/* It came: for its trace. */
void queue_trace_accepted(struct queue *q, const struct entry *e);
/* An open recipient that is nowhere, and not in quarantine: to where its
 * action says, now; or before all others that go there: it had its turn.
 * Those that filters are to see go to these. */
void queue_send_rcpt(struct queue *q, struct rcpt *r);
void queue_send_rcpt_first(struct queue *q, struct rcpt *r);
/* The number of a new administrator's change, never used before. */
uint64_t queue_next_operation(struct queue *q);

/* Wherever it is, but with an agent: out of there. */
void queue_take_rcpt(struct queue *q, struct rcpt *r);

/* Whether new mail is taken (enum queue_space), the limit included. */
uint8_t queue_space(const struct queue *q, uint64_t *free_bytes);
/* As many messages as there may be: those kept for undo do not count, but
 * with them there are at most twice as many. */
bool queue_is_full(const struct queue *q);
/* Tells every smtpd when that changed because of the limit. */
void queue_check_limit(struct queue *q);

#endif
