/*
 * The parser's inside, for the conf_ files: statements, the cursor in one,
 * keywords as tables.
 *
 * The text becomes statements first (macros and includes are done then);
 * these run in passes, so that a name may be used above its definition.
 */
#ifndef POSTERN_POSTERND_CONF_PARSE_H
#define POSTERN_POSTERND_CONF_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "posternd/conf.h"
#include "posternd/conf_lex.h"
#include "posternd/conf_value.h"
#include "posternd/tables.h"

struct conf_parser;
struct conf_keyword;

/* Reads what follows the keyword, into the object it belongs to. -1 after
 * conf_error. */
typedef int conf_parse_fn(
    struct conf_parser *p, const struct conf_keyword *k, void *into);

enum conf_pass { CONF_PASS_TABLES, CONF_PASS_ACTIONS, CONF_PASS_RULES };

enum { CONF_PASSES = 3 };

/* A row of a keyword table; the last has no name. */
struct conf_keyword {
	const char *name;
	conf_parse_fn *parse; /* NULL: not available yet */
	enum conf_pass pass;  /* of a statement */
	int value;            /* for keywords that share a parse function */
	size_t offset;        /* of the field it fills */
	uint64_t min, max;    /* of a number; max: of a text's length */
	bool again;           /* an option that may be given several times */
};

