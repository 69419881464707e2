/* What tables are asked for, and what an entry must be like for it. */
#ifndef POSTERN_POSTERND_TABLE_USES_H
#define POSTERN_POSTERND_TABLE_USES_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

/* Not every entry fits every question. */
enum table_use {
	TABLE_FOR_SOURCE,  /* networks */
	TABLE_FOR_DOMAIN,  /* domains */
	TABLE_FOR_ADDRESS, /* mail addresses */
	TABLE_FOR_ROUTES,  /* domains, with next hops as values */
	TABLE_FOR_NAME,    /* names of users */
	TABLE_FOR_AUTH,    /* the same, with what their passwords become */
	TABLE_FOR_LOGIN,   /* labels, with user:password for elsewhere */
	TABLE_FOR_SENDERS, /* the same, with the addresses that are theirs */
	TABLE_FOR_LISTS,   /* DNS lists (lib/rules/dnsbl.h) */
	TABLE_USES
};

/* value NULL: none. */
bool table_use_fits(enum table_use use, struct str key, const char *value);
/* What the entries of such a table are: "an address or network". */
const char *table_use_what(enum table_use use);
/* Are the values what it is for? What, in words; NULL: only the keys. */
const char *table_use_values(enum table_use use);
/* Are they for the vault alone? */
bool table_use_is_secret(enum table_use use);
/* Is the value a secret for SCRAM-SHA-256? */
bool table_value_is_scram(const char *value);

/* A key in another script, with its domain (all of it, or what is behind the
 * last `@' or a leading dot) in A-labels, to out. False when it is ASCII, or
 * has no such form. */
bool table_key_to_ascii(struct str key, struct buf *out);
/* A value whose words (between blanks and commas) are addresses, likewise; the
 * caller frees it. NULL when it is ASCII. */
char *table_words_to_ascii(const char *value);

#endif
