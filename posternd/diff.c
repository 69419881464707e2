#include "posternd/diff.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "posternd/diff_tables.h"

enum {
	/* More pairs of ordered statements are not compared: all of the old
	 * ones are gone then, all of the new ones there. */
	PAIRS_MAX = 4 << 20
};

/* --- rows --- */

static void add(struct diff *d, enum diff_sign sign, const char *where,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void
add(struct diff *d, enum diff_sign sign, const char *where, const char *fmt,
    ...)
{
	struct diff_row *r;
	va_list ap;

	if (++d->total > DIFF_ROWS_MAX)
		return;
	d->rows = xreallocarray(d->rows, d->nrows + 1, sizeof(*d->rows));
	r = &d->rows[d->nrows++];
	*r = (struct diff_row){ .sign = sign, .where = xstrdup(where) };
	va_start(ap, fmt);
	if (vasprintf(&r->text, fmt, ap) == -1)
		abort();
	va_end(ap);
}

static void
add_rest(struct diff *d)
{
	struct diff_row *r;

	if (d->total <= d->nrows)
		return;
	d->rows = xreallocarray(d->rows, d->nrows + 1, sizeof(*d->rows));
	r = &d->rows[d->nrows];
	*r = (struct diff_row){ .sign = DIFF_CHANGED, .where = xstrdup("") };
	if (asprintf(&r->text, "%zu more", d->total - d->nrows) == -1)
		abort();
	d->nrows++;
}

void
diff_clear(struct diff *d)
{
	for (size_t i = 0; i < d->nrows; i++) {
		free(d->rows[i].where);
		free(d->rows[i].text);
	}
	free(d->rows);
	*d = (struct diff){ .rows = NULL };
}

/* --- statements --- */

/* What became of the lines of both. */
struct account {
	const struct config *now, *next;
	const struct config_line **before; /* of each new one the old one */
	bool *stays;                       /* of each old one */
};

static bool
is_same(const struct config_line *a, const struct config_line *b)
{
	return a->digest == b->digest && strcmp(a->text, b->text) == 0;
}

/* --- by name: the first of a name is the first of the other's --- */

/* The numbers of lines, those of the same name in a row, in their order. */
static int
by_name(const void *pa, const void *pb, void *ctx)
{
	const struct config_line *lines = ctx;
	size_t a = *(const size_t *)pa, b = *(const size_t *)pb;
	int r = strcmp(lines[a].name, lines[b].name);

	return r != 0 ? r : (a > b) - (a < b);
}

static size_t *
sorted(const struct config *c)
{
	size_t *list = xcalloc(c->nlines + 1, sizeof(*list));

	for (size_t i = 0; i < c->nlines; i++)
		list[i] = i;
	if (c->nlines > 0)
		qsort_r(list, c->nlines, sizeof(*list), by_name, c->lines);
	return list;
}

static void
pair(struct account *a, size_t old, size_t new)
{
	a->stays[old] = true;
	a->before[new] = &a->now->lines[old];
}

/* --- by order: the longest sequence that both have --- */

/* Lines of one name, in both: their numbers. */
struct runs {
	const size_t *a, *b;
	size_t na, nb;
};

static bool
is_pair(const struct account *acc, size_t old, size_t new)
{
	return is_same(&acc->now->lines[old], &acc->next->lines[new]);
}

/* Takes the pairs at both ends off. */
static void
trim(struct account *acc, struct runs *r)
{
	while (r->na > 0 && r->nb > 0 && is_pair(acc, r->a[0], r->b[0])) {
		pair(acc, *r->a++, *r->b++);
		r->na--;
		r->nb--;
	}
	while (r->na > 0 && r->nb > 0 &&
	       is_pair(acc, r->a[r->na - 1], r->b[r->nb - 1]))
		pair(acc, r->a[--r->na], r->b[--r->nb]);
}

static void
match_order(struct account *acc, struct runs r)
{
	size_t width, i, j;
	uint32_t *length; /* of the longest from (i, j) to the ends */

	trim(acc, &r);
	if (r.na == 0 || r.nb == 0 || r.na > PAIRS_MAX / r.nb)
		return;
	width = r.nb + 1;
	length = xcalloc((r.na + 1) * width, sizeof(*length));
	for (i = r.na; i-- > 0;)
		for (j = r.nb; j-- > 0;) {
			uint32_t down = length[(i + 1) * width + j],
				 right = length[i * width + j + 1];

			if (is_pair(acc, r.a[i], r.b[j]))
				length[i * width + j] =
				    length[(i + 1) * width + j + 1] + 1;
			else
				length[i * width + j] =
				    down > right ? down : right;
		}
	for (i = j = 0; i < r.na && j < r.nb;) {
		if (is_pair(acc, r.a[i], r.b[j]))
			pair(acc, r.a[i++], r.b[j++]);
		else if (length[(i + 1) * width + j] >=
			 length[i * width + j + 1])
			i++;
		else
			j++;
	}
	free(length);
}

static void
match_name(struct account *acc, const struct runs *r)
{
	for (size_t i = 0; i < r->na && i < r->nb; i++)
		pair(acc, r->a[i], r->b[i]);
}

/* How many from at on have the name of the first. */
static size_t
run_length(const struct config *c, const size_t *list, size_t at)
{
	size_t n = at;

	while (n < c->nlines &&
	       strcmp(c->lines[list[n]].name, c->lines[list[at]].name) == 0)
		n++;
	return n - at;
}

static void
match_all(struct account *acc)
{
	const struct config *now = acc->now, *next = acc->next;
	size_t *a = sorted(now), *b = sorted(next), i = 0, j = 0;

	while (i < now->nlines && j < next->nlines) {
		const struct config_line *old = &now->lines[a[i]];
		int r = strcmp(old->name, next->lines[b[j]].name);
		struct runs runs = { &a[i], &b[j], run_length(now, a, i),
			run_length(next, b, j) };

		if (r == 0 && old->ordered)
			match_order(acc, runs);
		else if (r == 0)
			match_name(acc, &runs);
		i += r <= 0 ? runs.na : 0;
		j += r >= 0 ? runs.nb : 0;
	}
	free(a);
	free(b);
}

/* --- what there is to say --- */

/* The name behind the keyword, of a statement that names one; else NULL. */
static const char *
named(const struct config_line *l, const char *keyword)
{
	size_t n = strlen(keyword);

	return strncmp(l->name, keyword, n) == 0 && l->name[n] == ' ' ?
		   l->name + n + 1 :
		   NULL;
}

static const struct pki *
find_pki(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->npkis; i++)
		if (strcmp(c->pkis[i].name, name) == 0)
			return &c->pkis[i];
	return NULL;
}

