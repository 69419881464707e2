/* monitor: a line every few seconds, like vmstat. What counts events comes as
 * so many a second since the line before; what is a state, as it is. */
#include <signal.h>
#include <stdio.h>
#include <sys/select.h>
#include <time.h>

#include "lib/base/clock.h"
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

enum { SECONDS_MAX = 86400, HEADER_EVERY = 20, SILENCE_MS = 5000 };

/* COLUMN_MEAN: what `stat' grew by, over what `over' did. */
enum column_kind { COLUMN_STATE, COLUMN_RATE, COLUMN_MEAN };

/* clang-format off */
static const struct column {
	const char *title;
	int width;
	enum column_kind kind;
	const char *stat, *over;
	const char *key; /* of the JSON */
} columns[] = {
	{ "conn",  5, COLUMN_RATE,  "smtpd.connections",  NULL, "connections" },
	{ "sess",  5, COLUMN_STATE, "smtpd.sessions",     NULL, "sessions" },
	{ "acc",   5, COLUMN_RATE,  "smtpd.accepted",     NULL, "accepted" },
	{ "rej",   5, COLUMN_RATE,  "smtpd.rejected",     NULL, "rejected" },
	{ "tmp",   5, COLUMN_RATE,  "smtpd.tempfailed",   NULL, "tempfailed" },
	{ "dlvd",  5, COLUMN_RATE,  "delivery.delivered", NULL, "delivered" },
	{ "defr",  5, COLUMN_RATE,  "delivery.deferred",  NULL, "deferred" },
	{ "bncd",  5, COLUMN_RATE,  "delivery.bounced",   NULL, "bounced" },
	{ "actv",  6, COLUMN_STATE, "queue.active",       NULL, "queue_active" },
	{ "wait",  6, COLUMN_STATE, "queue.deferred",     NULL, "queue_deferred" },
	{ "held",  6, COLUMN_STATE, "queue.held",         NULL, "queue_held" },
	{ "sync",  5, COLUMN_RATE,  "queue.commits",      NULL, "commits" },
	{ "batch", 5, COLUMN_MEAN,  "smtpd.accepted", "queue.commits", "batch" },
};

/* clang-format on */

enum { NCOLUMNS = sizeof(columns) / sizeof(columns[0]) };

/* What a column counts stands in stats[2 * i], what it is divided by (of a
 * mean) behind it. */
struct sample {
	uint64_t stats[2 * NCOLUMNS];
	uint64_t at_ms; /* monotonic; 0: there is none */
};

struct monitor {
	const struct call *call;
	struct json j;
	struct buf line;
	struct sample before, now;
	unsigned int seconds;
	uint64_t count, printed; /* count 0: for ever */
	size_t lines;            /* since the titles */
	size_t screen;           /* lines between them */
	bool is_lost;            /* the gateway did not answer last time */
};

static volatile sig_atomic_t is_over;

static void
on_signal(int sig)
{
	(void)sig;
	is_over = 1;
}

/* --- asking --- */

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct sample *s = ctx;
	const struct row_stat *row = msg;

	if (type != TYPE_row_stat)
		return;
	for (size_t i = 0; i < NCOLUMNS; i++) {
		if (str_eq(row->name, str_of(columns[i].stat)))
			s->stats[2 * i] = row->value;
		if (columns[i].over != NULL &&
		    str_eq(row->name, str_of(columns[i].over)))
			s->stats[2 * i + 1] = row->value;
	}
}

/* Returns an enum ctl_exit. */
static int
take_sample(struct monitor *m, bool quiet, bool *is_refused)
{
	struct ask_stats ask = { 0 };
	struct question q = { .type = TYPE_ask_stats,
		.msg = &ask,
		.on_row = on_row,
		.ctx = &m->now,
		.silence_ms = SILENCE_MS };
	struct answer answer;

	m->now = (struct sample){ .at_ms = 0 };
	int status = asking_run(m->call->socket, &q, &answer, quiet);
	*is_refused = status == CTL_REFUSED;
	if (status == CTL_DONE && answer.code == ANSWER_REFUSED_IT) {
		*is_refused = true;
		status = asking_exit(&answer);
	} else if (status == CTL_DONE && answer.code != ANSWER_OK) {
		status = CTL_SILENT;
	}
	if (status == CTL_DONE)
		m->now.at_ms = clock_mono_ms();
	return status;
}

/* --- a line --- */

