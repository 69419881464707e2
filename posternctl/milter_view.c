/* show milters: each filter's state, verdicts, failures and times. */
#include <stdio.h>

#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/milter_rows.h"
#include "posternctl/names.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

struct flag {
	uint32_t bit;
	const char *name;
};

/* SMFIF_ and SMFIP_, by the names of Sendmail's mfapi. */
static const struct flag actions[] = {
	{ 0x001, "addhdrs" },
	{ 0x002, "chgbody" },
	{ 0x004, "addrcpt" },
	{ 0x008, "delrcpt" },
	{ 0x010, "chghdrs" },
	{ 0x020, "quarantine" },
	{ 0x040, "chgfrom" },
	{ 0x080, "addrcpt_par" },
	{ 0x100, "setsymlist" },
	{ 0, NULL },
};

static const struct flag steps[] = {
	{ 0x000001, "noconnect" },
	{ 0x000002, "nohelo" },
	{ 0x000004, "nomail" },
	{ 0x000008, "norcpt" },
	{ 0x000010, "nobody" },
	{ 0x000020, "nohdrs" },
	{ 0x000040, "noeoh" },
	{ 0x000080, "nr_hdr" },
	{ 0x000100, "nounknown" },
	{ 0x000200, "nodata" },
	{ 0x000400, "skip" },
	{ 0x000800, "rcpt_rej" },
	{ 0x001000, "nr_conn" },
	{ 0x002000, "nr_helo" },
	{ 0x004000, "nr_mail" },
	{ 0x008000, "nr_rcpt" },
	{ 0x010000, "nr_data" },
	{ 0x020000, "nr_unkn" },
	{ 0x040000, "nr_eoh" },
	{ 0x080000, "nr_body" },
	{ 0x100000, "hdr_leadspc" },
	{ 0, NULL },
};

/* --- times --- */

enum { P50 = 500, P99 = 990 };

static uint64_t
count(const uint64_t n[static LATENCY_BUCKETS])
{
	uint64_t all = 0;

	for (size_t i = 0; i < LATENCY_BUCKETS; i++)
		all += n[i];
	return all;
}

/* "0.256" */
static const char *
ms_text(uint64_t us, char out[static 32])
{
	snprintf(out, 32, "%llu.%03llu", (unsigned long long)(us / 1000),
	    (unsigned long long)(us % 1000));
	return out;
}

static void
json_ms(struct json *j, const char *key,
    const uint64_t n[static LATENCY_BUCKETS], unsigned int permille)
{
	char text[32];

	json_key(j, key);
	if (count(n) == 0)
		json_null(j);
	else
		json_decimal(
		    j, ms_text(latency_quantile_us(n, permille), text));
}

/* --- as JSON --- */

static void
json_times(struct json *j, const struct milter_sum *s)
{
	uint64_t all[LATENCY_BUCKETS];

	milter_sum_latency(s, all);
	json_key(j, "latency_ms");
	json_open(j, '{');
	json_ms(j, "p50", all, P50);
	json_ms(j, "p99", all, P99);
	json_key(j, "stages");
	json_open(j, '{');
	for (size_t i = 0; i < ROW_MILTER_STAGES; i++) {
		if (count(s->latency[i]) == 0)
			continue;
		json_key(j, name_milter_stage(i));
		json_open(j, '{');
		json_key_number(j, "count", count(s->latency[i]));
		json_ms(j, "p50", s->latency[i], P50);
		json_ms(j, "p99", s->latency[i], P99);
		json_close(j, '}');
	}
	json_close(j, '}');
	json_close(j, '}');
}

