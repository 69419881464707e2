/*
 * What every role says to control: its numbers (`show stats`), and that a
 * question is not for it.
 */
#ifndef POSTERN_PROC_TELL_STATS_H
#define POSTERN_PROC_TELL_STATS_H

#include "edges/control_all.h"
#include "lib/base/counter.h"
#include "lib/base/latency.h"
#include "lib/base/loop.h"

/* One row of the answer to question id. */
void tell_stat(
    struct channel *ch, uint64_t id, const char *name, uint64_t value);
/* A histogram: NAME.le_64 … NAME.le_inf (how many took less than so many
 * microseconds, and not less than the bound before: rows of several processes
 * add up), NAME.count, NAME.sum_us. */
void tell_latency(
    struct channel *ch, uint64_t id, const char *name, const struct latency *l);
/* What every process counts: ROLE.ipc_sent, ipc_received, ipc_sends,
 * ipc_receives (messages and system calls over all its channels), and
 * log.lost. */
void tell_stats_common(struct channel *ch, uint64_t id, const char *role);

/* Rows for a handler table in which the role's own rows stand behind these:
 * every question is refused, and a filter of it goes by. */
handler_fn control_refuse, control_skip_term;
#define CONTROL_REFUSAL(ask, direction, phases, once) \
	{ TYPE_##ask, control_refuse },

/* The channel to control of a role that answers ask_stats and refuses the
 * rest. socket is taken; a former channel is dead and goes. counters (ended
 * by a NULL name) is read when asked. */
struct channel *tell_stats_serve(struct loop *l, int socket, const char *role,
    const struct counter *(*counters)(void));

#endif
