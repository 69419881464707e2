/* From answers to addresses, in the order they are tried (RFC 5321 5.1). */
#include "resolver/hosts.h"

#include <bsd/stdlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/rules/hop.h"

enum { SHOWN = 120, NOT_OURS = 65536 };

enum dns_type
hosts_type(size_t family)
{
	return family == 0 ? DNS_AAAA : DNS_A;
}

void
hosts_init(struct hosts *h, struct str name, enum way_kind kind, uint16_t port,
    const struct config *config)
{
	*h = (struct hosts){ .name = name,
		.kind = kind,
		.port = port,
		.config = config,
		.ours = NOT_OURS };
}

void
hosts_clear(struct hosts *h)
{
	for (size_t i = 0; i < h->n; i++)
		for (size_t k = 0; k < HOST_FAMILIES; k++)
			dns_answer_unref(&h->list[i].answers[k]);
	dns_answer_unref(&h->mx);
	free(h->list);
	h->list = NULL;
	h->n = 0;
}

void
hosts_from_name(struct hosts *h)
{
	h->list = xcalloc(1, sizeof(*h->list));
	h->list[0].name = h->name;
	h->n = 1;
}

/* --- which hosts --- */

/* A record that may be tried; ties are drawn, so that equal ones share. */
struct candidate {
	const struct dns_record *record;
	uint32_t tie;
};

static int
candidate_cmp(const void *av, const void *bv)
{
	const struct candidate *a = av, *b = bv;

	if (a->record->preference != b->record->preference)
		return a->record->preference < b->record->preference ? -1 : 1;
	return a->tie < b->tie ? -1 : a->tie > b->tie;
}

static bool
is_listed(const struct hosts *h, struct str name)
{
	for (size_t i = 0; i < h->n; i++)
		if (str_eq_nocase(h->list[i].name, name))
			return true;
	return false;
}

/* Sorts records into those that may be tried and the others. Returns how many
 * may. */
static size_t
sift(struct hosts *h, const struct dns_answer *mx, struct candidate *out)
{
	size_t n = 0;

	for (size_t i = 0; i < mx->nrecords; i++) {
		const struct dns_record *r = &mx->records[i];

		if (r->text.len == 0)
			h->nnull++;
		else if (!hop_is_host_name(r->text))
			h->nskipped++;
		else if (!hop_is_our_name(r->text, h->config))
			out[n++] = (struct candidate){ r, arc4random() };
		else if (r->preference < h->ours)
			h->ours = r->preference;
	}
	return n;
}

static void
pick(struct hosts *h, struct candidate *from, size_t n)
{
	qsort(from, n, sizeof(*from), candidate_cmp);
	h->list = xcalloc(WAY_HOSTS_MAX, sizeof(*h->list));
	for (size_t i = 0; i < n && h->n < WAY_HOSTS_MAX; i++) {
		const struct dns_record *r = from[i].record;

		/* We, and those no better than we, would only send it back. */
		if (r->preference >= h->ours)
			break;
		if (!is_listed(h, r->text))
			h->list[h->n++] = (struct host){ .name = r->text,
				.preference = r->preference };
	}
}

/* A long list is forgotten but for what was picked: many ways may wait at the
 * same time. */
static void
forget_others(struct hosts *h)
{
	struct dns_record picked[WAY_HOSTS_MAX];
	struct dns_answer some = *h->mx;

	if (h->mx->nrecords <= WAY_HOSTS_MAX)
		return;
	for (size_t i = 0; i < h->n; i++)
		picked[i] = (struct dns_record){ .text = h->list[i].name,
			.preference = h->list[i].preference };
	some.records = picked;
	some.nrecords = h->n;
	struct dns_answer *copy = dns_answer_copy(&some, 0);
	for (size_t i = 0; i < h->n; i++)
		h->list[i].name = copy->records[i].text;
	dns_answer_unref(&h->mx);
	h->mx = copy;
}

enum way_result
hosts_from_mx(struct hosts *h, struct dns_answer *mx)
{
	struct candidate *candidates;

	h->mx = dns_answer_ref(mx);
	switch (mx->status) {
	case DNS_FAULT:
		return WAY_FAULT;
	case DNS_NXDOMAIN:
		return WAY_NO_DOMAIN;
	case DNS_NODATA:
		h->is_implicit = true;
		hosts_from_name(h);
		return WAY_FOUND;
	case DNS_OK:
		break;
	}
	candidates = xcalloc(mx->nrecords + 1, sizeof(*candidates));
	pick(h, candidates, sift(h, mx, candidates));
	free(candidates);
	forget_others(h);
	if (h->n > 0)
		return WAY_FOUND;
	if (h->ours < NOT_OURS)
		return WAY_LOOP;
	return h->nnull > 0 && h->nskipped == 0 ? WAY_NO_MAIL : WAY_NO_ADDRESS;
}

