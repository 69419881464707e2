#include "posternd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "edges/edges.h"
#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/proc/child.h"
#include "lib/proc/conf_wire.h"
#include "lib/proc/sandbox.h"
#include "lib/rules/instance.h"
#include "posternd/environment.h"
#include "posternd/renew.h"
#include "posternd/watch.h"

enum {
	FIRST_FREE_FD = 16, /* above all that a child has by number */
	/* Beyond those of a configuration that is told: of a log, authorities,
	 * the channels of who is started anew. */
	SPARE_FDS = 32
};

/* --- the program --- */

/* Below our folder (a build tree), or beside it (installed, wherever the tree
 * was moved to since), or where it was to be installed. */
static int
program_path(const char *role, char *path, size_t size)
{
	static const char *const beside[] = { "", "/.." };
	char self[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');
		if (slash != NULL)
			*slash = '\0';
		for (size_t i = 0; i < 2; i++) {
			snprintf(path, size, "%s%s/libexec/postern/%s", self,
			    beside[i], role);
			if (access(path, X_OK) == 0)
				return 0;
		}
	}
	snprintf(path, size, "%s/%s", POSTERN_LIBEXEC, role);
	return access(path, X_OK);
}

/* In the new process, until exec: only what is safe after fork. */
static _Noreturn void
become(const struct process *p, const char *path, int channel, int log)
{
	char instance[8];
	char *argv[3], role[32];
	sigset_t none;
	/* Out of the way of the numbers they are to have. */
	channel = fcntl(channel, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	log = fcntl(log, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (channel == -1 || log == -1 ||
	    dup2(channel, CHILD_PARENT_FD) == -1 ||
	    dup2(log, CHILD_LOG_FD) == -1 ||
	    dup2(STDIN_FILENO, STDOUT_FILENO) == -1 ||
	    /* In the background nobody who started us shall wait for it. */
	    (!p->gw->foreground && dup2(STDIN_FILENO, STDERR_FILENO) == -1))
		_exit(127);
	close_range(CHILD_LOG_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	environment_inherit((p->def->gives & GIVES_SPOOL) != 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(role, sizeof(role), "%s", role_name(p->def->role));
	snprintf(instance, sizeof(instance), "%u", p->instance);
	argv[0] = role;
	argv[1] = instance;
	argv[2] = NULL;
	execve(path, argv, environment_of_children());
	_exit(127);
}

static int
run(struct process *p, struct fault *why)
{
	const char *role = role_name(p->def->role);
	char path[1200];
	int pair[2];
	if (program_path(role, path, sizeof(path)) == -1)
		return fault_errno(why, FAULT_OURS, "%s", path);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return fault_errno(why, FAULT_OURS, "socketpair");
	log_flush();
	pid_t pid = fork();
	if (pid == -1) {
		fault_errno(why, FAULT_OURS, "fork");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (pid == 0)
		become(p, path, pair[1], p->gw->log_fd);
	close(pair[1]);
	p->pid = pid;
	p->started_ms = clock_mono_ms();
	p->state = PROCESS_STARTING;
	p->ch = channel_new(p->gw->loop, pair[0], &all_parent_edge, EDGE_B,
	    from_children_handlers, watch_channel_closed, p);
	snprintf(path, sizeof(path), "%s[%d]", role, (int)pid);
	channel_set_peer(p->ch, path);
	return 0;
}

/* --- what is its own --- */

static int
hand_dirs(struct process *p)
{
	const struct gateway *gw = p->gw;
	struct tell_dir m = { .action = UINT32_MAX, .dir = gw->spool };
	if ((p->def->gives & GIVES_SPOOL) != 0 &&
	    channel_tell(p->ch, TYPE_tell_dir, &m, 0) == -1)
		return -1;
	m.dir = gw->policies;
	if ((p->def->gives & GIVES_POLICIES) != 0 &&
	    channel_tell(p->ch, TYPE_tell_dir, &m, 0) == -1)
		return -1;
	if ((p->def->gives & GIVES_BASES) == 0)
		return 0;
	for (size_t i = 0; i < gw->conf->nactions; i++) {
		const struct action *a = &gw->conf->actions[i];
		if (gw->bases[i] == -1 ||
		    config_agent_instance(gw->conf, a) != p->instance)
			continue;
		m.action = a->id;
		m.dir = gw->bases[i];
		if (channel_tell(p->ch, TYPE_tell_dir, &m, 0) == -1)
			return -1;
	}
	return 0;
}

static int
root_of(const struct process *p)
{
	if ((p->def->gives & GIVES_SPOOL) != 0)
		return p->gw->spool;
	return (p->def->gives & GIVES_TREE) != 0 ? p->gw->tree :
						   p->gw->empty_root;
}

static enum conf_secrets
secrets_of(const struct process *p)
{
	if ((p->def->gives & GIVES_SECRETS) == 0)
		return CONF_NO_SECRETS;
	return p->instance == VAULT_KEYS ? CONF_KEYS : CONF_PASSWORDS;
}

static int
hand_jail(struct process *p)
{
	const struct gateway *gw = p->gw;
	uint8_t groups[JAIL_GROUPS_MAX * sizeof(uint32_t)];
	size_t n = (p->def->gives & GIVES_DIAL) != 0 ? gw->ndial_gids : 0;
	for (size_t i = 0; i < n; i++)
		put_le32(groups + i * sizeof(uint32_t), gw->dial_gids[i]);
	struct tell_jail m = { .change_root = gw->as_root,
		.uid = p->uid,
		.gid = p->gid,
		.groups = { (const char *)groups, n * sizeof(uint32_t) },
		.nofile = (uint32_t)p->nofile,
		.memory = p->memory,
		.log_sink = (uint8_t)gw->log_sink,
		.log_json = gw->conf->log_json,
		.log_level = (uint8_t)gw->log_level,
		.parent_pid = (uint32_t)getpid(),
		.hostname = str_of(gw->conf->hostname),
		.root = root_of(p) };
	return channel_tell(p->ch, TYPE_tell_jail, &m, 0);
}

static int
hand_sources(struct process *p)
{
	struct tell_sources m = { .column = p->instance,
		.map = p->gw->sources_fd };
	if ((p->def->gives & GIVES_SOURCES) == 0)
		return 0;
	return channel_tell(p->ch, TYPE_tell_sources, &m, 0);
}

/* Its own socket, or the one that all share. When there are more than
 * processes (fewer workers than before a restart in place) it has several. */
static int
hand_listener(struct process *p, uint32_t id, const struct listen_socket *l)
{
	size_t k = p->instance % l->nfds;
	do {
		struct tell_listen m = { .id = id, .socket = l->fds[k] };
		if (channel_tell(p->ch, TYPE_tell_listen, &m, 0) == -1)
			return -1;
		k += p->gw->conf->smtpd_workers;
	} while (k < l->nfds);
	return 0;
}

/* Those of before a restart in place, to be emptied by the first one. */
static int
hand_left(struct process *p)
{
	const struct gateway *gw = p->gw;
	if ((p->def->gives & GIVES_LISTENERS) == 0 || p->instance != 0 ||
	    gw->ready)
		return 0;
	for (size_t i = 0; i < gw->nleaving; i++) {
		uint32_t id =
		    gw->leaving[i].smtps ? LISTEN_LEFT_SMTPS : LISTEN_LEFT;
		for (size_t k = 0; k < gw->leaving[i].nfds; k++) {
			struct tell_listen m = { .id = id,
				.socket = gw->leaving[i].fds[k] };
			if (channel_tell(p->ch, TYPE_tell_listen, &m, 0) == -1)
				return -1;
		}
	}
	return 0;
}

static int
hand_listeners(struct process *p)
{
	const struct gateway *gw = p->gw;
	if ((p->def->gives & GIVES_LISTENERS) == 0)
		return 0;
	for (size_t i = 0; i < gw->nlistens; i++)
		if (hand_listener(p, (uint32_t)i, &gw->listens[i]) == -1)
			return -1;
	return 0;
}

static int
hand_tickets(struct process *p)
{
	struct tell_tickets m = { .keys = tickets_keys(&p->gw->tickets) };
	if ((p->def->gives & GIVES_TICKETS) == 0)
		return 0;
	return channel_tell(p->ch, TYPE_tell_tickets, &m, 0);
}

static int
hand_authorities(struct process *p)
{
	struct tell_authorities m = { .file = p->gw->authorities };
	if ((p->def->gives & GIVES_AUTHORITIES) == 0 || m.file == -1)
		return 0;
	return channel_tell(p->ch, TYPE_tell_authorities, &m, 0);
}

static int
hand_control(struct process *p)
{
	const struct gateway *gw = p->gw;
	if ((p->def->gives & GIVES_CONTROL) == 0)
		return 0;
	struct tell_listen l = { .id = 0, .socket = gw->control.fds[0] };
	struct tell_control_access m = { .owner_uid = (uint32_t)geteuid(),
		.group_gid = gw->control_gid,
		.view_gid = gw->view_gid };
	if (channel_tell(p->ch, TYPE_tell_listen, &l, 0) == -1)
		return -1;
	return channel_tell(p->ch, TYPE_tell_control_access, &m, 0);
}

static int
hand_http(struct process *p)
{
	struct tell_listen m = { .id = 0 };
	if ((p->def->gives & GIVES_HTTP) == 0)
		return 0;
	if (p->gw->http.nfds == 0)
		return -1;
	m.socket = p->gw->http.fds[0];
	return channel_tell(p->ch, TYPE_tell_listen, &m, 0);
}

/* Behind errno = 0: which call failed, or that none did. */
static void
does_not_fit(struct fault *why)
{
	if (errno != 0)
		fault_errno(why, FAULT_OURS, "the configuration");
	else
		fault_set(why, FAULT_OURS,
		    "the configuration does not fit its messages");
}

int
spawn_start(struct process *p, struct fault *why)
{
	free(p->sandbox);
	free(p->failure);
	p->sandbox = p->failure = NULL;
	if (run(p, why) == -1)
		return -1;
	renew_note(p);
	errno = 0;
	if (hand_dirs(p) == -1 || hand_authorities(p) == -1 ||
	    conf_send(p->ch, p->gw->conf, secrets_of(p)) == -1 ||
	    hand_jail(p) == -1 || hand_sources(p) == -1 ||
	    hand_listeners(p) == -1 || hand_left(p) == -1 ||
	    hand_tickets(p) == -1 || hand_control(p) == -1 ||
	    hand_http(p) == -1) {
		does_not_fit(why);
		kill(p->pid, SIGKILL);
		return -1;
	}
	return 0;
}

/* --- what it is told later --- */

void
spawn_go(struct process *p)
{
	struct tell_go m = { 0 };
	channel_tell(p->ch, TYPE_tell_go, &m, 0);
}

/* With a socket for each listener, and some more. */
static int
try_sending(struct channel *ch, const struct config *c, int socket)
{
	for (size_t i = 0; i < c->nlisteners + SPARE_FDS; i++) {
		struct tell_listen m = { .socket = socket };
		if (channel_tell(ch, TYPE_tell_listen, &m, 0) == -1)
			return -1;
	}
	return conf_send(ch, c, CONF_KEYS);
}

int
spawn_can_send(const struct config *c, struct loop *l, struct fault *why)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return fault_errno(why, FAULT_OURS, "the configuration");
	struct channel *ch =
	    channel_new(l, pair[0], &all_parent_edge, EDGE_B, NULL, NULL, NULL);
	errno = 0;
	int rc = try_sending(ch, c, pair[1]);
	if (rc == -1)
		does_not_fit(why);
	channel_free(&ch);
	close(pair[1]);
	return rc;
}

void
spawn_tell_config(struct process *p)
{
	if (p->ch == NULL || p->leave != LEAVE_NOT)
		return;
	/* One at a time: nothing piles up for who does not read. */
	p->conf_stale = p->conf_told;
	if (p->conf_told)
		return;
	p->conf_told = true;
	if (hand_authorities(p) == -1 || hand_listeners(p) == -1 ||
	    conf_send(p->ch, p->gw->conf, secrets_of(p)) == -1) {
		watch_refuse(p, "the configuration did not reach it");
		return;
	}
	/* At once: what is on its way takes descriptors of ours, for each who
	 * is told. */
	channel_drain(p->ch, 0);
}

void
spawn_tell_control(struct process *p)
{
	if (p->ch != NULL)
		(void)hand_control(p);
}

void
spawn_tell_tickets(struct process *p)
{
	if (p->ch != NULL)
		(void)hand_tickets(p);
}

void
spawn_tell_log(struct process *p)
{
	struct tell_log m = { .level = (uint8_t)p->gw->log_level,
		.sink = (uint8_t)p->gw->log_sink,
		.json = p->gw->conf->log_json,
		.hostname = str_of(p->gw->conf->hostname),
		.log = p->gw->log_fd };
	if (p->ch != NULL)
		channel_tell(p->ch, TYPE_tell_log, &m, 0);
}
