/* Another action for a recipient, by the rules of today. */
#include "queue/requeue.h"

#include "edges/smtpd_queue.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/quarantine.h"
#include "queue/queue.h"

bool
requeue_reroute(struct queue *q, struct rcpt *r)
{
	struct route_decision d = route_decide(&q->router, r);
	const struct action *a = d.action;
	struct log_ctx ctx = { NULL, "msg", rcpt_entry(r)->msgid };

	if (a == NULL) {
		log_warn(&ctx, "requeue-refused", "to=%s was=%s",
		    log_str(rcpt_to(r)), log_str(word_str(r->action)));
		fate_held(q, r, "5.7.1 requeue: the rules refuse it now");
		return false;
	}
	log_info(&ctx, "requeued", "to=%s was=%s action=%s",
	    log_str(rcpt_to(r)), log_str(word_str(r->action)),
	    log_cstr(a->name));
	route_set_action(&q->index, r, a);
	trace_add(q->trace, rcpt_entry(r)->msgid,
	    &(struct trace_event){ .kind = TRACE_REQUEUED,
		.texts = { rcpt_to(r), str_of(a->name) } });
	if (d.quarantine)
		quarantine_by_rule(q, r);
	return !d.quarantine;
}

void
requeue_rcpt(struct queue *q, struct rcpt *r)
{
	if (!requeue_reroute(q, r))
		return;
	fate_active(q, r);
	queue_send_rcpt(q, r);
	if (r->place == PLACE_WAITING)
		schedule_hurry(&q->schedule, r, queue_now_ms(q));
}

static void
set_state(struct state_rcpt *out, unsigned int state)
{
	out->state = (uint8_t)((out->state & STATE_RCPT_FLAGS) | state);
}

void
requeue_describe(const struct queue *q, struct rcpt *r, struct state_rcpt *out)
{
	bool removed = (r->marks & MARK_REMOVE) != 0;
	struct route_decision d;

	if ((r->marks & MARK_REROUTED) != 0)
		out->action = word_str(r->action);
	if ((r->marks & MARK_REQUEUE) == 0 || !rcpt_is_open(r))
		return;
	/* With an agent: this is how it goes on if we do not see the end; or
	 * would, if its removal is undone. */
	d = route_decide(&q->router, r);
	if (d.action != NULL)
		out->action = str_of(d.action->name);
	else if (!removed)
		set_state(out, STATE_RCPT_HELD);
	if (d.action == NULL || !d.quarantine)
		return;
	out->reply = STR("set aside by a rule");
	out->relay = STR(QUARANTINE_BY_RULE);
	if (removed)
		return;
	set_state(out, STATE_RCPT_QUARANTINED);
	out->next_ms = clock_wall_ms();
}
