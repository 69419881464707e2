/* Changes of the administrator, taken back; on the queue of house.h. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_UNDOING_H
#define POSTERN_TESTS_UNIT_QUEUE_UNDOING_H

#include "tests/unit/queue/house.h"

static uint64_t last; /* the operation of the last change */

static inline void
undoing_setup(void)
{
	setup();
	last = 0;
}

static inline const char *
undo_as(uint64_t operation, bool dry_run)
{
	struct ask_undo m = { .operation = operation,
		.dry_run = dry_run,
		.reason = STR("sorry"),
		.uid = 8 };
	static char text[200];

	ask(TYPE_ask_undo, &m);
	snprintf(text, sizeof(text), "%u %llu/%llu", t.done.code,
	    (unsigned long long)t.done.changed,
	    (unsigned long long)t.done.matched);
	return text;
}

static inline const char *
undo(uint64_t operation)
{
	return undo_as(operation, false);
}

/* The words of a refusal are views: asked for while they are there. */
static char said[600];

static inline void
on_undo_answer(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_done *m = msg;

	snprintf(said, sizeof(said), "%u %.*s", m->code, (int)m->text.len,
	    m->text.p);
	on_control_answer(ctx, fault, type, msg);
}

static inline const char *
refusal(uint64_t operation)
{
	struct ask_undo m = { .operation = operation };

	ndone = 0;
	channel_ask(t.control, TYPE_ask_undo, &m, on_undo_answer, NULL);
	wait_for(&ndone, 1);
	return said;
}

static inline void
does(enum change kind)
{
	change(kind);
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	ck_assert_uint_ne(t.done.operation, 0);
	ck_assert_uint_ne(t.done.operation, last);
	last = t.done.operation;
}

static inline void
restart(bool orderly)
{
	stop_queue(orderly);
	start_queue();
}

static inline const char *
operations(void)
{
	struct ask_operations m = { 0 };

	return ask(TYPE_ask_operations, &m);
}

static inline void
mail(const char *from, const char *to)
{
	int n = t.naccepted;

	send_mail(from, MAIL(to, "inside"));
	wait_for(&t.naccepted, n + 1);
}

/* Removed mail is nowhere; then it is as it was. With restarts before and
 * behind, orderly ones and others. */
static inline void
comes_back(const char *rows)
{
	wait_shown(rows);
	for (int i = 0; i < 4; i++) {
		does(CHANGE_REMOVE);
		ck_assert_str_eq(show(), "");
		if (i > 0)
			restart(i == 1);
		ck_assert_str_eq(show(), "");
		if (i == 3)
			fate_restate(t.q, index_from_seq(&t.q->index, 0));
		if (i == 3)
			restart(true);
		ck_assert_str_eq(undo(last), "0 1/1");
		ck_assert_str_eq(show(), rows);
		if (i > 1)
			restart(i == 2);
		ck_assert_str_eq(show(), rows);
	}
}

static inline void
set_undo(uint64_t ms)
{
	t.config->queue.undo = ms;
	queue_set_config(t.q, t.config);
}

static inline void
wait_for_none(void)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;

	while (t.q->index.count > 0) {
		show();
		ck_assert_uint_lt(clock_mono_ms(), end);
	}
}

#endif
