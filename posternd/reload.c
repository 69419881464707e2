/*
 * Sessions and deliveries in progress keep the configuration they began
 * with. What was settled at the start (sockets, users, directories, limits of
 * the jails) stays as it is: who wants it otherwise is told to restart.
 */
#include "posternd/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/rules/instance.h"
#include "posternd/authorities.h"
#include "posternd/spawn.h"

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* --- what has to be the same --- */

static const struct {
	const char *keyword;
	size_t offset; /* of the text */
} texts[] = {
	{ "hostname", offsetof(struct config, hostname) },
	{ "spool", offsetof(struct config, spool) },
	{ "user", offsetof(struct config, user) },
	{ "queue-user", offsetof(struct config, queue_user) },
	{ "smtpd-user", offsetof(struct config, smtpd_user) },
	{ "resolver-user", offsetof(struct config, resolver_user) },
	{ "delivery-user", offsetof(struct config, delivery_user) },
	{ "control-user", offsetof(struct config, control_user) },
	{ "dialer-user", offsetof(struct config, dialer_user) },
	{ "vault-user", offsetof(struct config, vault_user) },
	{ "fetch-user", offsetof(struct config, fetch_user) },
	{ "dial-group", offsetof(struct config, dial_groups) },
};

static const char *
text_at(const struct config *c, size_t offset)
{
	return *(char *const *)(const void *)((const char *)c + offset);
}

static bool
same_log(const struct config *a, const struct config *b)
{
	return a->log_kind == b->log_kind && a->log_json == b->log_json &&
	       same_text(a->log_path, b->log_path);
}

static bool
same_control(const struct config *a, const struct config *b)
{
	return same_text(a->control_path, b->control_path) &&
	       same_text(a->control_group, b->control_group) &&
	       same_text(a->control_view_group, b->control_view_group);
}

static bool
same_workers(const struct config *a, const struct config *b)
{
	return a->smtpd_workers == b->smtpd_workers &&
	       a->delivery_workers == b->delivery_workers;
}

/* In their order: it numbers the sockets that smtpd has. */
static bool
same_listeners(const struct config *a, const struct config *b)
{
	if (a->nlisteners != b->nlisteners)
		return false;
	for (size_t i = 0; i < a->nlisteners; i++) {
		const struct listener *x = &a->listeners[i];
		const struct listener *y = &b->listeners[i];
		if (!addr_eq(&x->addr, &y->addr) || x->port != y->port ||
		    !same_text(x->path, y->path))
			return false;
	}
	return true;
}

/* A process for each of them runs. */
static bool
same_users(
    const struct config *a, const struct config *b, enum action_kind kind)
{
	uint16_t n = config_agent_count(a, kind);
	if (config_agent_count(b, kind) != n)
		return false;
	for (uint16_t i = 0; i < n; i++)
		if (!same_text(config_agent_user(a, kind, i),
			config_agent_user(b, kind, i)))
			return false;
	return true;
}

static bool
same_maildir_users(const struct config *a, const struct config *b)
{
	return same_users(a, b, ACTION_MAILDIR);
}

static bool
same_mda_users(const struct config *a, const struct config *b)
{
	return same_users(a, b, ACTION_MDA);
}

static const struct {
	const char *what;
	bool (*same)(const struct config *a, const struct config *b);
} checks[] = {
	{ "`control'", same_control },
	{ "`log'", same_log },
	{ "`workers'", same_workers },
	{ "the addresses of `listen'", same_listeners },
	{ "the users of `maildir'", same_maildir_users },
	{ "the users of `mda'", same_mda_users },
};

/* The one that has the same directory now; NULL: its process was handed
 * none. */
static const struct action *
former_maildir(const struct config *now, const struct action *a)
{
	const struct action *b = config_find_action(now, str_of(a->name));
	return b != NULL && b->kind == ACTION_MAILDIR &&
		       same_text(a->base, b->base) &&
		       same_text(a->user, b->user) ?
		   b :
		   NULL;
}

static void
refuse(const struct gateway *gw, struct conf_errors *messages, const char *what)
{
	conf_add_error(
	    messages, "%s: %s changed: needs a restart", gw->load.file, what);
}

static void
check_texts(const struct gateway *gw, const struct config *next,
    struct conf_errors *messages)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char what[40];
		if (same_text(text_at(gw->conf, texts[i].offset),
			text_at(next, texts[i].offset)))
			continue;
		snprintf(what, sizeof(what), "`%s'", texts[i].keyword);
		refuse(gw, messages, what);
	}
}

static void
check_maildirs(const struct gateway *gw, const struct config *next,
    struct conf_errors *messages)
{
	for (size_t i = 0; i < next->nactions; i++) {
		const struct action *a = &next->actions[i];
		if (a->kind == ACTION_MAILDIR &&
		    former_maildir(gw->conf, a) == NULL)
			conf_add_error(messages,
			    "%s: action `%s' (line %u) has a directory that "
			    "nobody holds yet: needs a restart",
			    gw->load.file, a->name, a->line);
	}
}

