/*
 * The command of an `mda', as words: what is run is the first of them, with
 * the others as its arguments. No shell has a part in it.
 *
 * Blanks and tabs separate words; 'x y' and "x y" group, and what is inside
 * them stands for itself, the other quote too. Nothing else has a meaning but
 * %{NAME}, which command_expand replaces within a word.
 */
#ifndef POSTERN_RULES_COMMAND_H
#define POSTERN_RULES_COMMAND_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/fault.h"
#include "lib/base/str.h"

enum { COMMAND_WORDS_MAX = 64, COMMAND_BYTES_MAX = 1024 };

/* Starts zeroed; the owner clears it. */
struct command {
	char **words; /* n of them, behind them a NULL; owned */
	size_t n;
};

/* What %{...} stands for. */
struct command_values {
	struct str rcpt;   /* %{rcpt}, %{rcpt.user}, %{rcpt.domain} */
	struct str sender; /* %{sender}; empty for <> */
	struct str hostname;
};

/* The words of text; the first has to be an absolute path without variables,
 * the variables of the others have to be known. Returns 0, or -1 with why
 * (which may be NULL; out is empty then). */
int command_parse(struct str text, struct command *out, struct fault *why);
void command_clear(struct command *c);
/* The word with its values, added to out. Returns 0, or -1 with why: the
 * recipient is no address, a control character would get in, or the word
 * would begin with a `-' that the configuration has not written: it could be
 * taken for an option. */
int command_expand(struct str word, const struct command_values *v,
    struct buf *out, struct fault *why);

/* Whether every %{...} of a template is closed and known; else -1 with why,
 * and *unknown is the name that is none (empty: it is not closed). unknown and
 * why may be NULL. */
int command_check_variables(
    struct str text, struct str *unknown, struct fault *why);
/* The names that there are, for "did you mean". */
extern const char *const command_variables[];
extern const size_t command_nvariables;

#endif
