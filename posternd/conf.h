/*
 * postern.conf: from its text to struct config.
 *
 * Grammar and keywords are tables (conf_parse.c and the conf_ files beside
 * it); every error is found that can be found in one run.
 */
#ifndef POSTERN_POSTERND_CONF_H
#define POSTERN_POSTERND_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"
#include "lib/rules/config.h"

/* `-D name=value`: a macro that wins over the file's own of that name. */
struct conf_define {
	struct str name;
	struct str value;
};

/* One line for the administrator: `file:line: what is wrong`. */
struct conf_message {
	uint64_t order; /* position in the configuration, for sorting */
	char *text;     /* owned; no line end */
};

/* Starts zeroed; the owner clears it. Both lists in the file's order. */
struct conf_errors {
	struct conf_message *errors;
	size_t nerrors;
	struct conf_message *warnings;
	size_t nwarnings;
};

enum {
	CONF_FILE_MAX = 4 << 20,   /* bytes of one file */
	CONF_TOTAL_MAX = 16 << 20, /* with all that it includes */
	CONF_ERRORS_MAX = 100,     /* then the rest is not listed */
	CONF_INCLUDE_DEPTH = 16
};

/* Splits `name=value` (the view points into arg). 0, or -1 when the name is
 * not one. */
int conf_define_parse(const char *arg, struct conf_define *out);

/*
 * Reads the file, all that it includes and the table files. Returns the
 * configuration (one reference, the caller's; its tables are open and their
 * sealed memfds in table_fds), or NULL when there was any error. Warnings
 * may be there either way.
 */
struct config *conf_load(const char *path, const struct conf_define *defines,
    size_t ndefines, struct conf_errors *errors);
/* The same from memory; name stands for the file in messages, and relative
 * paths are relative to the working directory. */
struct config *conf_parse_text(const char *name, struct str text,
    const struct conf_define *defines, size_t ndefines,
    struct conf_errors *errors);

/* Does the action ask for DANE, and no name server's AD bit is believed? */
bool conf_needs_trust_ad(const struct config *c, const struct action *a);

/* One more behind all others, of what no statement is to blame for. Beyond
 * CONF_ERRORS_MAX they are not listed. */
void conf_add_error(struct conf_errors *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void conf_add_warning(struct conf_errors *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void conf_errors_clear(struct conf_errors *e);

#endif
