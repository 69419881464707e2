/* Statements and keywords: the grammar, and the cursor that walks it. */
#include "posternd/conf_parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum { SPLICES_MAX = 64 };

/* clang-format off */
static const struct conf_keyword statements[] = {
	CONF_TEXT("hostname", conf_set_domain, struct config, hostname, 255),
	CONF_TEXT("domain", conf_set_domain, struct config, domain, 255),
	CONF_TEXT("postmaster", conf_set_address, struct config, postmaster, 320),
	CONF_TEXT("spool", conf_set_path, struct config, spool, 1024),
	CONF_STATEMENT("control", conf_control, ACTIONS),
	CONF_STATEMENT("user", conf_users, ACTIONS),
	CONF_STATEMENT("queue-user", conf_users, ACTIONS),
	CONF_STATEMENT("smtpd-user", conf_users, ACTIONS),
	CONF_STATEMENT("resolver-user", conf_users, ACTIONS),
	CONF_STATEMENT("delivery-user", conf_users, ACTIONS),
	CONF_STATEMENT("control-user", conf_users, ACTIONS),
	CONF_STATEMENT("dialer-user", conf_users, ACTIONS),
	CONF_STATEMENT("vault-user", conf_users, ACTIONS),
	CONF_STATEMENT("fetch-user", conf_users, ACTIONS),
	CONF_STATEMENT("web-user", conf_users, ACTIONS),
	CONF_STATEMENT("dial-group", conf_users, ACTIONS),
	CONF_STATEMENT("workers", conf_workers, ACTIONS),
	CONF_STATEMENT("log", conf_log, ACTIONS),
	CONF_STATEMENT("resolver", conf_resolver, ACTIONS),
	CONF_STATEMENT("dnssec", conf_dnssec, ACTIONS),
	CONF_STATEMENT("ca", conf_ca, ACTIONS),
	CONF_STATEMENT("tls-report", conf_tls_report, ACTIONS),
	CONF_STATEMENT("table", conf_table_statement, TABLES),
	/* They name nothing, and are named by what comes in later passes. */
	CONF_STATEMENT("milter", conf_milter, TABLES),
	CONF_STATEMENT("pki", conf_pki, TABLES),
	CONF_STATEMENT("listen", conf_listen, ACTIONS),
	CONF_STATEMENT("allow", conf_allow, ACTIONS),
	CONF_STATEMENT("deny", conf_deny, ACTIONS),
	CONF_STATEMENT("action", conf_action, ACTIONS),
	CONF_STATEMENT("match", conf_match, RULES),
	CONF_STATEMENT("limit", conf_limit, ACTIONS),
	CONF_STATEMENT("bare-newline", conf_bare_newline, RULES),
	CONF_STATEMENT("queue", conf_queue, ACTIONS),
	CONF_STATEMENT("deliver", conf_deliver, RULES),
	CONF_STATEMENT("include", NULL, TABLES), /* done while reading */
	CONF_STATEMENT("http", conf_http, ACTIONS),
	CONF_NO_MORE
};

/* clang-format on */

/* --- the cursor --- */

const struct conf_token *
conf_peek(struct conf_parser *p)
{
	static struct conf_token end;
	const struct conf_statement *st = p->st;

	if (p->at < st->ntokens)
		return &st->tokens[p->at];
	end = (struct conf_token){ CONF_END,
		st->ntokens > 0 ? st->tokens[st->ntokens - 1].line : st->line,
		{ "", 0 } };
	return &end;
}

void
conf_advance(struct conf_parser *p)
{
	if (p->at < p->st->ntokens)
		p->at++;
}

/* Makes room for n tokens in the place of the current one. */
static void
make_room(struct conf_statement *st, size_t at, size_t n)
{
	size_t behind = st->ntokens - at - 1;

	/* A power of two above, as add_token of conf_source.c leaves it; here
	 * the exact size does, since nothing is added behind any more. */
	st->tokens =
	    xreallocarray(st->tokens, st->ntokens + n, sizeof(*st->tokens));
	memmove(&st->tokens[at + n], &st->tokens[at + 1],
	    behind * sizeof(*st->tokens));
	st->ntokens = at + n + behind;
}