/* --- which addresses --- */

/* What nobody can be at is not ours either. */
static bool
is_ours(const struct hosts *h, const struct addr *a)
{
	struct hop_addr at = { .addr = *a, .port = h->port };

	return !hop_is_unusable(a) && hop_is_ours(&at, h->config);
}

/* Are its preference and the worse ones out because of one of its
 * addresses? */
static bool
host_has_ours(const struct hosts *h, const struct host *host)
{
	for (size_t k = 0; k < HOST_FAMILIES; k++) {
		const struct dns_answer *a = host->answers[k];

		for (size_t i = 0; i < a->nrecords; i++)
			if (is_ours(h, &a->records[i].addr))
				return true;
	}
	return false;
}

/* Up to WAY_ADDRS_MAX of the usable ones, drawn by lot. Returns how many. */
static size_t
draw(const struct hosts *h, const struct dns_answer *a,
    const struct addr *out[static WAY_ADDRS_MAX])
{
	const struct addr **all =
	    xcalloc(a->nrecords + 1, sizeof(const void *));
	size_t n = 0, i;

	for (i = 0; i < a->nrecords; i++)
		if (!hop_is_unusable(&a->records[i].addr) &&
		    !is_ours(h, &a->records[i].addr))
			all[n++] = &a->records[i].addr;
	for (i = 0; i < n && i < WAY_ADDRS_MAX; i++) {
		size_t k = i + arc4random_uniform((uint32_t)(n - i));

		out[i] = all[k];
		all[k] = all[i];
	}
	free(all);
	return i;
}

void
hosts_set_answer(
    struct hosts *h, size_t host, size_t family, struct dns_answer *a)
{
	struct dns_record kept[WAY_ADDRS_MAX + 1];
	const struct addr *drawn[WAY_ADDRS_MAX];
	struct dns_answer some = *a;
	size_t n, i;

	if (a->nrecords <= WAY_ADDRS_MAX) {
		h->list[host].answers[family] = dns_answer_ref(a);
		return;
	}
	n = draw(h, a, drawn);
	for (i = 0; i < n; i++)
		kept[i] = (struct dns_record){ .addr = *drawn[i] };
	/* And one of ours, which says as much as all of them. */
	for (i = 0; i < a->nrecords && !is_ours(h, &a->records[i].addr); i++)
		;
	if (i < a->nrecords)
		kept[n++] = (struct dns_record){ .addr = a->records[i].addr };
	some.records = kept;
	some.nrecords = n;
	h->list[host].answers[family] = dns_answer_copy(&some, 0);
}

/* The two families in turns, so that a dead one costs every second try. */
static void
add_addrs(const struct hosts *h, const struct host *host, struct way_found *out)
{
	const struct addr *drawn[HOST_FAMILIES][WAY_ADDRS_MAX];
	size_t n[HOST_FAMILIES], taken = 0;

	for (size_t k = 0; k < HOST_FAMILIES; k++)
		n[k] = draw(h, host->answers[k], drawn[k]);
	for (size_t i = 0; i < WAY_ADDRS_MAX; i++)
		for (size_t k = 0; k < HOST_FAMILIES; k++) {
			if (i >= n[k] || taken == WAY_ADDRS_MAX ||
			    out->naddrs == WAY_ALL_MAX)
				continue;
			taken++;
			out->addrs[out->naddrs++] =
			    (struct way_addr){ .host = host->name,
				    .preference = host->preference,
				    .addr = *drawn[k][i] };
		}
}

/* --- what it all comes to --- */

/* Counts an answer that was used. */
static void
note(struct way_found *out, const struct dns_answer *a)
{
	uint32_t ttl_s = a->ttl_s;

	if (a->status == DNS_FAULT && ttl_s > HOSTS_FAULT_TTL_S)
		ttl_s = HOSTS_FAULT_TTL_S;
	if (ttl_s < out->ttl_s)
		out->ttl_s = ttl_s;
}

/* No MX: the name itself is all there is. */
static bool
is_single(const struct hosts *h)
{
	return h->mx == NULL || h->is_implicit;
}

/* The best preference that is ours, by name or by an address; a single host
 * loses no more than the address. */
static uint32_t
find_ours(const struct hosts *h)
{
	uint32_t ours = h->ours;

	if (is_single(h))
		return ours;
	for (size_t i = 0; i < h->n; i++)
		if (h->list[i].preference < ours &&
		    host_has_ours(h, &h->list[i]))
			ours = h->list[i].preference;
	return ours;
}

/* The first host that would be tried and about which a question has got no
 * answer, with that; NULL: there is none. */