static void
check_limits(const struct gateway *gw, const struct config *next,
    struct conf_errors *messages)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].def->nofile(next) >
		    gw->processes[i].nofile) {
			refuse(gw, messages,
			    "`limit connections', `limit filtering' or the "
			    "`connections' of milters (raised)");
			return;
		}
}

/* --- the change --- */

static struct config *
load_next(const struct gateway *gw, struct conf_errors *messages)
{
	struct config *next =
	    load_whole(&gw->load, gw->as_root, LOAD_RESOLV_CONF, messages);
	if (next == NULL)
		return NULL;
	check_texts(gw, next, messages);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (!checks[i].same(gw->conf, next))
			refuse(gw, messages, checks[i].what);
	check_maildirs(gw, next, messages);
	check_limits(gw, next, messages);
	if (messages->nerrors == 0 && !spawn_can_send(next, gw->loop))
		conf_add_error(messages,
		    "%s: the configuration does not fit its messages",
		    gw->load.file);
	if (messages->nerrors > 0)
		config_unref(&next);
	return next;
}

/* The directories stay, under the numbers of the new actions. */
static void
renumber_bases(struct gateway *gw, const struct config *next)
{
	int *bases = xcalloc(next->nactions, sizeof(int));
	for (size_t i = 0; i < next->nactions; i++) {
		const struct action *a = &next->actions[i];
		bases[i] = -1;
		if (a->kind == ACTION_MAILDIR) {
			int *base = &gw->bases[former_maildir(gw->conf, a)->id];
			bases[i] = *base;
			*base = -1;
		}
	}
	/* Of actions that are no more. */
	for (size_t i = 0; i < gw->conf->nactions; i++)
		if (gw->bases[i] != -1)
			close(gw->bases[i]);
	free(gw->bases);
	gw->bases = bases;
}

/* Who is asked has a configuration before those who ask by it: for a key, a
 * table of passwords or of DNS lists. */
static bool
is_asked(const struct process *p)
{
	return p->def->role == ROLE_VAULT || p->def->role == ROLE_RESOLVER;
}

static void
tell(struct gateway *gw, bool asked)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (is_asked(&gw->processes[i]) == asked)
			spawn_tell_config(&gw->processes[i]);
}

static void
take_over(struct gateway *gw, struct config *next)
{
	struct config *old = gw->conf;
	renumber_bases(gw, next);
	gw->conf = next;
	authorities_open(gw);
	gw->reloading = true;
	gw->rest_is_due = true;
	tell(gw, true);
	config_unref(&old);
	reload_taken(gw);
}

void
reload_wait(
    struct gateway *gw, struct reload_wait *w, void (*fn)(void *), void *ctx)
{
	w->fn = fn;
	w->ctx = ctx;
	if (gw->reloading)
		STAILQ_INSERT_TAIL(&gw->reload_waits, w, next);
	else
		fn(ctx);
}

static bool
is_taken(const struct gateway *gw, bool asked)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (is_asked(&gw->processes[i]) == asked &&
		    gw->processes[i].conf_told)
			return false;
	return true;
}

void
reload_taken(struct gateway *gw)
{
	struct reload_wait *w;
	if (!gw->reloading || !is_taken(gw, true))
		return;
	if (gw->rest_is_due) {
		gw->rest_is_due = false;
		tell(gw, false);
	}
	if (!is_taken(gw, false))
		return;
	gw->reloading = false;
	log_info(NULL, "reload", "result=ok rules=%zu tables=%zu servers=%zu",
	    gw->conf->nrules, gw->conf->ntables, gw->conf->nservers);
	while ((w = STAILQ_FIRST(&gw->reload_waits)) != NULL) {
		STAILQ_REMOVE_HEAD(&gw->reload_waits, next);
		w->fn(w->ctx);
	}
}

static void
log_all(const struct conf_message *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		log_warn(
		    NULL, "configuration", "text=%s", log_cstr(list[i].text));
}

int
reload(struct gateway *gw, struct conf_errors *messages)
{
	struct config *next = NULL;
	if (gw->ready && !gw->stopping)
		next = load_next(gw, messages);
	else
		conf_add_error(messages, "the gateway is %s",
		    gw->stopping ? "stopping" : "not ready yet");
	log_all(messages->errors, messages->nerrors);
	log_all(messages->warnings, messages->nwarnings);
	if (next == NULL) {
		log_warn(NULL, "reload", "result=refused errors=%zu",
		    messages->nerrors);
		return -1;
	}
	take_over(gw, next);
	return 0;
}