/* clang-format off */
#define CONF_STATEMENT(n, fn, when) \
	{ .name = (n), .parse = (fn), .pass = CONF_PASS_##when }
#define CONF_TEXT(n, fn, type, field, most) \
	{ .name = (n), .parse = (fn), .offset = offsetof(type, field), .max = (most) }
#define CONF_NUMBER(n, fn, type, field, least, most) \
	{ .name = (n), .parse = (fn), .offset = offsetof(type, field), .min = (least), .max = (most) }
#define CONF_OPTION(n, fn)      { .name = (n), .parse = (fn) }
#define CONF_CHOICE(n, fn, val) { .name = (n), .parse = (fn), .value = (val) }
#define CONF_LATER(n)           { .name = (n) }
#define CONF_NO_MORE            { .name = NULL }

/* clang-format on */

struct conf_source {
	STAILQ_ENTRY(conf_source) next;
	char *name;
	char *dir;     /* relative paths begin here; with its slash, or "" */
	bool readable; /* by everybody */
};

struct conf_statement {
	const struct conf_source *source;
	uint32_t line;
	uint32_t order; /* counts over all files */
	bool bad;       /* an error was reported while it was read */
	bool done;      /* a macro or include */
	struct conf_token *tokens;
	size_t ntokens;
	const struct conf_keyword *keyword; /* NULL: unknown, reported */
	/* Of its tokens: where its options begin, and the braces of its
	 * block (0: none). */
	size_t *marks;
	size_t nmarks;
	size_t opened, closed;
};

struct conf_macro {
	STAILQ_ENTRY(conf_macro) next;
	struct str name, value;
	const char *file; /* where it is defined; NULL: by -D */
	uint32_t line;
	uint64_t order;
	bool defined_outside; /* by -D, which wins */
	bool used;
};

/* Where a keyword was given, to refuse it a second time. */
struct conf_seen {
	const struct conf_keyword *keyword;
	const char *file;
	uint32_t line;
};

/* Where a listener, action, rule, milter or pki stands. */
struct conf_note {
	const char *file;
	uint32_t line;
	uint64_t order;
	bool used;
};

struct conf_parser {
	struct config *config;
	struct conf_errors *errors;
	struct conf_pool pool;
	STAILQ_HEAD(conf_sources, conf_source) sources;
	STAILQ_HEAD(conf_macros, conf_macro) macros;
	unsigned int nmacros;
	struct conf_statement *statements;
	size_t nstatements, statements_cap;
	size_t total; /* bytes read so far */
	unsigned int nfiles;
	struct conf_tables tables;
	struct conf_seen *seen;
	size_t nseen, seen_cap;
	/* where they stand, by index; and whether anything uses them */
	struct conf_note *action_notes, *rule_notes, *listener_notes,
	    *milter_notes, *pki_notes;
	struct conf_note *tls_report_note; /* NULL: no such statement */
	bool has_log;
	bool tables_full; /* said */
	bool unread; /* a file, or part of one: what is missing may be there */
	/* while a statement runs */
	struct conf_statement *st;
	size_t at;            /* its current token */
	unsigned int splices; /* macros put in, to find loops */
	bool quiet;           /* the statement's error is reported already */
};

/* --- messages; all return -1 --- */
int conf_error(struct conf_parser *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int conf_error_at(struct conf_parser *p, const char *file, uint32_t line,
    uint64_t order, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int conf_warn_at(struct conf_parser *p, const char *file, uint32_t line,
    uint64_t order, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Adds the note on the n-th object of its kind: the statement that runs. */
void conf_note(const struct conf_parser *p, struct conf_note **notes, size_t n);
/* Position of line in this statement; NULL: none runs. */
uint64_t conf_order(const struct conf_statement *st, uint32_t line);
/* ` (did you mean `x'?)` for an unknown word, or what there is when that is
 * little, or "". Valid until the next call. */
const char *conf_nearest(const struct conf_keyword *table, struct str word);
const char *conf_nearest_name(
    struct str word, const char *const *names, size_t n);

/* --- the cursor --- */
const struct conf_token *conf_peek(struct conf_parser *p);
/* The same, but a macro is replaced by the words of its value. */
const struct conf_token *conf_peek_word(struct conf_parser *p);
void conf_advance(struct conf_parser *p);
/* Past the end of the statement, or of the line in a block. */
bool conf_at_end(struct conf_parser *p);
/* Takes the word if it stands there. */
bool conf_take_word(struct conf_parser *p, const char *word);
/* A word, string or macro's value; what names it in the message. */
int conf_take_text(struct conf_parser *p, const char *what, struct str *out);
/* The row of the next word. NULL after conf_error: unknown (with the nearest
 * one), not available yet, or no word at all. */
const struct conf_keyword *conf_take_keyword(
    struct conf_parser *p, const struct conf_keyword *table, const char *what);
const struct conf_keyword *conf_find_keyword(
    const struct conf_keyword *table, struct str word);

/* The rest of the statement, perhaps in a block: keyword after keyword.
 * A keyword given twice is an error: once a file, or once a statement. */
enum conf_once { CONF_ONCE_A_FILE, CONF_ONCE_A_STATEMENT };

int conf_options(struct conf_parser *p, const struct conf_keyword *table,
    void *into, enum conf_once once);
/* Notes that a keyword stands here; -1 after conf_error when it does already,
 * in the notes from index first on. */
int conf_once(
    struct conf_parser *p, const struct conf_keyword *k, size_t first);

/* --- tables --- */
/* A name, a literal or a list, for that use. NULL after conf_error. */
struct table *conf_take_table(struct conf_parser *p, enum table_use use);
/* The parser's note on one of its tables. */
struct conf_table *conf_table_of(struct conf_parser *p, const struct table *t);
/* For messages, until the next one is asked for. */
const char *conf_table_called(const struct conf_table *t);
/* A path of the configuration, relative to the file that names it. The
 * caller frees it. */
char *conf_resolve_path(const struct conf_parser *p, struct str path);

/* --- filters --- */
/* `{ a, { b, c } }`: the set, the same for the same members. At most one in
 * a statement. NULL after conf_error. */
const struct milter_set *conf_take_milters(struct conf_parser *p);
/* A socket in libmilter's notation, into out (its texts are the caller's to
 * free, also after an error). -1 after conf_error about the current token. */
int conf_parse_socket(
    struct conf_parser *p, struct str s, struct milter_socket *out);

/* --- statements, by file --- */
conf_parse_fn conf_table_statement; /* conf_table.c */
conf_parse_fn conf_milter;          /* conf_milter.c */
conf_parse_fn conf_control, conf_users, conf_workers, conf_log, conf_resolver,
    conf_http; /* conf_global.c */
conf_parse_fn conf_pki, conf_listen, conf_allow, conf_deny;
conf_parse_fn conf_action;                           /* conf_action.c */
conf_parse_fn conf_ca, conf_dnssec, conf_tls_report; /* conf_trust.c */
conf_parse_fn conf_match, conf_bare_newline;         /* conf_match.c */
conf_parse_fn conf_limit, conf_queue, conf_deliver;  /* conf_queue.c */

/* The configuration's lines, of the statements that have run. */
void conf_list_lines(struct conf_parser *p);
/* Reads the text (and includes) into statements. */
void conf_read_file(struct conf_parser *p, const char *path);
void conf_read_text(struct conf_parser *p, const char *name, struct str text);
/* All that needs the whole: conf_check.c; of the front door; of the ways
 * out. */
void conf_check(struct conf_parser *p);
void conf_check_door(struct conf_parser *p);
void conf_check_ways(struct conf_parser *p);

#endif
