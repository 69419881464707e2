/* `action`: what becomes of a mail that was taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/rules/hop.h"
#include "posternd/conf_hops.h"
#include "posternd/conf_parse.h"

enum { HOPS_MAX = 4096, PATH_BYTES_MAX = 1024 };

/* An action in the making. */
struct making {
	struct action action;
	const struct conf_keyword *kind; /* NULL: not said yet */
	bool has_to;
};

static int
set_kind(struct conf_parser *p, const struct conf_keyword *k, struct making *m)
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
	return set_kind(p, k, into);
}

/* --- relay to --- */

static int
add_hop(struct conf_parser *p, struct buf *hops)
{
	struct fault why;
	struct str s = conf_peek(p)->text;

	if (conf_hops_check(s, &why) == -1)
		return conf_error(p, "%s", why.text);
	if (hops->len > 0)
		buf_add_char(hops, ' ');
	buf_add_str(hops, str_trim(s));
	if (hops->failed)
		return conf_error(p, "too many next hops");
	conf_advance(p);
	return 0;
}

/* URL ..., up to what is not one; a list may go over lines. */
static int
take_hops(struct conf_parser *p, struct action *a, bool in_list)
{
	enum conf_kind kind;
	struct fault why;
	struct buf hops;
	int r = 0;

	buf_init(&hops, HOPS_MAX);
	for (;;) {
		kind = conf_peek(p)->kind;
		if (kind == CONF_COMMA || (in_list && kind == CONF_EOL)) {
			conf_advance(p);
			continue;
		}
		if (kind != CONF_STRING && kind != CONF_MACRO)
			break;
		if (add_hop(p, &hops) == -1) {
			r = -1;
			break;
		}
	}
	a->hops = str_dup(buf_str(&hops));
	buf_clear(&hops);
	/* Once more for what only all of them show: too many. */
	if (r == 0 && a->hops[0] != '\0' &&
	    conf_hops_check(str_of(a->hops), &why) == -1)
		r = conf_error(p, "%s", why.text);
	return r;
}

/* A list is of next hops, unless its first entry has a value. */
static bool
is_map(struct conf_parser *p)
{
	const struct conf_statement *st = p->st;
	size_t i = p->at + 1;

	while (i < st->ntokens && st->tokens[i].kind == CONF_EOL)
		i++;
	return i + 1 < st->ntokens && st->tokens[i + 1].kind == CONF_EQUALS;
}

static int
take_hop_list(struct conf_parser *p, struct action *a)
{
	conf_advance(p);
	if (take_hops(p, a, true) == -1)
		return -1;
	if (conf_peek(p)->kind != CONF_CLOSE)
		return conf_error(p, "expected a next hop in quotes, not %s",
		    conf_kind_text(conf_peek(p)->kind));
	if (a->hops[0] == '\0')
		return conf_error(p, "no next hop");
	conf_advance(p);
	return 0;
}

/* Does the macro stand for URLs? Else it names a table. */
static bool
is_url(struct str s)
{
	for (; s.len >= 3; s = str_skip(s, 1))
		if (str_eq(str_head(s, 3), STR("://")))
			return true;
	return false;
}

/* to URL ... | to TABLE | to { ... } */
static int
set_to(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;
	const struct conf_token *t = conf_peek(p);

	(void)k;
	m->has_to = true;
	if (t->kind == CONF_MACRO &&
	    (!is_url(t->text) || t->text.p[0] == '"' || t->text.p[0] == '{'))
		t = conf_peek_word(p);
	if (t->kind == CONF_STRING || t->kind == CONF_MACRO)
		return take_hops(p, &m->action, false);
	if (t->kind == CONF_OPEN && !is_map(p))
		return take_hop_list(p, &m->action);
	m->action.routes = conf_take_table(p, TABLE_FOR_ROUTES);
	return m->action.routes == NULL ? -1 : 0;
}

/* --- maildir --- */

static const char *const variables[] = { "rcpt", "rcpt.user", "rcpt.domain",
	"sender", "hostname" };

enum { NVARIABLES = sizeof(variables) / sizeof(variables[0]) };