static void
json_sockets(struct json *j, const struct milter_sum *s)
{
	json_key(j, "sockets");
	json_open(j, '[');
	for (size_t i = 0; i < s->nsockets; i++) {
		const struct milter_socket_sum *k = &s->sockets[i];

		json_open(j, '{');
		json_key_str(j, "socket", str_of(k->text));
		json_key_str(j, "state", str_of(name_milter_state(k->state)));
		json_key_number(j, "sessions", k->sessions);
		json_key_number(j, "failures", k->failures);
		json_key(j, "last_failure");
		if (k->fault == NULL)
			json_null(j);
		else
			json_str(j, str_of(k->fault));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
json_verdicts(struct json *j, const struct milter_sum *s)
{
	json_key(j, "verdicts");
	json_open(j, '{');
	for (size_t i = 0; i < ROW_MILTER_VERDICTS; i++)
		json_key_number(j, name_milter_verdict(i), s->verdicts[i]);
	json_close(j, '}');
}

static void
json_flags(struct json *j, const char *key, const struct flag *f, uint32_t set)
{
	json_key(j, key);
	json_open(j, '[');
	for (; f->name != NULL; f++)
		if (set & f->bit)
			json_str(j, str_of(f->name));
	json_close(j, ']');
}

static void
json_milter(struct json *j, const struct milter_sum *s)
{
	json_open(j, '{');
	json_key_str(j, "name", str_of(s->name));
	json_key_str(j, "state", str_of(name_milter_state(s->state)));
	json_sockets(j, s);
	json_key_str(j, "on_failure", str_of(s->on_failure));
	json_key(j, "shadow");
	json_bool(j, s->shadow);
	json_key_str(
	    j, "phase", s->after_queue ? STR("queue") : STR("session"));
	json_key_number(j, "sessions", s->sessions);
	json_key_number(j, "connections", s->connections);
	json_verdicts(j, s);
	json_key_number(j, "edits", s->edits);
	json_key_number(j, "failures", s->failures);
	json_key_number(j, "skipped", s->skipped);
	json_key_number(j, "compared", s->compared);
	json_key_number(j, "differed", s->differed);
	json_times(j, s);
	json_key_number(j, "version", s->version);
	json_flags(j, "actions", actions, s->actions);
	json_flags(j, "steps", steps, s->steps);
	json_close(j, '}');
}

/* --- as text --- */

static void
end_line(struct buf *line)
{
	text_end_line(out_buf(), line);
}

static void
text_head(struct buf *line, const struct milter_sum *s)
{
	text_add(line, str_of(s->name));
	buf_addf(line, ": %s, %llu session%s, on-failure %s%s%s",
	    name_milter_state(s->state), (unsigned long long)s->sessions,
	    s->sessions == 1 ? "" : "s", s->on_failure,
	    s->shadow ? ", shadow" : "", s->after_queue ? ", phase queue" : "");
	end_line(line);
}

static void
text_sockets(struct buf *line, const struct milter_sum *s)
{
	for (size_t i = 0; i < s->nsockets; i++) {
		const struct milter_socket_sum *k = &s->sockets[i];

		buf_add_str(line, STR("    "));
		text_add(line, str_of(k->text));
		buf_addf(line, " %s, %llu session%s",
		    name_milter_state(k->state),
		    (unsigned long long)k->sessions,
		    k->sessions == 1 ? "" : "s");
		if (k->failures > 0)
			buf_addf(line, ", %llu failure%s",
			    (unsigned long long)k->failures,
			    k->failures == 1 ? "" : "s");
		if (k->fault != NULL) {
			buf_add_str(line, STR(", last: "));
			text_add(line, str_of(k->fault));
		}
		end_line(line);
	}
}

struct number {
	const char *name;
	uint64_t n;
};

/* Those that are not 0; nothing when all are. */
static void
text_numbers(
    struct buf *line, const char *title, const struct number *numbers, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (numbers[i].n == 0)
			continue;
		if (!any)
			buf_addf(line, "    %-10s", title);
		any = true;
		buf_addf(line, " %s %llu", numbers[i].name,
		    (unsigned long long)numbers[i].n);
	}
	if (any)
		end_line(line);
}

static void
text_counted(struct buf *line, const struct milter_sum *s)
{
	struct number verdicts[ROW_MILTER_VERDICTS];
	const struct number others[] = {
		{ "connections", s->connections },
		{ "edits", s->edits },
		{ "failures", s->failures },
		{ "skipped", s->skipped },
		{ "compared", s->compared },
		{ "differed", s->differed },
	};

	for (size_t i = 0; i < ROW_MILTER_VERDICTS; i++)
		verdicts[i] =
		    (struct number){ name_milter_verdict(i), s->verdicts[i] };
	text_numbers(line, "verdicts", verdicts, ROW_MILTER_VERDICTS);
	text_numbers(
	    line, "counted", others, sizeof(others) / sizeof(others[0]));
}

static void
text_flags(
    struct buf *line, const char *title, const struct flag *f, uint32_t set)
{
	buf_addf(line, "    %-10s", title);
	for (; f->name != NULL; f++)
		if (set & f->bit)
			buf_addf(line, " %s", f->name);
	end_line(line);
}

static void
text_time(struct buf *line, const char *stage,
    const uint64_t n[static LATENCY_BUCKETS])
{
	char p50[32], p99[32];

	if (count(n) == 0)
		return;
	buf_addf(line, "    %-10s %9llu %10s %10s", stage,
	    (unsigned long long)count(n),
	    ms_text(latency_quantile_us(n, P50), p50),
	    ms_text(latency_quantile_us(n, P99), p99));
	end_line(line);
}

static void
text_milter(struct buf *line, const struct milter_sum *s)
{
	uint64_t all[LATENCY_BUCKETS];

	text_head(line, s);
	text_sockets(line, s);
	text_counted(line, s);
	if (s->version > 0) {
		buf_addf(line, "    protocol   version %u", s->version);
		end_line(line);
		text_flags(line, "actions", actions, s->actions);
		text_flags(line, "steps", steps, s->steps);
	}
	milter_sum_latency(s, all);
	if (count(all) == 0)
		return;
	buf_addf(line, "    %-10s %9s %10s %10s", "STAGE", "COUNT", "P50 MS",
	    "P99 MS");
	end_line(line);
	for (size_t i = 0; i < ROW_MILTER_STAGES; i++)
		text_time(line, name_milter_stage(i), s->latency[i]);
	text_time(line, "all", all);
}

/* --- both --- */

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct milter_sums *m = ctx;

	if (type == TYPE_row_milter)
		milter_sums_add(m, msg);
	else if (type == TYPE_row_milter_socket)
		milter_sums_add_socket(m, msg);
}

static void
print(const struct milter_sums *m, bool as_json)
{
	struct json j = { out_buf(), false };
	struct buf line;

	buf_init(&line, 16384);
	if (as_json)
		json_open(&j, '[');
	for (size_t i = 0; i < m->n; i++)
		if (as_json)
			json_milter(&j, &m->sums[i]);
		else
			text_milter(&line, &m->sums[i]);
	if (as_json) {
		json_close(&j, ']');
		buf_add_char(j.out, '\n');
	}
	buf_clear(&line);
}

int
show_milters(const struct call *c)
{
	struct milter_sums sums;
	struct ask_milters m = { 0 };
	struct question q = { .type = TYPE_ask_milters,
		.msg = &m,
		.on_row = on_row,
		.ctx = &sums };
	struct answer answer;

	milter_sums_init(&sums);
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (status == CTL_DONE)
		print(&sums, c->json);
	milter_sums_clear(&sums);
	return status;
}
