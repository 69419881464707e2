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
#include "posternd/complain.h"
#include "posternd/environment.h"
#include "posternd/gateway.h"
#include "posternd/listen.h"
#include "posternd/logsink.h"
#include "posternd/reload.h"
#include "posternd/spawn.h"
#include "posternd/tickets.h"
#include "posternd/watch.h"

enum { EXIT_USAGE = 2 };

static struct gateway gateway;
static bool check_only;

/* The starting process waits at the other end; -1 in the foreground. */
static int starter = -1;

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: posternd [-dnv] [-D name=value] [-f file]\n");
	exit(EXIT_USAGE);
}

static void
parse_options(int argc, char **argv)
{
	struct load_options *o = &gateway.load;
	int opt;
	gateway.log_level = LOG_LEVEL_INFO;
	o->file = POSTERN_SYSCONF "/postern.conf";
	while ((opt = getopt(argc, argv, "dnvD:f:")) != -1) {
		switch (opt) {
		case 'd':
			gateway.foreground = true;
			break;
		case 'n':
			check_only = true;
			break;
		case 'v':
			gateway.log_level = LOG_LEVEL_DEBUG;
			break;
		case 'D':
			if (o->ndefines == LOAD_DEFINES_MAX ||
			    conf_define_parse(
				optarg, &o->defines[o->ndefines]) == -1)
				usage();
			o->ndefines++;
			break;
		case 'f':
			o->file = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
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
	if (c == NULL)
		exit(1);
	load_make_absolute(&gateway.load);
	return c;
}

/* --- what the children will be --- */

static void
name_process(struct process *p, const struct role_def *def, uint16_t instance)
{
	struct gateway *gw = &gateway;
	p->gw = gw;
	p->def = def;
	p->instance = instance;
	p->nofile = def->nofile(gw->conf);
	p->memory = def->memory(gw->conf);
	if (gw->as_root)
		account_user(def->user(gw->conf, instance),
		    role_name(def->role), &p->uid, &p->gid);
}

static void
name_processes(void)
{
	struct gateway *gw = &gateway;
	size_t n = 0;
	for (size_t i = 0; i < role_table_size; i++)
		n += role_table[i].count(gw->conf);
	gw->processes = xcalloc(n, sizeof(*gw->processes));
	for (size_t i = 0; i < role_table_size; i++) {
		const struct role_def *def = &role_table[i];
		for (uint16_t k = 0; k < def->count(gw->conf); k++)
			name_process(&gw->processes[gw->nprocesses++], def, k);
	}
}

static void
make_sources(void)
{
	struct gateway *gw = &gateway;
	struct fault why = { 0 };
	gw->sources_fd = sources_create(gw->conf->smtpd_workers, &why);
	if (gw->sources_fd >= 0)
		gw->sources = sources_map(gw->sources_fd, 0, &why);
	if (gw->sources == NULL)
		complain("%s", why.text);
}

/* Everything that can stand in the way of a start, found in one go. */
static void
prepare(void)
{
	struct gateway *gw = &gateway;
	struct fault why = { 0 };
	uint64_t nofile = 0;
	if (logsink_open(gw, &why) == -1)
		complain("%s", why.text);
	name_processes();
	for (size_t i = 0; i < gw->nprocesses; i++) {
		uint64_t n = gw->processes[i].nofile;
		nofile = n > nofile ? n : nofile;
	}
	if (gw->as_root)
		environment_protect();
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
	make_sources();
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
	log_info(NULL, "log", "text=%s", log_cstr("log opened again"));
}

static void
on_reload(void *ctx, int sig)
{
	struct conf_errors messages = { 0 };
	(void)sig;
	log_info(NULL, "reload", "signal=%d", sig);
	reload(ctx, &messages);
	conf_errors_clear(&messages);
}

static void
on_upgrade(void *ctx, int sig)
{
	(void)ctx;
	(void)sig;
	log_warn(NULL, "upgrade", "why=%s",
	    log_cstr("restart in place not available yet"));
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
}

/* --- the whole --- */

static void
log_start(const struct conf_errors *messages)
{
	log_info(NULL, "start", "version=%s file=%s", POSTERN_VERSION,
	    log_cstr(gateway.load.file));
	for (size_t i = 0; i < messages->nwarnings; i++)
		log_warn(NULL, "configuration", "text=%s",
		    log_cstr(messages->warnings[i].text));
	if (!gateway.as_root)
		log_info(NULL, "start", "text=%s",
		    log_cstr("not started as root: all processes run as the "
			     "same user, without chroot"));
}

static void
run(void)
{
	struct gateway *gw = &gateway;
	gw->loop = loop_new();
	gw->on_ready = on_ready;
	watch_signals(gw);
	tickets_start(gw);
	authorities_open(gw);
	for (size_t i = 0; i < gw->nprocesses; i++)
		watch_add(&gw->processes[i]);
	watch_start(gw);
	if (gw->failure == NULL)
		loop_run(gw->loop);
}

int
main(int argc, char **argv)
{
	struct gateway *gw = &gateway;
	static struct conf_errors messages;
	parse_options(argc, argv);
	environment_clean(gw->foreground);
	gw->as_root = geteuid() == 0;
	gw->authorities = -1;
	STAILQ_INIT(&gw->reload_waits);
	if (check_only)
		return check();
	gw->conf = load(&messages);
	if (!gw->foreground)
		go_to_background();
	gw->started_ms = clock_mono_ms();
	log_init(role_name(ROLE_PARENT), getpid(), gw->conf->hostname);
	prepare();
	if (chdir("/") == -1)
		complain_errno("/");
	if (complaints() > 0) {
		listen_remove(gw);
		return 1;
	}
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
