/* THE TABLE OF COMMANDS. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "posternctl/commands.h"

#define FILTERS "[filter ...]"
#define CHANGES "all | ID | filter ... [--dry-run] [reason TEXT]"

#define ENTRY "NETWORK [for DURATION] [reason TEXT]"

#define MATCH                                                             \
	"[client ADDRESS] [name NAME] [helo NAME] [user NAME] [tag TAG] " \
	"[tls] [early-talker] from SENDER to RECIPIENT"
#define PAUSES "smtp | delivery | domain DOMAIN [reason TEXT]"
#define UNDO   "OPERATION [--dry-run] [reason TEXT]"
#define TESTS \
	"NAME [client ADDRESS] [helo NAME] [from ADDRESS] [to ADDRESS] < MAIL"

/* clang-format off */
static const struct command commands[] = {
	{ "show", "status",         show_status,      0,  0, "" },
	{ "show", "stats",          show_stats,       0,  0, "" },
	{ "show", "queue",          show_queue,       0, -1, FILTERS },
	{ "show", "destinations",   show_destinations,0,  0, "" },
	{ "show", "message",        show_message,     1,  1, "ID" },
	{ "show", "headers",        show_headers,     1,  1, "ID" },
	{ "show", "envelope",       show_envelope,    1,  1, "ID" },
	{ "show", "sessions",       show_sessions,    0,  0, "" },
	{ "show", "blocks",         show_blocks,      0,  0, "" },
	{ "show", "milters",        show_milters,     0,  0, "" },
	{ "show", "tables",         show_tables,      0,  0, "" },
	{ "show", "session",        show_session,     1,  1, "ID" },
	{ "show", "operations",     show_operations,  0,  0, "" },
	{ "show", "routes",         show_routes,      1,  1, "ADDRESS" },
	{ "flush", NULL,            do_flush,         1, -1, CHANGES },
	{ "hold", NULL,             do_hold,          1, -1, CHANGES },
	{ "release", NULL,          do_release,       1, -1, CHANGES },
	{ "requeue", NULL,          do_requeue,       1, -1, CHANGES },
	{ "remove", NULL,           do_remove,        1, -1, CHANGES " [-y]" },
	{ "stop", NULL,             do_stop,          0,  0, "" },
	{ "send", NULL,             do_send,          3, -1, "-f FROM TO ..." },
	{ "undo", NULL,             do_undo,          1,  4, UNDO },
	{ "trace", NULL,            do_trace,         1,  1, "ID" },
	{ "monitor", NULL,          do_monitor,       0,  2, "[SECONDS [COUNT]]" },
	{ "quarantine", "list",     quarantine_list,  0, -1, FILTERS },
	{ "quarantine", "show",     quarantine_show,  1,  1, "ID" },
	{ "quarantine", "release",  do_unquarantine,  1, -1, CHANGES },
	{ "quarantine", "remove",   do_discard,       1, -1, CHANGES " [-y]" },
	{ "quarantine", "reject",   do_reject,        1, -1, CHANGES },
	{ "quarantine", "rescan",   do_rescan,        1, -1, CHANGES },
	{ "block", NULL,            do_block,         1,  6, ENTRY " [-y]" },
	{ "allow", NULL,            do_allow,         1,  6, ENTRY },
	{ "unblock", NULL,          do_unblock,       1,  1, "NETWORK" },
	{ "pause", NULL,            do_pause,         1,  4, PAUSES },
	{ "resume", NULL,           do_resume,        1,  4, PAUSES },
	{ "drain", NULL,            do_drain,         0,  2, "[reason TEXT]" },
	{ "log", "brief",           do_log_brief,     0,  0, "" },
	{ "log", "verbose",         do_log_verbose,   0,  0, "" },
	{ "log", "session",         do_log_session,   1,  1, "ADDRESS | NETWORK" },
	{ "config", "diff",         config_diff,      0,  0, "" },
	{ "reload", NULL,           do_reload,        0,  2, "[confirm TIME]" },
	{ "confirm", NULL,          do_confirm,       0,  0, "" },
	{ "resolve", NULL,          do_resolve,       2,  2, "NAME TYPE" },
	{ "test", "milter",         do_test_milter,   1, -1, TESTS },
	{ "test", "match",          do_test_match,    4, -1, MATCH },
	{ "help", NULL,             do_help,          0,  2, "[COMMAND]" },
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

const struct command *
command_at(size_t i)
{
	return i < NCOMMANDS ? &commands[i] : NULL;
}

int
word_is_odd(const char *word, bool is_known)
{
	complain(is_known ? "%s: a value is missing" : "what is %s?", word);
	return -1;
}

bool
word_fits(const char *word, size_t max)
{
	if (strlen(word) <= max)
		return true;
	complain("longer than %zu bytes: %.40s...", max, word);
	return false;
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
