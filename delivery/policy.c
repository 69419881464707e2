/* What a connection has to be, from all that demands something of it. */
#include "delivery/policy.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/crc32c.h"

enum { KEY_MAX = 1 << 20 };

struct policy *
policy_ref(struct policy *p)
{
	p->refs++;
	return p;
}

static void
tlsas_free(struct tls_tlsa *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].data);
	free(list);
}

void
host_dane_clear(struct host_dane *d)
{
	tlsas_free(d->tlsas, d->ntlsas);
	free(d->base);
	*d = (struct host_dane){ 0 };
}

void
policy_unref(struct policy **pp)
{
	struct policy *p = *pp;

	*pp = NULL;
	if (p == NULL || --p->refs > 0)
		return;
	for (size_t i = 0; i < p->nnames; i++)
		free(p->names[i]);
	free(p->names);
	tlsas_free(p->tlsas, p->ntlsas);
	free(p->domain);
	free(p->sni);
	free(p->helo);
	free(p->auth_table);
	free(p->auth_label);
	free(p->key);
	sts_unref(&p->sts);
	config_unref(&p->config);
	free(p);
}

/* --- what is asked for --- */

bool
policy_wants_dane(
    const struct action *a, const struct hop_url *url, bool require_tls)
{
	if (url->tls == HOP_TLS_NEVER)
		return false;
	if (a->tls == 0 || require_tls)
		return url->kind == HOP_MX || (a->tls & ACTION_TLS_DANE) != 0;
	return (a->tls & ACTION_TLS_DANE) != 0 &&
	       (url->kind == HOP_MX || url->kind == HOP_HOST);
}

bool
policy_wants_sts(
    const struct action *a, const struct hop_url *url, bool require_tls)
{
	return ((a->tls & ACTION_TLS_STS) != 0 || require_tls) &&
	       url->kind == HOP_MX;
}

/* What the URL and the action say, before anything is known of the host. */
static enum secure_level
plain_level(const struct policy_parts *q)
{
	bool unverified = (q->action->tls & ACTION_TLS_UNVERIFIED) != 0;

	switch (q->url->tls) {
	case HOP_TLS_NEVER:
		return SECURE_NEVER;
	case HOP_TLS_BY_ACTION:
		if ((q->action->tls & ACTION_TLS_REQUIRE) == 0)
			return SECURE_MAY;
		break;
	case HOP_TLS_STARTTLS:
	case HOP_TLS_AT_ONCE:
		break;
	}
	return unverified ? SECURE_MUST : SECURE_VERIFIED;
}

static enum way_dane
dane_of(const struct policy_parts *q)
{
	return q->dane == NULL || q->tls_optional ? DANE_NONE : q->dane->is;
}

/* A host with records goes by these, whatever its domain's policy says
 * (RFC 8461 2). */
static bool
has_sts(const struct policy_parts *q)
{
	return q->sts != NULL && q->host != NULL && !q->tls_optional &&
	       dane_of(q) != DANE_RECORDS;
}

static enum sts_mode
sts_mode_of(const struct policy_parts *q)
{
	return has_sts(q) ? q->sts->mode : STS_NONE;
}

/* Whom a name is of that came by MX only DNSSEC or MTA-STS can say: a
 * certificate for it proves nothing else (RFC 8689 4.2.1). */
static bool
is_vouched_for(const struct policy_parts *q)
{
	return q->url->kind != HOP_MX || q->mx_is_secure ||
	       (sts_mode_of(q) != STS_NONE && sts_allows(q->sts, q->host));
}

/* May there be a policy that is not known? That one could not be had is no
 * reason to return a mail for ever. */
static bool
is_sts_fault(const struct policy_parts *q)
{
	if (!has_sts(q))
		return false;
	return q->sts->fault == STS_UNANSWERED ||
	       (q->sts->fault != STS_NO_FAULT && q->require_tls &&
		   !is_vouched_for(q));
}

static enum policy_refusal
refusal(const struct policy_parts *q)
{
	if (q->url->tls == HOP_TLS_NEVER) {
		/* A Unix socket of LMTP is a mailbox's: nothing is sent on. */
		if (q->require_tls &&
		    !(q->url->kind == HOP_LOCAL && q->url->lmtp))
			return POLICY_NO_REQUIRE;
		if (q->url->kind != HOP_LOCAL &&
		    (q->action->tls & ACTION_TLS_REQUIRE) != 0)
			return POLICY_IN_CLEAR;
		return POLICY_FINE;
	}
	if (dane_of(q) == DANE_FAULT)
		return POLICY_DANE_FAULT;
	if (is_sts_fault(q))
		return POLICY_STS_FAULT;
	if (sts_mode_of(q) == STS_ENFORCE && !sts_allows(q->sts, q->host))
		return POLICY_STS_DENIED;
	if (q->require_tls && !is_vouched_for(q))
		return POLICY_MX_UNSURE;
	return POLICY_FINE;
}

static void
at_least(struct policy *p, enum secure_level level)
{
	if (p->level < level)
		p->level = level;
}

