/* What only the whole configuration shows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "lib/rules/rules.h"
#include "posternd/conf_parse.h"

/* --- names --- */

static void
set_domain(struct config *c)
{
	const char *dot;

	if (c->domain != NULL)
		return;
	dot = strchr(c->hostname, '.');
	c->domain = xstrdup(dot == NULL ? c->hostname : dot + 1);
}

static const struct conf_source *
main_source(const struct conf_parser *p)
{
	return STAILQ_FIRST(&p->sources);
}

static void
check_names(struct conf_parser *p)
{
	const struct conf_source *s = main_source(p);

	if (strchr(p->config->hostname, '.') == NULL)
		conf_warn_at(p, s->name, 1, 0,
		    "the hostname `%s' has no domain; others may refuse it",
		    p->config->hostname);
	if (p->config->postmaster == NULL)
		conf_warn_at(p, s->name, 1, 0,
		    "`postmaster' is not set: nobody reads its mail here");
}

/* --- listeners --- */

static bool
same_listener(const struct listener *a, const struct listener *b)
{
	if (a->addr.family == ADDR_NONE || !addr_eq(&a->addr, &b->addr))
		return false;
	if (a->addr.family == ADDR_LOCAL)
		return a->path != NULL && b->path != NULL &&
		       strcmp(a->path, b->path) == 0;
	return a->port == b->port;
}

static void
check_same_listener(struct conf_parser *p, size_t i)
{
	const struct conf_note *note = &p->listener_notes[i];
	const struct config *c = p->config;
	size_t j;

	for (j = 0; j < i; j++)
		if (same_listener(&c->listeners[i], &c->listeners[j])) {
			conf_error_at(p, note->file, note->line, note->order,
			    "the same listener as in %s:%u",
			    p->listener_notes[j].file,
			    p->listener_notes[j].line);
			return;
		}
}

/* Without a line of its own the submit socket stands beside the control
 * socket. */
static void
add_submit(struct config *c)
{
	const char *slash = strrchr(c->control_path, '/');
	struct listener *l;

	c->listeners = xreallocarray(
	    c->listeners, c->nlisteners + 1, sizeof(*c->listeners));
	l = &c->listeners[c->nlisteners];
	*l = (struct listener){ .id = (uint32_t)c->nlisteners,
		.slot = (uint32_t)c->nlisteners,
		.addr = { .family = ADDR_LOCAL },
		.flags = LISTENER_SUBMIT };
	if (asprintf(&l->path, "%.*s/submit.sock",
		(int)(slash - c->control_path), c->control_path) == -1)
		abort();
	c->nlisteners++;
}

static void
check_paths(struct conf_parser *p)
{
	const struct config *c = p->config;
	const struct conf_source *s = main_source(p);

	if (strlen(c->submit_path) > 107)
		conf_error_at(p, s->name, 1, 0,
		    "the submit socket's path is too long: %s", c->submit_path);
	if (strcmp(c->submit_path, c->control_path) == 0)
		conf_error_at(p, s->name, 1, 0,
		    "control and submit socket have the same path: %s",
		    c->submit_path);
}

static void
check_listeners(struct conf_parser *p)
{
	const struct conf_source *s = main_source(p);
	struct config *c = p->config;
	const char *submit = NULL;
	size_t i;

	if (c->nlisteners == 0 && !p->unread)
		conf_error_at(p, s->name, 1, UINT64_MAX - 1,
		    "there is no `listen': mail could not come in");
	for (i = 0; i < c->nlisteners; i++) {
		check_same_listener(p, i);
		if ((c->listeners[i].flags & LISTENER_SUBMIT) && submit == NULL)
			submit = c->listeners[i].path;
	}
	if (submit == NULL && p->errors->nerrors == 0) {
		add_submit(c);
		submit = c->listeners[c->nlisteners - 1].path;
	}
	if (submit == NULL)
		return;
	c->submit_path = xstrdup(submit);
	check_paths(p);
}

/* --- rules --- */

