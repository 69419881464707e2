/*
 * The statements in normal form, for the account of what changed (diff.c):
 * one line each, macros put in, blocks opened. The values of lists, and the
 * arguments of commands, may be passwords: they are counted in (digest) and
 * never shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "posternd/conf_parse.h"

enum {
	TEXT_MAX = 2000 /* of a line; the rest is only counted in */
};

/* FNV-1a. */
#define DIGEST_INIT UINT64_C(0xcbf29ce484222325)

static uint64_t
digest_add(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t
digest_number(uint64_t h, uint64_t n)
{
	for (; n > 0; n >>= 8)
		h = (h ^ (n & 0xff)) * UINT64_C(0x100000001b3);
	return (h ^ 0x100) * UINT64_C(0x100000001b3);
}

/* --- tokens as text --- */

/* A line in the making. */
struct writing {
	const struct conf_statement *st;
	struct buf text;
	uint64_t digest;
	unsigned int depth; /* of braces that are lists */
	bool separate;      /* a comma is due before the next entry */
	bool is_value;      /* the next token is one of a list */
	bool closes_up;     /* no blank before the next token */
	bool is_command;    /* the next token is one: its arguments are not
			     * shown */
};

static void
put(struct writing *w, const char *text)
{
	if (w->text.len + strlen(text) < TEXT_MAX)
		buf_addf(&w->text, "%s", text);
}

static void
put_blank(struct writing *w)
{
	if (w->separate)
		put(w, ",");
	if (w->text.len > 0 && !w->closes_up)
		put(w, " ");
	w->separate = w->closes_up = false;
}

/* Up to what may be the hash of a password, or an argument. */
static struct str
what_is_shown(const struct writing *w, struct str s)
{
	struct str shown = str_head(s, conf_hash_at(s));

	return w->is_command ? str_head(shown, str_find(shown, ' ')) : shown;
}

static void
put_text(struct writing *w, struct str s, bool quoted)
{
	struct str shown = what_is_shown(w, s);

	if (shown.len > TEXT_MAX / 2)
		shown = str_head(shown, TEXT_MAX / 2);
	if (w->text.len + shown.len + 8 >= TEXT_MAX)
		return;
	if (quoted)
		buf_add_char(&w->text, '"');
	for (size_t i = 0; i < shown.len; i++) {
		if (quoted && (shown.p[i] == '"' || shown.p[i] == '\\'))
			buf_add_char(&w->text, '\\');
		buf_add_char(&w->text, shown.p[i]);
	}
	if (shown.len < s.len)
		buf_addf(&w->text, "...");
	if (quoted)
		buf_add_char(&w->text, '"');
}

static void
count_in(struct writing *w, const struct conf_token *t)
{
	/* What a macro stands for is the text it stands for. */
	enum conf_kind kind = t->kind == CONF_MACRO ? CONF_STRING : t->kind;

	w->digest = digest_number(w->digest, (uint64_t)kind);
	w->digest = digest_number(w->digest, t->text.len);
	w->digest = digest_add(w->digest, t->text.p, t->text.len);
}

static void
put_word(struct writing *w, const struct conf_token *t)
{
	put_blank(w);
	if (w->is_value)
		put(w, "...");
	else
		put_text(w, t->text, t->kind != CONF_WORD);
	w->is_value = false;
	count_in(w, t);
}

static void
put_brace(struct writing *w, const struct conf_token *t)
{
	if (t->kind == CONF_CLOSE) {
		w->separate = false;
		w->depth -= w->depth > 0;
	}
	put_blank(w);
	put(w, t->kind == CONF_OPEN ? "{" : "}");
	w->depth += t->kind == CONF_OPEN;
	count_in(w, t);
}

/* In lists commas and lines' ends are the same, and there is one between any
 * two entries. */
static void
put_token(struct writing *w, const struct conf_token *t)
{
	switch (t->kind) {
	case CONF_WORD:
	case CONF_STRING:
	case CONF_MACRO:
		put_word(w, t);
		w->separate = w->depth > 0;
		break;
	case CONF_OPEN:
	case CONF_CLOSE:
		put_brace(w, t);
		w->separate = t->kind == CONF_CLOSE && w->depth > 0;
		break;
	case CONF_EQUALS:
		w->separate = false;
		put_blank(w);
		put(w, "=");
		w->is_value = true;
		count_in(w, t);
		break;
	case CONF_NOT:
		put_blank(w);
		put(w, "!");
		w->closes_up = true;
		count_in(w, t);
		break;
	case CONF_COMMA:
	case CONF_EOL:
	case CONF_END:
	case CONF_BAD:
		break;
	}
}

/* Its text is a command: that of `mda'. */
static bool
is_command(const struct conf_statement *st, size_t i)
{
	return i > 1 && st->tokens[i].kind == CONF_STRING &&
	       st->tokens[i - 1].kind == CONF_WORD &&
	       str_eq(st->tokens[0].text, STR("action")) &&
	       str_eq(st->tokens[i - 1].text, STR("mda"));
}

/* The tokens from first to end, but for the braces of the block. */
static void
put_tokens(struct writing *w, size_t first, size_t end)
{
	const struct conf_statement *st = w->st;

	for (size_t i = first; i < end && i < st->ntokens; i++) {
		if (st->opened != 0 && (i == st->opened || i == st->closed))
			continue;
		w->is_command = is_command(st, i);
		put_token(w, &st->tokens[i]);
	}
}

static struct writing
begin(const struct conf_statement *st)
{
	struct writing w = { .st = st, .digest = DIGEST_INIT };

	buf_init(&w.text, (size_t)2 * TEXT_MAX);
	return w;
}

/* --- lines --- */

static char *
where_of(const struct conf_statement *st, size_t token)
{
	uint32_t line = token < st->ntokens ? st->tokens[token].line : st->line;
	char *where;

	if (asprintf(&where, "%s:%u", st->source->name, line) == -1)
		abort();
	return where;
}

/* Ends the writing; takes name. */
static struct config_line *
add_line(struct config *c, struct writing *w, size_t token, char *name)
{
	struct config_line *l;

	/* A power of two of them each time. */
	if ((c->nlines & (c->nlines - 1)) == 0)
		c->lines = xreallocarray(c->lines,
		    c->nlines == 0 ? 1 : c->nlines * 2, sizeof(*c->lines));
	l = &c->lines[c->nlines++];
	*l = (struct config_line){ .where = where_of(w->st, token),
		.name = name,
		.text = str_dup(buf_str(&w->text)),
		.digest = w->digest };
	buf_clear(&w->text);
	return l;
}

static char *
text_of(const struct conf_statement *st, size_t first, size_t end)
{
	struct writing w = begin(st);
	char *text;

	put_tokens(&w, first, end);
	text = str_dup(buf_str(&w.text));
	buf_clear(&w.text);
	return text;
}

static struct config_line *
whole(struct config *c, const struct conf_statement *st, char *name)
{
	struct writing w = begin(st);

	put_tokens(&w, 0, st->ntokens);
	return add_line(c, &w, 0, name);
}

/* --- what a statement names --- */

typedef void list_fn(struct config *c, const struct conf_statement *st);

/* Itself: there is one. */
static void
list_single(struct config *c, const struct conf_statement *st)
{
	whole(c, st, xstrdup(st->keyword->name));
}

static void
list_ordered(struct config *c, const struct conf_statement *st)
{
	whole(c, st, xstrdup(st->keyword->name))->ordered = true;
}

static void
list_named(struct config *c, const struct conf_statement *st)
{
	whole(c, st, text_of(st, 0, 2));
}

/* What is in a list is another's to compare (diff.c): entries. */
static void
list_table(struct config *c, const struct conf_statement *st)
{
	struct writing w = begin(st);
	bool is_file = st->ntokens > 2 && st->tokens[2].kind == CONF_WORD;

	put_tokens(&w, 0, is_file ? st->ntokens : 2);
	add_line(c, &w, 0, text_of(st, 0, 2));
}

static size_t
end_of_option(const struct conf_statement *st, size_t i)
{
	return i + 1 < st->nmarks ? st->marks[i + 1] : st->ntokens;
}

/* Its address and port, in whichever order they are said. */
static void
list_listen(struct config *c, const struct conf_statement *st)
{
	char *on = NULL, *port = NULL, *name;

	for (size_t i = 0; i < st->nmarks; i++) {
		struct str word = st->tokens[st->marks[i]].text;
		char **to = str_eq(word, STR("on"))   ? &on :
			    str_eq(word, STR("port")) ? &port :
							NULL;

		if (to == NULL || *to != NULL)
			continue;
		*to = text_of(st, st->marks[i], end_of_option(st, i));
	}
	if (asprintf(&name, "listen %s %s", on == NULL ? "" : on,
		port == NULL ? "port 25" : port) == -1)
		abort();
	free(on);
	free(port);
	whole(c, st, name);
}

/* A line for each option, which names itself; behind the statement's word,
 * unless that is one of them. */
static void
list_options(struct config *c, const struct conf_statement *st)
{
	size_t head = st->nmarks > 0 && st->marks[0] > 0;

	for (size_t i = 0; i < st->nmarks; i++) {
		struct writing w = begin(st), name = begin(st);
		size_t first = st->marks[i];

		put_tokens(&w, 0, head);
		put_tokens(&w, first, end_of_option(st, i));
		put_tokens(&name, 0, head);
		put_tokens(&name, first, first + 1);
		add_line(c, &w, first, str_dup(buf_str(&name.text)));
		buf_clear(&name.text);
	}
}

static const struct {
	const char *keyword;
	list_fn *list;
} lists[] = {
	{ "table", list_table },
	{ "milter", list_named },
	{ "pki", list_named },
	{ "action", list_named },
	{ "listen", list_listen },
	{ "match", list_ordered },
	{ "deliver", list_ordered },
	{ "resolver", list_ordered },
	{ "limit", list_options },
	{ "queue", list_options },
	{ "log", list_options },
	{ "workers", list_options },
	{ "user", list_options },
	{ "queue-user", list_options },
	{ "smtpd-user", list_options },
	{ "resolver-user", list_options },
	{ "delivery-user", list_options },
	{ "control-user", list_options },
	{ "dialer-user", list_options },
	{ "vault-user", list_options },
	{ "fetch-user", list_options },
	{ "web-user", list_options },
	{ "dial-group", list_options },
};

static list_fn *
list_of(const struct conf_keyword *k)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(lists[i].keyword, k->name) == 0)
			return lists[i].list;
	return list_single;
}

