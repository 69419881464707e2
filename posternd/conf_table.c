/* `table`, and wherever a table or a literal may stand. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "posternd/conf_parse.h"

/* Each is a descriptor here, and one more for each process until that has it:
 * with two dozen processes it is still within the limit of the service. */
enum { TABLES_MAX = 2048 };

static struct conf_table *
find_named(struct conf_parser *p, struct str name)
{
	struct conf_table *t;

	STAILQ_FOREACH(t, &p->tables, next)
		if (t->named && str_eq(str_of(t->name), name))
			return t;
	return NULL;
}

struct conf_table *
conf_table_of(struct conf_parser *p, const struct table *t)
{
	struct conf_table *note;

	STAILQ_FOREACH(note, &p->tables, next)
		if (note->table == t)
			return note;
	return NULL;
}

const char *
conf_table_called(const struct conf_table *t)
{
	static char text[80];

	if (!t->named)
		return "this table";
	snprintf(text, sizeof(text), "table `%.70s'", t->name);
	return text;
}

static struct conf_table *
new_table(struct conf_parser *p, const char *name, bool named)
{
	struct conf_table *t = conf_table_new(name);

	t->file = p->st->source->name;
	t->line = p->st->line;
	t->order = conf_order(p->st, p->st->line);
	t->named = named;
	STAILQ_INSERT_TAIL(&p->tables, t, next);
	return t;
}

static struct conf_table *
new_anonymous(struct conf_parser *p)
{
	return new_table(p, "", false);
}

/* By its keys: whoever asks about it with another configuration than who
 * answers means this one, or hears that there is none. */
static void
name_anonymous(struct conf_parser *p, struct conf_table *t)
{
	const struct conf_table *other;
	unsigned int same = 0;

	STAILQ_FOREACH(other, &p->tables, next)
		same += !other->named && other->table != NULL &&
			other->digest == t->digest;
	free(t->name);
	if (asprintf(&t->name, TABLE_ANONYMOUS "%016" PRIx64 ".%u", t->digest,
		same) == -1)
		abort();
}

/* Said once. */
static int
refuse_more(struct conf_parser *p)
{
	if (p->tables_full)
		return -1;
	p->tables_full = true;
	return conf_error(p,
	    "more than %d tables and literals: names that lead to the same "
	    "belong into one",
	    TABLES_MAX);
}

/* Ends the building and gives the table to the configuration. */
static int
finish(struct conf_parser *p, struct conf_table *t)
{
	struct config *c = p->config;
	size_t n = c->ntables + 1;
	struct fault why;
	int fd;

	if (c->ntables == TABLES_MAX)
		return refuse_more(p);
	if (!t->named)
		name_anonymous(p, t);
	if (conf_table_seal(t, &fd, &why) == -1)
		return conf_error(p, "%s: %s", conf_table_called(t), why.text);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers it is */
	c->tables = xreallocarray(c->tables, n, sizeof(*c->tables));
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	c->table_files =
	    xreallocarray(c->table_files, n, sizeof(*c->table_files));
	c->table_fds = xreallocarray(c->table_fds, n, sizeof(*c->table_fds));
	c->table_files[c->ntables] = t->entries;
	t->entries = NULL;
	t->id = c->ntables;
	c->tables[c->ntables] = t->table;
	c->table_fds[c->ntables++] = fd;
	return 0;
}

/* --- lists --- */

/* What may stand in a list without quotes. */
static bool
is_bare(struct str s)
{
	struct addr_net net;
	uint64_t n;

	return addr_net_parse(s, &net) == 0 ||
	       str_to_u64(s, UINT64_MAX, &n) == 0;
}

/* A macro that stands for several things, rather than for one text. */
static bool
is_list_macro(const struct conf_token *t)
{
	return t->kind == CONF_MACRO && t->text.len > 0 &&
	       (t->text.p[0] == '{' || t->text.p[0] == '"');
}

