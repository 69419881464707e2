/*
 * What lists say is kept by address and table; a session's listing watches
 * those that are its own, and has a copy of their scores.
 */
#include "smtpd/listing.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/rules/table_image.h"
#include "smtpd/from_resolver.h"
#include "smtpd/known.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum { KEPT_MAX = 8192, TEXT_MAX = CONFIG_DNSBLS_MAX * 520 };

/* A listing that waits for this answer. */
struct watch {
	LIST_ENTRY(watch) entry; /* while it is pending */
	struct listing *listing;
	struct listed *listed; /* a reference; NULL: nobody could be asked */
	bool pending;
};

struct listed {
	struct known known; /* the first member */
	LIST_HEAD(, watch) watches;
	char *lists; /* owned; NULL: none has it */
	int32_t score;
};

struct listing {
	const struct session *session;
	struct commands waiting;
	struct buf text; /* terminated, unless empty */
	int32_t *scores; /* owned; one for each of config.dnsbls */
	size_t n, npending;
	bool counted; /* it is listed */
	struct watch watches[];
};

static void
listed_free(struct known *k)
{
	struct listed *l = (struct listed *)k;

	free(l->lists);
	free(l);
}

static struct known_cache kept = KNOWN_CACHE(kept, KEPT_MAX, listed_free);

/* The table by its name, as the resolver knows it: sessions with another
 * configuration count their tables otherwise. */
static uint32_t
kind_of(const struct table *t)
{
	return table_hash_end(
	    table_hash_add(TABLE_HASH_INIT, str_of(table_name(t))));
}

/* --- answers --- */

/* Of watch i, which is not pending any more. */
static void
take(struct listing *l, const struct watch *w)
{
	const struct session *s = l->session;
	const struct listed *from = w->listed;

	l->scores[w - l->watches] = from->score;
	if (from->lists == NULL)
		return;
	if (l->text.len > 0)
		l->text.p[l->text.len - 1] = ' ';
	buf_addf(&l->text, "%s", from->lists);
	buf_add_char(&l->text, '\0');
	log_info(&s->log, "listed", "client=%s lists=%s score=%d",
	    log_cstr(s->client_text), log_cstr(from->lists), from->score);
	if (!l->counted)
		stats_add(STAT_LISTED, 1);
	l->counted = true;
}

static void
watch_end(struct watch *w)
{
	if (!w->pending)
		return;
	LIST_REMOVE(w, entry);
	w->pending = false;
	w->listing->npending--;
}

void
listed_set(struct listed *l, int32_t score, struct str lists, uint32_t ttl_s)
{
	struct watch *w;

	l->score = score;
	if (lists.len > 0)
		l->lists = str_dup(lists);
	known_set(&kept, &l->known, ttl_s);
	while ((w = LIST_FIRST(&l->watches)) != NULL) {
		watch_end(w);
		take(w->listing, w);
		/* The listing may be gone behind it. */
		command_wake(&w->listing->waiting);
	}
	known_unref(&kept, &l->known); /* the question's */
}

/* --- asking --- */

/* NULL: nobody can be asked. */
static struct listed *
ask(const struct addr *a, const struct table *t)
{
	struct listed *l = xcalloc(1, sizeof(*l));

	LIST_INIT(&l->watches);
	if (from_resolver_ask_lists(a, table_name(t), l) < 0) {
		free(l);
		return NULL;
	}
	known_start(&kept, &l->known, a, kind_of(t));
	return l;
}

static void
watch_start(struct listing *l, uint32_t index)
{
	const struct session *s = l->session;
	const struct table *t = s->config->dnsbls[index];
	struct watch *w = &l->watches[index];

	w->listing = l;
	w->listed = (struct listed *)known_find(&kept, &s->client, kind_of(t));
	if (w->listed == NULL)
		w->listed = ask(&s->client, t);
	if (w->listed == NULL)
		return;
	w->listed->known.refs++;
	if (!w->listed->known.pending) {
		take(l, w);
		return;
	}
	l->scores[index] = DNSBL_PENDING;
	LIST_INSERT_HEAD(&w->listed->watches, w, entry);
	w->pending = true;
	l->npending++;
}

struct listing *
listing_ask(const struct session *s)
{
	size_t n = s->config->ndnsbls;
	struct listing *l;

	if (n == 0 || s->trusted || s->config->nservers == 0 ||
	    (s->client.family != ADDR_V4 && s->client.family != ADDR_V6))
		return NULL;
	l = xcalloc(1, sizeof(*l) + n * sizeof(l->watches[0]));
	l->session = s;
	l->n = n;
	l->scores = xcalloc(n, sizeof(*l->scores));
	TAILQ_INIT(&l->waiting);
	buf_init(&l->text, TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		watch_start(l, (uint32_t)i);
	return l;
}

void
listing_free(struct listing **lp)
{
	struct listing *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++) {
		watch_end(&l->watches[i]);
		if (l->watches[i].listed != NULL)
			known_unref(&kept, &l->watches[i].listed->known);
	}
	buf_clear(&l->text);
	free(l->scores);
	free(l);
}

void
listings_clear(void)
{
	known_clear(&kept);
}

/* --- what is known --- */

const int32_t *
listing_scores(const struct listing *l)
{
	return l != NULL ? l->scores : NULL;
}

bool
listing_is_complete(const struct listing *l)
{
	return l == NULL || l->npending == 0;
}

const char *
listing_text(const struct listing *l)
{
	return l != NULL && l->text.len > 0 ? l->text.p : "";
}

void
listing_wait(struct listing *l, struct command *c)
{
	command_wait(c, &l->waiting, SESSION_LISTING);
}
