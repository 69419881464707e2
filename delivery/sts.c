#include "delivery/sts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/tree.h"

/* One domain: asked for, or remembered. */
struct sts_domain {
	RB_ENTRY(sts_domain) entry;
	TAILQ_ENTRY(sts_domain) used; /* of the remembered: last used first */
	TAILQ_HEAD(, sts_wait) waiting;
	struct sts_question question;
	char *name;                /* owned; that of the question */
	struct sts_policy *policy; /* NULL: asked for */
	uint64_t expires_ms;
};

static int
domain_cmp(const struct sts_domain *a, const struct sts_domain *b)
{
	return str_cmp(a->question.ask.domain, b->question.ask.domain);
}

RB_HEAD(sts_tree, sts_domain);
TAILQ_HEAD(sts_list, sts_domain);

static struct sts_tree domains = RB_INITIALIZER(&domains);
static struct sts_list kept = TAILQ_HEAD_INITIALIZER(kept);
static size_t nkept;
static struct loop *loop;

TREE_DEFINE(sts_tree, sts_domain, entry, domain_cmp)

/* --- policies --- */

struct sts_policy *
sts_ref(struct sts_policy *p)
{
	p->refs++;
	return p;
}

void
sts_unref(struct sts_policy **pp)
{
	struct sts_policy *p = *pp;

	*pp = NULL;
	if (p == NULL || --p->refs > 0)
		return;
	free(p->id);
	free(p->mxs);
	free(p);
}

static struct sts_policy *
policy_of(const struct answer_sts *m)
{
	static const struct answer_sts nothing = { .mode = STS_NONE,
		.fault = STS_UNANSWERED };
	struct sts_policy *p = xcalloc(1, sizeof(*p));

	if (m == NULL)
		m = &nothing;
	p->refs = 1;
	p->mode = (enum sts_mode)m->mode;
	p->fault = (enum sts_fault)m->fault;
	p->id = str_dup(m->id);
	p->mxs = str_dup(m->mxs);
	p->max_age_s = m->max_age_s;
	return p;
}

/* `*.' stands for one label, the leftmost (RFC 8461 4.1). */
static bool
pattern_allows(struct str pattern, struct str host)
{
	if (pattern.len < 2 || pattern.p[0] != '*' || pattern.p[1] != '.')
		return str_eq_nocase(pattern, host);
	size_t label = str_find(host, '.');
	return label > 0 &&
	       str_eq_nocase(str_skip(pattern, 1), str_skip(host, label));
}

bool
sts_allows(const struct sts_policy *p, const char *host)
{
	struct str rest = str_of(p->mxs), name = str_of(host);

	while (rest.len > 0)
		if (pattern_allows(str_cut(&rest, ' '), name))
			return true;
	return false;
}

/* --- domains --- */

static void
drop(struct sts_domain *d)
{
	RB_REMOVE(sts_tree, &domains, d);
	sts_unref(&d->policy);
	free(d->name);
	free(d);
}

static void
forget(struct sts_domain *d)
{
	TAILQ_REMOVE(&kept, d, used);
	nkept--;
	drop(d);
}

static void
keep(struct sts_domain *d, uint64_t until_ms)
{
	d->expires_ms = until_ms;
	TAILQ_INSERT_HEAD(&kept, d, used);
	if (++nkept > STS_DOMAINS_MAX)
		forget(TAILQ_LAST(&kept, sts_list));
}

static void
on_answer(struct sts_question *q, const struct answer_sts *m)
{
	struct sts_domain *d =
	    (struct sts_domain *)((char *)q -
				  offsetof(struct sts_domain, question));
	struct sts_policy *p = policy_of(m);
	uint64_t ms = (uint64_t)(m != NULL ? m->ttl_s : STS_FAULT_S) * 1000;
	struct sts_wait *w;

	/* Whoever is called may ask again: until all were it stays. */
	d->policy = sts_ref(p);
	keep(d, UINT64_MAX);
	while ((w = TAILQ_FIRST(&d->waiting)) != NULL) {
		TAILQ_REMOVE(&d->waiting, w, entry);
		w->domain = NULL;
		w->fn(w->ctx, sts_ref(p));
	}
	d->expires_ms = loop_now_ms(loop) + ms;
	sts_unref(&p);
}

static struct sts_domain *
ask(struct str name)
{
	struct sts_domain *d = xcalloc(1, sizeof(*d));

	d->name = str_dup(name);
	TAILQ_INIT(&d->waiting);
	d->question.on_answer = on_answer;
	d->question.ask.domain = str_of(d->name);
	RB_INSERT(sts_tree, &domains, d);
	from_fetch_ask(&d->question);
	return d;
}

struct sts_policy *
sts_get(struct str domain, struct sts_wait *w)
{
	struct sts_domain key = { .question.ask.domain = domain }, *d;

	d = RB_FIND(sts_tree, &domains, &key);
	if (d != NULL && d->policy != NULL &&
	    d->expires_ms <= loop_now_ms(loop)) {
		forget(d);
		d = NULL;
	}
	if (d != NULL && d->policy != NULL) {
		TAILQ_REMOVE(&kept, d, used);
		TAILQ_INSERT_HEAD(&kept, d, used);
		return sts_ref(d->policy);
	}
	if (d == NULL)
		d = ask(domain);
	TAILQ_INSERT_TAIL(&d->waiting, w, entry);
	w->domain = d;
	return NULL;
}

/* A question that nobody waits for is not worth its place. */
void
sts_cancel(struct sts_wait *w)
{
	struct sts_domain *d = w->domain;

	if (d == NULL)
		return;
	w->domain = NULL;
	TAILQ_REMOVE(&d->waiting, w, entry);
	if (!TAILQ_EMPTY(&d->waiting) || d->policy != NULL)
		return;
	from_fetch_cancel(&d->question);
	drop(d);
}

void
sts_init(struct loop *l)
{
	loop = l;
	from_fetch_init(l, STS_PATIENCE_MS);
}

void
sts_clear(void)
{
	struct sts_domain *d, *next;

	TAILQ_FOREACH_SAFE(d, &kept, used, next)
		forget(d);
}

size_t
sts_count(void)
{
	return nkept;
}
