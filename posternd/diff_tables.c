#include "posternd/diff_tables.h"

#include <fcntl.h>
#include <string.h>

/* The number of the table of that name; SIZE_MAX: none. */
static size_t
find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->ntables; i++)
		if (strcmp(table_name(c->tables[i]), name) == 0)
			return i;
	return SIZE_MAX;
}

/* The table with the values that the vault has, to be freed; NULL: it has
 * none. */
static struct table *
open_secret(const struct config *c, size_t id)
{
	struct fault why = { 0 };
	int fd;

	if (c->secret_fds == NULL || c->secret_fds[id] == -1)
		return NULL;
	fd = fcntl(c->secret_fds[id], F_DUPFD_CLOEXEC, 0);
	return fd == -1 ? NULL : table_open(fd, "", &why);
}

struct comparing {
	const struct table *other;
	size_t missing, changed;
};

static bool
look(void *ctx, struct str key, struct str value)
{
	struct comparing *c = ctx;
	struct str there;

	if (!table_find(c->other, key, &there))
		c->missing++;
	else if (!str_eq(there, value))
		c->changed++;
	return false;
}

static struct table_change
compare(const struct table *a, const struct table *b)
{
	struct comparing gone = { .other = b }, new = { .other = a };

	table_any(a, look, &gone);
	table_any(b, look, &new);
	return (struct table_change){ .added = new.missing,
		.removed = gone.missing,
		.changed = new.changed };
}

bool
diff_tables(const struct config *now, const struct config *next,
    const char *name, struct table_change *out)
{
	size_t a = find(now, name), b = find(next, name);
	struct table *old, *new;

	*out = (struct table_change){ 0 };
	if (a == SIZE_MAX || b == SIZE_MAX)
		return false;
	old = open_secret(now, a);
	new = open_secret(next, b);
	if (old != NULL && new != NULL)
		*out = compare(old, new);
	else
		*out = compare(now->tables[a], next->tables[b]);
	table_free(&old);
	table_free(&new);
	return out->added + out->removed + out->changed > 0;
}

size_t
diff_table_count(const struct config *c, const char *name)
{
	size_t i = find(c, name);

	return i == SIZE_MAX ? 0 : table_count(c->tables[i]);
}
