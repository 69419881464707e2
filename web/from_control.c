#include "web/from_control.h"

#include "edges/control_all.h"
#include "web/counters.h"

/* What a view may consist of. */
enum question {
	QUESTION_SELF, /* answered by control alone */
	QUESTION_STATUS,
	QUESTION_STATS,
	QUESTION_MILTERS,
	QUESTION_PAUSES,
	QUESTIONS
};

static const struct {
	uint16_t type;
	unsigned int known; /* a bit in view.known once it is answered */
	bool any;           /* a refusal is an answer, too */
} questions[QUESTIONS] = {
	[QUESTION_SELF] = { TYPE_ask_submit_path, KNOWN_CONTROL, true },
	[QUESTION_STATUS] = { TYPE_ask_status, KNOWN_STATUS, false },
	[QUESTION_STATS] = { TYPE_ask_stats, KNOWN_STATS, false },
	[QUESTION_MILTERS] = { TYPE_ask_milters, KNOWN_MILTERS, false },
	[QUESTION_PAUSES] = { TYPE_ask_pauses, KNOWN_PAUSES, false },
};

static const unsigned int asked_for[LOOKS] = {
	[LOOK_HEALTH] = KNOWN_CONTROL,
	[LOOK_READY] = KNOWN_STATUS | KNOWN_PAUSES | KNOWN_STATS,
	[LOOK_METRICS] =
	    KNOWN_STATUS | KNOWN_STATS | KNOWN_MILTERS | KNOWN_PAUSES,
};

struct looking;

/* A question of a look. */
struct asked {
	struct looking *of;
	enum question question;
	uint64_t id; /* 0: not in progress */
};

struct looking {
	enum look what;
	struct view *view; /* being made, or the last one; or NULL */
	uint64_t made_ms;
	unsigned int nopen;
	bool is_making;
	struct asked asked[QUESTIONS];
	struct timer *late;
	struct deferred over;
	STAILQ_HEAD(, look_wait) waits;
};

static struct {
	struct loop *loop;
	struct channel *ch; /* NULL: control is not there */
	struct looking looks[LOOKS];
} web;

/* --- the end of a look --- */

static void
tell_waits(struct looking *l)
{
	struct look_wait *w;

	while ((w = STAILQ_FIRST(&l->waits)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->waits, next);
		w->fn(w->ctx, l->view);
	}
}

static void
add_own(struct view *v, const char *name, uint64_t value)
{
	struct row_stat m = {
		.name = str_of(name), .process = STR("web/0"), .value = value
	};

	view_add_stat(v, &m);
}

/* Nobody asks us for our numbers. */
static void
add_own_stats(struct view *v)
{
	const struct channel_totals *t = channel_totals();

	for (const struct counter *c = web_counters(); c->name != NULL; c++)
		add_own(v, c->name, c->value);
	add_own(v, "web.ipc_sent", t->sent);
	add_own(v, "web.ipc_received", t->received);
	add_own(v, "web.ipc_sends", t->send_calls);
	add_own(v, "web.ipc_receives", t->receive_calls);
}

static void
finish(void *ctx)
{
	struct looking *l = ctx;

	for (size_t i = 0; i < QUESTIONS; i++) {
		if (l->asked[i].id != 0)
			channel_cancel(web.ch, l->asked[i].id);
		l->asked[i].id = 0;
	}
	l->nopen = 0;
	l->is_making = false;
	l->made_ms = loop_now_ms(web.loop);
	timer_stop(l->late);
	loop_after_cancel(web.loop, &l->over);
	if (l->view->known & KNOWN_STATS)
		add_own_stats(l->view);
	tell_waits(l);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct asked *a = ctx;
	struct looking *l = a->of;
	const struct answer_done *m = msg;

	a->id = 0;
	if (fault == NULL && type == TYPE_answer_done &&
	    (m->code == ANSWER_OK || questions[a->question].any))
		l->view->known |= questions[a->question].known;
	if (--l->nopen == 0)
		finish(l);
}

