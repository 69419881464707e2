/* show status, show stats. */
#include "lib/base/clock.h"
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/names.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

/* --- status --- */

/* Rows come in the order gateway, processes, listeners; the JSON has an
 * array for each of the latter. */
enum section { SECTION_NONE, SECTION_PROCESSES, SECTION_LISTENERS };

struct status_view {
	bool json;
	struct json j;
	struct buf line;
	bool has_gateway;
	enum section section;
};

static const struct {
	const char *key, *title;
} sections[] = {
	[SECTION_NONE] = { "", "" },
	[SECTION_PROCESSES] = { "processes",
	    "PROCESS      PID      UPTIME  RESTARTS  SANDBOX" },
	[SECTION_LISTENERS] = { "listeners",
	    "LISTENER                                SESSIONS" },
};

static void
enter_section(struct status_view *v, enum section wanted)
{
	while (v->section < wanted) {
		if (v->json && v->section != SECTION_NONE)
			json_close(&v->j, ']');
		v->section++;
		if (v->json) {
			json_key(&v->j, sections[v->section].key);
			json_open(&v->j, '[');
		} else {
			buf_addf(&v->line, "%s", sections[v->section].title);
			text_end_line(out_buf(), &v->line);
		}
	}
}

static void
on_gateway(struct status_view *v, const struct row_gateway *row)
{
	char uptime[24];

	v->has_gateway = true;
	if (v->json) {
		json_open(&v->j, '{');
		json_key_str(&v->j, "version", row->version);
		json_key_number(&v->j, "pid", row->pid);
		json_key_number(&v->j, "uptime", row->uptime_s);
		json_key_str(&v->j, "hostname", row->hostname);
		return;
	}
	buf_add_str(&v->line, STR("postern "));
	text_add(&v->line, row->version);
	buf_add_str(&v->line, STR(" on "));
	text_add(&v->line, row->hostname);
	buf_addf(&v->line, ", pid %u, up %s", row->pid,
	    text_duration(row->uptime_s, uptime));
	text_end_line(out_buf(), &v->line);
}

static void
on_process(struct status_view *v, const struct row_process *row)
{
	char uptime[24];

	enter_section(v, SECTION_PROCESSES);
	if (v->json) {
		json_open(&v->j, '{');
		json_key_str(&v->j, "role", row->role);
		json_key_number(&v->j, "instance", row->instance);
		json_key_number(&v->j, "pid", row->pid);
		json_key_number(&v->j, "uptime", row->uptime_s);
		json_key_number(&v->j, "restarts", row->restarts);
		json_key_str(&v->j, "sandbox", row->sandbox);
		json_close(&v->j, '}');
		return;
	}
	text_add(&v->line, row->role);
	if (row->instance > 0)
		buf_addf(&v->line, " %u", row->instance);
	text_pad(&v->line, 13);
	if (row->pid == 0)
		buf_add_str(&v->line, STR("down"));
	else
		buf_addf(&v->line, "%u", row->pid);
	text_pad(&v->line, 22);
	buf_addf(&v->line, "%s", text_duration(row->uptime_s, uptime));
	text_pad(&v->line, 30);
	buf_addf(&v->line, "%u", row->restarts);
	text_pad(&v->line, 40);
	text_add(&v->line, row->sandbox);
	text_end_line(out_buf(), &v->line);
}

static void
on_listener(struct status_view *v, const struct row_listener *row)
{
	enter_section(v, SECTION_LISTENERS);
	if (v->json) {
		json_open(&v->j, '{');
		json_key_str(&v->j, "address", row->address);
		json_key_number(&v->j, "port", row->port);
		json_key_number(&v->j, "sessions", row->sessions);
		json_close(&v->j, '}');
		return;
	}
	text_add_socket(&v->line, row->address, row->port);
	text_pad(&v->line, 40);
	buf_addf(&v->line, "%llu", (unsigned long long)row->sessions);
	text_end_line(out_buf(), &v->line);
}

static void
on_status_row(void *ctx, uint16_t type, const void *msg)
{
	struct status_view *v = ctx;

	if (type == TYPE_row_gateway && !v->has_gateway)
		on_gateway(v, msg);
	else if (type == TYPE_row_process && v->has_gateway)
		on_process(v, msg);
	else if (type == TYPE_row_listener && v->has_gateway)
		on_listener(v, msg);
}

/* --- DNSSEC, which the resolver knows --- */

struct dnssec_view {
	bool is_known, on;
	struct buf why;
};

static void
on_dnssec_row(void *ctx, uint16_t type, const void *msg)
{
	const struct row_dnssec *row = msg;
	struct dnssec_view *d = ctx;

	if (type != TYPE_row_dnssec)
		return;
	d->is_known = true;
	d->on = row->on != 0;
	buf_reset(&d->why);
	buf_add_str(&d->why, row->why);
}

/* A resolver that is not there now is none that validates. */
static void
ask_dnssec(const struct call *c, struct dnssec_view *d)
{
	struct ask_dnssec m = { 0 };
	struct question q = { .type = TYPE_ask_dnssec,
		.msg = &m,
		.on_row = on_dnssec_row,
		.ctx = d };
	struct answer answer;

	*d = (struct dnssec_view){ .on = false };
	buf_init(&d->why, 1024);
	if (asking_run(c->socket, &q, &answer, true) != CTL_DONE ||
	    !d->is_known) {
		buf_reset(&d->why);
		buf_add_str(&d->why, STR("the resolver does not answer"));
	}
}

