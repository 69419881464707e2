/* A loop, a round at a time. */
#ifndef POSTERN_TESTS_FUZZ_ROUNDS_H
#define POSTERN_TESTS_FUZZ_ROUNDS_H

#include <stddef.h>

#include "lib/base/loop.h"

static inline void
on_round_over(void *loop)
{
	loop_stop(loop);
}

/* Whatever is ready now; always of the same loop. */
static inline void
round_once(struct loop *loop)
{
	static struct timer *t;

	if (t == NULL)
		t = timer_new(loop, on_round_over, loop);
	timer_set(t, 0);
	loop_run(loop);
}

#endif
