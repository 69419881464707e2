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
#include "posternctl/out.h"

#define DEFAULT_SOCKET "/run/postern/postern.sock"

static int
run(struct call *c)
{
	int used = 0;

	c->command = command_find(c->argc, c->argv, &used);
	if (c->command == NULL) {
		command_usage_all();
		return CTL_USAGE;
	}
	c->argc -= used;
	c->argv += used;
	if (c->command->run == NULL) {
		complain("%s%s%s: not available yet", c->command->word,
		    c->command->second == NULL ? "" : " ",
		    c->command->second == NULL ? "" : c->command->second);
		return CTL_USAGE;
	}
	if (c->argc < c->command->min ||
	    (c->command->max >= 0 && c->argc > c->command->max))
		return command_usage(c);
	return c->command->run(c);
}

int
main(int argc, char **argv)
{
	struct call c = { .socket = getenv("POSTERN_SOCKET") };
	int option;

	if (c.socket == NULL || c.socket[0] == '\0')
		c.socket = DEFAULT_SOCKET;
	while ((option = getopt(argc, argv, "+js:y")) != -1) {
		switch (option) {
		case 'j':
			c.json = true;
			break;
		case 's':
			c.socket = optarg;
			break;
		case 'y':
			c.yes = true;
			break;
		default:
			command_usage_all();
			return CTL_USAGE;
		}
	}
	c.argc = argc - optind;
	c.argv = argv + optind;
	int status = run(&c);
	if (out_end() == -1 && status == CTL_DONE)
		status = CTL_REFUSED;
	return status;
}