static void
set_level(struct policy *p, const struct policy_parts *q)
{
	p->level = plain_level(q);
	if (p->level == SECURE_NEVER)
		return;
	if (dane_of(q) == DANE_RECORDS)
		at_least(p, SECURE_DANE);
	if (dane_of(q) == DANE_UNUSABLE)
		at_least(p, SECURE_MUST);
	if (sts_mode_of(q) == STS_ENFORCE)
		at_least(p, SECURE_VERIFIED);
	if (q->require_tls)
		at_least(p, SECURE_VERIFIED);
	p->testing = sts_mode_of(q) == STS_TESTING && p->level == SECURE_MAY;
	p->at_once = q->url->tls == HOP_TLS_AT_ONCE;
	p->require_tls = q->require_tls;
}

/* --- names --- */

static void
add_name(struct policy *p, struct str name)
{
	for (size_t i = 0; i < p->nnames; i++)
		if (str_eq_nocase(str_of(p->names[i]), name))
			return;
	p->names = xreallocarray(p->names, p->nnames + 1, sizeof(*p->names));
	p->names[p->nnames++] = str_dup(name);
}

/* Of a host that MTA-STS allows, its own name (RFC 8461 4.2); of TLSA records
 * of usage 2, their base and the next-hop domain (RFC 7672 3.2.2); else the MX
 * host or the domain itself, or the host in the URL, wherever DNS says that
 * it is. */
static void
set_names(struct policy *p, const struct policy_parts *q)
{
	bool by_mx = q->url->kind == HOP_MX;

	if (q->host == NULL || p->level == SECURE_NEVER)
		return;
	if (p->level == SECURE_DANE) {
		p->sni = xstrdup(q->dane->base);
		add_name(p, str_of(q->dane->base));
		add_name(p, q->url->name);
		return;
	}
	p->sni = by_mx ? xstrdup(q->host) : str_dup(q->url->name);
	if (p->level != SECURE_VERIFIED && !p->testing)
		return;
	add_name(p, str_of(p->sni));
	if (by_mx && sts_mode_of(q) == STS_NONE)
		add_name(p, q->url->name);
}

static void
set_tlsas(struct policy *p, const struct host_dane *d)
{
	p->tlsas = xcalloc(d->ntlsas, sizeof(*p->tlsas));
	for (size_t i = 0; i < d->ntlsas; i++) {
		struct tls_tlsa *to = &p->tlsas[i];

		*to = d->tlsas[i];
		to->data = xmalloc(to->len + 1);
		memcpy(to->data, d->tlsas[i].data, to->len);
	}
	p->ntlsas = d->ntlsas;
}

/* Whose reports it is in (RFC 8460 3: of DANE the base of the records). */
static void
set_reported(struct policy *p, const struct policy_parts *q)
{
	p->from = TLS_POLICY_NONE;
	if (dane_of(q) == DANE_RECORDS || dane_of(q) == DANE_UNUSABLE)
		p->from = TLS_POLICY_TLSA;
	else if (sts_mode_of(q) != STS_NONE)
		p->from = TLS_POLICY_STS;
	if (p->level == SECURE_NEVER || q->host == NULL || q->tls_optional)
		return;
	p->domain = p->from == TLS_POLICY_TLSA && q->dane->base != NULL ?
			xstrdup(q->dane->base) :
			str_dup(q->url->name);
}

/* --- the key --- */

static void
add_tlsa(struct buf *b, const struct tls_tlsa *t)
{
	buf_addf(b, " %u-%u-%u-", t->usage, t->selector, t->matching);
	for (size_t i = 0; i < t->len; i++)
		buf_addf(b, "%02x", t->data[i]);
}

/* None of the names has a blank. Where nobody is verified it does not matter
 * by which name the server was spoken to. */
static char *
key_of(const struct policy *p)
{
	struct buf b;
	char *key;

	buf_init(&b, KEY_MAX);
	buf_addf(&b, "%d%d%d%d%d %s", (int)p->level, p->testing, p->at_once,
	    p->lmtp, p->require_tls, p->helo);
	for (size_t i = 0; i < p->nnames; i++)
		buf_addf(&b, " n=%s", p->names[i]);
	for (size_t i = 0; i < p->ntlsas; i++)
		add_tlsa(&b, &p->tlsas[i]);
	if (p->auth_table != NULL)
		buf_addf(&b, " a=%s %s", p->auth_table, p->auth_label);
	if (p->chain != NULL)
		buf_addf(&b, " c=%zu-%08x", strlen(p->chain),
		    crc32c(0, p->chain, strlen(p->chain)));
	key = str_dup(buf_str(&b));
	buf_clear(&b);
	return key;
}

/* --- making one --- */

static void
set_ours(struct policy *p, const struct policy_parts *q)
{
	const struct action *a = q->action;

	p->config = config_ref(q->config);
	p->lmtp = q->url->lmtp;
	p->helo = xstrdup(a->helo != NULL ? a->helo : q->config->hostname);
	if (a->auth != NULL) {
		p->auth_table = xstrdup(table_name(a->auth));
		p->auth_label = xstrdup(a->auth_label);
	}
	if (a->pki != NULL && a->pki->ncerts > 0)
		p->chain = a->pki->certs[0].chain;
}

struct policy *
policy_make(const struct policy_parts *q, enum policy_refusal *no)
{
	struct policy *p;

	*no = refusal(q);
	if (*no != POLICY_FINE)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->refs = 1;
	if (q->sts != NULL)
		p->sts = sts_ref(q->sts);
	set_level(p, q);
	set_names(p, q);
	if (p->level == SECURE_DANE)
		set_tlsas(p, q->dane);
	set_reported(p, q);
	set_ours(p, q);
	p->key = key_of(p);
	return p;
}
