/*
 * drain: nothing comes in any more, and what is there leaves; then says so.
 * Somebody else's pause or resume, with which that never ends, ends it.
 * Interrupted, it leaves the gateway as it is: paused, and draining.
 */
#include <stdio.h>
#include <sys/select.h>

#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/names.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

enum { LOOK_US = 500000 };

enum number {
	NUMBER_SESSIONS,
	NUMBER_ACTIVE,
	NUMBER_DEFERRED,
	NUMBER_REPORTING,
	NUMBER_HELD,
	NUMBER_QUARANTINED,
	NUMBERS
};

/* Those that must be gone; the others are left. */
static const struct {
	const char *stat, *name;
	bool is_left;
} numbers[NUMBERS] = {
	[NUMBER_SESSIONS] = { "smtpd.sessions", "sessions", false },
	[NUMBER_ACTIVE] = { "queue.active", "active", false },
	[NUMBER_DEFERRED] = { "queue.deferred", "deferred", false },
	[NUMBER_REPORTING] = { "queue.reporting", "to be reported", false },
	[NUMBER_HELD] = { "queue.held", "held", true },
	[NUMBER_QUARANTINED] = { "queue.quarantined", "quarantined", true },
};

struct progress {
	uint64_t n[NUMBERS];
	unsigned int seen; /* a bit for each that was told */
};

/* --- questions --- */

static int
ask(const struct call *c, const struct question *q)
{
	struct answer answer;
	int status = asking_run(c->socket, q, &answer, false);

	return status == CTL_DONE ? asking_exit(&answer) : status;
}

struct pauses {
	bool smtp;     /* nothing comes in */
	bool delivery; /* nor does all of it leave: deliveries never end */
};

static void
on_pause(void *ctx, uint16_t type, const void *msg)
{
	const struct row_pause *row = msg;
	struct pauses *p = ctx;
	struct buf name, safe;

	if (type != TYPE_row_pause)
		return;
	if (row->what == PAUSE_SMTP) {
		p->smtp = true;
		return;
	}
	p->delivery = true;
	buf_init(&name, 512);
	buf_init(&safe, 4096);
	name_pause(&name, row);
	text_add(&safe, buf_str(&name));
	complain(
	    "%.*s is paused: its mail does not leave", (int)safe.len, safe.p);
	buf_clear(&name);
	buf_clear(&safe);
}

/* begun: it was we who paused smtp, and a queue that does not answer now may do
 * so later: CTL_SILENT, without a word. */
static int
look_for_pauses(const struct call *c, bool begun)
{
	static const struct ask_pauses m;
	struct pauses p = { .smtp = false };
	struct question q = { .type = TYPE_ask_pauses,
		.msg = &m,
		.on_row = on_pause,
		.ctx = &p };
	struct answer answer;
	int status = asking_run(c->socket, &q, &answer, begun);

	if (status == CTL_DONE && answer.code != ANSWER_OK)
		status = begun ? CTL_SILENT : asking_exit(&answer);
	if (status != CTL_DONE)
		return status;
	if (begun && !p.smtp)
		complain("smtp was resumed meanwhile: mail comes in again");
	return p.delivery || (begun && !p.smtp) ? CTL_REFUSED : CTL_DONE;
}

static int
begin(const struct call *c, struct str reason)
{
	struct ask_pause pause = { .what = PAUSE_SMTP, .reason = reason };
	struct ask_change flush = { .change = CHANGE_FLUSH, .reason = reason };
	struct question first = { .type = TYPE_ask_pause, .msg = &pause };
	struct question then = { .type = TYPE_ask_change, .msg = &flush };
	int status = ask(c, &first);

	return status == CTL_DONE ? ask(c, &then) : status;
}

