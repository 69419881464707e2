#include "lib/proc/child.h"

#include <assert.h>
#include <bsd/sys/queue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "lib/proc/conf_wire.h"
#include "lib/proc/sandbox.h"
#include "lib/proc/watchdog.h"

enum {
	/* What was committed to is finished in this time when the parent is
	 * gone. */
	ORPHAN_GRACE_MS = 5000,
	DRAIN_MS = 1000
};

/* Somebody we talk to, or would. */
struct peer {
	SLIST_ENTRY(peer) next;
	enum role role;
	uint16_t instance;
	uint32_t number;    /* of its channel, see tell_peer */
	struct channel *ch; /* the role's; NULL: it ended */
};

static struct {
	const struct child_ops *ops;
	struct loop *loop;
	struct channel *parent;
	SLIST_HEAD(, peer) peers;
	struct config *conf;     /* the present one */
	struct config *building; /* the next, while it comes */
	struct timer *end;       /* the grace is over */
	struct timer
	    *retirement; /* likewise, of one that finishes what it has */
	int dirs[CHILD_DIRS_MAX]; /* until the jail */
	size_t ndirs;
	int authorities; /* until the jail, which is where it is read; or -1 */
	uint16_t instance;
	bool jailed, going, stopping;
} child;

struct loop *
child_loop(void)
{
	return child.loop;
}

uint16_t
child_instance(void)
{
	return child.instance;
}

struct config *
child_config(void)
{
	return child.conf;
}

/* --- the end --- */

static _Noreturn void
leave(int status)
{
	loop_settle(child.loop);
	if (child.parent != NULL)
		channel_drain(child.parent, DRAIN_MS);
	log_flush();
	exit(status);
}

void
child_exit(void)
{
	leave(0);
}

/* Cannot go on: says why, to the parent while it listens, else to the log. */
static _Noreturn void
fail(const char *text)
{
	struct tell_failed m = { .text = str_head(str_of(text), 1024) };
	if (child.going)
		log_warn(NULL, "failed", "why=%s", log_cstr(text));
	else
		channel_tell(child.parent, TYPE_tell_failed, &m, 0);
	leave(1);
}

static void
on_grace_over(void *unused)
{
	(void)unused;
	log_warn(NULL, "stop", "why=%s", log_cstr("the grace is over"));
	if (child.going && child.ops->on_grace_over != NULL)
		child.ops->on_grace_over();
	leave(0);
}

static void
stop(uint32_t grace_ms)
{
	if (child.stopping)
		return;
	child.stopping = true;
	if (!child.going || child.ops->on_stop == NULL)
		child_exit();
	timer_set(child.end, grace_ms);
	child.ops->on_stop(grace_ms);
}

static void
on_parent_gone(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&child.parent);
	log_warn(NULL, "stop", "why=%s", log_cstr("the parent is gone"));
	/* What comes sooner: the grace of a stop that runs already. */
	if (child.stopping) {
		timer_set(child.end, ORPHAN_GRACE_MS);
		return;
	}
	stop(ORPHAN_GRACE_MS);
}

/* --- the jail --- */

static int
start_threads(void *unused)
{
	return child.ops->start_threads == NULL ?
		   0 :
		   child.ops->start_threads(unused);
}

static void
on_dir(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_dir *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.jailed || child.ndirs == CHILD_DIRS_MAX ||
	    child.ops->on_dir == NULL)
		fail("a directory that nobody wants");
	child.dirs[child.ndirs++] = m->dir;
	child.ops->on_dir(m->action, m->dir);
}

