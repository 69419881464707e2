/* Every question has a way, and says truly whose it is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "control/access.h"
#include "control/asker.h"
#include "control/questions.h"
#include "edges/control_all.h"
#include "lib/base/alloc.h"

enum { OURS = 42, WRITTEN = 4711 };

static struct loop *loop;
static size_t nheard, nuids, nreasons;

static const struct wire_field *
field(const struct wire_msg *w, const char *name)
{
	for (const struct wire_field *f = w->fields(); f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static void
hear(uint16_t type, const void *msg)
{
	const struct wire_msg *w = edge_row(&control_all_edge, type)->wire;
	const struct wire_field *f = field(w, "uid");
	uint32_t uid;

	nheard++;
	if (f != NULL) {
		memcpy(&uid, (const char *)msg + f->offset, sizeof(uid));
		ck_assert_msg(uid == OURS, "%s: %u", w->name, uid);
		nuids++;
	}
	loop_stop(loop);
}

#define QUESTION_FUNCTION(ask, direction, phases, once)                  \
	static void on_##ask(                                            \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		(void)ctx;                                               \
		(void)ch;                                                \
		(void)id;                                                \
		hear(TYPE_##ask, msg);                                   \
	}
CONTROL_QUESTIONS(QUESTION_FUNCTION)

#define QUESTION_HANDLER(ask, direction, phases, once) { TYPE_##ask, on_##ask },
static const struct handler handlers[] = { CONTROL_QUESTIONS(QUESTION_HANDLER){
    0, NULL } };
static const struct handler nothing[] = { { 0, NULL } };

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	(void)fault;
	(void)type;
	(void)msg;
}

/* Somebody who writes what is not so. */
static void
ask(struct channel *ch, uint16_t type)
{
	const struct wire_msg *w = edge_row(&control_all_edge, type)->wire;
	const struct wire_field *uid = field(w, "uid");
	const struct wire_field *why = field(w, "reason");
	struct asker asker = { .who = { .uid = OURS } };
	struct request r = { .asker = &asker, .route = route_find(type) };
	char *msg = xcalloc(1, w->size);
	uint32_t written = WRITTEN;
	struct str reason = STR("because");
	size_t before = nheard;

	if (uid != NULL)
		memcpy(msg + uid->offset, &written, sizeof(written));
	if (why != NULL)
		memcpy(msg + why->offset, &reason, sizeof(reason));
	question_send(&r, ch, msg, on_answer, NULL);
	while (nheard == before)
		loop_run(loop);
	ck_assert_msg((why != NULL) == (r.reason != NULL), "%s", w->name);
	if (r.reason != NULL) {
		ck_assert_str_eq(r.reason, "because");
		nreasons++;
	}
	free(r.reason);
	free(msg);
}

START_TEST(whose_it_is)
{
	int sv[2];

	loop = loop_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	struct channel *us = channel_new(
	    loop, sv[0], &control_all_edge, EDGE_A, nothing, NULL, NULL);
	struct channel *them = channel_new(
	    loop, sv[1], &control_all_edge, EDGE_B, handlers, NULL, NULL);
	for (size_t i = 0; i < control_all_edge.nrows; i++) {
		const struct edge_row *row = &control_all_edge.rows[i];
		if (strncmp(row->wire->name, "ask_", 4) == 0)
			ask(us, row->type);
	}
	/* There are some that change something, and for a reason. */
	ck_assert_uint_ge(nuids, 10);
	ck_assert_uint_ge(nreasons, 4);
	channel_free(&us);
	channel_free(&them);
	loop_settle(loop);
	loop_free(&loop);
}

END_TEST

/* Who changes something is named; nobody may do that who may only look. */
START_TEST(ways)
{
	for (size_t i = 0; i < control_all_edge.nrows; i++) {
		const struct edge_row *row = &control_all_edge.rows[i];
		const struct route *route = route_find(row->type);
		bool is_question = strncmp(row->wire->name, "ask_", 4) == 0;

		ck_assert_msg(
		    (route != NULL) == is_question, "%s", row->wire->name);
		if (route == NULL || field(row->wire, "uid") == NULL)
			continue;
		ck_assert_msg(
		    (route->permits & (PERMIT_CHANGE | PERMIT_CONTENT)) != 0,
		    "%s", row->wire->name);
	}
	ck_assert_ptr_null(route_find(0));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("questions");
	TCase *c = tcase_create("all");

	tcase_add_test(c, ways);
	tcase_add_test(c, whose_it_is);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
