#include "lib/ipc/patient.h"

#include <stddef.h>

static int
question_cmp(const struct patient_question *a, const struct patient_question *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

TREE_DEFINE(patient_tree, patient_question, by_id, question_cmp)

static void on_patience(void *ctx);

static void
unask(struct patient *p, struct patient_question *q)
{
	if (q->id != 0)
		RB_REMOVE(patient_tree, &p->asked, q);
	q->id = 0;
}

static void
take_off(struct patient *p, struct patient_question *q)
{
	unask(p, q);
	TAILQ_REMOVE(&p->all, q, entry);
	q->late_ms = 0;
	if (TAILQ_EMPTY(&p->all))
		timer_free(&p->timer);
}

static void
give_up(struct patient *p, struct patient_question *q)
{
	take_off(p, q);
	p->ops->on_unanswered(q);
}

static bool
is_exhausted(const struct patient *p, const struct patient_question *q)
{
	return q->id == 0 && q->ntries >= p->ops->tries_max;
}

/* on_unanswered may ask and cancel what it likes: the list is looked at anew
 * each time. */
static void
on_patience(void *ctx)
{
	struct patient *p = ctx;
	uint64_t now = loop_now_ms(p->loop);
	struct patient_question *q;

	while ((q = TAILQ_FIRST(&p->all)) != NULL && q->late_ms <= now) {
		if (q->id != 0)
			channel_cancel(p->ch, q->id);
		give_up(p, q);
	}
	if (q != NULL)
		timer_set(p->timer, q->late_ms - now);
}

static void
ask(struct patient *p, struct patient_question *q)
{
	if (p->ch == NULL || !channel_is_open(p->ch))
		return;
	q->ntries++;
	q->id = p->ops->ask(q, p->ch);
	RB_INSERT(patient_tree, &p->asked, q);
}

/* Its channel ended: the next one's turn, if it may be asked again. */
static void
again(struct patient *p, struct patient_question *q)
{
	unask(p, q);
	if (!is_exhausted(p, q) && p->ops->on_again != NULL)
		p->ops->on_again(q);
}

void
patient_init(struct patient *p, struct loop *l, uint64_t patience_ms)
{
	p->loop = l;
	p->patience_ms = patience_ms;
}

void
patient_ask(struct patient *p, struct patient_question *q)
{
	q->id = 0;
	q->ntries = 0;
	q->late_ms = loop_now_ms(p->loop) + p->patience_ms;
	if (p->timer == NULL) {
		p->timer = timer_new(p->loop, on_patience, p);
		timer_set(p->timer, p->patience_ms);
	}
	TAILQ_INSERT_TAIL(&p->all, q, entry);
	ask(p, q);
}

void
patient_cancel(struct patient *p, struct patient_question *q)
{
	if (q->late_ms == 0)
		return;
	if (q->id != 0)
		channel_cancel(p->ch, q->id);
	take_off(p, q);
}

void
patient_answered(struct patient *p, struct patient_question *q)
{
	take_off(p, q);
}

void
patient_lost(struct patient *p, struct patient_question *q)
{
	again(p, q);
	if (is_exhausted(p, q))
		give_up(p, q);
}

struct patient_question *
patient_find(const struct patient *p, const struct channel *ch, uint64_t id)
{
	struct patient_question key = { .id = id };

	if (ch != p->ch)
		return NULL;
	return RB_FIND(
	    patient_tree, (struct patient_tree *)(uintptr_t)&p->asked, &key);
}

void
patient_open(struct patient *p, struct channel *ch)
{
	struct patient_question *q;

	patient_close(p);
	p->ch = ch;
	channel_set_peer(ch, p->ops->peer);
	TAILQ_FOREACH(q, &p->all, entry)
		ask(p, q);
}

/* One that may be asked no more, NULL: none. */
static struct patient_question *
first_exhausted(const struct patient *p)
{
	struct patient_question *q;

	TAILQ_FOREACH(q, &p->all, entry)
		if (is_exhausted(p, q))
			return q;
	return NULL;
}

void
patient_close(struct patient *p)
{
	struct patient_question *q;

	if (p->ch == NULL)
		return;
	while ((q = RB_MIN(patient_tree, &p->asked)) != NULL) {
		channel_cancel(p->ch, q->id);
		again(p, q);
	}
	channel_free(&p->ch);
	while ((q = first_exhausted(p)) != NULL)
		give_up(p, q);
}