static void
set_log(const struct tell_jail *m)
{
	char *host = str_dup(m->hostname);
	log_init(role_name(child.ops->role), (int)m->parent_pid, host);
	free(host);
	log_set_fd(CHILD_LOG_FD, (enum log_sink)m->log_sink);
	log_set_format(m->log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	log_set_level((enum log_level)m->log_level);
}

/* The role hears of a configuration only in the jail, though the first one
 * comes before it: threads may need its numbers. */
static void
say_config(void)
{
	if (child.conf != NULL && child.ops->on_config != NULL)
		child.ops->on_config(child.conf);
}

/* The file is looked at in the jail, and before a configuration needs it. */
static void
say_authorities(void)
{
	int fd = child.authorities;
	child.authorities = -1;
	if (fd != -1)
		child.ops->on_authorities(fd);
}

static size_t
groups_of(struct str bytes, gid_t *groups)
{
	size_t n = bytes.len / sizeof(uint32_t);
	for (size_t i = 0; i < n; i++)
		groups[i] =
		    get_le32((const uint8_t *)bytes.p + i * sizeof(uint32_t));
	return n;
}

static void
on_jail(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_jail *m = msg;
	struct fault why = { 0 };
	gid_t groups[JAIL_GROUPS_MAX];
	char text[256];
	(void)ctx;
	(void)id;
	set_log(m);
	struct jail j = { .root_fd = m->change_root ? m->root : -1,
		.uid = m->uid,
		.gid = m->gid,
		.groups = groups,
		.ngroups = groups_of(m->groups, groups),
		.dirs = child.dirs,
		.ndirs = child.ndirs,
		.promises = child.ops->promises,
		.threads = start_threads,
		.nofile = m->nofile,
		.memory = (size_t)m->memory };
	if (sandbox_enter(&j, text, sizeof(text), &why) == -1)
		fail(why.text);
	close(m->root);
	child.jailed = true;
	struct tell_jailed answer = { .sandbox = str_of(text),
		.edges = edges_hash() };
	channel_tell(ch, TYPE_tell_jailed, &answer, 0);
	say_authorities();
	say_config();
}

/* --- what is handed over --- */

static void
conf_part(uint16_t type, const void *msg)
{
	switch (conf_receive(&child.building, type, msg)) {
	case 0:
		return;
	case 1:
		break;
	default:
		fail("the configuration makes no sense");
	}
	struct config *old = child.conf;
	child.conf = child.building;
	child.building = NULL;
	if (child.jailed)
		say_config();
	config_unref(&old);
	if (child.going) {
		struct tell_conf_taken taken = { 0 };
		channel_tell(child.parent, TYPE_tell_conf_taken, &taken, 0);
	}
}

/* A handler for each message of a configuration, which knows its type. */
#define CONF_PARTS(C)              \
	C(tell_conf)               \
	C(tell_conf_numbers)       \
	C(tell_conf_retry)         \
	C(tell_conf_server)        \
	C(tell_conf_table)         \
	C(tell_conf_milter)        \
	C(tell_conf_milter_socket) \
	C(tell_conf_milter_set)    \
	C(tell_conf_pki)           \
	C(tell_conf_cert)          \
	C(tell_conf_listener)      \
	C(tell_conf_client_ca)     \
	C(tell_conf_dnsbl)         \
	C(tell_conf_action)        \
	C(tell_conf_rule)          \
	C(tell_conf_cond)          \
	C(tell_conf_tls_reports)   \
	C(tell_conf_end)
#define CONF_HANDLER(name)                                               \
	static void on_##name(                                           \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		(void)ctx;                                               \
		(void)ch;                                                \
		(void)id;                                                \
		conf_part(TYPE_##name, msg);                             \
	}
CONF_PARTS(CONF_HANDLER)

/* Of the configuration that comes, but not for it to keep. */
static void
on_key(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_conf_key *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_key == NULL)
		fail("a private key that nobody wants");
	child.ops->on_key(m->name, m->key);
}

static void
on_tickets(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_tickets *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_tickets == NULL || m->keys.len == 0 ||
	    m->keys.len % TICKET_KEY_SIZE != 0)
		fail("keys of tickets that nobody wants");
	child.ops->on_tickets(m->keys);
}

static void
on_authorities(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_authorities *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_authorities == NULL ||
	    (!child.jailed && child.authorities != -1))
		fail("authorities that nobody wants");
	child.authorities = m->file;
	if (child.jailed)
		say_authorities();
}

static void
on_sources(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_sources *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_sources == NULL)
		fail("shared counters that nobody wants");
	child.ops->on_sources(m->column, m->map);
}

static void
on_listen(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_listen *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_listen == NULL)
		fail("a listening socket that nobody wants");
	child.ops->on_listen(m->id, m->socket);
}

static void
on_control_access(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_control_access != NULL)
		child.ops->on_control_access(msg);
}

static struct peer *
find_peer(enum role role, uint16_t instance)
{
	struct peer *p;
	SLIST_FOREACH(p, &child.peers, next)
	if (p->role == role && p->instance == instance)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->role = role;
	p->instance = instance;
	SLIST_INSERT_HEAD(&child.peers, p, next);
	return p;
}

/* Before it is ready it may not; on_go does it then. */
static void
tell_lost(const struct peer *p)
{
	struct tell_lost m = { .role = (uint8_t)p->role,
		.instance = p->instance,
		.number = p->number };
	if (child.going && !child.stopping && child.parent != NULL)
		channel_tell(child.parent, TYPE_tell_lost, &m, 0);
}

static void
on_peer_ended(void *ctx, struct channel *ch)
{
	struct peer *p = ctx;
	/* A former one, whose last words the role has still read. */
	if (p->ch != ch)
		return;
	p->ch = NULL;
	tell_lost(p);
}

