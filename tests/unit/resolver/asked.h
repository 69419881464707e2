/*
 * What an administrator asks the resolver: the test is control at the other
 * end of a channel, and the name server; what comes back is put down as lines.
 */
#ifndef POSTERN_TESTS_ASKED_H
#define POSTERN_TESTS_ASKED_H

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "edges/control_all.h"
#include "lib/base/buf.h"
#include "resolver/dnsbl.h"
#include "resolver/from_control.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "resolver/way.h"
#include "tests/unit/resolver/nameserver.h"

static struct loop *loop;
static struct nameserver ns;
static struct channel *control;
static struct buf lines;
static size_t nanswers, nfaults;

/* Of one key; value: its, or NULL. */
static inline struct table *
table(const char *name, const char *key, const char *value)
{
	struct table_builder *b = table_builder_new(name);

	ck_assert_int_eq(table_builder_add(b, str_of(key), value, NULL), 0);
	int fd = table_builder_seal(&b, NULL);
	ck_assert_int_ge(fd, 0);
	return table_open(fd, name, NULL);
}

/* --- control --- */

static inline int
n(struct str s)
{
	return (int)s.len;
}

static inline void
on_resolved(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_resolved *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_addf(&lines, "%.*s %.*s %.*s\n", n(m->name), m->name.p, n(m->type),
	    m->type.p, n(m->status), m->status.p);
}

static inline void
on_record(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_record *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_addf(&lines, "%" PRIu32 " %.*s\n", m->ttl_s, n(m->data), m->data.p);
}

static inline void
on_rule(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_rule *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_addf(&lines, "line %" PRIu32 " [%.*s] [%.*s]", m->line,
	    n(m->action), m->action.p, n(m->reply), m->reply.p);
	if (m->recipient.len > 0)
		buf_addf(&lines, " to %.*s", n(m->recipient), m->recipient.p);
	buf_add_char(&lines, '\n');
}

static inline void
on_passed(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_passed *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_addf(
	    &lines, "not %" PRIu32 " %.*s\n", m->line, n(m->why), m->why.p);
}

static inline void
on_hop(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_hop *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_addf(&lines, "%u %.*s [%.*s]:%u %.*s\n", m->preference, n(m->host),
	    m->host.p, n(m->address), m->address.p, m->port, n(m->why),
	    m->why.p);
}

static inline void
on_stat(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_stat *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_addf(&lines, "%.*s\n", n(m->name), m->name.p);
}

static const struct handler handlers[] = {
	{ TYPE_row_resolved, on_resolved },
	{ TYPE_row_record, on_record },
	{ TYPE_row_rule, on_rule },
	{ TYPE_row_passed, on_passed },
	{ TYPE_row_hop, on_hop },
	{ TYPE_row_stat, on_stat },
	{ 0, NULL },
};

static inline void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	static const char *const codes[] = { "ok", "refused", "not found",
		"unavailable" };
	const struct answer_done *m = msg;

	(void)ctx;
	loop_stop(loop);
	if (fault != NULL) {
		nfaults++;
		return;
	}
	ck_assert_uint_eq(type, TYPE_answer_done);
	nanswers++;
	buf_addf(&lines, "%s %.*s", codes[m->code], n(m->text), m->text.p);
}

static inline void
connect_control(uint16_t instance)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_control_add(instance, sv[0]);
	control = channel_new(
	    loop, sv[1], &control_all_edge, EDGE_A, handlers, NULL, NULL);
}

/* Asks and compares the lines. */
static inline void
expect(uint16_t type, const void *msg, const char *wanted)
{
	buf_reset(&lines);
	nanswers = 0;
	channel_ask(control, type, msg, on_answer, NULL);
	while (nanswers == 0)
		loop_run(loop);
	ck_assert_msg(str_eq(buf_str(&lines), str_of(wanted)), "%.*s",
	    (int)lines.len, lines.p);
}

/* Questions go to the name server with these records, and to rules and ways of
 * c, which it takes. */
static inline void
begin_asking(const struct ns_record *records, struct config *c)
{
	loop = loop_new();
	query_init(loop);
	way_init(loop);
	dnsbl_init(loop);
	peer_init(loop);
	ns_start(&ns, loop, records);
	query_set_servers(&ns.address, 1);
	way_set_config(c);
	config_unref(&c);
	buf_init(&lines, 65536);
	connect_control(0);
}

static inline void
end_asking(void)
{
	channel_free(&control);
	peer_clear();
	way_set_config(NULL);
	buf_clear(&lines);
	ns_stop(&ns);
	query_clear();
	loop_settle(loop);
	loop_free(&loop);
}

#endif
