/*
 * parent: reads the configuration, binds the sockets, starts the others and
 * watches them.
 *
 * Runs as root (or whoever started it), and is idle in steady state.
 * Trusts: the configuration and the files that it names.  Trusted by: all.
 * Reads nothing that came from the network; of its children it hears only
 * the few messages of all_parent, of control those of from_control.c.
 * If it dies: the children finish what they have committed to and exit
 * within 5 s.
 * Read next: role.c (who exists), spawn.c, watch.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "posternd/account.h"
#include "posternd/authorities.h"
#include "posternd/basedir.h"
#include "posternd/columns.h"
#include "posternd/comeback.h"
#include "posternd/complain.h"
#include "posternd/diff.h"
#include "posternd/environment.h"
#include "posternd/gateway.h"
#include "posternd/handover.h"
#include "posternd/inherited.h"
#include "posternd/listen.h"
#include "posternd/logsink.h"
#include "posternd/notify.h"
#include "posternd/reload.h"
#include "posternd/retired.h"
#include "posternd/roster.h"
#include "posternd/spawn.h"
#include "posternd/tickets.h"
#include "posternd/upgrade.h"
#include "posternd/watch.h"

enum { EXIT_USAGE = 2 };

static struct gateway gateway;
static bool check_only;
static struct handover handover;
static bool handed_over; /* by the program that was here before */

/* The starting process waits at the other end; -1 in the foreground. */
static int starter = -1;

/* what: of the command line; NULL: getopt has said it. */
static _Noreturn void
usage(const char *what, const char *why)
{
	if (what != NULL)
		fprintf(stderr, "posternd: %s: %s\n", what, why);
	fprintf(stderr, "usage: posternd [-dnv] [-D name=value] [-f file]\n");
	exit(EXIT_USAGE);
}

/* As it is given to a program that follows us, in any directory: as options
 * alone, with the paths made absolute. */
static const char *again[2 * LOAD_DEFINES_MAX + 8];
static size_t nagain;

static void
add_again(const char *option, const char *value)
{
	again[nagain++] = option;
	if (value != NULL)
		again[nagain++] = value;
}

/* One without a folder was found by the shell: then it is what runs. */
static const char *
program_name(const char *path)
{
	char *here, *whole;
	if (path == NULL)
		return "posternd";
	if (path[0] == '/' || strchr(path, '/') == NULL)
		return path;
	here = getcwd(NULL, 0);
	if (here == NULL || asprintf(&whole, "%s/%s", here, path) == -1)
		return path;
	free(here);
	return whole;
}

static void
add_define(struct load_options *o, const char *text)
{
	if (o->ndefines == LOAD_DEFINES_MAX)
		usage(text, "one -D too many");
	if (conf_define_parse(text, &o->defines[o->ndefines]) == -1)
		usage(text, strchr(text, '=') == NULL ?
				"-D wants name=value" :
				"-D wants a name of letters, digits, `-' and "
				"`_', then `=' and UTF-8");
	o->ndefines++;
	add_again("-D", text);
}

static void
parse_options(int argc, char **argv)
{
	struct load_options *o = &gateway.load;
	int opt;
	gateway.log_level = LOG_LEVEL_INFO;
	o->file = POSTERN_SYSCONF "/postern.conf";
	add_again(program_name(argv[0]), NULL);
	while ((opt = getopt(argc, argv, "dnvD:f:")) != -1) {
		switch (opt) {
		case 'd':
			gateway.foreground = true;
			add_again("-d", NULL);
			break;
		case 'n':
			check_only = true;
			break;
		case 'v':
			gateway.log_level = LOG_LEVEL_DEBUG;
			break;
		case 'D':
			add_define(o, optarg);
			break;
		case 'f':
			o->file = optarg;
			break;
		default:
			usage(NULL, NULL);
		}
	}
	if (optind != argc)
		usage(argv[optind], "not an option");
}

/* --- the configuration --- */

static void
print(const struct conf_message *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "%s\n", list[i].text);
}

/* Everything that is wrong with it, or that it is good; the exit status. */
static int
check(void)
{
	struct conf_errors messages = { 0 };
	struct config *c = load_file(&gateway.load, &messages);
	int status = c == NULL ? 1 : 0;
	print(messages.errors, messages.nerrors);
	print(messages.warnings, messages.nwarnings);
	if (c != NULL)
		printf("configuration OK\n");
	config_unref(&c);
	conf_errors_clear(&messages);
	return status;
}

/* We follow another program in its place. */
static bool
is_successor(void)
{
	return handed_over && !check_only;
}

static void
log_warnings(const struct conf_message *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		log_warn(
		    NULL, "configuration", "text=%s", log_cstr(list[i].text));
}

static void
remember_options(void)
{
	load_make_absolute(&gateway.load);
	add_again("-f", gateway.load.file);
	gateway.again = (char *const *)(uintptr_t)again;
}