static void
on_peer(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_peer *m = msg;
	enum role role = (enum role)m->role;
	enum edge_end end;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_peer == NULL ||
	    edges_between(child.ops->role, role, &end) == NULL)
		fail("a peer that we do not talk to");
	struct peer *p = find_peer(role, m->instance);
	p->number = m->number;
	p->ch = child.ops->on_peer(role, m->instance, m->socket);
	if (p->ch != NULL)
		channel_on_ended(p->ch, on_peer_ended, p);
}

static void
on_go(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct fault why = { 0 };
	struct tell_ready ready = { 0 };
	const struct peer *p;
	(void)ctx;
	(void)msg;
	(void)id;
	if (!child.jailed || child.conf == NULL)
		fail("go came too early");
	if (child.ops->on_go != NULL && child.ops->on_go(&why) == -1)
		fail(why.text);
	channel_tell(ch, TYPE_tell_ready, &ready, 0);
	channel_set_phase(ch, PHASE_RUN);
	child.going = true;
	SLIST_FOREACH(p, &child.peers, next)
	if (p->ch == NULL)
		tell_lost(p);
}

static void
on_log(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_log *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	char *host = str_dup(m->hostname);
	log_set_host(host);
	free(host);
	log_set_format(m->json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	log_set_level((enum log_level)m->level);
	log_set_fd(m->log, (enum log_sink)m->sink);
}

static void
on_stop(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_stop *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	stop(m->grace_ms);
}

/* What goes on until it is over, or until its time is: then it stops, with
 * what little grace an orphan has. */
static void
on_retirement_over(void *unused)
{
	(void)unused;
	stop(ORPHAN_GRACE_MS);
}

static void
on_retire(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_retire *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	if (child.ops->on_retire == NULL || child.stopping) {
		stop(m->grace_ms);
		return;
	}
	timer_set(child.retirement, m->grace_ms);
	child.ops->on_retire(m->grace_ms);
}

void
child_tell_retired(void)
{
	struct tell_retired m = { 0 };
	if (child.parent != NULL)
		channel_tell(child.parent, TYPE_tell_retired, &m, 0);
}

#define CONF_ROW(name) { TYPE_##name, on_##name },
static const struct handler from_parent[] = {
	{ TYPE_tell_dir, on_dir },
	{ TYPE_tell_jail, on_jail },
	CONF_PARTS(CONF_ROW){ TYPE_tell_sources, on_sources },
	{ TYPE_tell_conf_key, on_key },
	{ TYPE_tell_tickets, on_tickets },
	{ TYPE_tell_authorities, on_authorities },
	{ TYPE_tell_listen, on_listen },
	{ TYPE_tell_control_access, on_control_access },
	{ TYPE_tell_peer, on_peer },
	{ TYPE_tell_go, on_go },
	{ TYPE_tell_log, on_log },
	{ TYPE_tell_stop, on_stop },
	{ TYPE_tell_retire, on_retire },
	{ 0, NULL },
};

/* --- the beginning --- */

/* A terminal's signals go to the whole group; only the parent heeds them,
 * and tells us. */
static void
ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE,
		SIGUSR1, SIGUSR2,
		SIGXFSZ /* a file at its limit is an error of write() */ };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

static int
parse_instance(int argc, char **argv)
{
	uint64_t n;
	if (argc != 2 || str_to_u64(str_of(argv[1]), UINT16_MAX, &n) == -1)
		return -1;
	child.instance = (uint16_t)n;
	return 0;
}

void
child_main(int argc, char **argv, const struct child_ops *ops)
{
	if (parse_instance(argc, argv) == -1) {
		fprintf(stderr, "%s is started by posternd\n",
		    role_name(ops->role));
		exit(2);
	}
	child.ops = ops;
	child.authorities = -1;
	ignore_signals();
	tzset(); /* gmtime_r() would look for /etc/localtime in the jail */
	close_range(CHILD_LOG_FD + 1, ~0U, 0);
	log_init(role_name(ops->role), getppid(), "-");
	log_set_fd(CHILD_LOG_FD, LOG_SINK_STREAM);
	child.loop = loop_new();
	child.end = timer_new(child.loop, on_grace_over, NULL);
	child.retirement = timer_new(child.loop, on_retirement_over, NULL);
	child.parent = channel_new(child.loop, CHILD_PARENT_FD,
	    &all_parent_edge, EDGE_A, from_parent, on_parent_gone, NULL);
	if (ops->prepare != NULL)
		ops->prepare(child.loop);
	if ((ops->promises & PROMISE_WATCHDOG) != 0)
		watchdog_start(child.loop, WATCHDOG_CPU_MS);
	loop_run(child.loop);
	child_exit();
}
