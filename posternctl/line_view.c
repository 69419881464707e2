/* log: how much of it, and one client followed line by line. */
#include "posternctl/line_view.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/net/addr.h"
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

static const struct {
	const char *word;
	char mark;
} ways[] = {
	[LINE_IN] = { "in", '<' },
	[LINE_OUT] = { "out", '>' },
	[LINE_NOTE] = { "note", '-' },
};

void
line_json(struct json *j, const struct row_line *row)
{
	json_open(j, '{');
	json_key_str(j, "session", row->session);
	json_key_str(j, "client", row->client);
	json_key(j, "time");
	json_time(j, row->when_ms);
	json_key_str(j, "way", str_of(ways[row->way].word));
	json_key_str(j, "text", row->text);
	json_close(j, '}');
}

void
line_text(struct buf *out, const struct row_line *row)
{
	buf_addf(out, "%c ", ways[row->way].mark);
	text_add(out, row->text);
}

/* --- following --- */

struct following {
	bool json;
	struct buf line;
};

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct following *f = ctx;
	const struct row_line *row = msg;
	struct json j = { out_buf(), false };
	char time[25];

	if (type != TYPE_row_line)
		return;
	if (f->json) {
		line_json(&j, row);
		buf_add_char(out_buf(), '\n');
	} else {
		clock_format_rfc3339(row->when_ms, time);
		buf_addf(&f->line, "%s ", time);
		text_add(&f->line, row->session);
		buf_add_char(&f->line, ' ');
		text_add(&f->line, row->client);
		buf_add_char(&f->line, ' ');
		line_text(&f->line, row);
		text_end_line(out_buf(), &f->line);
	}
	/* Nobody reads any more. */
	if (out_now() == -1)
		exit(CTL_REFUSED);
}

/* Each line has left by itself: there is nothing to be done. */
static void
on_interrupt(int sig)
{
	(void)sig;
	_exit(CTL_DONE);
}

int
do_log_session(const struct call *c)
{
	struct following f = { .json = c->json };
	struct ask_follow m = { .network = str_of(c->argv[0]) };
	struct question q = { .type = TYPE_ask_follow,
		.msg = &m,
		.on_row = on_row,
		.ctx = &f,
		.silence_ms = ASKING_FOR_EVER };
	struct sigaction sa = { .sa_handler = on_interrupt };
	struct answer answer;
	struct addr_net net;

	if (addr_net_parse(m.network, &net) != 0 &&
	    !str_eq(m.network, STR("local"))) {
		complain("no address or network: %s", c->argv[0]);
		return CTL_USAGE;
	}
	sigaction(SIGINT, &sa, NULL);
	buf_init(&f.line, 16384);
	int status = asking_run(c->socket, &q, &answer, false);
	buf_clear(&f.line);
	return status == CTL_DONE ? asking_exit(&answer) : status;
}

/* --- how much --- */

static int
set_level(const struct call *c, bool verbose)
{
	struct ask_log_level m = { .verbose = verbose };
	struct question q = { .type = TYPE_ask_log_level, .msg = &m };
	struct answer answer;
	struct json j = { out_buf(), false };
	int status = asking_run(c->socket, &q, &answer, false);

	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (status != CTL_DONE)
		return status;
	if (c->json) {
		json_open(&j, '{');
		json_key_str(&j, "log", str_of(verbose ? "verbose" : "brief"));
		json_close(&j, '}');
		buf_add_char(out_buf(), '\n');
	} else
		out_say("the log is %s now", verbose ? "verbose" : "brief");
	return CTL_DONE;
}

int
do_log_brief(const struct call *c)
{
	return set_level(c, false);
}

int
do_log_verbose(const struct call *c)
{
	return set_level(c, true);
}