/* The words of a macro's value; -1 after conf_error. */
static int
lex_value(struct conf_parser *p, const struct conf_token *macro,
    struct conf_token **words, size_t *n)
{
	struct conf_lexer lx;
	struct conf_token t;
	int depth = 0;

	conf_lex_init(&lx, macro->text, macro->line, &p->pool);
	while ((t = conf_lex_next(&lx)).kind != CONF_END) {
		if (t.kind == CONF_EOL)
			continue;
		if (t.kind == CONF_BAD)
			return conf_error(p, "in the macro's value: %.*s",
			    (int)t.text.len, t.text.p);
		if (t.kind == CONF_MACRO)
			return conf_error(p,
			    "in the macro's value: unknown macro `$%.*s'",
			    (int)t.text.len, t.text.p);
		depth += (t.kind == CONF_OPEN) - (t.kind == CONF_CLOSE);
		t.line = macro->line;
		*words = xreallocarray(*words, *n + 1, sizeof(**words));
		(*words)[(*n)++] = t;
	}
	if (depth != 0)
		return conf_error(
		    p, "in the macro's value: braces that do not match");
	return 0;
}

/* Puts the words of the macro's value in the place of the macro. -1 after
 * conf_error. */
static int
splice(struct conf_parser *p)
{
	struct conf_token macro = *conf_peek(p), *words = NULL;
	size_t n = 0;
	int r;

	p->total += macro.text.len;
	if (++p->splices > SPLICES_MAX || p->total > CONF_TOTAL_MAX)
		return conf_error(p, "macros make it too large");
	r = lex_value(p, &macro, &words, &n);
	if (r == 0) {
		make_room(p->st, p->at, n);
		if (n > 0)
			memcpy(
			    &p->st->tokens[p->at], words, n * sizeof(*words));
	}
	free(words);
	return r;
}

const struct conf_token *
conf_peek_word(struct conf_parser *p)
{
	while (conf_peek(p)->kind == CONF_MACRO)
		if (splice(p) == -1) {
			/* Reported; what follows would only be noise. */
			p->quiet = true;
			break;
		}
	return conf_peek(p);
}

bool
conf_at_end(struct conf_parser *p)
{
	enum conf_kind kind = conf_peek(p)->kind;

	return kind == CONF_END || kind == CONF_EOL || kind == CONF_CLOSE;
}

bool
conf_take_word(struct conf_parser *p, const char *word)
{
	const struct conf_token *t = conf_peek_word(p);

	if (t->kind != CONF_WORD || !str_eq(t->text, str_of(word)))
		return false;
	conf_advance(p);
	return true;
}

int
conf_take_text(struct conf_parser *p, const char *what, struct str *out)
{
	const struct conf_token *t = conf_peek(p);

	if (t->kind != CONF_WORD && t->kind != CONF_STRING &&
	    t->kind != CONF_MACRO)
		return conf_error(
		    p, "expected %s, not %s", what, conf_kind_text(t->kind));
	*out = t->text;
	conf_advance(p);
	return 0;
}

/* --- keywords --- */

const struct conf_keyword *
conf_find_keyword(const struct conf_keyword *table, struct str word)
{
	for (; table->name != NULL; table++)
		if (str_eq(str_of(table->name), word))
			return table;
	return NULL;
}

const struct conf_keyword *
conf_take_keyword(
    struct conf_parser *p, const struct conf_keyword *table, const char *what)
{
	const struct conf_token *t = conf_peek_word(p);
	const struct conf_keyword *k;
	struct str word = t->text;

	if (t->kind != CONF_WORD) {
		conf_error(p, "expected %s %s, not %s",
		    strchr("aeiou", what[0]) == NULL ? "a" : "an", what,
		    conf_kind_text(t->kind));
		return NULL;
	}
	k = conf_find_keyword(table, word);
	if (k == NULL) {
		conf_error(p, "unknown %s `%.*s'%s", what,
		    (int)(word.len > 100 ? 100 : word.len), word.p,
		    conf_nearest(table, word));
		return NULL;
	}
	if (k->parse == NULL) {
		conf_error(p, "`%s' is not available yet", k->name);
		return NULL;
	}
	conf_advance(p);
	return k;
}