/* Is it the tag of no listener on the network? */
static bool
is_local_tag(const struct config *c, const char *tag)
{
	size_t i;

	for (i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].addr.family != ADDR_LOCAL &&
		    c->listeners[i].tag != NULL &&
		    strcmp(c->listeners[i].tag, tag) == 0)
			return false;
	return true;
}

/* Does the condition leave the door as open as without it? What a client
 * says of itself (HELO, sender) closes nothing, nor does a `not`; a name
 * anybody may have. */
static bool
keeps_out(struct conf_parser *p, const struct cond *c)
{
	if (c->negate)
		return false;
	switch (c->kind) {
	case COND_FROM_LOCAL:
	case COND_FOR_DOMAIN:
	case COND_FOR_RCPT:
	case COND_FROM_AUTH:
	case COND_AUTH:
		return true;
	case COND_FROM_SOURCE:
		return !conf_table_of(p, c->table)->everywhere;
	case COND_FROM_ANY:
	case COND_FOR_ANY:
	case COND_MAIL_FROM:
	case COND_HELO:
	case COND_RDNS:
	case COND_FCRDNS:
	case COND_HELO_PTR:
	case COND_TLS:
	case COND_DNSBL:
	case COND_EARLY_TALKER:
		return false;
	case COND_TAG:
		return is_local_tag(p->config, c->text);
	}
	return false;
}

static bool
is_open_relay(struct conf_parser *p, const struct rule *r)
{
	size_t i;

	if (r->verdict != VERDICT_ACTION || r->action->kind != ACTION_RELAY)
		return false;
	for (i = 0; i < r->nconds; i++)
		if (keeps_out(p, &r->conds[i]))
			return false;
	return true;
}

static bool
same_cond(const struct cond *a, const struct cond *b)
{
	if (a->kind != b->kind || a->negate != b->negate ||
	    a->table != b->table || a->dnsbl != b->dnsbl ||
	    a->score != b->score)
		return false;
	return a->text == NULL ?
		   b->text == NULL :
		   b->text != NULL && strcmp(a->text, b->text) == 0;
}

static bool
has_cond(const struct rule *r, const struct cond *c)
{
	for (size_t i = 0; i < r->nconds; i++)
		if (same_cond(&r->conds[i], c))
			return true;
	return false;
}

/* Does r match whatever other does? As far as the words of both tell. */
static bool
matches_all_of(const struct rule *r, const struct rule *other)
{
	for (size_t i = 0; i < r->nconds; i++)
		if (r->conds[i].kind != COND_FROM_ANY &&
		    r->conds[i].kind != COND_FOR_ANY &&
		    !has_cond(other, &r->conds[i]))
			return false;
	return true;
}

static bool
has_tag(const struct config *c, const char *tag)
{
	size_t i;

	for (i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].tag != NULL &&
		    strcmp(c->listeners[i].tag, tag) == 0)
			return true;
	return false;
}

static void
check_rule(struct conf_parser *p, size_t n)
{
	const struct rule *r = &p->config->rules[n];
	const struct conf_note *note = &p->rule_notes[n];
	size_t i;

	if (is_open_relay(p, r))
		conf_warn_at(p, note->file, note->line, note->order,
		    "open relay: anybody may send to anywhere by this rule");
	for (i = 0; i < r->nconds; i++)
		if (r->conds[i].kind == COND_TAG &&
		    !has_tag(p->config, r->conds[i].text))
			conf_warn_at(p, note->file, note->line, note->order,
			    "no listener has the tag `%s'", r->conds[i].text);
}

/* The first before n that leaves nothing for it. */
static void
check_reached(struct conf_parser *p, size_t n)
{
	static const struct rule everything;
	const struct rule *rules = p->config->rules;
	const struct conf_note *note = &p->rule_notes[n];

	for (size_t i = 0; i < n; i++) {
		if (!matches_all_of(&rules[i], &rules[n]))
			continue;
		conf_warn_at(p, note->file, note->line, note->order,
		    "never reached: the rule in %s:%u matches %s",
		    p->rule_notes[i].file, p->rule_notes[i].line,
		    matches_all_of(&rules[i], &everything) ?
			"everything" :
			"all that this one does");
		return;
	}
}

