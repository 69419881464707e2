/* The file has a line each: "NUMBER KIND WHEN UID CHANGED OF UNDONE REASON".
 * The last of a number counts. */
#include "queue/operations.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "queue/from_control.h"
#include "queue/queue.h"
#include "queue/side_text.h"

enum { ADDED_MAX = 2 * OPERATIONS_MAX }; /* lines, until it is written anew */

static const struct side_text file = { "operations", "postern operations 1 ",
	"postern operations 2" };

static const struct {
	const char *name;
	bool undoable;
} kinds[OPERATION_KINDS] = {
	[CHANGE_FLUSH] = { "flush", false },
	[CHANGE_HOLD] = { "hold", true },
	[CHANGE_RELEASE] = { "release", true },
	[CHANGE_REQUEUE] = { "requeue", false },
	[CHANGE_REMOVE] = { "remove", true },
	[CHANGE_UNQUARANTINE] = { "quarantine-release", false },
	[CHANGE_REJECT] = { "quarantine-reject", false },
	[CHANGE_RESCAN] = { "quarantine-rescan", false },
	[OPERATION_UNDO] = { "undo", false },
};

const char *
operation_name(uint8_t kind)
{
	return kinds[kind].name;
}

bool
operation_is_undoable(uint8_t kind)
{
	return kinds[kind].undoable;
}

