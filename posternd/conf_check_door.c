/* What only the whole configuration shows of the front door: TLS, AUTH and
 * who talks too early. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "posternd/conf_parse.h"
#include "posternd/pki_check.h"

enum { SMTPS_PORT = 465, SUBMISSION_PORT = 587 };

/* --- passwords --- */

/* Everybody but the vault gets the keys alone, we too. */
static void
hide_values(struct conf_parser *p, struct conf_table *t)
{
	struct config *c = p->config;
	struct fault why = { 0 };
	int fd;

	if (c->secret_fds == NULL) {
		c->secret_fds =
		    xreallocarray(NULL, c->ntables, sizeof(*c->secret_fds));
		for (size_t i = 0; i < c->ntables; i++)
			c->secret_fds[i] = -1;
	}
	if (conf_table_hide(t, &fd, &why) == -1) {
		conf_error_at(p, t->file, t->line, t->order, "%s: %s",
		    conf_table_called(t), why.text);
		return;
	}
	c->secret_fds[t->id] = c->table_fds[t->id];
	c->table_fds[t->id] = fd;
}

static void
check_passwords(struct conf_parser *p)
{
	struct conf_table *t;

	STAILQ_FOREACH(t, &p->tables, next) {
		if (!t->secret)
			continue;
		if (t->readable)
			conf_warn_at(p, t->file, t->line, t->order,
			    "everybody can read the passwords of %s",
			    conf_table_called(t));
		if (table_count(t->table) == 0)
			conf_warn_at(p, t->file, t->line, t->order,
			    "%s is empty: nobody can authenticate",
			    conf_table_called(t));
		hide_values(p, t);
	}
}

/* --- listeners --- */

/* LOGIN of XCLIENT is a user, too. */
static bool
has_auth(const struct listener *l)
{
	return l->auth != NULL || l->xclient_from != NULL;
}

static bool
has_tls(const struct listener *l)
{
	return l->npkis > 0;
}

static bool
has_flag(const struct listener *l)
{
	return (l->flags & LISTENER_GREET_FLAG) != 0;
}

static bool
any_listener(const struct config *c, bool (*has)(const struct listener *l))
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (has(&c->listeners[i]))
			return true;
	return false;
}

/* The ports of which clients know what to expect (RFC 8314). */
static void
check_port(struct conf_parser *p, size_t i)
{
	const struct listener *l = &p->config->listeners[i];
	const struct conf_note *note = &p->listener_notes[i];

	if (l->port == SMTPS_PORT && (l->flags & LISTENER_SMTPS) == 0)
		conf_warn_at(p, note->file, note->line, note->order,
		    "port 465 without `smtps': its clients begin with TLS");
	if (l->port == SUBMISSION_PORT && l->auth == NULL)
		conf_warn_at(p, note->file, note->line, note->order,
		    "port 587 without `auth': it is for clients that "
		    "authenticate");
}

static bool
is_everybody(struct conf_parser *p, const struct table *t)
{
	return t != NULL && conf_table_of(p, t)->everywhere;
}

/* Who says for whom he speaks may say he is this machine, or a user. */
static void
check_speakers(struct conf_parser *p, size_t i)
{
	const struct listener *l = &p->config->listeners[i];
	const struct conf_note *note = &p->listener_notes[i];
	bool header =
	    (l->flags & LISTENER_PROXY) != 0 && !addr_is_loopback(&l->addr);

	if (header || is_everybody(p, l->proxy_from))
		conf_warn_at(p, note->file, note->line, note->order,
		    "`proxy-protocol' from anywhere: anybody may say that he "
		    "is this machine; `from' says who may");
	if (is_everybody(p, l->xclient_from))
		conf_warn_at(p, note->file, note->line, note->order,
		    "`xclient' from anywhere: anybody may say that he is this "
		    "machine, or a user");
}

/* --- rules that never match --- */

static const struct {
	enum cond_kind kind;
	bool (*has)(const struct listener *l);
	const char *word, *needs;
} needed[] = {
	{ COND_FROM_AUTH, has_auth, "from auth", "auth" },
	{ COND_AUTH, has_auth, "auth", "auth" },
	{ COND_TLS, has_tls, "tls", "pki" },
	{ COND_EARLY_TALKER, has_flag, "early-talker", "greet-delay ... flag" },
};

static void
check_cond(
    struct conf_parser *p, const struct conf_note *note, const struct cond *c)
{
	if (c->negate)
		return;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (c->kind == needed[i].kind &&
		    !any_listener(p->config, needed[i].has))
			conf_warn_at(p, note->file, note->line, note->order,
			    "`%s' never holds: no listener has `%s'",
			    needed[i].word, needed[i].needs);
}

/* --- certificates --- */

static void
complain(void *ctx, const struct pki *pki, bool is_warning, const char *text)
{
	struct conf_parser *p = ctx;
	const struct conf_note *note = &p->pki_notes[pki->id];

	if (is_warning)
		conf_warn_at(
		    p, note->file, note->line, note->order, "%s", text);
	else
		conf_error_at(
		    p, note->file, note->line, note->order, "%s", text);
}

void
conf_check_door(struct conf_parser *p)
{
	struct config *c = p->config;

	check_passwords(p);
	for (size_t i = 0; i < c->nlisteners; i++)
		if ((c->listeners[i].flags & LISTENER_SUBMIT) == 0) {
			check_port(p, i);
			check_speakers(p, i);
		}
	for (size_t i = 0; i < c->nrules; i++)
		for (size_t j = 0; j < c->rules[i].nconds; j++)
			check_cond(p, &p->rule_notes[i], &c->rules[i].conds[j]);
	if (c->npkis > 0)
		pki_check(c, complain, p);
}