static bool
is_same_path(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* The files of a pki that have the names they had, and are others. */
static void
diff_pki(struct diff *d, const char *where, const struct pki *now,
    const struct pki *next)
{
	for (size_t i = 0; i < now->ncerts && i < next->ncerts; i++) {
		const struct cert *a = &now->certs[i], *b = &next->certs[i];

		if (is_same_path(a->cert_path, b->cert_path) &&
		    strcmp(a->chain, b->chain) != 0)
			add(d, DIFF_CHANGED, where, "pki %s: certificate %s",
			    next->name, b->cert_path);
		if (is_same_path(a->key_path, b->key_path) &&
		    a->key_stamp != b->key_stamp)
			add(d, DIFF_CHANGED, where, "pki %s: key %s",
			    next->name, b->key_path);
	}
}

static void
diff_table(struct diff *d, const struct account *acc,
    const struct config_line *l, const char *name)
{
	struct table_change c;

	if (diff_tables(acc->now, acc->next, name, &c))
		add(d, DIFF_CHANGED, l->where,
		    "%s: %zu added, %zu removed, %zu changed", l->name, c.added,
		    c.removed, c.changed);
}

/* What the statement names has changed, whatever is said of it. */
static void
diff_contents(
    struct diff *d, const struct account *acc, const struct config_line *l)
{
	const char *name = named(l, "table");
	const struct pki *now, *next;

	if (name != NULL)
		diff_table(d, acc, l, name);
	name = named(l, "pki");
	if (name == NULL)
		return;
	now = find_pki(acc->now, name);
	next = find_pki(acc->next, name);
	if (now != NULL && next != NULL)
		diff_pki(d, l->where, now, next);
}

/* Of a table that is new or gone: with how many entries. */
static void
add_line(struct diff *d, enum diff_sign sign, const struct config *c,
    const struct config_line *l)
{
	const char *name = named(l, "table");

	if (name != NULL)
		add(d, sign, l->where, "%s: %zu entries", l->text,
		    diff_table_count(c, name));
	else
		add(d, sign, l->where, "%s", l->text);
}

static void
diff_line(struct diff *d, const struct account *acc, size_t i)
{
	const struct config_line *l = &acc->next->lines[i],
				 *old = acc->before[i];

	if (old == NULL) {
		add_line(d, DIFF_ADDED, acc->next, l);
		return;
	}
	if (strcmp(old->text, l->text) != 0)
		add(d, DIFF_CHANGED, l->where, "%s (was: %s)", l->text,
		    old->text);
	else if (old->digest != l->digest)
		add(d, DIFF_CHANGED, l->where, "%s (in what is not shown)",
		    l->text);
	else if (strcmp(l->name, "ca") == 0 &&
		 acc->now->ca_stamp != acc->next->ca_stamp)
		add(d, DIFF_CHANGED, l->where, "%s: another file", l->text);
	diff_contents(d, acc, l);
}

/* --- what no statement says --- */

static bool
has_line(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->nlines; i++)
		if (strcmp(c->lines[i].name, name) == 0)
			return true;
	return false;
}

