/* posternctl's commands: what every one of them gets, and the table. */
#ifndef POSTERN_POSTERNCTL_COMMANDS_H
#define POSTERN_POSTERNCTL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

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
	command_fn *run;
	int min, max;      /* arguments; max -1: any number */
	const char *usage; /* what follows the words */
};

/* The command these words begin with, or NULL; *used is how many of them are
 * its name. */
const struct command *command_find(int argc, char **argv, int *used);
/* The table's rows in order; NULL behind the last. */
const struct command *command_at(size_t i);
/* "usage: posternctl …" of this one on stderr; returns CTL_USAGE. */
int command_usage(const struct call *c); /* help.c */
/* Says on stderr what is wrong with a word, or with the one it is behind: none
 * that we know; or known, but for its value. Returns -1. */
int word_is_odd(const char *word, bool is_known);
/* Is a word no longer than the gateway reads? Says so on stderr when it is. */
bool word_fits(const char *word, size_t max);
/* "posternctl: …" on stderr. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

command_fn show_status, show_stats;                   /* show.c */
command_fn show_queue, show_envelope;                 /* queue_view.c */
command_fn do_resolve;                                /* dns_view.c */
command_fn show_destinations;                         /* destination_view.c */
command_fn show_message, show_headers;                /* mail.c */
command_fn do_flush, do_hold, do_release, do_requeue; /* changing.c */
command_fn do_remove;                                 /* changing.c */
command_fn do_unquarantine, do_discard, do_reject, do_rescan; /* changing.c */
command_fn quarantine_list, quarantine_show;             /* quarantine_view.c */
command_fn show_sessions;                                /* session_view.c */
command_fn do_block, do_allow, do_unblock, show_blocks;  /* block_view.c */
command_fn show_milters;                                 /* milter_view.c */
command_fn do_trace;                                     /* trace_view.c */
command_fn do_test_milter;                               /* try_milter.c */
command_fn do_reload, do_confirm, config_diff;           /* config_view.c */
command_fn do_stop;                                      /* config_view.c */
command_fn show_tables;                                  /* table_view.c */
command_fn do_test_match, show_routes;                   /* match_view.c */
command_fn do_monitor;                                   /* monitor.c */
command_fn do_help;                                      /* help.c */
command_fn do_pause, do_resume;                          /* pausing.c */
command_fn do_drain;                                     /* draining.c */
command_fn do_undo, show_operations;                     /* undoing.c */
command_fn show_session;                                 /* session_view.c */
command_fn do_log_brief, do_log_verbose, do_log_session; /* line_view.c */
command_fn do_send;                                      /* send.c */

#endif
