#include "delivery/tls_tally.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "delivery/from_queue.h"
#include "delivery/from_resolver.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/tree.h"
#include "lib/mail/path.h"

enum {
	TEXT_MAX = 4096,  /* of a policy */
	KEY_MAX = 16384,  /* of all texts of a count */
	RUA_TRIES = 5,    /* then what was counted goes nowhere */
	DAY_MS = 86400000 /* longer than any record is kept */
};

/* The texts of a count, in its key one behind the other. */
enum part {
	PART_POLICY,
	PART_MXS,
	PART_MX,
	PART_THERE,
	PART_HERE,
	PART_REASON,
	PARTS
};

/* Sessions that went alike. */
struct count {
	TAILQ_ENTRY(count) entry;
	uint32_t day;
	enum tls_policy policy;
	enum tls_result result;
	struct str key; /* owned: PARTS texts, a NUL behind each */
	uint32_t n;
};

/* A policy domain, and where it wants reports. */
struct reported {
	RB_ENTRY(reported) entry;
	TAILQ_ENTRY(reported) used; /* the last seen first */
	TAILQ_HEAD(, count) counts;
	size_t ncounts;
	char *name;
	char *rua; /* its record, "": none; NULL: not known */
	bool asked;
	unsigned int ntries;
	uint64_t until_ms; /* rua holds */
};

static int
reported_cmp(const struct reported *a, const struct reported *b)
{
	return strcmp(a->name, b->name);
}

RB_HEAD(reported_tree, reported);
TAILQ_HEAD(reported_list, reported);

static struct reported_tree domains = RB_INITIALIZER(&domains);
static struct reported_list used = TAILQ_HEAD_INITIALIZER(used);
static size_t ndomains;
static struct loop *loop;
static struct timer *minute;
static bool on;

TREE_DEFINE(reported_tree, reported, entry, reported_cmp)

/* --- domains --- */

static void
drop_count(struct reported *d, struct count *c)
{
	TAILQ_REMOVE(&d->counts, c, entry);
	d->ncounts--;
	free((char *)(uintptr_t)c->key.p);
	free(c);
}

static void
drop_counts(struct reported *d)
{
	struct count *c, *next;

	TAILQ_FOREACH_SAFE(c, &d->counts, entry, next)
		drop_count(d, c);
}

static void
drop(struct reported *d)
{
	drop_counts(d);
	RB_REMOVE(reported_tree, &domains, d);
	TAILQ_REMOVE(&used, d, used);
	ndomains--;
	free(d->rua);
	free(d->name);
	free(d);
}

/* ctx is its name: it may be gone by now. */
static void
on_rua(void *ctx, struct str text, uint32_t ttl_s)
{
	struct reported key = { .name = ctx };
	struct reported *d = RB_FIND(reported_tree, &domains, &key);

	free(ctx);
	if (d == NULL)
		return;
	d->asked = false;
	if (ttl_s == 0)
		return;
	free(d->rua);
	d->rua = str_dup(text);
	d->until_ms = loop_now_ms(loop) + (uint64_t)ttl_s * 1000;
	d->ntries = 0;
	if (text.len == 0)
		drop_counts(d);
}

/* Unless its record is known, or on its way. */
static void
ask(struct reported *d)
{
	char *name;

	if (d->rua != NULL && d->until_ms <= loop_now_ms(loop)) {
		free(d->rua);
		d->rua = NULL;
	}
	if (d->rua != NULL || d->asked)
		return;
	if (d->ntries++ >= RUA_TRIES) {
		drop_counts(d);
		d->ntries = 0;
		return;
	}
	name = xstrdup(d->name);
	d->asked = from_resolver_ask_rua(str_of(d->name), on_rua, name);
	if (!d->asked)
		free(name);
}

static struct reported *
find(struct str name)
{
	char low[PATH_DOMAIN_MAX + 1];
	struct reported key = { .name = low }, *d;

	name = str_head(name, PATH_DOMAIN_MAX);
	for (size_t i = 0; i < name.len; i++)
		low[i] = chr_lower(name.p[i]);
	low[name.len] = '\0';
	d = RB_FIND(reported_tree, &domains, &key);
	if (d != NULL) {
		TAILQ_REMOVE(&used, d, used);
		TAILQ_INSERT_HEAD(&used, d, used);
		return d;
	}
	if (ndomains >= TALLY_DOMAINS_MAX)
		drop(TAILQ_LAST(&used, reported_list));
	d = xcalloc(1, sizeof(*d));
	d->name = xstrdup(low);
	TAILQ_INIT(&d->counts);
	RB_INSERT(reported_tree, &domains, d);
	TAILQ_INSERT_HEAD(&used, d, used);
	ndomains++;
	return d;
}

