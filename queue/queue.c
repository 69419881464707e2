/* The queue as a whole: start, recovery, the retry list's clock, stop. */
#include "queue/queue.h"

#include <stdlib.h>
#include <unistd.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/proc/child.h"
#include "queue/from_control.h"
#include "queue/from_delivery.h"
#include "queue/from_smtpd.h"
#include "queue/quarantine.h"
#include "queue/resume.h"
#include "queue/undo.h"
#include "queue/work.h"

enum {
	DUE_LOOK_MS = 30000, /* the clocks are compared at least so often */
	DUE_BATCH = 1000,    /* due recipients seen to in one go */
	BACKOFF_MAX_MS = 300000,
	JUMP_MS = 5000, /* a difference that is worth a log line */
	STOP_MARGIN_MS = 1000
};

uint64_t
queue_now_ms(const struct queue *q)
{
	return loop_now_ms(q->loop);
}

/* --- the scheduler's turn --- */

static void
on_run(void *ctx)
{
	struct queue *q = ctx;
	uint64_t next, now = queue_now_ms(q);

	next = schedule_run(&q->schedule, now);
	if (next == 0 || q->schedule.stopped)
		timer_stop(q->run_timer);
	else
		timer_set(q->run_timer, next > now ? next - now : 0);
}

void
queue_run_soon(struct queue *q)
{
	loop_after(q->loop, &q->run);
}

/* In the line of a destination that cannot be reached, or that is held, mail
 * grows old without a try; elsewhere it gets one, whatever its age. */
static bool
admit(void *ctx, const struct destination *d, struct rcpt *r)
{
	struct queue *q = ctx;

	if (d->failures == 0 && !schedule_is_held(&q->schedule, d))
		return true;
	/* What its sender is told then. */
	if (d->failures > 0 && r->reply == NULL)
		r->reply = word_ref(d->reply);
	return !fate_expire(q, r);
}

static const struct schedule_ops schedule_ops = {
	.admit = admit,
	.start = work_start,
};

/* --- recipients --- */

static void
discard(struct queue *q, struct rcpt *r)
{
	struct heard h = {
		.reply = STR("250 2.0.0 discarded"),
		.relay = STR("discard"),
		.handover = HANDOVER_DSN, /* nobody is told */
	};

	rcpt_set_state(&q->index, r, RCPT_ACTIVE);
	fate_delivered(q, r, &h);
}

static void
send_rcpt(struct queue *q, struct rcpt *r,
    void (*add)(
	struct schedule *, struct rcpt *, const struct route *, uint64_t))
{
	struct heard h = { .reply = STR("4.4.4 no next hop is configured") };
	struct route to;

	if ((r->marks & MARK_UNFILTERED) != 0) {
		rcpt_set_state(&q->index, r, RCPT_ACTIVE);
		refilter_add(q, r);
		return;
	}
	switch (route_rcpt(&q->router, &q->index, r, &to)) {
	case ROUTE_TO:
		to.held = pauses_has_domain(&q->pauses, r);
		rcpt_set_state(&q->index, r, RCPT_ACTIVE);
		add(&q->schedule, r, &to, queue_now_ms(q));
		queue_run_soon(q);
		break;
	case ROUTE_DISCARD:
		discard(q, r);
		break;
	case ROUTE_NOWHERE:
		fate_deferred(q, r, &h);
		break;
	case ROUTE_HOLD:
		fate_held(q, r, "4.3.5 its action is not configured any more");
		break;
	case ROUTE_QUARANTINE:
		quarantine_by_rule(q, r);
		break;
	}
}

void
queue_send_rcpt(struct queue *q, struct rcpt *r)
{
	send_rcpt(q, r, schedule_add);
}

void
queue_send_rcpt_first(struct queue *q, struct rcpt *r)
{
	send_rcpt(q, r, schedule_add_first);
}

void
queue_trace_accepted(struct queue *q, const struct entry *e)
{
	struct trace_event ev = {
		.kind = TRACE_ACCEPTED,
		.texts = { entry_from(e), entry_origin(e).client },
		.numbers = { e->nrcpt, entry_size(e) },
	};

	trace_add(q->trace, e->msgid, &ev);
}

static void
set_aside(struct queue *q, struct rcpt *r)
{
	struct log_ctx ctx = { NULL, "msg", rcpt_entry(r)->msgid };
	struct trace_event ev = {
		.kind = TRACE_QUARANTINED,
		.texts = { rcpt_to(r), word_str(r->relay), word_str(r->reply) },
	};

	log_info(&ctx, "quarantined", "to=%s filter=%s reason=%s",
	    log_str(ev.texts[0]), log_str(ev.texts[1]), log_str(ev.texts[2]));
	trace_add(q->trace, rcpt_entry(r)->msgid, &ev);
	quarantine_wait(q, r, 0);
}