int
conf_once(struct conf_parser *p, const struct conf_keyword *k, size_t first)
{
	size_t i;

	/* The keyword itself is behind the cursor by now. */
	for (i = first; i < p->nseen; i++) {
		if (p->seen[i].keyword != k)
			continue;
		p->at--;
		conf_error(p, "`%s' is set already, in %s:%u", k->name,
		    p->seen[i].file, p->seen[i].line);
		p->at++;
		return -1;
	}
	if (p->nseen == p->seen_cap) {
		p->seen_cap = p->seen_cap == 0 ? 32 : p->seen_cap * 2;
		p->seen = xreallocarray(p->seen, p->seen_cap, sizeof(*p->seen));
	}
	p->seen[p->nseen++] = (struct conf_seen){ k, p->st->source->name,
		p->st->tokens[p->at - 1].line };
	return 0;
}

/* Past what an option that failed has left: to the end of its line. */
static void
skip_option(struct conf_parser *p)
{
	unsigned int depth = 0;
	enum conf_kind kind;

	for (; (kind = conf_peek(p)->kind) != CONF_END; conf_advance(p)) {
		if (depth == 0 && conf_at_end(p))
			return;
		if (kind == CONF_OPEN)
			depth++;
		else if (kind == CONF_CLOSE)
			depth--;
	}
}

/* An option begins at this token. */
static void
mark(struct conf_statement *st, size_t at)
{
	st->marks =
	    xreallocarray(st->marks, st->nmarks + 1, sizeof(*st->marks));
	st->marks[st->nmarks++] = at;
}

static int
option(struct conf_parser *p, const struct conf_keyword *table, void *into,
    size_t first)
{
	const struct conf_keyword *k = conf_take_keyword(p, table, "option");

	if (k == NULL || (!k->again && conf_once(p, k, first) == -1))
		return -1;
	mark(p->st, p->at - 1);
	return k->parse(p, k, into);
}

int
conf_options(struct conf_parser *p, const struct conf_keyword *table,
    void *into, enum conf_once once)
{
	size_t nseen = p->nseen;
	size_t first = once == CONF_ONCE_A_FILE ? 0 : nseen;
	bool in_block = false, closed = false;
	enum conf_kind kind;
	int r = 0;

	while ((kind = conf_peek_word(p)->kind) != CONF_END) {
		if (closed)
			return conf_error(p, "something stands behind `}'");
		if (kind == CONF_OPEN && !in_block) {
			in_block = true;
			p->st->opened = p->at;
			conf_advance(p);
		} else if (kind == CONF_CLOSE && in_block) {
			in_block = false;
			closed = true;
			p->st->closed = p->at;
			conf_advance(p);
		} else if (kind == CONF_EOL) {
			conf_advance(p);
		} else if (option(p, table, into, first) == -1) {
			r = -1;
			skip_option(p);
			if (conf_peek(p)->kind == CONF_CLOSE && !in_block)
				break;
		}
	}
	if (once == CONF_ONCE_A_STATEMENT)
		p->nseen = nseen;
	return r;
}

/* --- statements --- */

void
conf_note(const struct conf_parser *p, struct conf_note **notes, size_t n)
{
	*notes = xreallocarray(*notes, n + 1, sizeof(**notes));
	(*notes)[n] = (struct conf_note){ p->st->source->name, p->st->line,
		conf_order(p->st, p->st->line), false };
}

static void
enter(struct conf_parser *p, struct conf_statement *st)
{
	p->st = st;
	p->at = 0;
	p->splices = 0;
	p->quiet = st->bad;
}

static void
refuse_rest(struct conf_parser *p)
{
	const struct conf_token *t = conf_peek(p);
	struct str word = str_head(t->text, conf_hash_at(t->text));

	if (t->kind == CONF_WORD)
		conf_error(p, "expected the end of the line, not `%.*s'",
		    (int)(word.len > 100 ? 100 : word.len), word.p);
	else
		conf_error(p, "expected the end of the line, not %s",
		    conf_kind_text(t->kind));
}

