/*
 * Sessions and deliveries in progress keep the configuration they began
 * with. First all that another one needs is had (sockets, directories, the
 * log), or nothing happens; then those who are asked hear of it, then those
 * who ask them. What was settled at the start (the spool, who the processes
 * are, how many, the limits of their jails) stays as it is: who wants it
 * otherwise is told to restart.
 */
#include "posternd/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "posternd/authorities.h"
#include "posternd/basedir.h"
#include "posternd/complain.h"
#include "posternd/confirm.h"
#include "posternd/listen.h"
#include "posternd/logsink.h"
#include "posternd/notify.h"
#include "posternd/renew.h"
#include "posternd/retired.h"
#include "posternd/roster.h"
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

/* The line that has it now; the file, when none does any more. */
static const char *
where_is(const struct gateway *gw, const struct config *next, const char *name)
{
	for (size_t i = 0; i < next->nlines; i++)
		if (strcmp(next->lines[i].name, name) == 0)
			return next->lines[i].where;
	return gw->load.file;
}

static void
refuse(struct conf_errors *messages, const char *where, const char *what)
{
	conf_add_error(
	    messages, "%s: %s changed: needs a restart (SIGUSR2)", where, what);
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
		refuse(messages, where_is(gw, next, texts[i].keyword), what);
	}
}

static void
check_limits(const struct gateway *gw, const struct config *next,
    struct conf_errors *messages)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].def->nofile(next) >
		    gw->processes[i].nofile) {
			refuse(messages, gw->load.file,
			    "`limit connections', `limit filtering' or the "
			    "`connections' of milters (raised)");
			return;
		}
}

/* What a process has of the limits depends on how many there are. */
static void
check_numbers(const struct gateway *gw, const struct config *next,
    struct conf_errors *messages)
{
	const char *smtpd = where_is(gw, next, "workers smtpd"),
		   *delivery = where_is(gw, next, "workers delivery");
	if (gw->conf->smtpd_workers != next->smtpd_workers)
		refuse(messages, smtpd, "`workers smtpd'");
	else
		check_limits(gw, next, messages);
	if (gw->conf->delivery_workers != next->delivery_workers)
		refuse(messages, delivery, "`workers delivery'");
}

static void
check_change(const struct gateway *gw, const struct config *next,
    struct conf_errors *messages)
{
	check_texts(gw, next, messages);
	check_numbers(gw, next, messages);
	if (!roster_has_room(gw, next))
		refuse(messages, gw->load.file,
		    "the users of `maildir' and `mda'");
}

/* Not while what goes on is more than a reload. */
static bool
may_reload(const struct gateway *gw)
{
	return gw->ready && !gw->stopping && gw->upgrade == NULL;
}

/* The file, with all that can be said against it. */
static struct config *
load_next(const struct gateway *gw, struct conf_errors *messages)
{
	struct config *next = NULL;
	if (may_reload(gw))
		next = load_whole(
		    &gw->load, gw->as_root, LOAD_RESOLV_CONF, messages);
	else
		conf_add_error(messages, "the gateway is %s",
		    gw->stopping        ? "stopping" :
		    gw->upgrade != NULL ? "restarting" :
					  "not ready yet");
	if (next != NULL)
		check_change(gw, next, messages);
	if (messages->nerrors > 0)
		config_unref(&next);
	return next;
}

/* --- what another configuration needs --- */

struct change {
	struct listen_change listen;
	struct logsink log;
	int *bases;
};

static void
abandon(struct change *c, const struct config *next)
{
	listen_abandon(&c->listen);
	logsink_abandon(&c->log);
	basedir_close_bases(&c->bases, next);
}

/* All of it, or nothing. */
static int
prepare(const struct gateway *gw, const struct config *next, struct change *c,
    struct conf_errors *messages)
{
	struct fault why = { 0 };
	complain_into(messages);
	roster_check_users(gw, next);
	listen_prepare(gw, next, &c->listen);
	c->bases = basedir_open_bases(gw, next);
	if (logsink_prepare(gw, next, &c->log, &why) == -1)
		complain("%s", why.text);
	/* At last: with all that is open now. */
	if (messages->nerrors == 0 &&
	    spawn_can_send(next, gw->loop, &why) == -1)
		complain("%s: %s", gw->load.file, why.text);
	complain_into(NULL);
	if (messages->nerrors == 0)
		return 0;
	abandon(c, next);
	return -1;
}

/* --- the change --- */

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

static bool
is_log_same(const struct config *a, const struct config *b)
{
	return a->log_kind == b->log_kind && a->log_json == b->log_json &&
	       same_text(a->log_path, b->log_path) &&
	       same_text(a->hostname, b->hostname);
}