static const struct conf_token *
peek_literal(struct conf_parser *p)
{
	const struct conf_token *t = conf_peek(p);

	return is_list_macro(t) ? conf_peek_word(p) : t;
}

static int
add_entry(
    struct conf_parser *p, struct conf_table *t, struct str key, uint32_t line)
{
	struct str value = str_of(NULL);
	char *text = NULL;
	struct fault why;
	int r = 0;

	if (conf_peek(p)->kind == CONF_EQUALS) {
		conf_advance(p);
		if (conf_take_text(p, "a value", &value) == -1)
			return -1;
		text = str_dup(value);
		t->readable |= p->st->source->readable;
	}
	if (conf_table_add(t, key, text, p->st->source->name, line, &why) == -1)
		r = conf_error(p, "%s", why.text);
	if (text != NULL)
		explicit_bzero(text, value.len);
	free(text);
	return r;
}

/* A word that is neither a name we know nor a number. */
static int
refuse_word(struct conf_parser *p, struct str word, const char *what)
{
	struct addr addr;
	size_t slash = str_find(word, '/');
	int len;

	word = str_head(word, conf_hash_at(word));
	len = (int)(word.len > 100 ? 100 : word.len);

	if (slash < word.len && addr_parse(str_head(word, slash), &addr) == 0)
		return conf_error(p,
		    "`%.*s' is not a network: bad prefix, or bits set behind "
		    "it",
		    len, word.p);
	return conf_error(
	    p, "%s `%.*s'; a literal stands in quotes", what, len, word.p);
}

/* The entries behind `{`, and its `}`. */
static int
take_list(struct conf_parser *p, struct conf_table *t)
{
	int r = 0;

	for (;;) {
		struct conf_token k = *peek_literal(p);

		conf_advance(p);
		if (k.kind == CONF_CLOSE)
			return r;
		if (k.kind == CONF_COMMA || k.kind == CONF_EOL)
			continue;
		if (k.kind == CONF_STRING || k.kind == CONF_MACRO ||
		    (k.kind == CONF_WORD && is_bare(k.text))) {
			if (add_entry(p, t, k.text, k.line) == -1)
				r = -1;
			continue;
		}
		if (k.kind == CONF_END)
			return conf_error(p, "`{' is not closed");
		p->at--;
		if (k.kind == CONF_WORD)
			r = refuse_word(p, k.text, "unexpected");
		else
			return conf_error(p, "expected an entry, not %s",
			    conf_kind_text(k.kind));
		conf_advance(p);
	}
}

/* --- table NAME ... --- */

struct file_errors {
	struct conf_parser *p;
	uint32_t line; /* of the statement */
};

static void
on_file_error(void *ctx, const char *file, uint32_t line, const char *what)
{
	struct file_errors *e = ctx;
	uint64_t order = conf_order(e->p->st, e->line);

	if (line == 0)
		conf_error_at(
		    e->p, e->p->st->source->name, e->line, order, "%s", what);
	else
		conf_error_at(e->p, file, line, order, "%s", what);
}

static int
take_file(struct conf_parser *p, struct conf_table *t)
{
	struct file_errors e = { p, conf_peek(p)->line };
	struct str path;
	char *full;

	if (conf_take_text(p, "a file", &path) == -1)
		return -1;
	full = conf_resolve_path(p, path);
	conf_table_read(t, full, on_file_error, &e);
	t->entries = full;
	return 0;
}

int
conf_table_statement(
    struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_table *t;
	struct str name;
	char text[80];
	int r;

	(void)k;
	(void)into;
	if (conf_take_name(p, "the table's name", &name) == -1)
		return -1;
	if ((t = find_named(p, name)) != NULL)
		return conf_error(p, "table `%s' is defined already, in %s:%u",
		    t->name, t->file, t->line);
	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.p);
	t = new_table(p, text, true);
	if (conf_take_word(p, "file")) {
		r = take_file(p, t);
	} else if (peek_literal(p)->kind == CONF_OPEN) {
		conf_advance(p);
		r = take_list(p, t);
	} else {
		r = conf_error(p, "expected `{' or `file', not %s",
		    conf_kind_text(conf_peek(p)->kind));
	}
	/* Also when something is wrong: others may speak of it. */
	if (finish(p, t) == -1)
		return -1;
	return r;
}

