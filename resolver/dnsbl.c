/*
 * A question for each list of the table; what they have in common is shared
 * further down, by query.c. A list that is silent counts nothing, and is
 * named in the log, not for every client.
 */
#include "resolver/dnsbl.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/rules/dnsbl.h"
#include "resolver/query.h"

enum {
	NAME_MAX_BYTES = 256,
	COMPLAINTS_MAX = 256, /* lists that are remembered for the log */
	COMPLAINT_MS = 600000 /* each is named so often */
};

struct dnsbl_question {
	struct dnsbl *of;
	struct dnsbl_list list;
	struct query_wait *wait; /* NULL: answered */
	bool is_silent;
};

struct dnsbl {
	dnsbl_fn *fn;
	void *ctx;
	struct config *config; /* a reference: lists are views into it */
	struct timer *timer;
	struct addr addr;
	struct buf lists;
	int32_t score;
	unsigned int silent;
	uint32_t ttl_s;
	size_t nopen, n;
	struct dnsbl_question questions[];
};

static struct loop *loop;

void
dnsbl_init(struct loop *l)
{
	loop = l;
}

/* --- what the log is told --- */

enum complaint_kind { LIST_SILENT, LIST_PARKED };

struct complaint {
	SLIST_ENTRY(complaint) next;
	enum complaint_kind kind;
	uint64_t said_ms, times; /* times: since it was said */
	char zone[];
};

static SLIST_HEAD(, complaint) complaints = SLIST_HEAD_INITIALIZER(complaints);
static size_t ncomplaints;

static struct complaint *
complaint_of(struct str zone, enum complaint_kind kind)
{
	struct complaint *c;

	SLIST_FOREACH(c, &complaints, next)
	if (c->kind == kind && str_eq(str_of(c->zone), zone))
		return c;
	if (ncomplaints == COMPLAINTS_MAX)
		return NULL;
	ncomplaints++;
	c = xcalloc(1, sizeof(*c) + zone.len + 1);
	c->kind = kind;
	memcpy(c->zone, zone.p, zone.len);
	SLIST_INSERT_HEAD(&complaints, c, next);
	return c;
}

/* what: in one word, or the address that was the answer. */
static void
complain(struct str zone, enum complaint_kind kind, const char *what)
{
	static const char *const events[] = {
		[LIST_SILENT] = "dnsbl-silent",
		[LIST_PARKED] = "dnsbl-parked",
	};
	struct complaint *c = complaint_of(zone, kind);
	uint64_t now = loop_now_ms(loop);

	if (c == NULL)
		return;
	c->times++;
	if (c->said_ms != 0 && now < c->said_ms + COMPLAINT_MS)
		return;
	log_warn(NULL, events[kind], "zone=%s why=%s times=%llu", log_str(zone),
	    log_cstr(what), (unsigned long long)c->times);
	c->said_ms = now;
	c->times = 0;
}

/* --- answers --- */

static void
dnsbl_free(struct dnsbl *d)
{
	for (size_t i = 0; i < d->n; i++)
		query_cancel(&d->questions[i].wait);
	timer_free(&d->timer);
	buf_clear(&d->lists);
	config_unref(&d->config);
	free(d);
}

static void
finish(struct dnsbl *d)
{
	struct dnsbl_found found = { .score = d->score,
		.lists = buf_str(&d->lists),
		.silent = d->silent,
		.ttl_s = d->ttl_s };

	if (found.ttl_s < DNSBL_TTL_MIN_S)
		found.ttl_s = DNSBL_TTL_MIN_S;
	d->fn(d->ctx, &found);
	dnsbl_free(d);
}

static void
add_listed(struct dnsbl *d, const struct dnsbl_list *l, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	size_t room = DNSBL_TEXT_MAX - d->lists.len;

	d->score += l->weight;
	addr_format(a, text);
	if (l->zone.len + strlen(text) + 2 > room)
		return;
	if (d->lists.len > 0)
		buf_add_char(&d->lists, ' ');
	buf_add_str(&d->lists, l->zone);
	buf_addf(&d->lists, "=%s", text);
}

/* The same zone may stand there several times. */
static void
add_silent(struct dnsbl_question *q, const char *why)
{
	struct dnsbl *d = q->of;

	q->is_silent = true;
	d->ttl_s = DNSBL_TTL_MIN_S;
	for (size_t i = 0; i < d->n; i++)
		if (&d->questions[i] != q && d->questions[i].is_silent &&
		    str_eq(d->questions[i].list.zone, q->list.zone))
			return;
	d->silent++;
	complain(q->list.zone, LIST_SILENT, why);
}

