/*
 * The table of questions, and those that do not go on as they came.
 */
#include "control/questions.h"

#include <stdlib.h>
#include <string.h>

#include "control/access.h"
#include "control/asker.h"
#include "control/router.h"
#include "lib/base/alloc.h"
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

static const char *
describe_log_level(const void *msg)
{
	const struct ask_log_level *m = msg;

	return m->verbose ? "log-verbose" : "log-brief";
}

static const char *
describe_pause(const void *msg)
{
	const struct ask_pause *m = msg;

	return m->resume ? "resume" : "pause";
}

static const char *
describe_undo(const void *msg)
{
	const struct ask_undo *m = msg;

	return m->dry_run ? "dry-run-undo" : "undo";
}

/* The field of a question that is called so; NULL: it has none. */
static const struct wire_field *
field_of(const struct wire_msg *w, enum wire_kind kind, const char *name)
{
	const struct wire_field *f;

	for (f = w->fields(); f->name != NULL; f++)
		if (f->kind == kind && strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

uint64_t
question_send(struct request *r, struct channel *ch, const void *msg,
    answer_fn *fn, void *ctx)
{
	const struct wire_msg *w =
	    edge_row(&control_all_edge, r->route->type)->wire;
	const struct wire_field *f;
	unsigned char *copy = xcalloc(1, w->size);

	memcpy(copy, msg, w->size);
	f = field_of(w, WIRE_u32, "uid");
	if (f != NULL) {
		uint32_t uid = r->asker->who.uid;
		memcpy(copy + f->offset, &uid, sizeof(uid));
	}
	f = field_of(w, WIRE_str, "reason");
	if (f != NULL && r->reason == NULL) {
		struct str reason;
		memcpy(&reason, copy + f->offset, sizeof(reason));
		r->reason = reason.len > 0 ? str_dup(reason) : NULL;
	}
	uint64_t id = channel_ask(ch, r->route->type, copy, fn, ctx);
	free(copy);
	return id;
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

/* A process that does not answer a question for numbers, or for a part of
 * `show status', is left out soon; a change of a million messages may take its
 * time. */
/* clang-format off */
static const struct route routes[] = {
	{ "show-status", NULL, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_VIEW, NEAR_SILENCE_MS, TYPE_ask_status, false },
	{ "show-stats", NULL, NULL, TO_ALL, ROLE_COUNT,
	    PERMIT_VIEW, PART_SILENCE_MS, TYPE_ask_stats, false },
	{ "show-queue", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_queue, true },
	{ "show-destinations", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_destinations, false },
	{ "show-message", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CONTENT, ROUTE_SILENCE_MS, TYPE_ask_content, false },
	{ "change", NULL, describe_change, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_change, true },
	{ "stop", NULL, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_CHANGE, NEAR_SILENCE_MS, TYPE_ask_stop, false },
	{ "reload", NULL, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_reload, false },
	{ "resolve", NULL, NULL, TO_ROLE, ROLE_RESOLVER,
	    PERMIT_VIEW, NAMES_SILENCE_MS, TYPE_ask_resolve, false },
	{ "show-dnssec", NULL, NULL, TO_ROLE, ROLE_RESOLVER,
	    PERMIT_VIEW, PART_SILENCE_MS, TYPE_ask_dnssec, false },
	{ "show-routes", NULL, NULL, TO_ROLE, ROLE_RESOLVER,
	    PERMIT_VIEW, NAMES_SILENCE_MS, TYPE_ask_routes, false },
	{ "show-milters", NULL, NULL, TO_EACH, ROLE_SMTPD,
	    PERMIT_VIEW, NEAR_SILENCE_MS, TYPE_ask_milters, false },
	{ "quarantine-list", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_quarantine, true },
	{ "trace", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_trace, false },
	{ "test-milter", send_test_milter, NULL, TO_ROLE, ROLE_SMTPD,
	    PERMIT_CONTENT, FILTER_SILENCE_MS, TYPE_ask_test_milter, false },
	{ "show-sessions", NULL, NULL, TO_EACH, ROLE_SMTPD,
	    PERMIT_VIEW, NEAR_SILENCE_MS, TYPE_ask_sessions, false },
	{ "block", NULL, describe_block, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_block, false },
	{ "unblock", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_unblock, false },
	{ "show-blocks", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_blocks, false },
	{ "confirm", NULL, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_confirm, false },
	/* It shows what is in a file that not everybody may read. */
	{ "config-diff", NULL, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_config_diff, false },
	{ "show-tables", NULL, NULL, TO_ROLE, ROLE_PARENT,
	    PERMIT_VIEW, NEAR_SILENCE_MS, TYPE_ask_tables, false },
	{ "log-level", NULL, describe_log_level, TO_ROLE, ROLE_PARENT,
	    PERMIT_CHANGE, NEAR_SILENCE_MS, TYPE_ask_log_level, false },
	{ "test-match", NULL, NULL, TO_ROLE, ROLE_RESOLVER,
	    PERMIT_VIEW, NAMES_SILENCE_MS, TYPE_ask_match, false },
	/* What clients said is content. */
	{ "show-session", NULL, NULL, TO_EACH, ROLE_SMTPD,
	    PERMIT_CONTENT, NEAR_SILENCE_MS, TYPE_ask_session, false },
	{ "log-session", NULL, NULL, TO_EACH, ROLE_SMTPD,
	    PERMIT_CONTENT, 0, TYPE_ask_follow, false },
	{ "pause", NULL, describe_pause, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_pause, false },
	{ "show-pauses", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, PART_SILENCE_MS, TYPE_ask_pauses, false },
	{ "undo", NULL, describe_undo, TO_ROLE, ROLE_QUEUE,
	    PERMIT_CHANGE, ROUTE_SILENCE_MS, TYPE_ask_undo, false },
	{ "show-operations", NULL, NULL, TO_ROLE, ROLE_QUEUE,
	    PERMIT_VIEW, ROUTE_SILENCE_MS, TYPE_ask_operations, false },
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

bool
route_is_for_web(const struct route *r)
{
	static const uint16_t types[] = { TYPE_ask_status, TYPE_ask_stats,
		TYPE_ask_milters, TYPE_ask_pauses, TYPE_ask_submit_path };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (r->type == types[i])
			return true;
	return false;
}