/* --- counting --- */

/* What a session was, as it is counted. */
struct seen {
	struct str domain;
	enum tls_policy policy;
	enum tls_result result;
	const char *texts[PARTS]; /* NULL: "" */
};

static uint32_t
today(void)
{
	return (uint32_t)(clock_wall_ms() / DAY_MS);
}

static struct count *
find_count(
    struct reported *d, const struct seen *s, uint32_t day, struct str key)
{
	struct count *c;

	TAILQ_FOREACH(c, &d->counts, entry)
		if (c->day == day && c->policy == s->policy &&
		    c->result == s->result && str_eq(c->key, key))
			return c;
	if (d->ncounts >= TALLY_COUNTS_MAX)
		return NULL;
	c = xcalloc(1, sizeof(*c));
	c->day = day;
	c->policy = s->policy;
	c->result = s->result;
	c->key = (struct str){ str_dup(key), key.len };
	TAILQ_INSERT_TAIL(&d->counts, c, entry);
	d->ncounts++;
	return c;
}

static void
count(const struct seen *s)
{
	struct reported *d = find(s->domain);
	struct count *c;
	struct buf key;

	ask(d);
	if (d->rua != NULL && d->rua[0] == '\0')
		return; /* it wants none */
	buf_init(&key, KEY_MAX);
	for (size_t i = 0; i < PARTS; i++) {
		buf_add_str(&key, str_of(s->texts[i]));
		buf_add_char(&key, '\0');
	}
	c = key.failed ? NULL : find_count(d, s, today(), buf_str(&key));
	if (c != NULL && c->n < UINT32_MAX)
		c->n++;
	buf_clear(&key);
	if (!timer_is_set(minute))
		timer_set(minute, TALLY_FLUSH_MS);
}

/* --- what a session was --- */

/* The lines of the policy, as its owner wrote it (RFC 8460 4.4). */
static void
add_sts_lines(struct buf *b, const struct sts_policy *p)
{
	static const char *const modes[] = { "none", "testing", "enforce" };
	struct str rest = str_of(p->mxs);

	buf_addf(b, "version: STSv1\nmode: %s", modes[p->mode]);
	while (rest.len > 0) {
		struct str mx = str_cut(&rest, ' ');

		buf_addf(b, "\nmx: %.*s", (int)mx.len, mx.p);
	}
	buf_addf(b, "\nmax_age: %u", p->max_age_s);
}

static void
add_tlsa_lines(struct buf *b, const struct tls_tlsa *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_addf(b, "%s%u %u %u ", i > 0 ? "\n" : "", list[i].usage,
		    list[i].selector, list[i].matching);
		for (size_t j = 0; j < list[i].len; j++)
			buf_addf(b, "%02x", list[i].data[j]);
	}
}

/* Of the parties, only where something went wrong: for good sessions their
 * number is all that is asked for. */
static void
count_with(struct seen *s, struct buf *policy, const char *mx,
    const struct addr *there, const char *here)
{
	char there_text[ADDR_TEXT_MAX] = "";

	buf_add_char(policy, '\0');
	s->texts[PART_POLICY] = policy->failed ? "" : policy->p;
	if (s->result != TLS_RESULT_SUCCESS) {
		s->texts[PART_MX] = mx;
		s->texts[PART_HERE] = here;
		if (there != NULL)
			s->texts[PART_THERE] = addr_format(there, there_text);
	} else {
		s->texts[PART_REASON] = NULL;
	}
	count(s);
	buf_clear(policy);
}

static void
our_address(const struct conn *c, char out[static ADDR_TEXT_MAX])
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	out[0] = '\0';
	if (c->stream == NULL || getsockname(stream_fd(c->stream),
				     (struct sockaddr *)&ss, &len) == -1)
		return;
	addr_from_sockaddr((const struct sockaddr *)&ss, len, &a, NULL);
	addr_format(&a, out);
}

void
tls_tally_add(const struct conn *c, enum tls_result result, const char *reason)
{
	const struct policy *p = c->policy;
	char here[ADDR_TEXT_MAX];
	struct buf policy;
	struct seen s = { .policy = p->from,
		.result = result,
		.texts = { [PART_REASON] = reason } };

	if (!on || p->domain == NULL)
		return;
	s.domain = str_of(p->domain);
	buf_init(&policy, TEXT_MAX);
	if (p->from == TLS_POLICY_TLSA)
		add_tlsa_lines(&policy, p->tlsas, p->ntlsas);
	if (p->from == TLS_POLICY_STS) {
		add_sts_lines(&policy, p->sts);
		s.texts[PART_MXS] = p->sts->mxs;
		/* While it is tested mail goes there all the same. */
		if (result == TLS_RESULT_SUCCESS && c->host != NULL &&
		    !sts_allows(p->sts, c->host)) {
			s.result = TLS_RESULT_VALIDATION;
			s.texts[PART_REASON] = "mx-not-in-policy";
		}
	}
	our_address(c, here);
	count_with(&s, &policy, c->host, &c->hop->at.addr, here);
}

