/* The configuration's files into statements; macros and includes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/utf8.h"
#include "posternd/conf_parse.h"

enum { MACROS_MAX = 1000, FILES_MAX = 1000 };

/* The files that are being read, from the inner one out. */
struct frame {
	const struct frame *up;
	const struct conf_source *source;
	dev_t dev;
	ino_t ino;
	unsigned int depth;
};

static struct conf_source *
new_source(struct conf_parser *p, const char *name)
{
	struct conf_source *s = xcalloc(1, sizeof(*s));
	const char *slash = strrchr(name, '/');

	s->name = xstrdup(name);
	s->dir = slash == NULL ? xstrdup("") :
				 xstrndup(name, (size_t)(slash - name) + 1);
	STAILQ_INSERT_TAIL(&p->sources, s, next);
	return s;
}

char *
conf_resolve_path(const struct conf_parser *p, struct str path)
{
	const char *dir = p->st == NULL ? "" : p->st->source->dir;
	char *out;

	if (path.len > 0 && path.p[0] == '/')
		dir = "";
	if (asprintf(&out, "%s%.*s", dir, (int)path.len, path.p) == -1)
		abort();
	return out;
}

static struct conf_statement *
new_statement(
    struct conf_parser *p, const struct conf_source *source, uint32_t line)
{
	struct conf_statement *st;

	if (p->nstatements == p->statements_cap) {
		p->statements_cap =
		    p->statements_cap == 0 ? 64 : p->statements_cap * 2;
		p->statements = xreallocarray(
		    p->statements, p->statements_cap, sizeof(*p->statements));
	}
	st = &p->statements[p->nstatements];
	*st = (struct conf_statement){ .source = source,
		.line = line,
		.order = (uint32_t)++p->nstatements };
	return st;
}

static void
add_token(struct conf_statement *st, const struct conf_token *t)
{
	/* Doubling at powers of two needs no capacity kept. */
	if ((st->ntokens & (st->ntokens - 1)) == 0 || st->ntokens == 0)
		st->tokens = xreallocarray(st->tokens,
		    st->ntokens == 0 ? 1 : st->ntokens * 2,
		    sizeof(*st->tokens));
	st->tokens[st->ntokens++] = *t;
}

static bool
is_name_char(char c)
{
	return chr_is_alpha(c) || chr_is_digit(c) || c == '_' || c == '-';
}

static bool
is_macro_name(struct str name)
{
	size_t i;

	for (i = 0; i < name.len; i++)
		if (!is_name_char(name.p[i]))
			return false;
	return name.len > 0 && name.len <= 64;
}

static struct conf_macro *
find_macro(struct conf_parser *p, struct str name)
{
	struct conf_macro *m;

	STAILQ_FOREACH(m, &p->macros, next)
		if (str_eq(m->name, name))
			return m;
	return NULL;
}

/* A macro's token gets its value as text. */
static int
set_value(struct conf_parser *p, struct conf_token *t)
{
	struct conf_macro *m = find_macro(p, t->text);

	if (m == NULL)
		return conf_error_at(p, p->st->source->name, t->line,
		    conf_order(p->st, t->line), "unknown macro `$%.*s'",
		    (int)t->text.len, t->text.p);
	m->used = true;
	t->text = m->value;
	return 0;
}

/* The macro whose name s begins with: all that may be a name, or up to one
 * of its hyphens. NULL when there is none; *len is what a name could be. */
static struct conf_macro *
macro_at(struct conf_parser *p, struct str s, size_t *len)
{
	struct conf_macro *m = NULL;
	size_t n = 0;

	while (n < s.len && is_name_char(s.p[n]))
		n++;
	*len = n;
	while (n > 0 && (m = find_macro(p, str_head(s, n))) == NULL)
		do
			n--;
		while (n > 0 && s.p[n] != '-');
	if (m != NULL)
		*len = n;
	return m;
}

/* The kinds of crypt(5). */
static bool
is_crypt_kind(struct str kind)
{
	static const char *const kinds[] = { "y", "gy", "7", "2a", "2b", "2x",
		"2y", "6", "5", "1" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_eq(kind, str_of(kinds[i])))
			return true;
	return false;
}

/* The hash of a password ($6$salt$hash), rather than macros? Of that nothing
 * is replaced, or shown in a warning, but for a kind that we do not know. */
