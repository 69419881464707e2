#include "vault/accounts.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "vault/scram.h"

static struct {
	struct config *conf;
	struct accounts *list;
	size_t n;
} all;

static const struct {
	const char *prefix;
	enum secret_kind kind;
} kinds[] = {
	{ "$y$", SECRET_CRYPT },
	{ "$6$", SECRET_CRYPT },
	{ "$5$", SECRET_CRYPT },
	{ "$2b$", SECRET_CRYPT },
	{ "$2a$", SECRET_CRYPT },
	{ "$2y$", SECRET_CRYPT },
	{ SCRAM_PREFIX, SECRET_SCRAM },
};

enum secret_kind
secret_kind_of(struct str value)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct str prefix = str_of(kinds[i].prefix);
		if (str_eq(str_head(value, prefix.len), prefix))
			return kinds[i].kind;
	}
	return SECRET_NONE;
}

static bool
look_at(void *ctx, struct str key, struct str value)
{
	struct accounts *a = ctx;
	enum secret_kind kind = secret_kind_of(value);
	struct scram_secret s;
	(void)key;
	if (kind == SECRET_SCRAM && scram_parse(value, &s) == -1)
		kind = SECRET_NONE;
	if (kind == SECRET_NONE)
		a->nbad++;
	else if (a->nsamples < ACCOUNTS_SAMPLES_MAX)
		a->samples[a->nsamples++] = value;
	if (kind == SECRET_SCRAM && a->scram.len == 0)
		a->scram = value;
	return false;
}

static void
add(const struct table *t)
{
	struct accounts *a;
	if (t == NULL || accounts_find(str_of(table_name(t))) != NULL)
		return;
	all.list = xreallocarray(all.list, all.n + 1, sizeof(*all.list));
	a = &all.list[all.n++];
	*a = (struct accounts){ .table = t };
	table_any(t, look_at, a);
	if (a->nbad > 0)
		log_warn(NULL, "accounts", "table=%s users=%zu why=%s",
		    log_cstr(table_name(t)), a->nbad,
		    log_cstr("their secrets are of no kind that is known"));
}

void
accounts_set_config(struct config *c)
{
	accounts_clear();
	all.conf = config_ref(c);
	for (size_t i = 0; i < c->nlisteners; i++)
		add(c->listeners[i].auth);
}

const struct accounts *
accounts_find(struct str table)
{
	for (size_t i = 0; i < all.n; i++)
		if (str_eq(str_of(table_name(all.list[i].table)), table))
			return &all.list[i];
	return NULL;
}

void
accounts_clear(void)
{
	free(all.list);
	all.list = NULL;
	all.n = 0;
	config_unref(&all.conf);
}
