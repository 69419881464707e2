/* The answer waits for the disk. */
#include "queue/saved.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

struct saved {
	struct asking asking; /* the first member */
	uint64_t changed;
	bool failed;
};

static bool
step(struct asking *a)
{
	struct saved *s = (struct saved *)a;
	struct answer_done m = {
		.code = ANSWER_OK, .matched = 1, .changed = s->changed
	};

	if (s->failed) {
		m.code = ANSWER_UNAVAILABLE;
		m.text = STR("it holds now, but is not on disk yet");
	}
	channel_tell(a->peer->channel, TYPE_answer_done, &m, a->id);
	return true;
}

static void
saved_free(struct asking *a)
{
	free(a);
}

static void
on_saved(void *ctx, const struct fault *why)
{
	struct saved *s = ctx;

	s->failed = why != NULL;
	asking_wake(&s->asking);
}

void
saved_answer(
    struct control_peer *p, uint64_t id, save_fn *save, uint64_t changed)
{
	struct saved *s = xcalloc(1, sizeof(*s));

	s->changed = changed;
	s->asking.waiting = true;
	s->asking.step = step;
	s->asking.free = saved_free;
	asking_start(&s->asking, p, id);
	save(p->q, on_saved, s);
}
