/* Policies of a connection: one for each combination of what they are made
 * from. */
#ifndef POSTERN_TESTS_UNIT_DELIVERY_POLICIES_H
#define POSTERN_TESTS_UNIT_DELIVERY_POLICIES_H

#include <stdio.h>
#include <string.h>

#include "tests/unit/delivery/one_action.h"

static char base[] = "tlsa.d.test";
static uint8_t digest[32] = { 0xab, 0xcd };
static struct tls_tlsa record = { 3, 1, 1, digest, sizeof(digest) };
static bool mx_is_secure;
static enum sts_fault sts_fault;

static inline void
setup(void)
{
	setup_action();
	mx_is_secure = true;
	sts_fault = STS_NO_FAULT;
}

/* --- parts --- */

/* clang-format off */
static const struct { const char *word; unsigned int tls; } words[] = {
	{ "-", 0 },
	{ "opportunistic", ACTION_TLS_MAY },
	{ "require", ACTION_TLS_REQUIRE },
	{ "require no-verify", ACTION_TLS_REQUIRE | ACTION_TLS_UNVERIFIED },
	{ "no-verify", ACTION_TLS_UNVERIFIED },
	{ "dane", ACTION_TLS_DANE },
	{ "mta-sts", ACTION_TLS_STS },
	{ "dane mta-sts", ACTION_TLS_DANE | ACTION_TLS_STS },
};

static const char *const urls[] = {
	"mx://d.test", "smtp://h.test", "smtp://192.0.2.1", "lmtp://h.test",
	"smtp+tls://h.test", "smtp+tls://192.0.2.1", "smtps://h.test",
	"smtps://192.0.2.1", "smtp+notls://h.test", "smtp+notls://192.0.2.1",
	"smtp+unix:///run/x", "lmtp+unix:///run/x",
};

static const struct { const char *name; enum way_dane is; } danes[] = {
	{ "none", DANE_NONE }, { "records", DANE_RECORDS },
	{ "unusable", DANE_UNUSABLE }, { "fault", DANE_FAULT },
};

/* The MX host is mx1.d.test. */
static const struct { const char *name; enum sts_mode mode; const char *mxs; }
stss[] = {
	{ "-", STS_NONE, NULL },
	{ "none", STS_NONE, "" },
	{ "testing", STS_TESTING, "*.d.test" },
	{ "testing other", STS_TESTING, "other.test" },
	{ "enforce", STS_ENFORCE, "mx1.d.test" },
	{ "enforce other", STS_ENFORCE, "other.test" },
};

/* clang-format on */

enum {
	NWORDS = sizeof(words) / sizeof(words[0]),
	NURLS = sizeof(urls) / sizeof(urls[0]),
	NDANES = sizeof(danes) / sizeof(danes[0]),
	NSTSS = sizeof(stss) / sizeof(stss[0])
};

static inline struct sts_policy *
sts_of(size_t i)
{
	struct sts_policy *p;

	if (stss[i].mxs == NULL)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->refs = 1;
	p->mode = stss[i].mode;
	p->fault = sts_fault;
	p->id = xstrdup("1");
	p->mxs = xstrdup(stss[i].mxs);
	return p;
}

static inline bool
is_by_name(const struct hop_url *url)
{
	return url->kind == HOP_MX || url->kind == HOP_HOST;
}

/* One of them, as the walk would ask: what is not wanted is not known. */
static inline struct policy *
make(size_t word, const char *text, size_t dane, size_t sts, bool require_tls,
    enum policy_refusal *no)
{
	struct host_dane host = { .is = danes[dane].is,
		.base = base,
		.tlsas = &record,
		.ntlsas = danes[dane].is == DANE_RECORDS };
	struct sts_policy *domain = sts_of(sts);
	struct hop_url url;
	struct policy *p;

	ck_assert_int_eq(hop_url_parse(str_of(text), &url, NULL), 0);
	action->tls = words[word].tls;
	struct policy_parts q = { .config = config,
		.action = action,
		.url = &url,
		.require_tls = require_tls,
		.host = url.kind == HOP_MX   ? "mx1.d.test" :
			url.kind == HOP_HOST ? "canonical.test" :
					       NULL,
		.mx_is_secure = mx_is_secure,
		.dane =
		    policy_wants_dane(action, &url, require_tls) ? &host : NULL,
		.sts = policy_wants_sts(action, &url, require_tls) ? domain :
								     NULL };
	p = policy_make(&q, no);
	sts_unref(&domain);
	return p;
}

/* "verified+requiretls mx1.d.test d.test" */
static inline const char *
shown(const struct policy *p, enum policy_refusal no)
{
	static const char *const levels[] = { "never", "may", "must",
		"verified", "dane" };
	static const char *const refusals[] = { "", "refused: dane",
		"refused: sts", "refused: sts fault", "refused: clear",
		"refused: requiretls", "refused: mx" };
	static char text[512];
	int n;

	if (p == NULL)
		return refusals[no];
	n = snprintf(text, sizeof(text), "%s%s%s%s", levels[p->level],
	    p->require_tls ? "+requiretls" : "", p->at_once ? "+at-once" : "",
	    p->testing ? "+testing" : "");
	for (size_t i = 0; i < p->nnames; i++)
		n += snprintf(
		    text + n, sizeof(text) - (size_t)n, " %s", p->names[i]);
	return text;
}

/* The row that begins with that name. */
static inline size_t
row(const void *rows, size_t n, size_t size, const char *name)
{
	const char *p = rows, *at;

	for (size_t i = 0; i < n; i++, p += size) {
		memcpy(&at, p, sizeof(at));
		if (strcmp(at, name) == 0)
			return i;
	}
	ck_abort_msg("no %s", name);
	return 0;
}

#define ROW(rows, name) \
	row(rows, sizeof(rows) / sizeof(rows[0]), sizeof(rows[0]), name)

#endif
