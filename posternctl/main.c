/*
 * posternctl: the administrator's command.
 *
 * Asks control over its socket, and prints what comes back; `send` speaks
 * SMTP to the submit socket. It has no rights of its own.
 * Trusts: the gateway about everything but the text of remote people, which
 * never reaches the terminal unescaped.
 * Edges: control_all.
 * Read next: commands.c, asking.c, queue_view.c.
 */
#include <stdlib.h>
#include <unistd.h>

#include "posternctl/commands.h"
#include "posternctl/help.h"
#include "posternctl/out.h"

#define DEFAULT_SOCKET "/run/postern/postern.sock"

static int
run(struct call *c)
{
	int used = 0;

	c->command = command_find(c->argc, c->argv, &used);
	if (c->command == NULL) {
		help_unknown(c);
		return CTL_USAGE;
	}
	c->argc -= used;
	c->argv += used;
	if (c->argc < c->command->min) {
		complain("an argument is missing");
		return command_usage(c);
	}
	if (c->command->max >= 0 && c->argc > c->command->max) {
		complain("%s: one argument too many", c->argv[c->command->max]);
		return command_usage(c);
	}
	return c->command->run(c);
}

/* The options, which stand before the command. false: they make no sense. */
static bool
take_options(struct call *c, int argc, char **argv, bool *help)
{
	int option;

	while ((option = getopt(argc, argv, "+hjs:y")) != -1) {
		switch (option) {
		case 'h':
			*help = true;
			break;
		case 'j':
			c->json = true;
			break;
		case 's':
			c->socket = optarg;
			break;
		case 'y':
			c->yes = true;
			break;
		default:
			return false;
		}
	}
	c->argc = argc - optind;
	c->argv = argv + optind;
	return true;
}

int
main(int argc, char **argv)
{
	struct call c = { .socket = getenv("POSTERN_SOCKET") };
	bool help = false;

	if (c.socket == NULL || c.socket[0] == '\0')
		c.socket = DEFAULT_SOCKET;
	if (!take_options(&c, argc, argv, &help)) {
		help_usage(&c);
		return CTL_USAGE;
	}
	int status = help ? help_all(&c) : run(&c);
	if (out_end() == -1 && status == CTL_DONE)
		status = CTL_REFUSED;
	return status;
}
