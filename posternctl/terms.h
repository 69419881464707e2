/* Which messages: the words that show queue and the changes share. */
#ifndef POSTERN_POSTERNCTL_TERMS_H
#define POSTERN_POSTERNCTL_TERMS_H

#include <stdbool.h>
#include <stddef.h>

#include "edges/control_all.h"

enum { FILTER_TERMS_MAX = 32 };

struct filter {
	struct tell_term terms[FILTER_TERMS_MAX]; /* views into argv */
	size_t n;
	bool all; /* `all` was said */
	/* Of a change only. */
	bool dry_run, yes;
	const char *reason; /* NULL: none given */
};

/* Reads words up to the NULL; is_change takes the words of a change too, and
 * wants `all` when there is no filter. Returns 0, or -1 when it makes no
 * sense (said on stderr). */
int filter_parse(struct filter *f, char **words, bool is_change);
/* One more term of ours; text lives as long as f. Returns 0, or -1 when there
 * are too many (said on stderr). */
int filter_add(struct filter *f, enum term_kind kind, struct str text);
/* The one that is asked for by its id, or empty. */
struct str filter_id(const struct filter *f);
/* "90", "5m", "1h30m", "2d": milliseconds. 0/-1 */
int filter_parse_duration(struct str s, uint64_t *ms);
/* "512", "64K", "10M", "1G": bytes. 0/-1 */
int filter_parse_size(struct str s, uint64_t *bytes);

#endif