void
queue_take_in(struct queue *q, struct entry *e, struct store_ref ref,
    struct content *content)
{
	e->ref = ref;
	e->committed = 1;
	if (e->nactive > 0)
		cache_put(&q->cache, e, content);
	else
		free(content);
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		if (r->place != PLACE_NONE)
			continue;
		if (r->state == RCPT_HELD && !e->filtering)
			fate_held(q, r, NULL);
		else if (r->state == RCPT_ACTIVE)
			queue_send_rcpt(q, r);
		else if (r->state == RCPT_QUARANTINED && !e->filtering)
			set_aside(q, r);
	}
}

void
queue_take_rcpt(struct queue *q, struct rcpt *r)
{
	switch ((enum rcpt_place)r->place) {
	case PLACE_WAITING:
		schedule_del(&q->schedule, r);
		queue_run_soon(q);
		break;
	case PLACE_RETRY:
		retry_del(&q->retry, r);
		break;
	case PLACE_FILTER:
		refilter_del(q, r);
		break;
	case PLACE_NONE:
	case PLACE_WORK:
		break;
	}
}

/* --- the retry list --- */

void
queue_set_due(struct queue *q)
{
	uint64_t now = queue_now_ms(q), ms = DUE_LOOK_MS;
	const struct rcpt *r = retry_first(&q->retry);

	if (!q->started)
		return;
	if (r != NULL && r->due_ms <= now)
		ms = 0;
	else if (r != NULL && r->due_ms - now < ms)
		ms = r->due_ms - now;
	timer_set(q->due_timer, ms);
}

/* Retry times and ages run on the monotonic clock; a jump of the other one
 * is only told. */
static void
watch_clocks(struct queue *q)
{
	uint64_t wall = clock_wall_ms(), mono = clock_mono_ms();
	int64_t jump =
	    (int64_t)(wall - q->wall_ms) - (int64_t)(mono - q->mono_ms);

	q->wall_ms = wall;
	q->mono_ms = mono;
	if (jump > JUMP_MS || jump < -JUMP_MS)
		log_warn(NULL, "clock-jump", "ms=%lld", (long long)jump);
}

static void
due(struct queue *q, struct rcpt *r)
{
	retry_del(&q->retry, r);
	if (r->state == RCPT_QUARANTINED)
		quarantine_expire(q, r);
	else if (!rcpt_is_open(r))
		fate_finish(q, rcpt_entry(r));
	else if (!fate_expire(q, r))
		queue_send_rcpt(q, r);
}

static void
on_due(void *ctx)
{
	struct queue *q = ctx;
	struct rcpt *r;

	watch_clocks(q);
	for (int i = 0; i < DUE_BATCH; i++) {
		r = retry_first(&q->retry);
		if (r == NULL || r->due_ms > queue_now_ms(q))
			break;
		due(q, r);
	}
	queue_set_due(q);
}

/* --- space --- */

uint8_t
queue_space(const struct queue *q, uint64_t *free_bytes)
{
	uint8_t space = store_space(q->store, free_bytes);

	if (space == SPACE_OK && q->was_full)
		space = SPACE_SHORT;
	return space;
}

/* How many messages count for the limit. */
static uint64_t
count(const struct queue *q)
{
	uint64_t open = q->index.count - q->index.nkept;
	uint64_t half = q->index.count / 2;

	return open > half ? open : half;
}

bool
queue_is_full(const struct queue *q)
{
	return count(q) >= q->config->queue.messages;
}

void
queue_check_limit(struct queue *q)
{
	uint64_t limit = q->config->queue.messages, free_bytes;
	bool full = queue_is_full(q);

	/* Back below by a little, so that it does not flap. */
	if (!full && q->was_full && count(q) + limit / 64 >= limit)
		full = count(q) + 1 >= limit;
	if (full == q->was_full)
		return;
	q->was_full = full;
	log_warn(NULL, full ? "queue-full" : "queue-not-full", "messages=%zu",
	    q->index.count);
	from_smtpd_tell_space(q, queue_space(q, &free_bytes), free_bytes);
}

static void
on_space(void *ctx, uint8_t space, uint64_t free_bytes)
{
	struct queue *q = ctx;

	if (space == SPACE_OK && q->was_full)
		space = SPACE_SHORT;
	from_smtpd_tell_space(q, space, free_bytes);
}

static const struct store_ops store_ops = {
	.on_mail = resume_mail,
	.on_state = resume_state,
	.on_finished = resume_finished,
	.on_restate = resume_restate,
	.on_space = on_space,
};

uint64_t
queue_next_operation(struct queue *q)
{
	uint64_t n = store_next_seq(q->store);

	/* Above every one that a record knows. */
	q->last_operation = n > q->last_operation ? n : q->last_operation + 1;
	return q->last_operation;
}

