/* What the test in house.h has seen, as smtpd, agent and control; and how it
 * waits for more. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_HOUSE_SEEN_H
#define POSTERN_TESTS_UNIT_QUEUE_HOUSE_SEEN_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "queue/from_control.h"
#include "queue/from_delivery.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"
#include "queue/store_impl.h"
#include "queue/work.h"

enum { WATCHDOG_MS = 60000, TEXT = 160000 };

/* What the agent was given. */
struct got {
	uint64_t id;
	struct tell_work head;
	char msgid[ID_LEN + 1], action[65], hops[300], envid[101];

	struct {
		uint32_t index, attempts;
		char to[100], orcpt[100];
		uint8_t notify;
	} rcpts[200];

	uint32_t nrcpts;
	char content[TEXT];
	size_t len;
	int file;
};

static struct {
	struct loop *loop;
	struct timer *watchdog;
	char dir[64];
	struct queue *q;
	struct config *config;
	struct channel *smtpd, *agent, *control;
	bool agent_closed;
	/* smtpd's view */
	uint64_t received_ms; /* of mail handed in; 0: now */
	int naccepted, nrefused, why, space;
	struct answer_bodyfile bodyfile;
	/* what filters are asked about: the last question */
	char told[4000]; /* of blocks */
	int ntold;
	char pauses[400]; /* what it was told of them */
	int npauses;
	int nasked, nasked_rcpts, body;
	uint64_t asked_id;
	uint8_t asked_why, asked_has_file;
	uint64_t asked_body_size;
	char asked_msgid[ID_LEN + 1], asked_rcpts[1000], asked_content[8000];
	char asked_context[100];
	/* the agent's */
	struct got got[8];
	int ngot;
	/* control's */
	uint64_t quarantined_since, quarantined_expires;
	size_t nblocks;
	uint64_t operation; /* of the last row */
	char rows[TEXT];
	struct answer_done done;
	bool is_done;
	int until; /* a count to wait for */
	int *counter;
} t;

/* How recipients of mail handed in start, and what is said of it besides. */
static struct {
	enum rcpt_start start;
	bool replaces;
	const char *filter, *reason, *context, *event, *content;
	const char *envid, *orcpt, *user;
	uint32_t flags;
	uint8_t notify;
	enum handover handover; /* of what the agent delivers */
	uint64_t body_size;     /* when there is no body file */
} how;

/* --- waiting --- */

static struct deferred look;

static inline void
on_look(void *ctx)
{
	(void)ctx;
	if (*t.counter >= t.until)
		loop_stop(t.loop);
}

/* Each event handler of the test calls this. */
static inline void
seen(void)
{
	loop_after(t.loop, &look);
}

static inline void
on_watchdog(void *ctx)
{
	(void)ctx;
	ck_abort_msg("nothing happened");
}

static inline void
wait_for(int *counter, int until)
{
	t.counter = counter;
	t.until = until;
	if (*counter >= until)
		return;
	timer_set(t.watchdog, WATCHDOG_MS);
	loop_run(t.loop);
	timer_stop(t.watchdog);
}

#endif
