/* `action`: what becomes of a mail that was taken. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/rules/hop.h"
#include "posternd/conf_action.h"

enum { PATH_BYTES_MAX = 1024, MDA_TIMEOUT_MS = 600000 };

int
conf_set_kind(
    struct conf_parser *p, const struct conf_keyword *k, struct conf_making *m)
{
	if (m->kind != NULL)
		return conf_error(
		    p, "`%s' beside `%s'", k->name, m->kind->name);
	m->kind = k;
	m->action.kind = (enum action_kind)k->value;
	return 0;
}

/* relay and discard: the word is all */
static int
set_plain(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	return conf_set_kind(p, k, into);
}

/* --- maildir --- */

static bool
has_dots(struct str path)
{
	struct str part;

	while (path.len > 0) {
		part = str_head(path, str_find(path, '/'));
		if (str_eq(part, STR("..")) || str_eq(part, STR(".")))
			return true;
		path = str_skip(path, part.len + 1);
	}
	return false;
}

/* The base ends at the last slash before the first variable. */
static int
split_path(struct conf_parser *p, struct str path, struct action *a)
{
	size_t n = 0, slash = 0, i;

	while (
	    n < path.len && !str_eq(str_head(str_skip(path, n), 2), STR("%{")))
		n++;
	for (i = 0; i < n; i++)
		if (path.p[i] == '/' && i + 1 < path.len)
			slash = i;
	if (slash == 0)
		return conf_error(
		    p, "no directory of its own before the first variable");
	a->base = str_dup(str_head(path, slash));
	a->path = str_dup(str_skip(path, slash + 1));
	return 0;
}

static int
set_maildir(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;
	struct str path;

	if (conf_set_kind(p, k, m) == -1)
		return -1;
	if (conf_take_text(p, "a path", &path) == -1)
		return -1;
	p->at--; /* errors from here on are about the path */
	while (path.len > 1 && path.p[path.len - 1] == '/')
		path.len--;
	if (path.len == 0 || path.p[0] != '/' || has_dots(path))
		return conf_error(p,
		    "`%.*s' is not an absolute path without `.' and `..'",
		    (int)(path.len > 100 ? 100 : path.len), path.p);
	if (path.len > PATH_BYTES_MAX)
		return conf_error(p, "the path is too long");
	if (conf_check_variables(p, path) == -1 ||
	    split_path(p, path, &m->action) == -1)
		return -1;
	conf_advance(p);
	return 0;
}

/* --- the statement --- */

/* clang-format off */
static const struct conf_keyword action_options[] = {
	CONF_CHOICE("relay", set_plain, ACTION_RELAY),
	CONF_OPTION("to", conf_set_to),
	CONF_TEXT("port", conf_set_port, struct conf_making, action.mx_port, 0),
	CONF_TEXT("vrfy", conf_set_true, struct conf_making, action.vrfy, 0),
	CONF_TEXT("helo", conf_set_domain, struct conf_making, action.helo, 255),
	CONF_OPTION("tls", conf_set_tls),
	CONF_OPTION("auth", conf_set_auth),
	CONF_OPTION("pki", conf_set_action_pki),
	CONF_OPTION("source", conf_set_source),
	{ .name = "ttl", .parse = conf_set_time,
	    .offset = offsetof(struct conf_making, action.ttl_ms),
	    .min = 1000, .max = UINT64_C(8640000000) },
	CONF_CHOICE("lmtp", conf_set_lmtp, ACTION_RELAY),
	CONF_CHOICE("maildir", set_maildir, ACTION_MAILDIR),
	CONF_CHOICE("mda", conf_set_mda, ACTION_MDA),
	CONF_TEXT("user", conf_set_text, struct conf_making, action.user, 64),
	CONF_NUMBER("timeout", conf_set_time, struct conf_making, action.timeout_ms, 1000, 86400000),
	CONF_CHOICE("discard", set_plain, ACTION_DISCARD),
	CONF_NO_MORE
};

/* clang-format on */

/* One of the options that only a relay has; NULL: none is there. */
static const char *
relay_option(const struct conf_making *m)
{
	const struct action *a = &m->action;

	const struct {
		bool is;
		const char *name;
	} options[] = {
		{ m->has_to, "to" },
		{ a->mx_port != 0, "port" },
		{ a->vrfy, "vrfy" },
		{ a->helo != NULL, "helo" },
		{ a->tls != 0, "tls" },
		{ a->auth != NULL, "auth" },
		{ a->pki != NULL, "pki" },
		{ a->nsources > 0, "source" },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].is)
			return options[i].name;
	return NULL;
}

/* It would run with the rights of root. */
static int
check_mda(struct conf_parser *p, const struct action *a)
{
	if (a->user == NULL)
		return conf_error(p, "an `mda' needs a `user': the command "
				     "has his rights");
	if (strcmp(a->user, "root") == 0)
		return conf_error(p, "an `mda' as root: whoever sends mail "
				     "would talk to a command that may do "
				     "anything");
	return 0;
}

static int
check_action(struct conf_parser *p, const struct conf_making *m)
{
	const struct action *a = &m->action;

	if (m->kind == NULL)
		return conf_error(p,
		    "action `%s' is neither `relay', `lmtp', `maildir', `mda' "
		    "nor `discard'",
		    a->name);
	if (a->kind != ACTION_RELAY && relay_option(m) != NULL)
		return conf_error(
		    p, "`%s' belongs to `relay' only", relay_option(m));
	if (a->kind != ACTION_MAILDIR && a->kind != ACTION_MDA &&
	    a->user != NULL)
		return conf_error(
		    p, "`user' belongs to `maildir' and `mda' only");
	if (a->kind != ACTION_MDA && a->timeout_ms != 0)
		return conf_error(p, "`timeout' belongs to `mda' only; of a "
				     "relay they stand in `deliver'");
	if (a->kind == ACTION_MDA)
		return check_mda(p, a);
	return a->kind == ACTION_RELAY ? conf_check_relay(p, m) : 0;
}

/* What was not said. */
static void
set_defaults(const struct conf_making *m, struct action *a)
{
	if (m->kind == NULL)
		return;
	if (a->kind == ACTION_RELAY && a->hops == NULL && a->routes == NULL &&
	    !m->has_to && a->mx_port == 0)
		a->mx_port = HOP_PORT;
	if (a->kind == ACTION_MDA && a->timeout_ms == 0)
		a->timeout_ms = MDA_TIMEOUT_MS;
}

int
conf_action(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making m = { .kind = NULL };
	struct config *c = into;
	const struct action *old;
	struct str name;
	int r;

	(void)k;
	if (conf_take_name(p, "the action's name", &name) == -1)
		return -1;
	old = config_find_action(c, name);
	if (old != NULL)
		return conf_error(p, "action `%s' is defined already, in %s:%u",
		    old->name, p->action_notes[old->id].file, old->line);
	m.action.name = str_dup(name);
	m.action.line = p->st->line;
	m.action.id = (uint32_t)c->nactions;
	r = conf_options(p, action_options, &m, CONF_ONCE_A_STATEMENT);
	if (r == 0)
		r = check_action(p, &m);
	set_defaults(&m, &m.action);
	/* Also when something is wrong: rules may speak of it. */
	c->actions =
	    xreallocarray(c->actions, c->nactions + 1, sizeof(*c->actions));
	conf_note(p, &p->action_notes, c->nactions);
	c->actions[c->nactions++] = m.action;
	return r;
}