/* --- files that a statement names --- */

static uint64_t
stamp_of(const struct stat *st)
{
	uint64_t h = digest_number(DIGEST_INIT, (uint64_t)st->st_dev);

	h = digest_number(h, (uint64_t)st->st_ino);
	h = digest_number(h, (uint64_t)st->st_size);
	h = digest_number(h, (uint64_t)st->st_mtim.tv_sec);
	return digest_number(h, (uint64_t)st->st_mtim.tv_nsec);
}

static void
stamp_files(struct config *c)
{
	struct stat st = { 0 };

	for (size_t i = 0; i < c->npkis; i++)
		for (size_t k = 0; k < c->pkis[i].ncerts; k++) {
			struct cert *cert = &c->pkis[i].certs[k];

			if (cert->key_fd > 0 && fstat(cert->key_fd, &st) == 0)
				cert->key_stamp = stamp_of(&st);
		}
	if (c->ca_path != NULL && stat(c->ca_path, &st) == 0)
		c->ca_stamp = stamp_of(&st);
}

void
conf_list_lines(struct conf_parser *p)
{
	for (size_t i = 0; i < p->nstatements; i++) {
		const struct conf_statement *st = &p->statements[i];

		if (st->keyword != NULL && !st->done)
			list_of(st->keyword)(p->config, st);
	}
	stamp_files(p->config);
}
