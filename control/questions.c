/*
 * The table of questions, and those that do not go on as they came.
 */
#include "control/questions.h"

#include "control/access.h"
#include "control/asker.h"
#include "control/router.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"

/* As it is, and as a dry run. */
static const char *const change_names[][2] = {
	[CHANGE_FLUSH] = { "flush", "dry-run-flush" },
	[CHANGE_HOLD] = { "hold", "dry-run-hold" },
	[CHANGE_RELEASE] = { "release", "dry-run-release" },
	[CHANGE_REQUEUE] = { "requeue", "dry-run-requeue" },
	[CHANGE_REMOVE] = { "remove", "dry-run-remove" },
	[CHANGE_UNQUARANTINE] = { "quarantine-release",
	    "dry-run-quarantine-release" },
	[CHANGE_REJECT] = { "quarantine-reject", "dry-run-quarantine-reject" },
	[CHANGE_RESCAN] = { "quarantine-rescan", "dry-run-quarantine-rescan" },
};

static const char *
describe_change(const void *msg)
{
	const struct ask_change *m = msg;

	return change_names[m->change][m->dry_run];
}

static const char *
describe_block(const void *msg)
{
	const struct ask_block *m = msg;

	return m->allow ? "allow" : "block";
}

/* The uid in a question is never the one the caller wrote there. */
static uint64_t
send_change(struct request *r, struct channel *ch, const void *msg,
    answer_fn *fn, void *ctx)
{
	struct ask_change m = *(const struct ask_change *)msg;

	m.uid = r->asker->who.uid;
	if (m.reason.len > 0 && r->reason == NULL)
		r->reason = str_dup(m.reason);
	return channel_ask(ch, TYPE_ask_change, &m, fn, ctx);
}

static uint64_t
send_block(struct request *r, struct channel *ch, const void *msg,
    answer_fn *fn, void *ctx)
{
	struct ask_block m = *(const struct ask_block *)msg;

	m.uid = r->asker->who.uid;
	if (m.reason.len > 0 && r->reason == NULL)
		r->reason = str_dup(m.reason);
	return channel_ask(ch, TYPE_ask_block, &m, fn, ctx);
}

static uint64_t
send_unblock(struct request *r, struct channel *ch, const void *msg,
    answer_fn *fn, void *ctx)
{
	struct ask_unblock m = *(const struct ask_unblock *)msg;

	m.uid = r->asker->who.uid;
	return channel_ask(ch, TYPE_ask_unblock, &m, fn, ctx);
}

static uint64_t
send_stop(struct request *r, struct channel *ch, const void *msg, answer_fn *fn,
    void *ctx)
{
	struct ask_stop m = *(const struct ask_stop *)msg;

	m.uid = r->asker->who.uid;
	return channel_ask(ch, TYPE_ask_stop, &m, fn, ctx);
}

static uint64_t
send_reload(struct request *r, struct channel *ch, const void *msg,
    answer_fn *fn, void *ctx)
{
	struct ask_reload m = *(const struct ask_reload *)msg;

	m.uid = r->asker->who.uid;
	return channel_ask(ch, TYPE_ask_reload, &m, fn, ctx);
}

/* All of the mail and then the question at once: nobody else's comes
 * between. */
static uint64_t
send_test_milter(struct request *r, struct channel *ch, const void *msg,
    answer_fn *fn, void *ctx)
{
	struct str rest = buf_str(&r->asker->mail);

	while (rest.len > 0) {
		struct tell_mail m = { .bytes = str_head(
					   rest, CHANNEL_CONTENT_MAX) };

		channel_tell(ch, TYPE_tell_mail, &m, 0);
		rest = str_skip(rest, CHANNEL_CONTENT_MAX);
	}
	return channel_ask(ch, TYPE_ask_test_milter, msg, fn, ctx);
}

/* A process that does not answer a question for numbers is left out soon;
 * a change of a million messages may take its time. */
/* clang-format off */
static const struct route routes[] = {
	{ "show-status", NULL, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_VIEW, 10000, TYPE_ask_status, false },
	{ "show-stats", NULL, NULL, TO_ALL, ROLE_COUNT,
	    PERMIT_VIEW, 3000, TYPE_ask_stats, false },
	{ "show-queue", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_queue, true },
	{ "show-destinations", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_destinations, false },
	{ "show-message", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CONTENT, ROUTE_SILENCE_MS, TYPE_ask_content, false },
	{ "change", send_change, describe_change, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_change, true },
	{ "stop", send_stop, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_CHANGE, 10000, TYPE_ask_stop, false },
	{ "reload", send_reload, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_reload, false },
	{ "resolve", NULL, NULL, TO_ROLE, ROLE_RESOLVER,
	    PERMIT_VIEW, NAMES_SILENCE_MS, TYPE_ask_resolve, false },
	{ "show-dnssec", NULL, NULL, TO_ROLE, ROLE_RESOLVER,
	    PERMIT_VIEW, 10000, TYPE_ask_dnssec, false },
	{ "show-routes", NULL, NULL, TO_ROLE, ROLE_RESOLVER,
	    PERMIT_VIEW, NAMES_SILENCE_MS, TYPE_ask_routes, false },
	{ "show-milters", NULL, NULL, TO_EACH, ROLE_SMTPD,
	    PERMIT_VIEW, 10000, TYPE_ask_milters, false },
	{ "quarantine-list", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_quarantine, true },
	{ "trace", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_trace, false },
	{ "test-milter", send_test_milter, NULL, TO_ROLE, ROLE_SMTPD,
	    PERMIT_CONTENT, FILTER_SILENCE_MS, TYPE_ask_test_milter, false },
	{ "show-sessions", NULL, NULL, TO_EACH, ROLE_SMTPD,
	    PERMIT_VIEW, 10000, TYPE_ask_sessions, false },
	{ "block", send_block, describe_block, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_block, false },
	{ "unblock", send_unblock, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_unblock, false },
	{ "show-blocks", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_blocks, false },
	{ "submit-path", NULL, NULL, TO_SELF, ROLE_COUNT,
	    0, 0, TYPE_ask_submit_path, false },
};

/* clang-format on */

const struct route *
route_find(uint16_t type)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (routes[i].type == type)
			return &routes[i];
	return NULL;
}