static bool
is_hash(struct conf_parser *p, const struct conf_token *t)
{
	size_t at = str_find(t->text, '$'), len;
	struct str kind = str_skip(t->text, at + 1);

	len = str_find(kind, '$');
	if (len == 0 || len == kind.len)
		return false;
	kind = str_head(kind, len);
	if (find_macro(p, kind) != NULL)
		return false;
	if (is_crypt_kind(kind))
		return true;
	/* $argon2id$..., {SCHEME}$apr1$... */
	if (!is_macro_name(kind) || (at > 0 && t->text.p[at - 1] != '}'))
		return false;
	conf_warn_at(p, p->st->source->name, t->line,
	    conf_order(p->st, t->line),
	    "no macro `$%.*s': it is taken as it stands", (int)len, kind.p);
	return true;
}

/* Puts macros into a string. A `$' that no macro's name follows is itself. */
static void
expand_string(struct conf_parser *p, struct conf_token *t)
{
	struct str s = t->text;
	struct conf_macro *m;
	struct buf out;
	size_t n;
	char *kept;

	if (str_find(s, '$') == s.len || is_hash(p, t))
		return;
	buf_init(&out, CONF_FILE_MAX);
	while (s.len > 0) {
		n = str_find(s, '$');
		buf_add_str(&out, str_head(s, n));
		s = str_skip(s, n);
		if (s.len == 0)
			break;
		m = macro_at(p, str_skip(s, 1), &n);
		if (m != NULL) {
			m->used = true;
			buf_add_str(&out, m->value);
		} else
			buf_add_str(&out, str_head(s, n + 1));
		if (m == NULL && n > 0 && chr_is_alpha(s.p[1]))
			conf_warn_at(p, p->st->source->name, t->line,
			    conf_order(p->st, t->line),
			    "no macro `$%.*s': it is taken as it stands",
			    (int)n, s.p + 1);
		s = str_skip(s, n + 1);
	}
	kept = conf_pool_alloc(&p->pool, out.len + 1);
	memcpy(kept, out.p, out.len);
	t->text = (struct str){ kept, out.len };
	if (out.failed || (p->total += out.len) > CONF_TOTAL_MAX) {
		t->kind = CONF_BAD;
		t->text = STR("macros make it too large");
	}
	buf_clear(&out);
}

/* One token of the statement p->st. */
static void
take_token(struct conf_parser *p, struct conf_token *t)
{
	struct conf_statement *st = p->st;

	if (t->kind == CONF_STRING)
		expand_string(p, t);
	if (t->kind == CONF_BAD) {
		conf_error_at(p, st->source->name, t->line,
		    conf_order(p->st, t->line), "%.*s", (int)t->text.len,
		    t->text.p);
		st->bad = true;
		return;
	}
	if (t->kind == CONF_MACRO && set_value(p, t) == -1) {
		st->bad = true;
		return;
	}
	/* What was read before the error may still name something. */
	if (!st->bad)
		add_token(st, t);
}

/* Tokens up to the line's end outside of braces. */
static void
read_tokens(struct conf_parser *p, struct conf_lexer *lx, struct conf_token t)
{
	struct conf_statement *st = p->st;
	unsigned int depth = 0;
	uint32_t opened = 0;

	for (;; t = conf_lex_next(lx)) {
		if (t.kind == CONF_END || (t.kind == CONF_EOL && depth == 0))
			break;
		if (t.kind == CONF_OPEN && depth++ == 0)
			opened = t.line;
		if (t.kind == CONF_CLOSE && depth-- == 0) {
			t.kind = CONF_BAD;
			t.text = STR("`}' without `{'");
			depth = 0;
		}
		take_token(p, &t);
	}
	if (depth > 0) {
		conf_error_at(p, st->source->name, opened,
		    conf_order(p->st, opened), "`{' is not closed");
		st->bad = true;
	}
}

/* --- macros --- */

int
conf_define_parse(const char *arg, struct conf_define *out)
{
	struct str s = str_of(arg);
	size_t at = str_find(s, '=');

	out->name = str_head(s, at);
	out->value = str_skip(s, at + 1);
	return at < s.len && is_macro_name(out->name) &&
		       utf8_is_valid(out->value) ?
		   0 :
		   -1;
}

