#include "vault/credentials.h"

#include <string.h>

#include "edges/delivery_vault.h"
#include "lib/base/log.h"

enum { USER_MAX = 255 };

static struct config *conf;

/* A value that is of no use is found out before it is wanted. */
static bool
split(struct str value, struct str *user, struct str *password)
{
	const char *colon = memchr(value.p, ':', value.len);
	if (colon == NULL)
		return false;
	*user = str_head(value, (size_t)(colon - value.p));
	*password = str_skip(value, user->len + 1);
	return user->len > 0 && user->len <= USER_MAX &&
	       password->len <= VAULT_SECRET_MAX &&
	       memchr(value.p, '\0', value.len) == NULL;
}

/* Is this label wanted of this table by some relay? */
static const struct table *
table_of(struct str table, struct str label)
{
	for (size_t i = 0; conf != NULL && i < conf->nactions; i++) {
		const struct action *a = &conf->actions[i];
		if (a->auth != NULL && a->auth_label != NULL &&
		    str_eq(str_of(table_name(a->auth)), table) &&
		    str_eq(str_of(a->auth_label), label))
			return a->auth;
	}
	return NULL;
}

bool
credentials_find(
    struct str table, struct str label, struct str *user, struct str *password)
{
	const struct table *t = table_of(table, label);
	struct str value;
	if (t == NULL || !table_find(t, label, &value))
		return false;
	return split(value, user, password);
}

/* Who waits for them at night should not be the first to hear of it. */
static void
look_at(const struct action *a)
{
	struct str user, password;
	if (a->auth == NULL || a->auth_label == NULL ||
	    credentials_find(str_of(table_name(a->auth)), str_of(a->auth_label),
		&user, &password))
		return;
	log_warn(NULL, "credentials", "table=%s label=%s why=%s",
	    log_cstr(table_name(a->auth)), log_cstr(a->auth_label),
	    log_cstr("there is no such label, or no user:password with it"));
}

void
credentials_set_config(struct config *c)
{
	credentials_clear();
	conf = config_ref(c);
	for (size_t i = 0; i < c->nactions; i++)
		look_at(&c->actions[i]);
}

void
credentials_clear(void)
{
	config_unref(&conf);
}
