#include "posternd/renew.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/rules/instance.h"
#include "posternd/roster.h"
#include "posternd/watch.h"

enum { GIVEN_MAX = 1 << 20 };

/* --- what it is handed, in words --- */

static void
add_bases(struct buf *b, const struct config *c, uint16_t instance)
{
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *a = &c->actions[i];
		if (a->kind == ACTION_MAILDIR &&
		    config_agent_instance(c, a) == instance)
			buf_addf(b, "%s %s\n", a->name, a->base);
	}
}

static void
add_http(struct buf *b, const struct config *c)
{
	char text[ADDR_TEXT_MAX];
	buf_addf(b, "%s %u\n", addr_format(&c->http_addr, text), c->http_port);
}

/* Who can be renewed; the others are as they were at the start. */
static bool
is_renewable(const struct process *p)
{
	return p->def->role == ROLE_MAILDIR || p->def->role == ROLE_MDA ||
	       p->def->role == ROLE_WEB;
}

static char *
given_by(const struct config *c, const struct process *p)
{
	const char *user = p->def->user(c, p->instance);
	struct buf b;
	buf_init(&b, GIVEN_MAX);
	buf_addf(&b, "%s\n", user != NULL ? user : "");
	if (p->def->role == ROLE_MAILDIR)
		add_bases(&b, c, p->instance);
	if (p->def->role == ROLE_WEB)
		add_http(&b, c);
	char *text = str_dup(buf_str(&b));
	buf_clear(&b);
	return text;
}

void
renew_note(struct process *p)
{
	if (!is_renewable(p))
		return;
	free(p->given);
	p->given = given_by(p->gw->conf, p);
}

/* Is the line (with its end) one of text's? */
static bool
has_line(const char *text, struct str line)
{
	for (; *text != '\0'; text = strchr(text, '\n') + 1)
		if (strncmp(text, line.p, line.len) == 0)
			return true;
	return false;
}

/* The user is the same, and all the rest is there: what it has more does no
 * harm. */
static bool
is_enough(const char *given, const char *wanted)
{
	struct str rest = str_of(wanted);
	size_t user = str_find(rest, '\n') + 1;
	if (strncmp(given, wanted, user) != 0)
		return false;
	given += user;
	for (rest = str_skip(rest, user); rest.len > 0;) {
		struct str line = str_head(rest, str_find(rest, '\n') + 1);
		if (!has_line(given, line))
			return false;
		rest = str_skip(rest, line.len);
	}
	return true;
}

bool
renew_is_due(const struct process *p)
{
	if (!is_renewable(p) || p->given == NULL)
		return false;
	if (!roster_is_wanted(p))
		return true;
	char *wanted = given_by(p->gw->conf, p);
	bool enough = is_enough(p->given, wanted);
	free(wanted);
	return !enough;
}

/* --- one goes, one comes --- */

void
renew_stop(struct gateway *gw)
{
	for (size_t i = 0; i < gw->nprocesses; i++) {
		struct process *p = &gw->processes[i];
		if (p->leave != LEAVE_NOT || !renew_is_due(p))
			continue;
		log_info(NULL, "renew", "process=%s instance=%u",
		    role_name(p->def->role), p->instance);
		watch_leave(p, STOP_GRACE_MS);
	}
}

bool
renew_is_over(const struct gateway *gw, bool given_work)
{
	for (size_t i = 0; i < gw->nprocesses; i++) {
		const struct process *p = &gw->processes[i];
		if (is_renewable(p) && p->leave != LEAVE_NOT && p->pid != 0 &&
		    (!given_work || p->def->role != ROLE_WEB))
			return false;
	}
	return true;
}

static bool
is_missing(const struct process *p)
{
	return is_renewable(p) && p->pid == 0 && roster_is_wanted(p) &&
	       (p->leave != LEAVE_NOT || p->given == NULL);
}

void
renew_start(struct gateway *gw)
{
	struct process *new = roster_grow(gw);
	for (; new < gw->processes + gw->nprocesses; new ++)
		watch_add(new);
	for (size_t i = 0; i < gw->nprocesses; i++) {
		struct process *p = &gw->processes[i];
		if (!is_missing(p))
			continue;
		/* Gone since he was looked up: nobody goes in his place. */
		if (roster_set_user(p) == -1)
			log_warn(NULL, "renew", "process=%s instance=%u why=%s",
			    role_name(p->def->role), p->instance,
			    log_cstr("its user does not exist any more"));
		else
			watch_return(p);
	}
	/* Who is wanted no more is not waited for by anybody. */
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (!roster_is_wanted(&gw->processes[i])) {
			free(gw->processes[i].given);
			gw->processes[i].given = NULL;
		}
}
