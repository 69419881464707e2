/* Policies that were made already: with each host of a route, and by the URL
 * of next hops without a name. */
#include <stdlib.h>

#include "delivery/policy.h"
#include "lib/base/alloc.h"
#include "lib/base/tree.h"

enum { KEPT_MAX = 4096 };

struct kept {
	RB_ENTRY(kept) entry;
	struct str url; /* owned */
	const struct action *action;
	bool require_tls;
	struct policy_slot slot;
};

static int
kept_cmp(const struct kept *a, const struct kept *b)
{
	if (a->action != b->action)
		return a->action < b->action ? -1 : 1;
	if (a->require_tls != b->require_tls)
		return a->require_tls - b->require_tls;
	return str_cmp(a->url, b->url);
}

RB_HEAD(kept_tree, kept);

static struct kept_tree all = RB_INITIALIZER(&all);
static size_t nkept;

TREE_DEFINE(kept_tree, kept, entry, kept_cmp)

/* --- slots --- */

void
policy_slot_clear(struct policy_slot *s)
{
	policy_unref(&s->policy);
	*s = (struct policy_slot){ 0 };
}

/* What it was made of lives as long as it does: the addresses tell. */
static bool
is_of(const struct policy_slot *s, const struct policy_parts *q)
{
	return s->policy != NULL && s->config == q->config &&
	       s->action == q->action && s->sts == q->sts &&
	       s->kind == q->url->kind && s->tls == q->url->tls &&
	       s->lmtp == q->url->lmtp && s->require_tls == q->require_tls &&
	       s->tls_optional == q->tls_optional;
}

struct policy *
policy_get(struct policy_slot *s, const struct policy_parts *q,
    enum policy_refusal *no)
{
	struct policy *p;

	*no = POLICY_FINE;
	if (is_of(s, q))
		return policy_ref(s->policy);
	p = policy_make(q, no);
	if (p == NULL)
		return NULL;
	policy_slot_clear(s);
	*s = (struct policy_slot){ .config = q->config,
		.action = q->action,
		.sts = q->sts,
		.kind = q->url->kind,
		.tls = q->url->tls,
		.lmtp = q->url->lmtp,
		.require_tls = q->require_tls,
		.tls_optional = q->tls_optional,
		.policy = p };
	return policy_ref(p);
}

/* --- by URL --- */

static void
drop(struct kept *k)
{
	RB_REMOVE(kept_tree, &all, k);
	nkept--;
	policy_slot_clear(&k->slot);
	free((char *)(uintptr_t)k->url.p);
	free(k);
}

void
policies_clear(void)
{
	struct kept *k, *next;

	RB_FOREACH_SAFE(k, kept_tree, &all, next)
		drop(k);
}

struct policy *
policy_get_by_url(
    struct str url, const struct policy_parts *q, enum policy_refusal *no)
{
	struct kept key = {
		.url = url, .action = q->action, .require_tls = q->require_tls
	};
	struct kept *k = RB_FIND(kept_tree, &all, &key);

	if (k == NULL) {
		if (nkept >= KEPT_MAX)
			policies_clear();
		k = xcalloc(1, sizeof(*k));
		*k = key;
		k->url = (struct str){ str_dup(url), url.len };
		RB_INSERT(kept_tree, &all, k);
		nkept++;
	}
	return policy_get(&k->slot, q, no);
}
