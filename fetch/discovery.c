#include "fetch/discovery.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "fetch/from_resolver.h"
#include "fetch/https.h"
#include "lib/base/alloc.h"

struct discovery {
	TAILQ_ENTRY(discovery) entry; /* while it waits or has its turn */
	char *record, *host;          /* owned: where it is looked for */
	char *known, *id;             /* owned */
	bool anyway, waits, running;
	uint64_t began_ms; /* its turn */
	struct name_question question;
	struct https_get *page;
	uint64_t late_ms; /* the end of its time */
	struct timer *late;
	uint32_t ttl_s;
	struct buf addrs; /* of the host, while it waits */
	discovery_fn *fn;
	void *ctx;
};

TAILQ_HEAD(discoveries, discovery);

static struct loop *loop;
/* Those that wait for one of the connections, and those that have one, the
 * longest first. */
static struct discoveries waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct discoveries running = TAILQ_HEAD_INITIALIZER(running);
static size_t npages;
static struct timer *turn; /* NULL: nobody waits */
static uint64_t nfetches, nfailures;

static void next_page(void);

void
discovery_init(struct loop *l)
{
	loop = l;
}

uint64_t
discovery_fetches(void)
{
	return nfetches;
}

uint64_t
discovery_failures(void)
{
	return nfailures;
}

static void
end_turn(struct discovery *d)
{
	if (d->waits)
		TAILQ_REMOVE(&waiting, d, entry);
	d->waits = false;
	if (!d->running)
		return;
	TAILQ_REMOVE(&running, d, entry);
	d->running = false;
	npages--;
}

static void
let_go(struct discovery *d)
{
	from_resolver_cancel(&d->question);
	end_turn(d);
	https_cancel(&d->page);
	timer_free(&d->late);
	buf_clear(&d->addrs);
	free(d->record);
	free(d->host);
	free(d->known);
	free(d->id);
	free(d);
}

void
discovery_cancel(struct discovery **dp)
{
	struct discovery *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	let_go(d);
	next_page();
}

/* --- the end --- */

static void
end(struct discovery *d, struct discovered *found)
{
	found->ttl_s = d->ttl_s;
	found->id = str_of(d->id);
	d->fn(d->ctx, found);
	let_go(d);
	next_page();
}

static void
end_as(struct discovery *d, enum discovery_result result)
{
	struct discovered found = { .result = result };

	end(d, &found);
}

static void
fail(struct discovery *d, enum sts_fault fault, const char *why)
{
	struct discovered found = {
		.result = DISCOVERY_FAILED, .fault = fault, .why = why
	};

	nfailures++;
	end(d, &found);
}

static void
on_late(void *ctx)
{
	fail(ctx, STS_FETCH_ERROR, "it takes too long");
}

/* --- the page --- */

static void
take_policy(struct discovery *d, struct str body)
{
	struct fault why = { 0 };
	struct policy_text policy;
	struct discovered found = { .result = DISCOVERY_FOUND,
		.policy = &policy };

	if (policy_text_parse(body, &policy, &why) == -1) {
		fail(d, STS_INVALID, why.text);
		return;
	}
	end(d, &found);
	policy_text_clear(&policy);
}

static void
on_page(void *ctx, const struct https_answer *a)
{
	static const enum sts_fault faults[] = {
		[HTTPS_FAILED] = STS_FETCH_ERROR,
		[HTTPS_UNTRUSTED] = STS_WEBPKI_INVALID,
	};
	struct discovery *d = ctx;

	d->page = NULL;
	end_turn(d);
	if (a->result == HTTPS_OK)
		take_policy(d, a->body);
	else
		fail(d, faults[a->result], a->why);
}

static void
get_page(struct discovery *d)
{
	uint64_t now = loop_now_ms(loop);
	uint64_t left = d->late_ms > now ? d->late_ms - now : 1;

	end_turn(d);
	TAILQ_INSERT_TAIL(&running, d, entry);
	d->running = true;
	d->began_ms = now;
	npages++;
	nfetches++;
	d->page = https_get(str_of(d->host), "/.well-known/mta-sts.txt",
	    buf_str(&d->addrs),
	    left < DISCOVERY_PAGE_MS ? left : DISCOVERY_PAGE_MS, on_page, d);
}

