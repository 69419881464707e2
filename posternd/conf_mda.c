/* `mda`: a command that takes the mail, and whether it is there. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/rules/command.h"
#include "posternd/conf_action.h"

int
conf_check_variables(struct conf_parser *p, struct str text)
{
	struct str unknown;
	struct fault why;

	if (command_check_variables(text, &unknown, &why) == 0)
		return 0;
	return conf_error(p, "%s%s", why.text,
	    unknown.len == 0 ? "" :
			       conf_nearest_name(unknown, command_variables,
				   command_nvariables));
}

/* mda "COMMAND" */
int
conf_set_mda(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;
	struct command command;
	struct fault why;
	struct str text;

	if (conf_set_kind(p, k, m) == -1 ||
	    conf_take_text(p, "a command in quotes", &text) == -1)
		return -1;
	p->at--; /* errors from here on are about the command */
	if (conf_check_variables(p, text) == -1)
		return -1;
	if (command_parse(text, &command, &why) == -1)
		return conf_error(p, "%s", why.text);
	command_clear(&command);
	m->action.command = str_dup(text);
	conf_advance(p);
	return 0;
}

static const char *
no_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a file";
	return (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0 ?
		   "nobody may run it" :
		   NULL;
}

void
conf_check_program(struct conf_parser *p, const struct action *a)
{
	const struct conf_note *note = &p->action_notes[a->id];
	struct command command;
	const char *why;

	if (command_parse(str_of(a->command), &command, NULL) == -1)
		return;
	why = no_program(command.words[0]);
	if (why != NULL)
		conf_warn_at(p, note->file, note->line, note->order,
		    "the command of `mda' is not there: %s: %s",
		    command.words[0], why);
	command_clear(&command);
}
