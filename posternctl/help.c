/* help: which commands there are, and what is said behind them. */
#include <stdio.h>
#include <string.h>

#include "posternctl/help.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

#define SYNOPSIS "posternctl [-hjy] [-s SOCKET] COMMAND"

static void
add_command(struct buf *line, const char *before, const struct command *c)
{
	buf_addf(line, "%s %s", before, c->word);
	if (c->second != NULL)
		buf_addf(line, " %s", c->second);
	if (c->usage[0] != '\0')
		buf_addf(line, " %s", c->usage);
}

/* For programs, as completion: the words of each, and what follows. */
static void
print_json(struct json *j, const struct command *c)
{
	json_open(j, '{');
	json_key(j, "command");
	json_open(j, '[');
	json_str(j, str_of(c->word));
	if (c->second != NULL)
		json_str(j, str_of(c->second));
	json_close(j, ']');
	json_key_str(j, "usage", str_of(c->usage));
	json_close(j, '}');
}

static bool
is_named(const struct command *c, char **words)
{
	if (words[0] == NULL)
		return true;
	if (strcmp(c->word, words[0]) != 0)
		return false;
	return words[1] == NULL ||
	       (c->second != NULL && strcmp(c->second, words[1]) == 0);
}

static void
complain_unknown(const struct call *c)
{
	complain("no such command: %s%s%s", c->argv[0], c->argc > 1 ? " " : "",
	    c->argc > 1 ? c->argv[1] : "");
}

int
do_help(const struct call *c)
{
	struct json j = { .out = out_buf() };
	const struct command *k;
	struct buf line;
	size_t n = 0;

	buf_init(&line, 8192);
	if (c->json)
		json_open(&j, '[');
	else if (c->argc == 0)
		buf_add_str(
		    out_buf(), STR("posternctl [-jy] [-s SOCKET] COMMAND\n"));
	for (size_t i = 0; (k = command_at(i)) != NULL; i++) {
		if (!is_named(k, c->argv))
			continue;
		n++;
		if (c->json) {
			print_json(&j, k);
		} else {
			add_command(&line, "posternctl", k);
			text_wrap_line(out_buf(), &line, 8);
		}
	}
	if (c->json)
		buf_add_str(out_buf(), STR("]\n"));
	buf_clear(&line);
	if (n > 0)
		return CTL_DONE;
	buf_reset(out_buf());
	complain_unknown(c);
	return CTL_USAGE;
}

int
help_all(const struct call *c)
{
	static char *nothing[] = { NULL };
	struct call all = *c;

	all.argc = 0;
	all.argv = nothing;
	return do_help(&all);
}

static void
print_usage(const char *before, const struct command *c)
{
	struct buf line;

	buf_init(&line, 8192);
	buf_add_str(&line, str_of(before));
	add_command(&line, "posternctl", c);
	fprintf(stderr, "%.*s\n", (int)line.len, line.p);
	buf_clear(&line);
}

void
help_usage(const struct call *c)
{
	const struct command *k;
	size_t n = 0;

	fprintf(stderr, "usage: " SYNOPSIS "\n");
	for (size_t i = 0; c->argc > 0 && (k = command_at(i)) != NULL; i++) {
		if (strcmp(k->word, c->argv[0]) != 0)
			continue;
		print_usage("       ", k);
		n++;
	}
	if (n == 0)
		fprintf(stderr, "`posternctl help' lists the commands\n");
}

void
help_unknown(const struct call *c)
{
	if (c->argc > 0)
		complain_unknown(c);
	help_usage(c);
}

int
command_usage(const struct call *c)
{
	print_usage("usage: ", c->command);
	return CTL_USAGE;
}