static int
check_variable(struct conf_parser *p, struct str name)
{
	size_t i;

	for (i = 0; i < NVARIABLES; i++)
		if (str_eq(str_of(variables[i]), name))
			return 0;
	return conf_error(p, "unknown `%%{%.*s}'%s",
	    (int)(name.len > 60 ? 60 : name.len), name.p,
	    conf_nearest_name(name, variables, NVARIABLES));
}

static int
check_variables(struct conf_parser *p, struct str path)
{
	size_t end;

	for (; path.len > 0; path = str_skip(path, 1)) {
		if (!str_eq(str_head(path, 2), STR("%{")))
			continue;
		path = str_skip(path, 2);
		end = str_find(path, '}');
		if (end == path.len)
			return conf_error(p, "`%%{' is not closed");
		if (check_variable(p, str_head(path, end)) == -1)
			return -1;
		path = str_skip(path, end);
	}
	return 0;
}

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
	struct making *m = into;
	struct str path;

	if (set_kind(p, k, m) == -1)
		return -1;
	if (conf_take_text(p, "a path", &path) == -1)
		return -1;
	p->at--; /* errors from here on are about the path */
	while (path.len > 1 && path.p[path.len - 1] == '/')
		path.len--;
	if (path.len == 0 || path.p[0] != '/' || has_dots(path))
		return conf_error(p,
		    "`%.*s' is not an absolute path without dots",
		    (int)(path.len > 100 ? 100 : path.len), path.p);
	if (path.len > PATH_BYTES_MAX)
		return conf_error(p, "the path is too long");
	if (check_variables(p, path) == -1 ||
	    split_path(p, path, &m->action) == -1)
		return -1;
	conf_advance(p);
	return 0;
}

/* --- the statement --- */

/* clang-format off */
static const struct conf_keyword action_options[] = {
	CONF_CHOICE("relay", set_plain, ACTION_RELAY),
	CONF_OPTION("to", set_to),
	CONF_TEXT("port", conf_set_port, struct making, action.mx_port, 0),
	CONF_TEXT("vrfy", conf_set_true, struct making, action.vrfy, 0),
	CONF_TEXT("helo", conf_set_domain, struct making, action.helo, 255),
	{ .name = "ttl", .parse = conf_set_time,
	    .offset = offsetof(struct making, action.ttl_ms),
	    .min = 1000, .max = UINT64_C(8640000000) },
	CONF_CHOICE("maildir", set_maildir, ACTION_MAILDIR),
	CONF_TEXT("user", conf_set_text, struct making, action.user, 64),
	CONF_CHOICE("discard", set_plain, ACTION_DISCARD),
	CONF_LATER("lmtp"),
	CONF_LATER("mda"),
	CONF_LATER("tls"),
	CONF_LATER("source"),
	CONF_LATER("auth"),
	CONF_NO_MORE
};

/* clang-format on */

/* One of the options that only a relay has; NULL: none is there. */
static const char *
relay_option(const struct making *m)
{
	if (m->has_to)
		return "to";
	if (m->action.mx_port != 0)
		return "port";
	if (m->action.vrfy)
		return "vrfy";
	return m->action.helo != NULL ? "helo" : NULL;
}

static int
check_action(struct conf_parser *p, const struct making *m)
{
	const struct action *a = &m->action;

	if (m->kind == NULL)
		return conf_error(p,
		    "action `%s' is neither `relay', "
		    "`maildir' nor `discard'",
		    a->name);
	if (m->has_to && a->mx_port != 0)
		return conf_error(p, "`port' belongs to `relay' by MX only: "
				     "behind `to' it stands in the URL");
	if (a->kind != ACTION_RELAY && relay_option(m) != NULL)
		return conf_error(
		    p, "`%s' belongs to `relay' only", relay_option(m));
	if (a->kind != ACTION_MAILDIR && a->user != NULL)
		return conf_error(p, "`user' belongs to `maildir' only");
	return 0;
}

int
conf_action(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making m = { .kind = NULL };
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
	if (m.action.kind == ACTION_RELAY && !m.has_to && m.action.mx_port == 0)
		m.action.mx_port = HOP_PORT;
	/* Also when something is wrong: rules may speak of it. */
	c->actions =
	    xreallocarray(c->actions, c->nactions + 1, sizeof(*c->actions));
	conf_note(p, &p->action_notes, c->nactions);
	c->actions[c->nactions++] = m.action;
	return r;
}