/* --- start --- */

struct queue *
queue_new(struct loop *l)
{
	struct queue *q = xcalloc(1, sizeof(*q));

	q->loop = l;
	q->spool = -1;
	q->store = store_new(l);
	q->wall_ms = clock_wall_ms();
	q->mono_ms = clock_mono_ms();
	q->chance = (uint32_t)(q->wall_ms ^ q->wall_ms >> 32);
	pace_init(&q->pace, l, q->store, fate_flush, q);
	index_init(&q->index);
	cache_init(&q->cache, 0);
	retry_init(&q->retry);
	fate_init(q);
	report_init(q);
	tls_report_init(q);
	user_rates_init(&q->user_rates);
	refilter_init(q);
	blocks_init(q);
	pauses_init(q);
	operations_init(q);
	q->trace = trace_new(TRACE_BYTES);
	q->ends = trace_new(TRACE_ENDS_BYTES);
	schedule_init(&q->schedule, &schedule_ops, q, &q->index.words);
	LIST_INIT(&q->smtpds);
	LIST_INIT(&q->agents);
	LIST_INIT(&q->controls);
	deferred_init(&q->run, on_run, q);
	q->run_timer = timer_new(l, on_run, q);
	q->due_timer = timer_new(l, on_due, q);
	return q;
}

/* The largest mail any listener takes. */
static uint64_t
max_message(const struct config *c)
{
	uint64_t max = c->limits.message_size;

	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].max_size > max)
			max = c->listeners[i].max_size;
	return max;
}

int
queue_start(struct queue *q, struct fault *why)
{
	int dir = q->spool;

	if (q->config == NULL || dir == -1)
		return fault_set(why, FAULT_OURS,
		    "the queue was given no configuration or no spool");
	q->spool = -1;
	if (store_open(q->store, dir, &q->config->queue, max_message(q->config),
		&store_ops, q, why) != 0)
		return -1;
	blocks_load(q);
	pauses_load(q);
	operations_load(q);
	tls_report_load(q);
	q->started = true;
	resume_all(q);
	report_start(q);
	tls_report_start(q);
	queue_check_limit(q);
	queue_set_due(q);
	from_smtpd_resume(q);
	from_delivery_resume(q);
	from_control_resume(q);
	queue_run_soon(q);
	return 0;
}

/* The lines are made anew: actions, hops and numbers may have changed. */
static void
route_all_again(struct queue *q)
{
	struct rcpt_list all = TAILQ_HEAD_INITIALIZER(all);
	struct rcpt *r;

	schedule_take_all(&q->schedule, &all);
	while ((r = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, r, link);
		queue_send_rcpt(q, r);
	}
	queue_run_soon(q);
}

void
queue_set_config(struct queue *q, struct config *c)
{
	struct config *old = q->config;
	uint64_t first_ms;

	q->config = config_ref(c);
	/* Nobody wants a destination to rest for longer than a mail. */
	first_ms = retry_delay(&c->queue, 1, 0);
	if (first_ms < BACKOFF_MAX_MS)
		q->schedule.backoff_max_ms = first_ms > 1000 ? first_ms : 1000;
	else
		q->schedule.backoff_max_ms = BACKOFF_MAX_MS;
	router_set_config(&q->router, c);
	cache_set_max(&q->cache, c->queue.cache);
	report_set_config(q);
	quarantine_set_config(q);
	undo_set_config(q);
	if (old == NULL)
		return;
	if (q->started) {
		store_set_settings(q->store, &c->queue, max_message(c));
		route_all_again(q);
		queue_check_limit(q);
	}
	config_unref(&old);
}

/* --- stop --- */

static void
end(struct queue *q)
{
	if (q->started) {
		pace_now(&q->pace);
		/* Behind it all reports of this round are known to be made. */
		tls_report_stop(q);
	}
	store_close(&q->store);
	child_exit();
}

static void
on_stop_timer(void *ctx)
{
	end(ctx);
}

void
queue_check_stop(struct queue *q)
{
	if (!q->stopping || q->nworks > 0 || q->nintakes > 0 ||
	    !LIST_EMPTY(&q->smtpds))
		return;
	/* Not from inside whatever ended. */
	timer_set(q->stop_timer, 0);
}

void
queue_stop(struct queue *q, uint32_t grace_ms)
{
	if (q->stopping)
		return;
	q->stopping = true;
	q->schedule.stopped = true;
	q->stop_timer = timer_new(q->loop, on_stop_timer, q);
	timer_set(q->stop_timer, grace_ms > 2 * STOP_MARGIN_MS ?
				     grace_ms - STOP_MARGIN_MS :
				     grace_ms / 2);
	queue_check_stop(q);
}