static bool
is_control_same(const struct config *a, const struct config *b)
{
	return same_text(a->control_path, b->control_path) &&
	       same_text(a->control_group, b->control_group) &&
	       same_text(a->control_view_group, b->control_view_group);
}

static void
tell_all(struct gateway *gw, void (*fn)(struct process *))
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		fn(&gw->processes[i]);
}

/* next holds from here on; a reference of the caller's. Returns the one that
 * held. */
static struct config *
take_over(struct gateway *gw, struct config *next, struct change *c)
{
	struct config *old = gw->conf;
	listen_commit(gw, next, &c->listen);
	basedir_close_bases(&gw->bases, old);
	gw->bases = c->bases;
	gw->conf = next;
	logsink_commit(gw, &c->log);
	if (!is_log_same(old, next)) {
		tell_all(gw, spawn_tell_log);
		retired_tell_log(gw);
	}
	if (!is_control_same(old, next))
		tell_all(gw, spawn_tell_control);
	authorities_open(gw);
	gw->reloading = true;
	gw->rest_is_due = true;
	renew_stop(gw);
	tell(gw, true);
	return old;
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

static void
finish(struct gateway *gw)
{
	struct reload_wait *w;
	gw->reloading = false;
	if (!gw->stopping)
		renew_start(gw);
	listen_close_left(gw);
	log_info(NULL, "reload", "result=ok rules=%zu tables=%zu servers=%zu",
	    gw->conf->nrules, gw->conf->ntables, gw->conf->nservers);
	if (may_reload(gw))
		notify_ready();
	while ((w = STAILQ_FIRST(&gw->reload_waits)) != NULL) {
		STAILQ_REMOVE_HEAD(&gw->reload_waits, next);
		w->fn(w->ctx);
	}
}

void
reload_taken(struct gateway *gw)
{
	if (!gw->reloading || !is_taken(gw, true) || !renew_is_over(gw, true))
		return;
	if (gw->rest_is_due) {
		gw->rest_is_due = false;
		tell(gw, false);
	}
	if (is_taken(gw, false) && renew_is_over(gw, false))
		finish(gw);
}

static void
log_all(const struct conf_message *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		log_warn(
		    NULL, "configuration", "text=%s", log_cstr(list[i].text));
}

static int
refused(const struct gateway *gw, const struct conf_errors *messages)
{
	log_warn(
	    NULL, "reload", "result=refused errors=%zu", messages->nerrors);
	/* Unless another one is still under way. */
	if (may_reload(gw) && !gw->reloading)
		notify_ready();
	return -1;
}

/* next becomes the configuration; the one before goes to former. */
static int
change_to(struct gateway *gw, struct config *next, struct config **former,
    struct conf_errors *messages)
{
	struct change c = { .bases = NULL };
	if (prepare(gw, next, &c, messages) == -1)
		return -1;
	*former = take_over(gw, next, &c);
	return 0;
}

int
reload(struct gateway *gw, uint64_t confirm_ms, struct conf_errors *messages,
    struct diff *changes)
{
	struct config *former = NULL, *next;
	if (may_reload(gw))
		notify_reloading();
	next = load_next(gw, messages);
	if (next != NULL) {
		diff_make(gw->conf, next, changes);
		if (change_to(gw, next, &former, messages) == -1)
			config_unref(&next);
	}
	log_all(messages->errors, messages->nerrors);
	log_all(messages->warnings, messages->nwarnings);
	if (next == NULL)
		return refused(gw, messages);
	diff_log(changes);
	if (confirm_ms > 0) {
		confirm_begin(gw, former, confirm_ms);
	} else {
		confirm_settle(gw);
		config_unref(&former);
	}
	reload_taken(gw);
	return 0;
}

int
reload_back(struct gateway *gw, struct config *former)
{
	struct conf_errors messages = { 0 };
	struct diff changes = { 0 };
	struct config *tried = NULL;
	int rc;
	notify_reloading();
	diff_make(gw->conf, former, &changes);
	rc = change_to(gw, former, &tried, &messages);
	log_all(messages.errors, messages.nerrors);
	if (rc == -1) {
		(void)refused(gw, &messages);
	} else {
		config_ref(former);
		diff_log(&changes);
		config_unref(&tried);
		reload_taken(gw);
	}
	diff_clear(&changes);
	conf_errors_clear(&messages);
	return rc;
}

int
reload_diff(
    struct gateway *gw, struct conf_errors *messages, struct diff *changes)
{
	struct config *next = load_next(gw, messages);
	if (next == NULL)
		return -1;
	diff_make(gw->conf, next, changes);
	config_unref(&next);
	return 0;
}
