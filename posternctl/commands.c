/* THE TABLE OF COMMANDS. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "posternctl/commands.h"

#define FILTERS "[filter ...]"
#define CHANGES "all | ID | filter ... [--dry-run] [reason TEXT]"

#define ENTRY "NETWORK [for DURATION] [reason TEXT]"

#define TESTS \
	"NAME [client ADDRESS] [helo NAME] [from ADDRESS] [to ADDRESS] < MAIL"

/* Those without a function have their name reserved by the contract. */
/* clang-format off */
static const struct command commands[] = {
	{ "show", "status",       show_status,   0,  0, "" },
	{ "show", "stats",        show_stats,    0,  0, "" },
	{ "show", "queue",        show_queue,    0, -1, FILTERS },
	{ "show", "destinations", show_destinations, 0, 0, "" },
	{ "show", "message",      show_message,  1,  1, "ID" },
	{ "show", "headers",      show_headers,  1,  1, "ID" },
	{ "show", "envelope",     show_envelope, 1,  1, "ID" },
	{ "show", "sessions",     show_sessions, 0,  0, "" },
	{ "show", "blocks",       show_blocks,   0,  0, "" },
	{ "show", "milters",      show_milters,  0,  0, "" },
	{ "show", "tables",       NULL,          0, -1, "" },
	{ "show", "routes",       show_routes,   1,  1, "ADDRESS" },
	{ "flush", NULL,          do_flush,      1, -1, CHANGES },
	{ "hold", NULL,           do_hold,       1, -1, CHANGES },
	{ "release", NULL,        do_release,    1, -1, CHANGES },
	{ "requeue", NULL,        do_requeue,    1, -1, CHANGES },
	{ "remove", NULL,         do_remove,     1, -1, CHANGES " [-y]" },
	{ "stop", NULL,           do_stop,       0,  0, "" },
	{ "send", NULL,           do_send,       3, -1, "-f FROM TO ..." },
	{ "undo", NULL,           NULL,          0, -1, "" },
	{ "trace", NULL,          do_trace,      1,  1, "ID" },
	{ "monitor", NULL,        NULL,          0, -1, "" },
	{ "quarantine", "list",   quarantine_list, 0, -1, FILTERS },
	{ "quarantine", "show",   quarantine_show, 1, 1, "ID" },
	{ "quarantine", "release", do_unquarantine, 1, -1, CHANGES },
	{ "quarantine", "remove", do_discard,    1, -1, CHANGES " [-y]" },
	{ "quarantine", "reject", do_reject,     1, -1, CHANGES },
	{ "quarantine", "rescan", do_rescan,     1, -1, CHANGES },
	{ "block", NULL,          do_block,      1,  6, ENTRY " [-y]" },
	{ "allow", NULL,          do_allow,      1,  6, ENTRY },
	{ "unblock", NULL,        do_unblock,    1,  1, "NETWORK" },
	{ "pause", NULL,          NULL,          0, -1, "" },
	{ "resume", NULL,         NULL,          0, -1, "" },
	{ "drain", NULL,          NULL,          0, -1, "" },
	{ "log", NULL,            NULL,          0, -1, "" },
	{ "reload", NULL,         do_reload,     0,  0, "" },
	{ "resolve", NULL,        do_resolve,    2,  2, "NAME TYPE" },
	{ "test", "milter",       do_test_milter, 1, -1, TESTS },
	{ "test", "match",        NULL,          0, -1, "" },
};

/* clang-format on */

enum { NCOMMANDS = sizeof(commands) / sizeof(commands[0]) };

const struct command *
command_find(int argc, char **argv, int *used)
{
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];
		if (argc < 1 || strcmp(c->word, argv[0]) != 0)
			continue;
		*used = c->second == NULL ? 1 : 2;
		if (c->second == NULL ||
		    (argc > 1 && strcmp(c->second, argv[1]) == 0))
			return c;
	}
	return NULL;
}

static void
print_command(const struct command *c)
{
	fprintf(stderr, "       posternctl [-jy] [-s socket] %s", c->word);
	if (c->second != NULL)
		fprintf(stderr, " %s", c->second);
	fprintf(stderr, "%s%s\n", c->usage[0] == '\0' ? "" : " ", c->usage);
}

void
command_usage_all(void)
{
	fprintf(stderr, "usage:\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (commands[i].run != NULL)
			print_command(&commands[i]);
}

int
command_usage(const struct call *c)
{
	fprintf(stderr, "usage:\n");
	print_command(c->command);
	return CTL_USAGE;
}

void
complain(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "posternctl: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
}