/* The values' texts, joined by blanks. */
static int
macro_value(struct conf_parser *p, struct str *out)
{
	size_t len = 0, i, n = 0;
	char *text;

	for (i = 2; i < p->st->ntokens; i++)
		len += p->st->tokens[i].text.len + 1;
	text = conf_pool_alloc(&p->pool, len + 1);
	for (i = 2; i < p->st->ntokens; i++) {
		const struct conf_token *t = &p->st->tokens[i];

		if (t->kind != CONF_STRING && t->kind != CONF_WORD &&
		    t->kind != CONF_MACRO)
			return -1;
		if (n > 0)
			text[n++] = ' ';
		if (t->text.len > 0)
			memcpy(text + n, t->text.p, t->text.len);
		n += t->text.len;
	}
	*out = (struct str){ text, n };
	return p->st->ntokens > 2 ? 0 : -1;
}

static void
define_macro(struct conf_parser *p)
{
	struct str name = p->st->tokens[0].text, value;
	struct conf_macro *m = find_macro(p, name);

	p->at = 0;
	if (m != NULL && m->defined_outside)
		return;
	if (!is_macro_name(name)) {
		conf_error(p, "`%.*s' cannot be the name of a macro",
		    (int)name.len, name.p);
		return;
	}
	if (m != NULL) {
		conf_error(p, "the macro `%.*s' is defined already",
		    (int)name.len, name.p);
		return;
	}
	if (macro_value(p, &value) == -1) {
		conf_error(
		    p, "`%.*s' needs a value in quotes", (int)name.len, name.p);
		return;
	}
	if (p->nmacros == MACROS_MAX) {
		conf_error(p, "more than %d macros", MACROS_MAX);
		return;
	}
	p->nmacros++;
	m = xcalloc(1, sizeof(*m));
	m->name = name;
	m->value = value;
	m->file = p->st->source->name;
	m->line = p->st->line;
	m->order = conf_order(p->st, p->st->line);
	STAILQ_INSERT_TAIL(&p->macros, m, next);
}

static bool
is_macro(const struct conf_statement *st)
{
	return st->ntokens >= 2 && st->tokens[0].kind == CONF_WORD &&
	       st->tokens[1].kind == CONF_EQUALS;
}

/* --- files --- */

static void read_source(
    struct conf_parser *p, struct str text, const struct frame *frame);

/* There may be passwords' hashes in tables. */
static void
free_text(char *text, size_t len)
{
	int error = errno;

	explicit_bzero(text, len);
	free(text);
	errno = error;
}