void
tls_tally_refused(const struct policy_parts *q, const struct place *p,
    enum policy_refusal why)
{
	struct seen s = { .domain = q->url->name };
	struct buf policy;

	if (!on || (why != POLICY_DANE_FAULT && why != POLICY_STS_DENIED))
		return;
	buf_init(&policy, TEXT_MAX);
	if (why == POLICY_STS_DENIED) {
		s.policy = TLS_POLICY_STS;
		s.result = TLS_RESULT_VALIDATION;
		s.texts[PART_MXS] = q->sts->mxs;
		s.texts[PART_REASON] = "mx-not-in-policy";
		add_sts_lines(&policy, q->sts);
	} else {
		s.policy = TLS_POLICY_TLSA;
		s.result = TLS_RESULT_DNSSEC_INVALID;
		s.domain = str_of(q->dane->base);
	}
	count_with(&s, &policy, p->host, &p->at.addr, NULL);
}

void
tls_tally_sts(struct str domain, const struct sts_policy *p)
{
	static const enum tls_result results[] = {
		[STS_NO_FAULT] = TLS_RESULT_SUCCESS,
		[STS_FETCH_ERROR] = TLS_RESULT_STS_FETCH_ERROR,
		[STS_INVALID] = TLS_RESULT_STS_INVALID,
		[STS_WEBPKI_INVALID] = TLS_RESULT_STS_WEBPKI_INVALID,
		[STS_UNANSWERED] = TLS_RESULT_SUCCESS,
	};
	struct seen s = { .domain = domain,
		.policy = TLS_POLICY_STS,
		.result = results[p->fault] };
	struct buf none;

	if (!on || s.result == TLS_RESULT_SUCCESS)
		return;
	buf_init(&none, TEXT_MAX);
	count_with(&s, &none, NULL, NULL, NULL);
}

/* --- telling --- */

/* 0, or -1: the queue cannot hear it now. */
static int
tell(const struct reported *d, const struct count *c)
{
	struct str rest = c->key, parts[PARTS];

	for (size_t i = 0; i < PARTS; i++)
		parts[i] = str_cut(&rest, '\0');
	return from_queue_tell_tally(&(struct tell_tls_tally){
	    .day = c->day,
	    .domain = str_of(d->name),
	    .rua = str_of(d->rua),
	    .policy = (uint8_t)c->policy,
	    .policy_text = parts[PART_POLICY],
	    .mx_patterns = parts[PART_MXS],
	    .result = (uint8_t)c->result,
	    .mx = parts[PART_MX],
	    .mx_address = parts[PART_THERE],
	    .our_address = parts[PART_HERE],
	    .reason = str_head(parts[PART_REASON], 128),
	    .count = c->n,
	});
}

/* All of d; -1: the queue cannot hear more. */
static int
tell_domain(struct reported *d)
{
	struct count *c, *next;

	TAILQ_FOREACH_SAFE(c, &d->counts, entry, next) {
		if (tell(d, c) == -1)
			return -1;
		drop_count(d, c);
	}
	return 0;
}

void
tls_tally_flush(void)
{
	struct reported *d, *next;

	TAILQ_FOREACH_SAFE(d, &used, used, next) {
		if (d->rua != NULL && tell_domain(d) == -1)
			break;
		if (d->ncounts > 0)
			ask(d);
		else if (!d->asked &&
			 (d->rua == NULL || d->until_ms <= loop_now_ms(loop)))
			drop(d);
	}
}

static void
on_minute(void *ctx)
{
	(void)ctx;
	tls_tally_flush();
	if (ndomains > 0)
		timer_set(minute, TALLY_FLUSH_MS);
}

/* --- beginning --- */

void
tls_tally_init(struct loop *l)
{
	loop = l;
	minute = timer_new(l, on_minute, NULL);
}

void
tls_tally_set_config(const struct config *c)
{
	struct reported *d, *next;

	on = c->tls_reports != NULL;
	if (on)
		return;
	TAILQ_FOREACH_SAFE(d, &used, used, next)
		drop(d);
}

size_t
tls_tally_count(void)
{
	return ndomains;
}
