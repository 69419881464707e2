/* The resolver of the sessions' tests: knows one name, for whomever it is
 * asked, and tells it at once or when the test says so. */
#ifndef POSTERN_TESTS_FAKE_NAMES_H
#define POSTERN_TESTS_FAKE_NAMES_H

#include "edges/smtpd_resolver.h"
#include "tests/unit/smtpd/harness.h"

enum { NAMES_IDS_MAX = 8192 };

static struct {
	struct channel *ch;
	bool hold; /* answers nothing by itself */
	struct answer_client answer;
	uint64_t ids[NAMES_IDS_MAX];
	size_t nasked;
	char address[70]; /* of the last question */
} names;

static inline void
tell_name(uint64_t id)
{
	channel_tell(names.ch, TYPE_answer_client, &names.answer, id);
}

static inline void
on_ask(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_client *m = msg;

	(void)ctx;
	(void)ch;
	copy(names.address, sizeof(names.address), m->address);
	if (names.nasked >= NAMES_IDS_MAX)
		abort();
	names.ids[names.nasked++] = id;
	if (!names.hold)
		tell_name(id);
}

static inline void
on_names_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == names.ch)
		channel_free(&names.ch);
}

static const struct handler names_handlers[] = { { TYPE_ask_client, on_ask },
	{ 0, NULL } };

/* A resolver that gives each client this name, as soon as it is asked. */
static inline void
names_start(struct harness *h, enum client_name state, const char *name)
{
	int sv[2];

	memset(&names, 0, sizeof(names));
	names.answer.state = (uint8_t)state;
	names.answer.name = str_of(name);
	names.answer.ttl_s = 3600;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		abort();
	names.ch = channel_new(h->loop, sv[1], &smtpd_resolver_edge, EDGE_B,
	    names_handlers, on_names_closed, NULL);
	from_resolver_start(h->loop, sv[0]);
	h->config->nservers = 1;
}

static inline void
names_stop(struct harness *h)
{
	channel_free(&names.ch);
	harness_settle(h);
}

/* The question that was held is answered now. */
static inline void
names_answer(size_t which, enum client_name state, const char *name)
{
	names.answer.state = (uint8_t)state;
	names.answer.name = str_of(name);
	tell_name(names.ids[which]);
}

#endif
