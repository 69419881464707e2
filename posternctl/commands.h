/* posternctl's commands: what every one of them gets, and the table. */
#ifndef POSTERN_POSTERNCTL_COMMANDS_H
#define POSTERN_POSTERNCTL_COMMANDS_H

#include <stdbool.h>

/* As in posternctl(8). */
enum ctl_exit { CTL_DONE, CTL_REFUSED, CTL_USAGE, CTL_SILENT };

struct command;

struct call {
	const char *socket; /* of control */
	bool json;
	bool yes;    /* -y */
	int argc;    /* behind the command's own words */
	char **argv; /* NULL at the end */
	const struct command *command;
};

/* Returns an enum ctl_exit. */
typedef int command_fn(const struct call *c);

struct command {
	const char *word, *second; /* second NULL: a command of one word */
	command_fn *run;           /* NULL: not available yet */
	int min, max;              /* arguments; max -1: any number */
	const char *usage;         /* what follows the words */
};

/* The command these words begin with, or NULL; *used is how many of them are
 * its name. */
const struct command *command_find(int argc, char **argv, int *used);
/* All that are available, one a line, on stderr. */
void command_usage_all(void);
/* "usage: posternctl …" of this one on stderr; returns CTL_USAGE. */
int command_usage(const struct call *c);
/* "posternctl: …" on stderr. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

command_fn show_status, show_stats;                   /* show.c */
command_fn show_queue, show_envelope;                 /* queue_view.c */
command_fn do_resolve, show_routes;                   /* dns_view.c */
command_fn show_destinations;                         /* destination_view.c */
command_fn show_message, show_headers;                /* mail.c */
command_fn do_flush, do_hold, do_release, do_requeue; /* changing.c */
command_fn do_remove;                                 /* changing.c */
command_fn do_unquarantine, do_discard, do_reject, do_rescan; /* changing.c */
command_fn quarantine_list, quarantine_show;            /* quarantine_view.c */
command_fn show_sessions;                               /* session_view.c */
command_fn do_block, do_allow, do_unblock, show_blocks; /* block_view.c */
command_fn show_milters;                                /* milter_view.c */
command_fn do_trace;                                    /* trace_view.c */
command_fn do_test_milter;                              /* try_milter.c */
command_fn do_reload, do_stop;                          /* changing.c */
command_fn do_send;                                     /* send.c */

#endif
