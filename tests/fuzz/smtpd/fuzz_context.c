/* What the queue gives back of a session: read, written and read again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "smtpd/context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct milter_set
set_of(const struct context *c, struct milter milters[static MILTER_SET_MAX],
    char names[static MILTER_SET_MAX][1025])
{
	struct milter_set set = { .n = c->nmembers };

	for (size_t i = 0; i < c->nmembers; i++) {
		struct str name = c->members[i].name;

		memcpy(names[i], name.p, name.len);
		names[i][name.len] = '\0';
		milters[i].name = names[i];
		set.members[i] =
		    (struct milter_member){ &milters[i], c->members[i].step };
	}
	return set;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct milter milters[MILTER_SET_MAX];
	static char names[MILTER_SET_MAX][1025];
	struct context *c, *again;
	struct milter_set set;
	struct buf b;

	if (size > COMMIT_CONTEXT_MAX)
		return 0;
	c = context_parse((struct str){ (const char *)data, size });
	if (c == NULL)
		return 0;
	set = set_of(c, milters, names);
	buf_init(&b, 4 * COMMIT_CONTEXT_MAX);
	context_make(&c->facts, &set, &b);
	again = context_parse(buf_str(&b));
	assert(again != NULL && again->nmembers == c->nmembers);
	assert(str_eq(again->facts.helo, c->facts.helo));
	assert(str_eq(again->facts.cert_issuer, c->facts.cert_issuer));
	assert(again->facts.port == c->facts.port);
	for (size_t i = 0; i < c->nmembers; i++)
		assert(str_eq(again->members[i].name, c->members[i].name) &&
		       again->members[i].step == c->members[i].step);
	context_free(&again);
	context_free(&c);
	buf_clear(&b);
	return 0;
}