static int
operation_cmp(const struct operation *a, const struct operation *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

TREE_DEFINE(operation_tree, operation, node, operation_cmp)

uint64_t
operation_until_ms(const struct queue *q, const struct operation *op)
{
	uint64_t now = clock_wall_ms(), left = q->config->queue.undo;

	/* A clock that was set back keeps nothing for longer. */
	if (op->when_ms < now)
		left =
		    left > now - op->when_ms ? left - (now - op->when_ms) : 0;
	return kinds[op->kind].undoable && op->undone == 0 && left > 0 ?
		   now + left :
		   0;
}

/* --- entries --- */

struct operation *
operations_find(struct queue *q, uint64_t number)
{
	struct operation like = { .number = number };

	return RB_FIND(operation_tree, &q->operations.tree, &like);
}

const struct operation *
operations_after(struct queue *q, uint64_t number)
{
	struct operation like = { .number = number + 1 };

	return number == UINT64_MAX ?
		   NULL :
		   RB_NFIND(operation_tree, &q->operations.tree, &like);
}

static void
del(struct operations *os, struct operation *op)
{
	RB_REMOVE(operation_tree, &os->tree, op);
	os->n--;
	free(op);
}

/* The oldest that nobody is at. */
static void
del_oldest(struct operations *os)
{
	struct operation *op = RB_MIN(operation_tree, &os->tree);

	while (op != NULL && (op->running || op->undoing))
		op = RB_NEXT(operation_tree, &os->tree, op);
	if (op != NULL)
		del(os, op);
}

/* In the place of the one of its number. */
static void
add(struct queue *q, const struct operation *like)
{
	struct operation *op = operations_find(q, like->number);
	struct operations *os = &q->operations;

	if (op != NULL)
		del(os, op);
	op = xcalloc(1, sizeof(*op) + like->reason.len);
	memcpy(op, like, sizeof(*op));
	op->reason = (struct str){ op->text, like->reason.len };
	if (like->reason.len > 0)
		memcpy(op->text, like->reason.p, like->reason.len);
	RB_INSERT(operation_tree, &os->tree, op);
	if (++os->n > OPERATIONS_MAX)
		del_oldest(os);
}

void
operations_init(struct queue *q)
{
	RB_INIT(&q->operations.tree);
}

/* --- the file, written --- */

/* What is not one line stands in its log line, but not here. */
static void
format(const struct operation *op, struct buf *out)
{
	buf_addf(out,
	    "%" PRIu64 " %s %" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64
	    " %" PRIu64 " ",
	    op->number, kinds[op->kind].name, op->when_ms, op->uid, op->changed,
	    op->of, op->undone);
	for (size_t i = 0; i < op->reason.len; i++) {
		char c = op->reason.p[i];

		buf_add_char(
		    out, (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
	}
	buf_add_char(out, '\n');
}

struct saving {
	struct queue *q;
	struct asking *asking; /* NULL: nobody waits */
	bool whole;
};

static void save_whole(struct saving *s);

/* What could not be added (it is logged) comes with all the rest. */
static void
on_saved(void *ctx, const struct fault *why)
{
	struct saving *s = ctx;

	if (why != NULL)
		s->q->operations.room = 0;
	else if (s->whole)
		s->q->operations.room = ADDED_MAX;
	if (why != NULL && !s->whole) {
		save_whole(s);
		return;
	}
	if (s->asking != NULL)
		asking_wake(s->asking);
	free(s);
}

static void
save_whole(struct saving *s)
{
	struct operation *op;
	struct buf lines;

	s->whole = true;
	buf_init(&lines, SIDE_TEXT_MAX);
	RB_FOREACH(op, operation_tree, &s->q->operations.tree)
		format(op, &lines);
	side_text_save(s->q->store, &file, &lines, on_saved, s);
}

/* These n have changed. */
static void
save(struct queue *q, struct asking *a, const struct operation *const *ops,
    size_t n)
{
	struct saving *s = xmalloc(sizeof(*s));
	struct buf lines;

	*s = (struct saving){ q, a, false };
	if (a != NULL)
		a->waiting = true;
	if (q->operations.room < n) {
		save_whole(s);
		return;
	}
	q->operations.room -= n;
	buf_init(&lines, SIDE_TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		format(ops[i], &lines);
	side_text_add(q->store, &file, &lines, on_saved, s);
}

uint64_t
operations_begin(
    struct queue *q, struct asking *a, const struct operation *like)
{
	struct operation op = {
		.number = queue_next_operation(q),
		.kind = like->kind,
		.running = true,
		.when_ms = clock_wall_ms(),
		.uid = like->uid,
		.of = like->of,
		.reason = str_head(like->reason, OPERATION_REASON_MAX),
	};

	add(q, &op);
	save(q, a, (const struct operation *[]){ &op }, 1);
	return op.number;
}

void
operations_end(
    struct queue *q, struct asking *a, uint64_t number, uint64_t changed)
{
	struct operation *op = operations_find(q, number), *of;

	if (op == NULL)
		return;
	op->running = false;
	op->changed = changed;
	of = changed > 0 ? operations_find(q, op->of) : NULL;
	if (of == NULL) {
		save(q, a, (const struct operation *[]){ op }, 1);
		return;
	}
	of->undone = number;
	save(q, a, (const struct operation *[]){ of, op }, 2);
}

/* --- the file, read --- */

static int
parse_kind(struct str word, uint8_t *out)
{
	for (unsigned int i = 0; i < OPERATION_KINDS; i++) {
		if (str_eq(word, str_of(kinds[i].name))) {
			*out = (uint8_t)i;
			return 0;
		}
	}
	return -1;
}

static int
take_number(struct str *line, uint64_t *out)
{
	return str_to_u64(str_cut(line, ' '), UINT64_MAX, out);
}

static int
load_entry(void *ctx, struct str line)
{
	struct operation op = { .number = 0 };
	struct queue *q = ctx;
	uint64_t uid;

	if (take_number(&line, &op.number) == -1 ||
	    parse_kind(str_cut(&line, ' '), &op.kind) == -1 ||
	    take_number(&line, &op.when_ms) == -1 ||
	    str_to_u64(str_cut(&line, ' '), UINT32_MAX, &uid) == -1 ||
	    take_number(&line, &op.changed) == -1 ||
	    take_number(&line, &op.of) == -1 ||
	    take_number(&line, &op.undone) == -1 ||
	    line.len > OPERATION_REASON_MAX)
		return -1;
	op.uid = (uint32_t)uid;
	op.reason = line;
	if (op.number > q->last_operation)
		q->last_operation = op.number;
	add(q, &op);
	return 0;
}

void
operations_load(struct queue *q)
{
	struct operations *os = &q->operations;
	struct operation *op;

	if (side_text_load(q->store, &file, load_entry, q) == -1)
		while ((op = RB_MIN(operation_tree, &os->tree)) != NULL)
			del(os, op);
}