/* --- where a table may stand --- */

static struct conf_table *
unknown_table(struct conf_parser *p, struct str name)
{
	const char *near;
	struct conf_table *t;
	const char **names;
	size_t n = 0;

	STAILQ_FOREACH(t, &p->tables, next)
		n += t->named;
	names = xcalloc(n + 1, sizeof(*names));
	n = 0;
	STAILQ_FOREACH(t, &p->tables, next)
		if (t->named)
			names[n++] = t->name;
	near = conf_nearest_name(name, names, n);
	if (near[0] == '\0')
		refuse_word(p, name, "unknown table");
	else
		conf_error(
		    p, "unknown table `%.*s'%s", (int)name.len, name.p, near);
	free(names);
	return NULL;
}

static struct conf_table *
literal_table(struct conf_parser *p, struct str key)
{
	struct conf_table *t = new_anonymous(p);
	struct fault why;

	if (conf_table_add(t, key, NULL, p->st->source->name,
		conf_peek(p)->line, &why) == -1) {
		conf_error(p, "%s", why.text);
		return NULL;
	}
	conf_advance(p);
	return finish(p, t) == 0 ? t : NULL;
}

static struct conf_table *
list_table(struct conf_parser *p)
{
	struct conf_table *t = new_anonymous(p);
	int r;

	conf_advance(p);
	r = take_list(p, t);
	return finish(p, t) == 0 && r == 0 ? t : NULL;
}

static struct conf_table *
named_table(struct conf_parser *p, const struct conf_token *k)
{
	struct conf_table *t = find_named(p, k->text);

	if (t != NULL) {
		conf_advance(p);
		return t;
	}
	if (k->kind == CONF_MACRO || is_bare(k->text))
		return literal_table(p, k->text);
	return unknown_table(p, k->text);
}

static struct conf_table *
take_table(struct conf_parser *p)
{
	const struct conf_token *k = peek_literal(p);

	if (k->kind == CONF_WORD && str_eq(k->text, STR("table"))) {
		conf_advance(p);
		k = peek_literal(p);
	}
	switch (k->kind) {
	case CONF_OPEN:
		return list_table(p);
	case CONF_STRING:
		return literal_table(p, k->text);
	case CONF_WORD:
	case CONF_MACRO:
		return named_table(p, k);
	case CONF_CLOSE:
	case CONF_COMMA:
	case CONF_EQUALS:
	case CONF_NOT:
	case CONF_EOL:
	case CONF_END:
	case CONF_BAD:
		break;
	}
	conf_error(p, "expected a table or a literal, not %s",
	    conf_kind_text(k->kind));
	return NULL;
}

/* Values that are for the vault alone cannot be for others, too. */
static int
check_values(struct conf_parser *p, struct conf_table *t, enum table_use use)
{
	const char *values = table_use_values(use);

	if (table_use_is_secret(use))
		t->secret = true;
	else if (values != NULL)
		t->valued = values;
	if (!t->secret || t->valued == NULL)
		return 0;
	p->at--;
	conf_error(p, "%s cannot have both passwords and %s",
	    conf_table_called(t), t->valued);
	conf_advance(p);
	return -1;
}

struct table *
conf_take_table(struct conf_parser *p, enum table_use use)
{
	struct conf_table *t = take_table(p);

	if (t == NULL)
		return NULL;
	t->used = true;
	if (t->unfit[use] != NULL) {
		/* What was taken is behind the cursor. */
		p->at--;
		conf_error(p, "%s%s%s", t->named ? t->name : "",
		    t->named ? ": " : "", t->unfit[use]);
		conf_advance(p);
		return NULL;
	}
	return check_values(p, t, use) == 0 ? t->table : NULL;
}
