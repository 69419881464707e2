/* Works and connections brought together: which next hop, which connection,
 * what when it fails. */
#ifndef POSTERN_DELIVERY_AGENT_H
#define POSTERN_DELIVERY_AGENT_H

#include "delivery/agent_work.h"
#include "lib/base/counter.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

enum { AGENT_CAPACITY = 512 }; /* works at a time */

void agent_init(struct loop *l);
/* The configuration from now on; works under way keep their numbers. */
void agent_set_config(struct config *c);
/* A whole work, the agent's from here on. Its results and the tell_done go
 * to w->queue, some perhaps before this returns. */
void agent_add(struct work *w);
/* Works under way. */
size_t agent_count(void);
/* The queue is gone: ends what it gave us. */
void agent_drop_all(void);
/* Says QUIT to the idle connections; calls back when no work is left, at
 * the earliest after this round. */
void agent_stop(void (*done)(void));
/* Ended by a NULL name; values as of now. */
const struct counter *agent_counters(void);

#endif