static void
on_stat(void *ctx, uint16_t type, const void *msg)
{
	const struct row_stat *row = msg;
	struct progress *p = ctx;

	if (type != TYPE_row_stat)
		return;
	for (unsigned int i = 0; i < NUMBERS; i++) {
		if (!str_eq(row->name, str_of(numbers[i].stat)))
			continue;
		p->n[i] = row->value;
		p->seen |= 1U << i;
	}
}

static int
look(const struct call *c, struct progress *p)
{
	static const struct ask_stats m;
	struct question q = {
		.type = TYPE_ask_stats, .msg = &m, .on_row = on_stat, .ctx = p
	};

	*p = (struct progress){ .seen = 0 };
	return ask(c, &q);
}

/* --- how far it is --- */

/* Who did not answer is not through. */
static bool
is_drained(const struct progress *p)
{
	if (p->seen != (1U << NUMBERS) - 1)
		return false;
	for (size_t i = 0; i < NUMBERS; i++)
		if (!numbers[i].is_left && p->n[i] > 0)
			return false;
	return true;
}

static void
print_progress(const struct progress *p, struct progress *last)
{
	const char *comma = "";
	bool same = p->seen == last->seen;

	for (size_t i = 0; i < NUMBERS; i++)
		same = same && p->n[i] == last->n[i];
	*last = *p;
	if (same)
		return;
	fprintf(stderr, "draining: ");
	for (size_t i = 0; i < NUMBERS; i++) {
		if (p->n[i] == 0)
			continue;
		fprintf(stderr, "%s%llu %s", comma, (unsigned long long)p->n[i],
		    numbers[i].name);
		comma = ", ";
	}
	if (p->seen != (1U << NUMBERS) - 1)
		fprintf(stderr, "%sa process that is not there", comma);
	else if (*comma == '\0')
		fprintf(stderr, "nothing is left");
	fprintf(stderr, "\n");
}

static void
print_end(const struct call *c, const struct progress *p)
{
	struct json j = { .out = out_buf() };

	if (!c->json) {
		struct buf line = { .max = 1024 };
		buf_addf(&line, "drained");
		for (size_t i = 0; i < NUMBERS; i++)
			if (p->n[i] > 0)
				buf_addf(&line, ", %llu %s are left",
				    (unsigned long long)p->n[i],
				    numbers[i].name);
		text_wrap_line(j.out, &line, 4);
		buf_clear(&line);
		return;
	}
	json_open(&j, '{');
	json_key(&j, "drained");
	json_bool(&j, true);
	json_key_number(&j, "held", p->n[NUMBER_HELD]);
	json_key_number(&j, "quarantined", p->n[NUMBER_QUARANTINED]);
	json_close(&j, '}');
	buf_add_char(j.out, '\n');
}

static void
wait_a_little(void)
{
	struct timeval tv = { .tv_usec = LOOK_US };

	select(0, NULL, NULL, NULL, &tv);
}

static int
drain(const struct call *c, struct str reason)
{
	struct progress now, last = { .seen = 0 };
	int status = look_for_pauses(c, false);

	if (status == CTL_DONE)
		status = begin(c, reason);
	while (status == CTL_DONE) {
		status = look(c, &now);
		if (status != CTL_DONE)
			break;
		print_progress(&now, &last);
		/* Behind the numbers: then nothing came since. */
		status = look_for_pauses(c, true);
		if (status == CTL_SILENT) {
			status = CTL_DONE;
		} else if (status == CTL_DONE && is_drained(&now)) {
			print_end(c, &now);
			break;
		}
		wait_a_little();
	}
	return status;
}

int
do_drain(const struct call *c)
{
	struct str reason = str_of(c->argc == 2 ? c->argv[1] : "");
	bool is_known =
	    c->argc > 0 && str_eq(str_of(c->argv[0]), STR("reason"));

	if (c->argc != 0 && (c->argc != 2 || !is_known)) {
		word_is_odd(c->argv[0], is_known);
		return command_usage(c);
	}
	if (reason.len > 512) {
		complain("the reason is too long");
		return CTL_USAGE;
	}
	return drain(c, reason);
}
