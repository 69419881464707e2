/* flush, hold, release, requeue, remove, and what is quarantined. */
#include <stdio.h>
#include <string.h>

#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"

static const struct {
	const char *verb, *done, *would; /* be, in a dry run */
} words[] = {
	[CHANGE_FLUSH] = { "flush", "to be tried now", "tried now" },
	[CHANGE_HOLD] = { "hold", "held", "held" },
	[CHANGE_RELEASE] = { "release", "released", "released" },
	[CHANGE_REQUEUE] = { "requeue", "requeued", "requeued" },
	[CHANGE_REMOVE] = { "remove", "removed", "removed" },
	[CHANGE_UNQUARANTINE] = { "quarantine release", "released",
	    "released" },
	[CHANGE_REJECT] = { "quarantine reject", "rejected", "rejected" },
	[CHANGE_RESCAN] = { "quarantine rescan", "to be looked at again",
	    "looked at again" },
};

/* `remove all` is asked about. */
static bool
is_meant(const char *where)
{
	char line[16];

	fprintf(stderr, "remove every message of the %s? [y/N] ", where);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	return strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0;
}

static void
print(const struct call *c, enum change change, const struct filter *f,
    const struct answer *a)
{
	struct json j = { .out = out_buf() };

	if (c->json) {
		json_open(&j, '{');
		json_key_number(&j, "matched", a->matched);
		json_key_number(&j, "changed", a->changed);
		json_key_number(&j, "operation", a->operation);
		json_close(&j, '}');
		buf_add_char(j.out, '\n');
		return;
	}
	if (f->dry_run)
		out_say("%llu matched, %llu would be %s, nothing was changed",
		    (unsigned long long)a->matched,
		    (unsigned long long)a->changed, words[change].would);
	else if (a->operation == 0)
		out_say("%llu matched, %llu %s", (unsigned long long)a->matched,
		    (unsigned long long)a->changed, words[change].done);
	else
		out_say("%llu matched, %llu %s (operation %llu)",
		    (unsigned long long)a->matched,
		    (unsigned long long)a->changed, words[change].done,
		    (unsigned long long)a->operation);
}

static int
ask(const struct call *c, enum change change, const struct filter *f)
{
	struct answer answer;
	struct ask_change m = { .change = (uint8_t)change,
		.dry_run = f->dry_run,
		.reason = str_of(f->reason) };
	struct question q = { .type = TYPE_ask_change, .msg = &m, .filter = f };
	int status = asking_run(c->socket, &q, &answer, false);
	if (status != CTL_DONE)
		return status;
	status = asking_exit_of(&answer, filter_id(f));
	if (status == CTL_DONE || answer.code == ANSWER_NOT_FOUND)
		print(c, change, f, &answer);
	if (status == CTL_DONE && answer.matched == 0) {
		complain("%s: no message %s", words[change].verb,
		    f->all ? "is there" : "matches");
		return CTL_REFUSED;
	}
	return status;
}

/* Removing all of something is asked about. */
static int
run_in(const struct call *c, enum change change, struct filter *f,
    const char *where)
{
	if (change == CHANGE_REMOVE && f->all && !f->dry_run && !f->yes &&
	    !c->yes && !is_meant(where)) {
		complain("nothing was removed");
		return CTL_REFUSED;
	}
	return ask(c, change, f);
}

static int
run(const struct call *c, enum change change)
{
	struct filter f;

	if (filter_parse(&f, c->argv, true) == -1)
		return command_usage(c);
	return run_in(c, change, &f, "queue");
}

int
do_flush(const struct call *c)
{
	return run(c, CHANGE_FLUSH);
}

int
do_hold(const struct call *c)
{
	return run(c, CHANGE_HOLD);
}

int
do_release(const struct call *c)
{
	return run(c, CHANGE_RELEASE);
}

int
do_requeue(const struct call *c)
{
	return run(c, CHANGE_REQUEUE);
}

int
do_remove(const struct call *c)
{
	return run(c, CHANGE_REMOVE);
}

/* Of the quarantine only, whatever else the change would take. */
static int
run_in_quarantine(const struct call *c, enum change change)
{
	struct filter f;

	if (filter_parse(&f, c->argv, true) == -1 ||
	    filter_add(&f, TERM_STATE, STR("quarantined")) == -1)
		return command_usage(c);
	return run_in(c, change, &f, "quarantine");
}

int
do_unquarantine(const struct call *c)
{
	return run_in_quarantine(c, CHANGE_UNQUARANTINE);
}

int
do_reject(const struct call *c)
{
	return run_in_quarantine(c, CHANGE_REJECT);
}

int
do_rescan(const struct call *c)
{
	return run_in_quarantine(c, CHANGE_RESCAN);
}

int
do_discard(const struct call *c)
{
	return run_in_quarantine(c, CHANGE_REMOVE);
}