/* Reads it, or says everything that is wrong and ends. In the foreground
 * warnings come as events of the log, on the same standard error. */
static struct config *
load(struct conf_errors *messages)
{
	struct config *c = load_whole(
	    &gateway.load, gateway.as_root, LOAD_RESOLV_CONF, messages);
	print(messages->errors, messages->nerrors);
	if (c == NULL || !gateway.foreground)
		print(messages->warnings, messages->nwarnings);
	remember_options();
	if (c == NULL && is_successor()) {
		log_warnings(messages->errors, messages->nerrors);
		comeback(&gateway, &handover);
	}
	if (c == NULL)
		exit(1);
	return c;
}

/* --- what it takes --- */

/* Everything that can stand in the way of a start, found in one go. */
static void
prepare(void)
{
	struct gateway *gw = &gateway;
	struct fault why = { 0 };
	uint64_t nofile = 0;
	if (logsink_open(gw, &why) == -1)
		complain("%s", why.text);
	roster_make(gw);
	for (size_t i = 0; i < gw->nprocesses; i++) {
		uint64_t n = gw->processes[i].nofile;
		nofile = n > nofile ? n : nofile;
	}
	if (gw->as_root)
		environment_protect(handed_over ? handover.oom_others : -1);
	/* A session needs one, and only with a large body a second. */
	environment_raise_nofile(nofile, gw->conf->limits.connections);
	gw->control_gid =
	    account_group(gw->conf->control_group, "the control socket");
	gw->view_gid =
	    account_group(gw->conf->control_view_group, "the control socket");
	if (gw->as_root)
		gw->ndial_gids = account_groups(gw->conf->dial_groups,
		    role_name(ROLE_DIALER), gw->dial_gids, JAIL_GROUPS_MAX);
	/* Not with ids that are not known. */
	if (complaints() == 0)
		basedir_open(gw);
	if (columns_make(gw, &why) == -1)
		complain("%s", why.text);
	if (complaints() == 0)
		listen_open(gw);
}

/* --- the background --- */

/* Returns in the new process; the old one waits until we are ready, or until
 * we are gone, and ends accordingly. */
static void
go_to_background(void)
{
	int ends[2];
	char ready;
	if (pipe2(ends, O_CLOEXEC) == -1)
		fatal_errno("pipe");
	pid_t pid = fork();
	if (pid == -1)
		fatal_errno("fork");
	if (pid == 0) {
		close(ends[0]);
		starter = ends[1];
		if (setsid() == -1)
			fatal_errno("setsid");
		return;
	}
	close(ends[1]);
	ssize_t n;
	do {
		n = read(ends[0], &ready, 1);
	} while (n == -1 && errno == EINTR);
	_exit(n == 1 ? 0 : 1);
}

static void
release_starter(void)
{
	if (starter == -1)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	if (write(starter, "", 1) != 1)
		log_warn(
		    NULL, "start", "why=%s", log_cstr("nobody waits for us"));
	close(starter);
	starter = -1;
}

static void
on_ready(struct gateway *gw)
{
	log_info(NULL, "ready", "text=%s version=%s processes=%zu",
	    log_cstr("posternd: ready"), POSTERN_VERSION, gw->nprocesses);
	log_flush();
	release_starter();
	gw->keeps_trying = false;
	listen_close_left(gw);
	notify_ready();
}

/* --- signals --- */

static void
on_stop(void *ctx, int sig)
{
	log_info(NULL, "stop", "signal=%d", sig);
	watch_stop(ctx, STOP_GRACE_MS);
}

static void
on_child(void *ctx, int sig)
{
	(void)sig;
	watch_reap(ctx);
}

static void
on_reopen(void *ctx, int sig)
{
	struct gateway *gw = ctx;
	struct fault why = { 0 };
	(void)sig;
	if (logsink_open(gw, &why) == -1) {
		log_warn(NULL, "log", "why=%s", log_cstr(why.text));
		return;
	}
	for (size_t i = 0; i < gw->nprocesses; i++)
		spawn_tell_log(&gw->processes[i]);
	retired_tell_log(gw);
	log_info(NULL, "log", "text=%s", log_cstr("log opened again"));
}

static void
on_reload(void *ctx, int sig)
{
	struct conf_errors messages = { 0 };
	struct diff changes = { 0 };
	log_info(NULL, "reload", "signal=%d", sig);
	(void)reload(ctx, 0, &messages, &changes);
	diff_clear(&changes);
	conf_errors_clear(&messages);
}

static void
on_upgrade(void *ctx, int sig)
{
	log_info(NULL, "upgrade", "signal=%d", sig);
	upgrade_start(ctx);
}