enum said { SAYS_NOTHING, SAYS_LISTED, SAYS_NO_LIST, SAYS_REFUSED };

static enum said
record_says(const struct dnsbl_list *l, const struct addr *a)
{
	if (dnsbl_is_refusal(a))
		return SAYS_REFUSED;
	if (a->family != ADDR_V4 || a->bytes[0] != 127)
		return SAYS_NO_LIST;
	return dnsbl_counts(l, a) ? SAYS_LISTED : SAYS_NOTHING;
}

/* A list says several things in several records; it counts once. */
static void
add_records(struct dnsbl_question *q, const struct dns_answer *a)
{
	char text[ADDR_TEXT_MAX];
	bool refuses = false;

	for (size_t i = 0; i < a->nrecords; i++) {
		const struct dns_record *r = &a->records[i];

		switch (record_says(&q->list, &r->addr)) {
		case SAYS_LISTED:
			add_listed(q->of, &q->list, &r->addr);
			return;
		case SAYS_NO_LIST:
			complain(q->list.zone, LIST_PARKED,
			    addr_format(&r->addr, text));
			break;
		case SAYS_REFUSED:
			refuses = true;
			break;
		case SAYS_NOTHING:
			break;
		}
	}
	if (refuses)
		add_silent(q, "it refuses to answer us");
}

static void
on_list(void *ctx, struct dns_answer *a)
{
	struct dnsbl_question *q = ctx;
	struct dnsbl *d = q->of;

	q->wait = NULL;
	if (a->ttl_s < d->ttl_s)
		d->ttl_s = a->ttl_s;
	switch (a->status) {
	case DNS_OK:
		add_records(q, a);
		break;
	case DNS_FAULT:
		add_silent(q, a->why);
		break;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		break;
	}
	if (--d->nopen == 0)
		finish(d);
}

/* Nobody waits longer for those that are silent (or there are no lists). */
static void
on_time(void *ctx)
{
	struct dnsbl *d = ctx;

	for (size_t i = 0; i < d->n; i++)
		if (d->questions[i].wait != NULL)
			add_silent(&d->questions[i], "timeout");
	finish(d);
}

/* --- asking --- */

/* The reversed address before the zone: "2.0.0.127.zen.example". */
static struct str
list_name(
    const struct addr *a, struct str zone, char out[static NAME_MAX_BYTES])
{
	char reverse[DNS_REVERSE_MAX];
	struct str tree =
	    a->family == ADDR_V4 ? STR("in-addr.arpa") : STR("ip6.arpa");
	size_t len = strlen(dns_reverse(a, reverse)) - tree.len;
	int n = snprintf(out, NAME_MAX_BYTES, "%.*s%.*s", (int)len, reverse,
	    (int)zone.len, zone.p);

	return n < NAME_MAX_BYTES ? str_of(out) : STR("");
}

struct dnsbl *
dnsbl_ask(const struct addr *a, struct config *c, const struct table *t,
    dnsbl_fn *fn, void *ctx)
{
	struct dnsbl_list lists[DNSBL_LISTS_MAX];
	size_t n = dnsbl_lists(t, lists);
	struct dnsbl *d = xcalloc(1, sizeof(*d) + n * sizeof(d->questions[0]));
	char name[NAME_MAX_BYTES];

	d->fn = fn;
	d->ctx = ctx;
	d->config = config_ref(c);
	d->addr = *a;
	d->addr.scope = 0;
	d->ttl_s = DNSBL_TTL_MAX_S;
	d->n = d->nopen = n;
	buf_init(&d->lists, DNSBL_TEXT_MAX);
	d->timer = timer_new(loop, on_time, d);
	timer_set(d->timer, n == 0 ? 0 : DNSBL_TOTAL_MS);
	for (size_t i = 0; i < n; i++) {
		struct dnsbl_question *q = &d->questions[i];

		q->of = d;
		q->list = lists[i];
		q->wait = query_ask_for_list(
		    list_name(&d->addr, q->list.zone, name), DNS_A, on_list, q);
	}
	return d;
}

void
dnsbl_cancel(struct dnsbl **dp)
{
	struct dnsbl *d = *dp;

	*dp = NULL;
	if (d != NULL)
		dnsbl_free(d);
}