/* Who says nothing for long is not to keep the others from theirs. */
static void
on_turn(void *ctx)
{
	struct discovery *d = TAILQ_FIRST(&running);

	(void)ctx;
	if (d->began_ms + DISCOVERY_TURN_MS <= loop_now_ms(loop))
		fail(d, STS_FETCH_ERROR, "it takes too long, others wait");
	else
		next_page();
}

static void
next_page(void)
{
	uint64_t due_ms, now = loop_now_ms(loop);
	struct discovery *d;

	while (
	    npages < DISCOVERY_PAGES_MAX && (d = TAILQ_FIRST(&waiting)) != NULL)
		get_page(d);
	if (TAILQ_EMPTY(&waiting)) {
		timer_free(&turn);
		return;
	}
	due_ms = TAILQ_FIRST(&running)->began_ms + DISCOVERY_TURN_MS;
	if (turn == NULL)
		turn = timer_new(loop, on_turn, NULL);
	timer_set(turn, due_ms > now ? due_ms - now : 0);
}

/* --- where it is --- */

static void
on_addrs(struct name_question *q)
{
	struct discovery *d =
	    (struct discovery *)((char *)q -
				 offsetof(struct discovery, question));

	for (size_t i = 0; i < q->nfound; i++)
		buf_addf(&d->addrs, "%s%s", i > 0 ? "," : "", q->found[i]);
	if (q->nfound == 0 || d->addrs.failed) {
		fail(d, STS_FETCH_ERROR,
		    q->fault ? "no answer about the policy host" :
			       "the policy host has no address");
		return;
	}
	d->waits = true;
	/* A policy must not end because others want theirs. */
	if (d->known[0] != '\0')
		TAILQ_INSERT_HEAD(&waiting, d, entry);
	else
		TAILQ_INSERT_TAIL(&waiting, d, entry);
	next_page();
}

static void
ask_addrs(struct discovery *d)
{
	d->question = (struct name_question){ .kind = NAME_ADDRS,
		.name = str_of(d->host),
		.on_found = on_addrs };
	from_resolver_ask(&d->question);
}

/* --- the record --- */

static void
on_texts(struct name_question *q)
{
	struct discovery *d =
	    (struct discovery *)((char *)q -
				 offsetof(struct discovery, question));
	struct str id = policy_record_id(q->found, q->nfound);

	d->ttl_s = q->ttl_s;
	if (id.len > 0) {
		free(d->id);
		d->id = str_dup(id);
	}
	if (!d->anyway && q->fault)
		end_as(d, DISCOVERY_UNKNOWN);
	else if (!d->anyway && id.len == 0)
		end_as(d, DISCOVERY_NOTHING);
	else if (!d->anyway && str_eq(id, str_of(d->known)))
		end_as(d, DISCOVERY_SAME);
	else
		ask_addrs(d);
}

static char *
below(const char *label, struct str domain)
{
	struct buf name;

	buf_init(&name, 512);
	buf_addf(&name, "%s.%.*s", label, (int)domain.len, domain.p);
	char *copy = str_dup(buf_str(&name));
	buf_clear(&name);
	return copy;
}

struct discovery *
discovery_start(struct str domain, struct str known, bool anyway,
    discovery_fn *fn, void *ctx)
{
	struct discovery *d = xcalloc(1, sizeof(*d));

	buf_init(&d->addrs, 2048);
	d->record = below("_mta-sts", domain);
	d->host = below("mta-sts", domain);
	d->known = str_dup(known);
	d->id = str_dup(anyway ? known : (struct str){ NULL, 0 });
	d->anyway = anyway;
	d->fn = fn;
	d->ctx = ctx;
	d->late_ms = loop_now_ms(loop) + DISCOVERY_MS;
	d->late = timer_new(loop, on_late, d);
	timer_set(d->late, DISCOVERY_MS);
	d->question = (struct name_question){ .kind = NAME_TEXTS,
		.name = str_of(d->record),
		.on_found = on_texts };
	from_resolver_ask(&d->question);
	return d;
}