/* All of fd. -1 with errno; EFBIG when it is more than we take. */
static int
read_fd(struct conf_parser *p, int fd, struct str *out)
{
	size_t len = 0, cap = CONF_FILE_MAX + 1;
	char *text = malloc(cap);
	char *kept;
	ssize_t n = 0;

	if (text == NULL)
		return -1;
	while (len < cap && (n = read(fd, text + len, cap - len)) != 0) {
		if (n == -1 && errno != EINTR)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	if (n == -1 || len == cap || (p->total += len) > CONF_TOTAL_MAX) {
		free_text(text, len);
		if (n != -1)
			errno = EFBIG;
		return -1;
	}
	kept = conf_pool_alloc(&p->pool, len + 1);
	memcpy(kept, text, len);
	free_text(text, len);
	*out = (struct str){ kept, len };
	return 0;
}

static bool
is_open(const struct frame *f, const struct stat *st)
{
	for (; f != NULL; f = f->up)
		if (f->source != NULL && f->dev == st->st_dev &&
		    f->ino == st->st_ino)
			return true;
	return false;
}

/* Reads a file that the statement p->st (NULL: nobody) names. */
static int
read_named(struct conf_parser *p, const char *path, const struct frame *up,
    struct fault *why)
{
	struct frame frame = { .up = up,
		.depth = up == NULL ? 0 : up->depth + 1 };
	bool unread = p->unread;
	struct conf_source *source;
	struct stat st = { 0 };
	struct str text;
	int fd, r;

	if (frame.depth > CONF_INCLUDE_DEPTH)
		return fault_set(why, FAULT_PERM,
		    "more than %d files include each other",
		    CONF_INCLUDE_DEPTH);
	p->unread = true; /* until it is */
	if (++p->nfiles > FILES_MAX)
		return fault_set(
		    why, FAULT_PERM, "more than %d files", FILES_MAX);
	if ((fd = conf_file_open(path, why)) == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_open(up, &st)) {
		close(fd);
		return fault_set(why, FAULT_PERM, "%s includes itself", path);
	}
	frame.dev = st.st_dev;
	frame.ino = st.st_ino;
	r = read_fd(p, fd, &text);
	if (r == -1)
		fault_errno(why, FAULT_PERM, "cannot read %s", path);
	close(fd);
	if (r == -1)
		return -1;
	p->unread = unread;
	source = new_source(p, path);
	source->readable = (st.st_mode & S_IROTH) != 0;
	frame.source = source;
	read_source(p, text, &frame);
	return 0;
}

static void
include(struct conf_parser *p, const struct frame *frame)
{
	struct conf_statement *st = p->st;
	size_t index = (size_t)(st - p->statements);
	struct fault why;
	char *path;
	int r;

	p->at = 1;
	if (st->ntokens != 2 || (st->tokens[1].kind != CONF_STRING &&
				    st->tokens[1].kind != CONF_MACRO)) {
		conf_error(p, "include needs one file in quotes");
		return;
	}
	path = conf_resolve_path(p, st->tokens[1].text);
	r = read_named(p, path, frame, &why);
	p->st = &p->statements[index]; /* they may have moved */
	if (r == -1)
		conf_error(p, "%s", why.text);
	free(path);
}

/* The lexer would find what stands in a comment uninteresting. */
static bool
check_text(struct conf_parser *p, struct str text, const struct frame *frame)
{
	const char *what = NULL;
	uint32_t line = 1;
	size_t n;

	for (; text.len > 0 && what == NULL; text = str_skip(text, n)) {
		n = utf8_char(text);
		if (n == 0)
			what = "not UTF-8";
		else if (text.p[0] == '\0')
			what = "NUL byte";
		else if (text.p[0] == '\n')
			line++;
		if (n == 0)
			n = 1;
	}
	if (what != NULL)
		p->unread = true;
	if (what != NULL)
		conf_error_at(p, frame->source->name, line,
		    (uint64_t)p->nstatements << 32 | line, "%s", what);
	return what == NULL;
}

/* What changes how the rest is read. */
static void
at_once(struct conf_parser *p, const struct frame *frame)
{
	struct conf_statement *st = p->st;

	if (is_macro(st)) {
		st->done = true;
		define_macro(p);
	} else if (st->tokens[0].kind == CONF_WORD &&
		   str_eq(st->tokens[0].text, STR("include"))) {
		st->done = true;
		include(p, frame);
	}
}

static void
read_source(struct conf_parser *p, struct str text, const struct frame *frame)
{
	struct conf_lexer lx;
	struct conf_token t;

	if (!check_text(p, text, frame))
		return;
	if (str_starts_nocase(text, CONF_BOM))
		text = str_skip(text, CONF_BOM.len);
	conf_lex_init(&lx, text, 1, &p->pool);
	for (;;) {
		do
			t = conf_lex_next(&lx);
		while (t.kind == CONF_EOL);
		if (t.kind == CONF_END)
			break;
		p->st = new_statement(p, frame->source, t.line);
		read_tokens(p, &lx, t);
		if (!p->st->bad)
			at_once(p, frame);
	}
	p->st = NULL;
}

void
conf_read_file(struct conf_parser *p, const char *path)
{
	struct fault why;

	if (read_named(p, path, NULL, &why) == -1)
		conf_error_at(p, path, 1, 0, "%s", why.text);
}

void
conf_read_text(struct conf_parser *p, const char *name, struct str text)
{
	struct frame frame = { .source = new_source(p, name) };
	char *kept;

	if (text.len == 0 || text.len > CONF_FILE_MAX) {
		if (text.len == 0)
			return;
		conf_error_at(p, name, 1, 0, "too large");
		return;
	}
	p->total += text.len;
	kept = conf_pool_alloc(&p->pool, text.len + 1);
	memcpy(kept, text.p, text.len);
	read_source(p, (struct str){ kept, text.len }, &frame);
}