static bool
is_same_server(const struct server *a, const struct server *b)
{
	return addr_eq(&a->addr, &b->addr) && a->port == b->port &&
	       a->timeout_ms == b->timeout_ms && a->trust_ad == b->trust_ad;
}

/* Name servers that the machine names. */
static void
diff_servers(
    struct diff *d, const struct config *now, const struct config *next)
{
	bool same = now->nservers == next->nservers;

	if (has_line(now, "resolver") || has_line(next, "resolver"))
		return;
	for (size_t i = 0; same && i < now->nservers; i++)
		same = is_same_server(&now->servers[i], &next->servers[i]);
	if (!same)
		add(d, DIFF_CHANGED, "/etc/resolv.conf", "name servers");
}

/* Where the statement of the listener stands. */
static const char *
listen_where(const struct config *c, const struct listener *l)
{
	char end[16];
	size_t n = (size_t)snprintf(end, sizeof(end), ":%u", l->line);

	for (size_t i = 0; i < c->nlines; i++) {
		const char *where = c->lines[i].where;

		if (strncmp(c->lines[i].name, "listen ", 7) == 0 &&
		    strlen(where) > n &&
		    strcmp(where + strlen(where) - n, end) == 0)
			return where;
	}
	return "";
}

/* Authorities for clients' certificates, whose file has its old name. */
static void
diff_client_ca(struct diff *d, const struct config *next,
    const struct listener *a, const struct listener *b)
{
	if (a->client_ca == NULL || b->client_ca == NULL ||
	    strcmp(a->client_ca, b->client_ca) == 0 ||
	    !addr_eq(&a->addr, &b->addr) || a->port != b->port)
		return;
	add(d, DIFF_CHANGED, listen_where(next, b),
	    "listen: the ca of its client-certificate");
}

static void
diff_client_cas(
    struct diff *d, const struct config *now, const struct config *next)
{
	for (size_t i = 0; i < next->nlisteners; i++)
		for (size_t k = 0; k < now->nlisteners; k++)
			diff_client_ca(
			    d, next, &now->listeners[k], &next->listeners[i]);
}

void
diff_make(const struct config *now, const struct config *next, struct diff *d)
{
	struct account acc = { .now = now, .next = next };

	acc.before = xcalloc(next->nlines + 1, sizeof(void *));
	acc.stays = xcalloc(now->nlines + 1, sizeof(bool));
	match_all(&acc);
	for (size_t i = 0; i < now->nlines; i++)
		if (!acc.stays[i])
			add_line(d, DIFF_REMOVED, now, &now->lines[i]);
	for (size_t i = 0; i < next->nlines; i++)
		diff_line(d, &acc, i);
	diff_servers(d, now, next);
	diff_client_cas(d, now, next);
	add_rest(d);
	free(acc.before);
	free(acc.stays);
}

/* --- the log --- */

static const char *const signs[] = {
	[DIFF_ADDED] = "added",
	[DIFF_REMOVED] = "removed",
	[DIFF_CHANGED] = "changed",
};

const char *
diff_sign_text(enum diff_sign sign)
{
	return signs[sign];
}

void
diff_log(const struct diff *d)
{
	for (size_t i = 0; i < d->nrows; i++)
		log_info(NULL, "config-change", "sign=%s where=%s text=%s",
		    diff_sign_text(d->rows[i].sign), log_cstr(d->rows[i].where),
		    log_cstr(d->rows[i].text));
}