static void
watch_signals(struct gateway *gw)
{
	loop_signal(gw->loop, SIGCHLD, on_child, gw);
	loop_signal(gw->loop, SIGTERM, on_stop, gw);
	loop_signal(gw->loop, SIGINT, on_stop, gw);
	loop_signal(gw->loop, SIGUSR1, on_reopen, gw);
	loop_signal(gw->loop, SIGHUP, on_reload, gw);
	loop_signal(gw->loop, SIGUSR2, on_upgrade, gw);
	environment_release_signals();
}

/* --- the whole --- */

static void
log_start(const struct conf_errors *messages)
{
	log_info(NULL, "start", "version=%s file=%s", POSTERN_VERSION,
	    log_cstr(gateway.load.file));
	log_warnings(messages->warnings, messages->nwarnings);
	if (!gateway.as_root)
		log_info(NULL, "start", "text=%s",
		    log_cstr("not started as root: all processes run as the "
			     "same user, without chroot"));
}

static void
adopt_retired(void)
{
	struct gateway *gw = &gateway;
	for (size_t i = 0; i < handover.nprocesses; i++)
		retired_adopt(gw, &handover.processes[i]);
	retired_resume(gw);
	handover_clear(&handover);
	/* Who died in between: that signal was for another program. */
	watch_reap(gw);
}

static void
run(void)
{
	struct gateway *gw = &gateway;
	gw->loop = loop_new();
	gw->on_ready = on_ready;
	if (handed_over)
		adopt_retired();
	watch_signals(gw);
	tickets_start(gw);
	authorities_open(gw);
	for (size_t i = 0; i < gw->nprocesses; i++)
		watch_add(&gw->processes[i]);
	watch_start(gw);
	if (gw->failure == NULL)
		loop_run(gw->loop);
}

/* Nobody reads our standard error any more when we have been running for long:
 * until the configuration names a log it is the one of before. */
static void
take_log(void)
{
	log_init(role_name(ROLE_PARENT), getpid(), "-");
	if (handover.log_fd != -1) {
		log_set_fd(handover.log_fd, handover.log_sink);
		log_set_format(
		    handover.log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	}
	complain_to_log();
}

/* What the program before us has left. Without it this is a start like any
 * other. */
static void
take_over(void)
{
	struct gateway *gw = &gateway;
	struct fault why = { 0 };
	int rc = handover_read(&handover, &why);
	/* Not what somebody else's environment says. */
	if (rc == 1 && handover.pid != (check_only ? getppid() : getpid())) {
		handover_clear(&handover);
		return;
	}
	if (rc == -1)
		complain("what was handed over: %s", why.text);
	handed_over = rc == 1;
	gw->rehearsal = check_only && handed_over;
	if (!handed_over)
		return;
	for (size_t i = 0; i < handover.nsockets; i++)
		inherited_add(&handover.sockets[i]);
	gw->restarts = handover.restarts;
	gw->log_level = (enum log_level)handover.log_level;
	if (!check_only)
		take_log();
	tickets_take(&gw->tickets,
	    (struct str){ (const char *)handover.tickets, handover.ntickets });
}

static void
clean_environment(void)
{
	size_t n;
	notify_init();
	logsink_init();
	take_over();
	int *spared = handover_descriptors(&handover, &n);
	environment_clean(gateway.foreground, spared, n);
	free(spared);
}

/* Nothing is started: could it be? */
static int
rehearse(void)
{
	listen_remove(&gateway);
	return complaints() > 0 ? 1 : 0;
}

/* Something that it takes is not there. */
static int
give_up(void)
{
	if (is_successor())
		comeback(&gateway, &handover);
	listen_remove(&gateway);
	return 1;
}

int
main(int argc, char **argv)
{
	struct gateway *gw = &gateway;
	static struct conf_errors messages;
	TAILQ_INIT(&gw->retired);
	parse_options(argc, argv);
	clean_environment();
	gw->as_root = geteuid() == 0;
	gw->authorities = -1;
	STAILQ_INIT(&gw->reload_waits);
	if (check_only && !gw->rehearsal) {
		environment_release_signals();
		return check();
	}
	gw->conf = load(&messages);
	if (!gw->foreground && !handed_over)
		go_to_background();
	gw->taken_ms = clock_mono_ms();
	gw->started_ms = handed_over ? handover.started_ms : gw->taken_ms;
	gw->keeps_trying = handed_over;
	log_init(role_name(ROLE_PARENT), getpid(), gw->conf->hostname);
	prepare();
	if (chdir("/") == -1)
		complain_errno("/");
	if (gw->rehearsal)
		return rehearse();
	if (complaints() > 0)
		return give_up();
	listen_keep_left(gw);
	inherited_close(true);
	log_start(&messages);
	conf_errors_clear(&messages);
	run();
	if (gw->failure != NULL) {
		complain("%s", gw->failure);
		watch_kill(gw);
	}
	listen_remove(gw);
	log_info(NULL, "stopped", NULL);
	log_flush();
	return gw->failure != NULL ? 1 : 0;
}