static const struct host *
find_fault(const struct hosts *h, const struct dns_answer **why)
{
	uint32_t ours = find_ours(h);

	for (size_t i = 0; i < h->n && h->list[i].preference < ours; i++)
		for (size_t k = 0; k < HOST_FAMILIES; k++) {
			*why = h->list[i].answers[k];
			if ((*why)->status == DNS_FAULT)
				return &h->list[i];
		}
	return NULL;
}

/* Has the DNS said of every question that there is no such name? */
static bool
is_no_host(const struct host *host)
{
	for (size_t k = 0; k < HOST_FAMILIES; k++)
		if (host->answers[k]->status != DNS_NXDOMAIN)
			return false;
	return true;
}

static enum way_result
take_addrs(const struct hosts *h, struct way_found *out)
{
	const struct dns_answer *why;
	uint32_t ours = find_ours(h);
	size_t ntried = 0;

	for (size_t i = 0; i < h->n; i++) {
		for (size_t k = 0; k < HOST_FAMILIES; k++)
			note(out, h->list[i].answers[k]);
		if (h->list[i].preference < ours) {
			add_addrs(h, &h->list[i], out);
			ntried++;
		}
	}
	bool is_faulty = find_fault(h, &why) != NULL;
	if (out->naddrs > 0) {
		out->partial = is_faulty;
		return WAY_FOUND;
	}
	if (is_faulty)
		return WAY_FAULT;
	if (ntried == 0 || host_has_ours(h, &h->list[0]))
		return WAY_LOOP;
	if (h->kind == WAY_HOST && is_no_host(&h->list[0]))
		return WAY_NO_DOMAIN;
	return WAY_NO_ADDRESS;
}

/* What messages show of a name. */
static struct str
shown(struct str name)
{
	return str_head(name, SHOWN);
}

static void
say_fault(const struct hosts *h, struct way_found *out)
{
	const struct dns_answer *why = h->mx;
	const struct host *host = NULL;
	struct str name;

	if (why == NULL || why->status != DNS_FAULT)
		host = find_fault(h, &why);
	name = shown(host == NULL ? h->name : host->name);
	(void)snprintf(out->text, sizeof(out->text), "%s lookup of %.*s: %s",
	    host == NULL ? "MX" : "address", (int)name.len, name.p,
	    dns_status_text(why));
}

static void
say_end(const struct hosts *h, struct way_found *out)
{
	/* In front of the name and behind it. */
	static const struct {
		const char *domain[2], *host[2];
	} words[] = {
		[WAY_NO_DOMAIN] = { { "there is no domain ", "" },
		    { "there is no host ", "" } },
		[WAY_NO_MAIL] = { { "", " takes no mail (null MX)" },
		    { "", " takes no mail" } },
		[WAY_NO_ADDRESS] = { { "no mail host of ",
					 " has a usable address" },
		    { "", " has no usable address" } },
		[WAY_LOOP] = { { "mail for ", " loops back to this host" },
		    { "", " leads back to this host" } },
	};

	const char *const *w = h->kind == WAY_MX ? words[out->result].domain :
						   words[out->result].host;
	struct str name = shown(h->name);

	(void)snprintf(out->text, sizeof(out->text), "%s%.*s%s", w[0],
	    (int)name.len, name.p, w[1]);
}

void
hosts_finish(
    const struct hosts *h, enum way_result result, struct way_found *out)
{
	*out = (struct way_found){ .result = result,
		.ttl_s = DNS_TTL_MAX,
		.ad = hosts_mx_is_secure(h) };
	if (h->mx != NULL)
		note(out, h->mx);
	if (result == WAY_FOUND)
		out->result = take_addrs(h, out);
	if (out->result == WAY_FAULT)
		say_fault(h, out);
	else if (out->result != WAY_FOUND)
		say_end(h, out);
}

/* --- DNSSEC --- */

bool
hosts_mx_is_secure(const struct hosts *h)
{
	return h->mx == NULL || h->mx->ad;
}

/* One family that is not known says nothing: the other one speaks for the
 * name. */
bool
hosts_is_secure(const struct hosts *h, const struct host *host)
{
	bool secure = false;

	if (!hosts_mx_is_secure(h))
		return false;
	for (size_t k = 0; k < HOST_FAMILIES; k++) {
		const struct dns_answer *a = host->answers[k];

		if (a->status != DNS_FAULT && !a->ad)
			return false;
		secure |= a->status != DNS_FAULT;
	}
	return secure;
}

struct str
hosts_canonical(const struct host *host)
{
	for (size_t k = 0; k < HOST_FAMILIES; k++)
		if (host->answers[k]->status == DNS_OK &&
		    host->answers[k]->canonical.len > 0)
			return host->answers[k]->canonical;
	return STR("");
}

const struct host *
hosts_find(const struct hosts *h, struct str name)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->list[i].name.p == name.p)
			return &h->list[i];
	return NULL;
}