static void
print_dnssec(struct status_view *v, const struct dnssec_view *d)
{
	if (v->json) {
		json_key(&v->j, "dnssec");
		json_bool(&v->j, d->on);
		return;
	}
	buf_addf(&v->line, "dnssec %s", d->on ? "on" : "off");
	if (!d->on) {
		buf_add_str(&v->line, STR(" ("));
		text_add(&v->line, buf_str(&d->why));
		buf_add_char(&v->line, ')');
	}
	text_end_line(out_buf(), &v->line);
}

/* --- what stands still, which the queue knows --- */

#define PAUSES_UNKNOWN "what is paused is not known: the queue does not answer"

static void
pause_text(struct buf *line, const struct row_pause *row, struct str name)
{
	uint64_t now = clock_wall_ms();
	char since[24];

	buf_add_str(line, STR("paused "));
	text_add(line, name);
	buf_addf(line, " for %s, by uid %u",
	    text_duration(
		now > row->since_ms ? (now - row->since_ms) / 1000 : 0, since),
	    row->uid);
	if (row->reason.len > 0) {
		buf_add_str(line, STR(": "));
		text_add(line, row->reason);
	}
	text_wrap_line(out_buf(), line, 4);
}

static void
on_pause_row(void *ctx, uint16_t type, const void *msg)
{
	const struct row_pause *row = msg;
	struct status_view *v = ctx;
	struct buf name;

	if (type != TYPE_row_pause || !v->has_gateway)
		return;
	buf_init(&name, 512);
	name_pause(&name, row);
	if (v->json)
		json_str(&v->j, buf_str(&name));
	else
		pause_text(&v->line, row, buf_str(&name));
	buf_clear(&name);
}

/* A queue that does not answer now: what it would say is not known, which is
 * not the same as that nothing is paused. */
static void
print_pauses(const struct call *c, struct status_view *v)
{
	struct ask_pauses m = { 0 };
	struct question q = { .type = TYPE_ask_pauses,
		.msg = &m,
		.on_row = on_pause_row,
		.ctx = v };
	struct answer answer;

	if (v->json) {
		json_key(&v->j, "paused");
		json_open(&v->j, '[');
	}
	bool is_known = asking_run(c->socket, &q, &answer, true) == CTL_DONE &&
			answer.code == ANSWER_OK;
	if (v->json)
		json_close(&v->j, ']');
	if (is_known)
		return;
	if (v->json) {
		complain(PAUSES_UNKNOWN);
		return;
	}
	buf_add_str(&v->line, STR(PAUSES_UNKNOWN));
	text_end_line(out_buf(), &v->line);
}

int
show_status(const struct call *c)
{
	struct status_view v = { .json = c->json, .j = { out_buf(), false } };
	struct ask_status m = { 0 };
	struct question q = { .type = TYPE_ask_status,
		.msg = &m,
		.on_row = on_status_row,
		.ctx = &v };
	struct answer answer;
	struct dnssec_view dnssec;

	buf_init(&v.line, 8192);
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	ask_dnssec(c, &dnssec);
	if (v.json && v.has_gateway) {
		enter_section(&v, SECTION_LISTENERS);
		json_close(&v.j, ']');
		print_pauses(c, &v);
		print_dnssec(&v, &dnssec);
		json_close(&v.j, '}');
		buf_add_char(out_buf(), '\n');
	} else if (v.has_gateway) {
		print_pauses(c, &v);
		print_dnssec(&v, &dnssec);
	}
	buf_clear(&dnssec.why);
	buf_clear(&v.line);
	return status;
}

/* --- stats --- */

struct stats_view {
	bool json;
	struct json j;
	struct buf line;
	bool has_begun;
};

/* One bar of a histogram, "smtpd.accept.le_1024": nothing for people. */
static bool
is_bucket(struct str name)
{
	size_t dot = name.len;

	while (dot > 0 && name.p[dot - 1] != '.')
		dot--;
	return str_starts_nocase(str_skip(name, dot), STR("le_"));
}

/* Names come sorted, each once. */
static void
on_stat(void *ctx, uint16_t type, const void *msg)
{
	struct stats_view *v = ctx;
	const struct row_stat *row = msg;

	if (type != TYPE_row_stat)
		return;
	if (v->json) {
		if (!v->has_begun)
			json_open(&v->j, '{');
		v->has_begun = true;
		json_name(&v->j, row->name);
		json_number(&v->j, row->value);
		return;
	}
	if (is_bucket(row->name))
		return;
	text_add(&v->line, row->name);
	text_pad(&v->line, 32);
	buf_addf(&v->line, "%llu", (unsigned long long)row->value);
	text_end_line(out_buf(), &v->line);
}

int
show_stats(const struct call *c)
{
	struct stats_view v = { .json = c->json, .j = { out_buf(), false } };
	struct ask_stats m = { 0 };
	struct question q = {
		.type = TYPE_ask_stats, .msg = &m, .on_row = on_stat, .ctx = &v
	};
	struct answer answer;

	buf_init(&v.line, 8192);
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (v.has_begun) {
		json_close(&v.j, '}');
		buf_add_char(out_buf(), '\n');
	}
	buf_clear(&v.line);
	return status;
}