/* --- its beginning --- */

static void
begin(struct looking *l)
{
	l->is_making = true;
	view_free(&l->view);
	l->view = view_new();
	timer_set(l->late, LOOK_WAIT_MS);
	for (size_t i = 0; i < QUESTIONS && web.ch != NULL; i++) {
		/* No other has a field. */
		static const struct ask_stats apart = { .apart = 1 };

		if (!(questions[i].known & asked_for[l->what]))
			continue;
		l->nopen++;
		l->asked[i].id = channel_ask(
		    web.ch, questions[i].type, &apart, on_answer, &l->asked[i]);
	}
	if (l->nopen == 0)
		loop_after(web.loop, &l->over);
}

void
look_at(enum look what, struct look_wait *w,
    void (*fn)(void *ctx, const struct view *v), void *ctx)
{
	struct looking *l = &web.looks[what];
	bool is_fresh = l->view != NULL && !l->is_making &&
			loop_now_ms(web.loop) - l->made_ms < LOOK_FRESH_MS;

	if (is_fresh) {
		fn(ctx, l->view);
		return;
	}
	w->fn = fn;
	w->ctx = ctx;
	STAILQ_INSERT_TAIL(&l->waits, w, next);
	if (!l->is_making)
		begin(l);
}

/* --- rows --- */

/* The view that the rows of this question go to; NULL: of none. */
static struct view *
view_of(uint64_t id)
{
	for (size_t i = 0; i < LOOKS; i++)
		for (size_t k = 0; k < QUESTIONS; k++)
			if (id != 0 && web.looks[i].asked[k].id == id)
				return web.looks[i].view;
	return NULL;
}

#define VIEW_ROWS(R)                       \
	R(row_gateway, view_add_gateway)   \
	R(row_process, view_add_process)   \
	R(row_listener, view_add_listener) \
	R(row_stat, view_add_stat)         \
	R(row_milter, view_add_milter)     \
	R(row_pause, view_add_pause)
#define VIEW_FUNCTION(row, add)                                          \
	static void on_##row(                                            \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		struct view *v = view_of(id);                            \
		(void)ctx;                                               \
		(void)ch;                                                \
		if (v != NULL)                                           \
			add(v, msg);                                     \
	}
VIEW_ROWS(VIEW_FUNCTION)

/* Rows that have nothing for us. */
static void
on_other(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

#define VIEW_HANDLER(row, add) { TYPE_##row, on_##row },
static const struct handler handlers[] = {
	VIEW_ROWS(VIEW_HANDLER) /**/
	{ TYPE_row_milter_socket, on_other },
	{ TYPE_row_text, on_other },
	{ 0, NULL },
};

/* --- the channel --- */

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == web.ch)
		channel_free(&web.ch);
}

struct channel *
from_control_add(int fd)
{
	channel_free(&web.ch);
	web.ch = channel_new(
	    web.loop, fd, &control_all_edge, EDGE_A, handlers, on_closed, NULL);
	channel_set_peer(web.ch, "control");
	return web.ch;
}

void
look_init(struct loop *loop)
{
	web.loop = loop;
	for (size_t i = 0; i < LOOKS; i++) {
		struct looking *l = &web.looks[i];

		*l = (struct looking){ .what = (enum look)i };
		for (size_t k = 0; k < QUESTIONS; k++)
			l->asked[k] = (struct asked){ l, (enum question)k, 0 };
		STAILQ_INIT(&l->waits);
		l->late = timer_new(loop, finish, l);
		deferred_init(&l->over, finish, l);
	}
}

void
look_clear(void)
{
	channel_free(&web.ch);
	for (size_t i = 0; i < LOOKS; i++) {
		struct looking *l = &web.looks[i];

		if (l->is_making)
			finish(l);
		view_free(&l->view);
		timer_free(&l->late);
	}
}
