/*
 * Stands in for a role that was built from other definitions, to see the
 * parent refuse it. In the place of smtpd it differs in an edge to somebody
 * else only, in any other place in the edge to the parent.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "edges/edges.h"
#include "lib/base/log.h"
#include "lib/proc/child.h"

static struct loop *loop;

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	loop_stop(loop);
}

static void
on_jail(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct tell_jailed m = { .sandbox = STR("none"),
		.edges = edges_hash() + 1 };
	(void)ctx;
	(void)msg;
	(void)id;
	channel_tell(ch, TYPE_tell_jailed, &m, 0);
}

static void
ignore(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

int
main(int argc, char **argv)
{
	static struct handler handlers[64];
	struct edge edge = all_parent_edge;
	size_t n = 0;
	if (argc < 1 || strcmp(argv[0], "smtpd") != 0)
		edge.nrows--;
	for (size_t i = 0; i < edge.nrows; i++) {
		uint16_t type = edge.rows[i].type;
		if ((edge.rows[i].direction & EDGE_B_TO_A) == 0)
			continue;
		handlers[n].type = type;
		handlers[n++].fn = type == TYPE_tell_jail ? on_jail : ignore;
	}
	log_init("other", getpid(), "-");
	log_set_fd(CHILD_LOG_FD, LOG_SINK_STREAM);
	loop = loop_new();
	channel_new(
	    loop, CHILD_PARENT_FD, &edge, EDGE_A, handlers, on_closed, NULL);
	loop_run(loop);
	return 0;
}
