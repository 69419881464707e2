/* What the fetcher wants to know: texts that tell of a policy, and where the
 * host is that has it. */
#include "resolver/from_fetch.h"

#include <stdlib.h>

#include "edges/fetch_resolver.h"
#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "lib/rules/hop.h"
#include "resolver/peer.h"
#include "resolver/query.h"

enum { FAMILIES = 2, FAULT_TTL_S = 5 };

/* --- texts --- */

struct texts_question {
	struct question q;
	struct query_wait *wait;
};

static void
answer_texts(struct channel *ch, uint64_t id, bool fault, uint32_t ttl_s)
{
	struct answer_sts_texts m = { .fault = fault, .ttl_s = ttl_s };

	channel_tell(ch, TYPE_answer_sts_texts, &m, id);
}

/* One that is too long would not be the same, cut. */
static void
on_texts(void *ctx, struct dns_answer *a)
{
	struct texts_question *t = ctx;
	struct channel *ch = t->q.peer->channel;

	for (size_t i = 0; i < a->nrecords; i++) {
		struct tell_sts_text m = { .text = a->records[i].text };

		if (m.text.len <= FETCH_TEXT_MAX)
			channel_tell(ch, TYPE_tell_sts_text, &m, t->q.id);
	}
	answer_texts(ch, t->q.id, a->status == DNS_FAULT, a->ttl_s);
	question_end(&t->q);
	free(t);
}

static void
cancel_texts(struct question *q)
{
	struct texts_question *t = (struct texts_question *)q;

	query_cancel(&t->wait);
	free(t);
}

static void
on_ask_sts_texts(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_sts_texts *m = msg;

	if (peer_has_too_many(ctx)) {
		answer_texts(ch, id, true, FAULT_TTL_S);
		return;
	}
	struct texts_question *t = xcalloc(1, sizeof(*t));
	t->q.cancel = cancel_texts;
	question_start(&t->q, ctx, id);
	t->wait = query_ask_for_policy(m->name, DNS_TXT, on_texts, t);
}

/* --- addresses --- */

struct addrs_question;

struct family {
	struct addrs_question *of;
	struct query_wait *wait;   /* NULL: answered */
	struct dns_answer *answer; /* a reference */
};

struct addrs_question {
	struct question q;
	struct family families[FAMILIES]; /* IPv6, IPv4 */
	size_t nopen;
};

static void
addrs_free(struct addrs_question *a)
{
	for (size_t k = 0; k < FAMILIES; k++) {
		query_cancel(&a->families[k].wait);
		dns_answer_unref(&a->families[k].answer);
	}
	free(a);
}

static void
answer_addrs(struct channel *ch, uint64_t id, bool fault)
{
	struct answer_sts_addrs m = { .fault = fault };

	channel_tell(ch, TYPE_answer_sts_addrs, &m, id);
}

/* The two families in turns. Returns how many were told. */
static size_t
tell_addrs(const struct addrs_question *q)
{
	char text[ADDR_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < FETCH_ADDRS_MAX; i++)
		for (size_t k = 0; k < FAMILIES; k++) {
			const struct dns_answer *a = q->families[k].answer;
			struct tell_sts_addr m;

			if (i >= a->nrecords || n == FETCH_ADDRS_MAX ||
			    hop_is_unusable(&a->records[i].addr))
				continue;
			m.address =
			    str_of(addr_format(&a->records[i].addr, text));
			channel_tell(q->q.peer->channel, TYPE_tell_sts_addr, &m,
			    q->q.id);
			n++;
		}
	return n;
}

static bool
is_faulty(const struct addrs_question *q)
{
	for (size_t k = 0; k < FAMILIES; k++)
		if (q->families[k].answer->status == DNS_FAULT)
			return true;
	return false;
}

static void
on_addrs(void *ctx, struct dns_answer *a)
{
	struct family *f = ctx;
	struct addrs_question *q = f->of;

	f->wait = NULL;
	f->answer = dns_answer_ref(a);
	if (--q->nopen > 0)
		return;
	answer_addrs(
	    q->q.peer->channel, q->q.id, tell_addrs(q) == 0 && is_faulty(q));
	question_end(&q->q);
	addrs_free(q);
}

static void
cancel_addrs(struct question *q)
{
	addrs_free((struct addrs_question *)q);
}

static void
on_ask_sts_addrs(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	static const enum dns_type types[FAMILIES] = { DNS_AAAA, DNS_A };
	const struct ask_sts_addrs *m = msg;

	if (!path_is_domain(m->name, false) || peer_has_too_many(ctx)) {
		answer_addrs(ch, id, true);
		return;
	}
	struct addrs_question *q = xcalloc(1, sizeof(*q));
	q->q.cancel = cancel_addrs;
	question_start(&q->q, ctx, id);
	q->nopen = FAMILIES;
	for (size_t k = 0; k < FAMILIES; k++) {
		q->families[k].of = q;
		q->families[k].wait = query_ask_for_policy(
		    m->name, types[k], on_addrs, &q->families[k]);
	}
}

static const struct handler handlers[] = {
	{ TYPE_ask_sts_texts, on_ask_sts_texts },
	{ TYPE_ask_sts_addrs, on_ask_sts_addrs },
	{ 0, NULL },
};

struct channel *
from_fetch_add(uint16_t instance, int socket)
{
	return peer_add(ROLE_FETCH, instance, socket, handlers);
}
