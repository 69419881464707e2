/* flush, hold, release, requeue, remove; reload, stop. */
#include <stdio.h>
#include <string.h>

#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"

static const struct {
	const char *verb, *done;
} words[] = {
	[CHANGE_FLUSH] = { "flush", "to be tried now" },
	[CHANGE_HOLD] = { "hold", "held" },
	[CHANGE_RELEASE] = { "release", "released" },
	[CHANGE_REQUEUE] = { "requeue", "requeued" },
	[CHANGE_REMOVE] = { "remove", "removed" },
	[CHANGE_UNQUARANTINE] = { "quarantine release", "released" },
	[CHANGE_REJECT] = { "quarantine reject", "rejected" },
	[CHANGE_RESCAN] = { "quarantine rescan", "to be looked at again" },
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
	buf_addf(j.out, "%llu matched", (unsigned long long)a->matched);
	if (f->dry_run)
		buf_addf(j.out, ", nothing was changed\n");
	else
		buf_addf(j.out, ", %llu %s\n", (unsigned long long)a->changed,
		    words[change].done);
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
	status = asking_exit(&answer);
	if (status == CTL_DONE || answer.code == ANSWER_NOT_FOUND)
		print(c, change, f, &answer);
	if (status == CTL_DONE && answer.matched == 0) {
		complain("%s: no message matches", words[change].verb);
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

int
do_unquarantine(const struct call *c)
{
	return run(c, CHANGE_UNQUARANTINE);
}

int
do_reject(const struct call *c)
{
	return run(c, CHANGE_REJECT);
}

int
do_rescan(const struct call *c)
{
	return run(c, CHANGE_RESCAN);
}

/* CHANGE_REMOVE takes anything: here only what is quarantined. */
int
do_discard(const struct call *c)
{
	struct filter f;

	if (filter_parse(&f, c->argv, true) == -1 ||
	    filter_add(&f, TERM_STATE, STR("quarantined")) == -1)
		return command_usage(c);
	return run_in(c, CHANGE_REMOVE, &f, "quarantine");
}

/* --- reload --- */

struct reloading {
	struct json json;
	bool is_json;
};

static void
on_message(void *ctx, uint16_t type, const void *msg)
{
	const struct row_text *m = msg;
	struct reloading *r = ctx;

	if (type != TYPE_row_text)
		return;
	if (r->is_json)
		json_str(&r->json, m->text);
	else
		fprintf(stderr, "%.*s\n", (int)m->text.len, m->text.p);
}

int
do_reload(const struct call *c)
{
	struct reloading r = { .json = { .out = out_buf() },
		.is_json = c->json };
	struct ask_reload m = { 0 };
	struct question q = { .type = TYPE_ask_reload,
		.msg = &m,
		.on_row = on_message,
		.ctx = &r };
	struct answer answer;
	int status;

	if (c->json) {
		json_open(&r.json, '{');
		json_key(&r.json, "messages");
		json_open(&r.json, '[');
	}
	status = asking_run(c->socket, &q, &answer, false);
	if (status != CTL_DONE) {
		buf_reset(r.json.out);
		return status;
	}
	status = asking_exit(&answer);
	if (c->json) {
		json_close(&r.json, ']');
		json_key(&r.json, "reloaded");
		json_bool(&r.json, status == CTL_DONE);
		json_close(&r.json, '}');
		buf_add_char(r.json.out, '\n');
	} else if (status == CTL_DONE) {
		buf_add_str(r.json.out, STR("reloaded\n"));
	}
	return status;
}

int
do_stop(const struct call *c)
{
	struct ask_stop m = { 0 };
	struct question q = { .type = TYPE_ask_stop, .msg = &m };
	struct answer answer;

	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (status == CTL_DONE)
		buf_add_str(out_buf(),
		    c->json ? STR("{\"stopping\":true}\n") : STR("stopping\n"));
	return status;
}