/* What was added since; counters begin anew with their process. */
static uint64_t
grown(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

/* In tenths. */
static uint64_t
value_of(const struct monitor *m, size_t i)
{
	uint64_t n = grown(m->before.stats[2 * i], m->now.stats[2 * i]);
	uint64_t over =
	    grown(m->before.stats[2 * i + 1], m->now.stats[2 * i + 1]);
	uint64_t ms = m->now.at_ms - m->before.at_ms;

	switch (columns[i].kind) {
	case COLUMN_STATE:
		return m->now.stats[2 * i] * 10;
	case COLUMN_RATE:
		return (n * 10000 + ms / 2) / (ms > 0 ? ms : 1);
	case COLUMN_MEAN:
		break;
	}
	return over > 0 ? (n * 10 + over / 2) / over : 0;
}

/* "0", "3.5", "12": a tenth is worth showing of small numbers only. */
static void
format_tenths(uint64_t tenths, char out[static 32])
{
	if (tenths % 10 != 0 && tenths < 100)
		snprintf(out, 32, "%llu.%llu",
		    (unsigned long long)(tenths / 10),
		    (unsigned long long)(tenths % 10));
	else
		snprintf(
		    out, 32, "%llu", (unsigned long long)((tenths + 5) / 10));
}

static void
print_titles(struct monitor *m)
{
	if (m->lines++ % m->screen != 0)
		return;
	for (size_t i = 0; i < NCOLUMNS; i++)
		buf_addf(&m->line, "%*s%s", columns[i].width, columns[i].title,
		    i + 1 < NCOLUMNS ? " " : "");
	text_end_line(out_buf(), &m->line);
}

static void
print_text(struct monitor *m)
{
	char text[32];

	print_titles(m);
	for (size_t i = 0; i < NCOLUMNS; i++) {
		format_tenths(value_of(m, i), text);
		buf_addf(&m->line, "%*s%s", columns[i].width, text,
		    i + 1 < NCOLUMNS ? " " : "");
	}
	text_end_line(out_buf(), &m->line);
}

static void
print_json(struct monitor *m)
{
	char text[32];

	m->j = (struct json){ out_buf(), false };
	json_open(&m->j, '{');
	json_key(&m->j, "time");
	json_time(&m->j, clock_wall_ms());
	for (size_t i = 0; i < NCOLUMNS; i++) {
		uint64_t tenths = value_of(m, i);

		snprintf(text, sizeof(text), "%llu.%llu",
		    (unsigned long long)(tenths / 10),
		    (unsigned long long)(tenths % 10));
		json_key(&m->j, columns[i].key);
		if (columns[i].kind == COLUMN_STATE)
			json_number(&m->j, tenths / 10);
		else
			json_decimal(&m->j, text);
	}
	json_close(&m->j, '}');
	buf_add_char(m->j.out, '\n');
}

/* --- the round --- */

/* It may be restarting: that is said once, and its numbers begin anew. */
static void
note_lost(struct monitor *m)
{
	if (!m->is_lost)
		complain("the gateway does not answer; waiting for it");
	m->is_lost = true;
	m->before.at_ms = 0;
}

static void
note_found(struct monitor *m)
{
	if (m->is_lost)
		complain("the gateway is back");
	m->is_lost = false;
}

/* Until a signal, or the time is over. A signal that comes just before is not
 * slept over. */
static void
rest(uint64_t until_ms)
{
	sigset_t stop, open;
	uint64_t now = clock_mono_ms();

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, &open);
	if (!is_over && now < until_ms) {
		uint64_t ms = until_ms - now;
		struct timespec t = { .tv_sec = (time_t)(ms / 1000),
			.tv_nsec = (long)(ms % 1000) * 1000000 };
		(void)pselect(0, NULL, NULL, NULL, &t, &open);
	}
	sigprocmask(SIG_SETMASK, &open, NULL);
}

/* The difference to the line before, if there is one. 0/-1 */
static int
print_line(struct monitor *m)
{
	if (m->before.at_ms == 0)
		return 0;
	(m->call->json ? print_json : print_text)(m);
	m->printed++;
	return out_now();
}

static int
watch(struct monitor *m)
{
	uint64_t next = clock_mono_ms();
	bool is_refused, is_first = true;

	while (!is_over) {
		int status = take_sample(m, !is_first, &is_refused);
		if (is_refused || (is_first && status != CTL_DONE))
			return status;
		if (status != CTL_DONE) {
			note_lost(m);
		} else {
			note_found(m);
			if (print_line(m) == -1)
				return CTL_REFUSED;
			if (m->count > 0 && m->printed == m->count)
				break;
			m->before = m->now;
		}
		is_first = false;
		next += (uint64_t)m->seconds * 1000;
		if (next < clock_mono_ms())
			next = clock_mono_ms();
		rest(next);
	}
	return CTL_DONE;
}

/* ^C ends it well; a second one at once. */
static void
take_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal,
		.sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* 0/-1 (said on stderr). */
static int
parse(const struct call *c, struct monitor *m)
{
	uint64_t seconds = 1;

	if (c->argc > 0 &&
	    (str_to_u64(str_of(c->argv[0]), SECONDS_MAX, &seconds) == -1 ||
		seconds == 0)) {
		complain("%s: not a number of seconds", c->argv[0]);
		return -1;
	}
	if (c->argc > 1 &&
	    (str_to_u64(str_of(c->argv[1]), UINT32_MAX, &m->count) == -1 ||
		m->count == 0)) {
		complain("%s: not a number of lines", c->argv[1]);
		return -1;
	}
	m->seconds = (unsigned int)seconds;
	return 0;
}

int
do_monitor(const struct call *c)
{
	struct monitor m = { .call = c };

	if (parse(c, &m) == -1)
		return CTL_USAGE;
	size_t rows = text_rows();
	m.screen = rows > 3 ? rows - 2 : HEADER_EVERY;
	buf_init(&m.line, 1024);
	take_signals();
	int status = watch(&m);
	buf_clear(&m.line);
	return status;
}