static void
run_statement(struct conf_parser *p, struct conf_statement *st)
{
	const struct conf_keyword *k = st->keyword;
	int r;

	enter(p, st);
	conf_advance(p);
	/* A text set by a statement of its own: once a file. */
	if (k->max > 0 && conf_once(p, k, 0) == -1)
		return;
	r = k->parse(p, k, p->config);
	if (r == 0 && conf_peek(p)->kind != CONF_END)
		refuse_rest(p);
}

static void
run(struct conf_parser *p)
{
	unsigned int pass;
	size_t i;

	for (i = 0; i < p->nstatements; i++) {
		struct conf_statement *st = &p->statements[i];

		p->unread |= st->bad;
		if (st->done || st->ntokens == 0)
			continue;
		enter(p, st);
		if (st->tokens[0].kind == CONF_OPEN)
			conf_error(p, "expected a statement, not `{': a block "
				      "opens on its statement's line");
		else
			st->keyword =
			    conf_take_keyword(p, statements, "statement");
		st->bad |= p->quiet;
		p->unread |= st->keyword == NULL;
	}
	for (pass = 0; pass < CONF_PASSES; pass++)
		for (i = 0; i < p->nstatements; i++) {
			struct conf_statement *st = &p->statements[i];

			if (st->keyword != NULL && st->keyword->pass == pass)
				run_statement(p, st);
		}
	p->st = NULL;
	p->quiet = false;
}

static void
free_lists(struct conf_parser *p)
{
	struct conf_source *s;
	struct conf_macro *m;
	struct conf_table *t;
	size_t i;

	while ((s = STAILQ_FIRST(&p->sources)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->sources, next);
		free(s->name);
		free(s->dir);
		free(s);
	}
	while ((m = STAILQ_FIRST(&p->macros)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->macros, next);
		free(m);
	}
	while ((t = STAILQ_FIRST(&p->tables)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->tables, next);
		conf_table_free(&t);
	}
	for (i = 0; i < p->nstatements; i++) {
		free(p->statements[i].tokens);
		free(p->statements[i].marks);
	}
}

static void
parser_init(struct conf_parser *p, const struct conf_define *defines,
    size_t ndefines, struct conf_errors *errors)
{
	size_t i;

	memset(p, 0, sizeof(*p));
	p->config = config_new();
	p->errors = errors;
	SLIST_INIT(&p->pool);
	STAILQ_INIT(&p->sources);
	STAILQ_INIT(&p->macros);
	STAILQ_INIT(&p->tables);
	/* The last one given wins, as on any command line. */
	for (i = 0; i < ndefines; i++) {
		struct conf_macro *m = xcalloc(1, sizeof(*m));

		m->name = defines[i].name;
		m->value = defines[i].value;
		m->defined_outside = true;
		STAILQ_INSERT_HEAD(&p->macros, m, next);
	}
}

/* Runs what was read. The parser is gone behind this. */
static struct config *
parser_finish(struct conf_parser *p)
{
	struct config *c = p->config;

	p->st = NULL;
	run(p);
	conf_check(p);
	if (p->errors->nerrors > 0)
		config_unref(&c);
	else
		conf_list_lines(p);
	free_lists(p);
	free(p->statements);
	free(p->seen);
	free(p->action_notes);
	free(p->rule_notes);
	free(p->listener_notes);
	free(p->milter_notes);
	free(p->pki_notes);
	free(p->tls_report_note);
	conf_pool_free(&p->pool);
	return c;
}

struct config *
conf_load(const char *path, const struct conf_define *defines, size_t ndefines,
    struct conf_errors *errors)
{
	struct conf_parser p;

	parser_init(&p, defines, ndefines, errors);
	conf_read_file(&p, path);
	return parser_finish(&p);
}

struct config *
conf_parse_text(const char *name, struct str text,
    const struct conf_define *defines, size_t ndefines,
    struct conf_errors *errors)
{
	struct conf_parser p;

	parser_init(&p, defines, ndefines, errors);
	conf_read_text(&p, name, text);
	return parser_finish(&p);
}