static void
check_rules(struct conf_parser *p)
{
	const struct config *c = p->config;

	if (c->nrules == 0)
		conf_warn_at(p, main_source(p)->name, 1, UINT64_MAX - 1,
		    "there is no `match': every mail is refused");
	for (size_t i = 0; i < c->nrules; i++) {
		check_rule(p, i);
		check_reached(p, i);
	}
}

/* Where this statement stands, which was read. */
static const struct conf_statement *
statement_of(const struct conf_parser *p, const char *name)
{
	const struct conf_statement *st = p->statements;

	while (st->keyword == NULL || strcmp(st->keyword->name, name) != 0)
		st++;
	return st;
}

/* Mail to <postmaster> comes to this address as from this machine, by the
 * rules that there are. */
static void
check_postmaster(struct conf_parser *p)
{
	const struct config *c = p->config;
	struct rules_query q = { .client = { .family = ADDR_LOCAL },
		.name_state = CLIENT_NAME_NONE,
		.helo = str_of(c->hostname) };
	const struct conf_statement *st;
	struct rules_verdict v;
	struct path to;
	uint64_t order;

	if (c->postmaster == NULL || c->nrules == 0 ||
	    path_split(str_of(c->postmaster), &to) == -1)
		return;
	q.rcpt_local = to.local;
	q.rcpt_domain = to.domain;
	v = rules_decide(c, &q);
	st = statement_of(p, "postmaster");
	order = conf_order(st, st->line);
	if (v.rule == NULL || !rules_takes(v.rule))
		conf_warn_at(p, st->source->name, st->line, order,
		    "`postmaster' %s: no `match' takes its mail",
		    c->postmaster);
	else if (v.rule->action->kind == ACTION_DISCARD)
		conf_warn_at(p, st->source->name, st->line, order,
		    "`postmaster' %s: its mail is discarded, in line %u",
		    c->postmaster, v.rule->line);
}

/* --- what nobody uses --- */

static void
check_unused(struct conf_parser *p)
{
	const struct config *c = p->config;
	const struct conf_table *t;
	const struct conf_macro *m;
	size_t i;

	STAILQ_FOREACH(m, &p->macros, next)
		if (m->file != NULL && !m->used)
			conf_warn_at(p, m->file, m->line, m->order,
			    "macro `%.*s' is not used", (int)m->name.len,
			    m->name.p);
	STAILQ_FOREACH(t, &p->tables, next)
		if (t->named && !t->used)
			conf_warn_at(p, t->file, t->line, t->order,
			    "table `%s' is not used", t->name);
	for (i = 0; i < c->nactions; i++)
		if (!p->action_notes[i].used)
			conf_warn_at(p, p->action_notes[i].file,
			    p->action_notes[i].line, p->action_notes[i].order,
			    "action `%s' is not used", c->actions[i].name);
	for (i = 0; i < c->nmilters; i++)
		if (!p->milter_notes[i].used)
			conf_warn_at(p, p->milter_notes[i].file,
			    p->milter_notes[i].line, p->milter_notes[i].order,
			    "milter `%s' is not used", c->milters[i].name);
	for (i = 0; i < c->npkis; i++)
		if (!p->pki_notes[i].used)
			conf_warn_at(p, p->pki_notes[i].file,
			    p->pki_notes[i].line, p->pki_notes[i].order,
			    "pki `%s' is not used", c->pkis[i].name);
}

void
conf_check(struct conf_parser *p)
{
	/* Without any statement there is one thing wrong, and it is said. */
	if (main_source(p) == NULL)
		return;
	set_domain(p->config);
	check_listeners(p);
	/* Half a configuration would get half the warnings wrong. */
	if (p->errors->nerrors > 0)
		return;
	check_names(p);
	check_rules(p);
	check_postmaster(p);
	check_unused(p);
	conf_check_ways(p);
	conf_check_door(p);
}
