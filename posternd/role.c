/*
 * Who exists, as whom, with what. What a role may ask of the kernel stands
 * in its own main.c (its promises), and what it may say to whom in edges/.
 */
#include "posternd/role.h"

#include "lib/rules/instance.h"

enum {
	NOFILE_OWN = 256, /* channels, log, listeners, tables */
	NOFILE_SMALL = 1024,
	NOFILE_QUEUE = 8192,
	NOFILE_RESOLVER = 2048, /* sockets of questions, most of them UDP */
	NOFILE_DIALS = 4096,    /* DIALS_MAX of each smtpd */
	NOFILE_MAX = 1048576,
	/* Connections to filters that there is room for from the start, so
	 * that a reload may bring filters. */
	FILTERS_ROOM = 16 * 1000
};

static const uint64_t mib = 1048576;

/* --- how many --- */

static uint16_t
one(const struct config *c)
{
	(void)c;
	return 1;
}

static uint16_t
smtpd_count(const struct config *c)
{
	return (uint16_t)c->smtpd_workers;
}

static uint16_t
maildir_count(const struct config *c)
{
	return config_agent_count(c, ACTION_MAILDIR);
}

static uint16_t
mda_count(const struct config *c)
{
	return config_agent_count(c, ACTION_MDA);
}

static uint16_t
web_count(const struct config *c)
{
	return c->http_port != 0;
}

static uint16_t
delivery_count(const struct config *c)
{
	return (uint16_t)c->delivery_workers;
}

/* Always both: a reload may bring the first key, the first password. */
static uint16_t
vault_count(const struct config *c)
{
	(void)c;
	return VAULT_INSTANCES;
}

/* --- as whom --- */

static const char *
or_common(const struct config *c, const char *user)
{
	return user != NULL ? user : c->user;
}

static const char *
smtpd_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->smtpd_user);
}

static const char *
queue_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return c->queue_user;
}

static const char *
resolver_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->resolver_user);
}

static const char *
dialer_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->dialer_user);
}

static const char *
delivery_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->delivery_user);
}

static const char *
control_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->control_user);
}

static const char *
vault_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->vault_user);
}

static const char *
fetch_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->fetch_user);
}

static const char *
web_user(const struct config *c, uint16_t instance)
{
	(void)instance;
	return or_common(c, c->web_user);
}

static const char *
maildir_user(const struct config *c, uint16_t instance)
{
	return or_common(c, config_agent_user(c, ACTION_MAILDIR, instance));
}

static const char *
mda_user(const struct config *c, uint16_t instance)
{
	return or_common(c, config_agent_user(c, ACTION_MDA, instance));
}

/* --- with how much --- */

static uint64_t
at_most(uint64_t n)
{
	return n < NOFILE_MAX ? n : NOFILE_MAX;
}

/* All of them may be sessions of one process. */
static uint64_t
filter_connections(const struct config *c)
{
	uint64_t n = 0;
	for (size_t i = 0; i < c->nmilters; i++)
		n += c->milters[i].connections;
	return n > FILTERS_ROOM ? n : FILTERS_ROOM;
}

/* A session has one descriptor, and one more while a large body comes; while
 * it is filtered one to each filter, and files for what they make of a large
 * body: one that holds, one that comes. */
static uint64_t
smtpd_nofile(const struct config *c)
{
	return at_most(2 * c->limits.connections + 2 * c->limits.filtering +
		       filter_connections(c) + NOFILE_OWN);
}

/* Connections until they are handed on: the kernel counts them for as long as
 * nobody has taken them over. */
static uint64_t
dialer_nofile(const struct config *c)
{
	return at_most(c->smtpd_workers * NOFILE_DIALS + NOFILE_OWN);
}

static uint64_t
queue_nofile(const struct config *c)
{
	(void)c;
	return NOFILE_QUEUE;
}

static uint64_t
delivery_nofile(const struct config *c)
{
	(void)c;
	return NOFILE_QUEUE;
}

static uint64_t
resolver_nofile(const struct config *c)
{
	(void)c;
	return NOFILE_RESOLVER;
}

static uint64_t
small_nofile(const struct config *c)
{
	(void)c;
	return NOFILE_SMALL;
}

/* Far more than the bounds of buffers add up to: this ends a leak, not a
 * busy day. */
static uint64_t
smtpd_memory(const struct config *c)
{
	return 2048 * mib +
	       (c->limits.connections + filter_connections(c)) * 65536;
}

static uint64_t
unlimited(const struct config *c)
{
	(void)c;
	return 0;
}

static uint64_t
agent_memory(const struct config *c)
{
	(void)c;
	return 4096 * mib;
}

/* Twice all tables, while a new configuration comes, and its own. */
static uint64_t
small_memory(const struct config *c)
{
	(void)c;
	return 1024 * mib;
}

/* clang-format off */
const struct role_def role_table[] = {
	{ ROLE_QUEUE,    WAVE_ASKED,  GIVES_SPOOL,
	    one,                  queue_user,    queue_nofile,    unlimited },
	{ ROLE_RESOLVER, WAVE_ASKED,  0,
	    one,                  resolver_user, resolver_nofile, small_memory },
	{ ROLE_VAULT,    WAVE_ASKED,  GIVES_SECRETS,
	    vault_count,          vault_user,    small_nofile,    small_memory },
	{ ROLE_DIALER,   WAVE_AGENTS, GIVES_TREE | GIVES_DIAL,
	    one,                  dialer_user,   dialer_nofile,   small_memory },
	{ ROLE_DELIVERY, WAVE_AGENTS, GIVES_AUTHORITIES,
	    delivery_count,       delivery_user, delivery_nofile, agent_memory },
	{ ROLE_MAILDIR,  WAVE_AGENTS, GIVES_BASES,
	    maildir_count,        maildir_user,    small_nofile,    small_memory },
	{ ROLE_MDA,      WAVE_AGENTS, GIVES_TREE,
	    mda_count,            mda_user,      small_nofile,    small_memory },
	{ ROLE_CONTROL,  WAVE_AGENTS, GIVES_CONTROL,
	    one,                  control_user,  small_nofile,    small_memory },
	{ ROLE_FETCH,    WAVE_AGENTS, GIVES_AUTHORITIES | GIVES_POLICIES,
	    one,                  fetch_user,    small_nofile,    small_memory },
	{ ROLE_WEB,      WAVE_AGENTS, GIVES_HTTP,
	    web_count,            web_user,      small_nofile,    small_memory },
	{ ROLE_SMTPD,    WAVE_SMTPD,  GIVES_LISTENERS | GIVES_SOURCES | GIVES_TICKETS,
	    smtpd_count,          smtpd_user,    smtpd_nofile,    smtpd_memory },
};
/* clang-format on */

const size_t role_table_size = sizeof(role_table) / sizeof(role_table[0]);
