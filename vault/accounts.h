/* The tables of `auth', whose values are here alone: what a user's secret
 * is, and what one that is not there might look like. */
#ifndef POSTERN_VAULT_ACCOUNTS_H
#define POSTERN_VAULT_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"
#include "lib/rules/config.h"

enum secret_kind {
	SECRET_NONE,  /* nobody understands it */
	SECRET_CRYPT, /* yescrypt, SHA-512, SHA-256, bcrypt: crypt(5) */
	SECRET_SCRAM
};

enum secret_kind secret_kind_of(struct str value);

enum { ACCOUNTS_SAMPLES_MAX = 16 };

/* A table that a listener has for `auth'. */
struct accounts {
	const struct table *table; /* not owned */
	/* Some of the values, for users that are not there; views. */
	struct str samples[ACCOUNTS_SAMPLES_MAX];
	size_t nsamples;
	struct str scram; /* one value of this kind; empty: none */
	size_t nbad;      /* values of no kind */
};

/* Keeps a reference until the next. */
void accounts_set_config(struct config *c);
/* NULL: there is no such table, or it is not one of `auth'. */
const struct accounts *accounts_find(struct str table);
void accounts_clear(void);

#endif
