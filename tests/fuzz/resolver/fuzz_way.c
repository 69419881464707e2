/*
 * From answers to addresses: whatever the name servers say, what may be tried
 * keeps to its order and its bounds, and never leads back to us. The input
 * is read as answers: to the MX question, then to those about each host.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rules/hop.h"
#include "resolver/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

enum { RECORDS_MAX = 64, ANSWERS_MAX = 1 + WAY_HOSTS_MAX * HOST_FAMILIES };

/* Owns what its answer points to; the texts point into the input. */
struct told {
	struct dns_answer answer;
	struct dns_record records[RECORDS_MAX];
};

struct input {
	const uint8_t *p;
	size_t left;
};

static struct told told[ANSWERS_MAX];
static size_t ntold;

static struct listener listener = { .port = 25,
	.addr = { .family = ADDR_V4, .bytes = { 127, 0, 0, 1 } } };
static char hostname[] = "us.example";
static const struct config config = {
	.hostname = hostname, .listeners = &listener, .nlisteners = 1
};

static uint8_t
take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static struct str
take_text(struct input *in)
{
	size_t n = take(in);

	if (n > in->left)
		n = in->left;
	struct str s = { (const char *)in->p, n };
	in->p += n;
	in->left -= n;
	return s;
}

static void
take_record(struct input *in, enum dns_type type, struct dns_record *r)
{
	*r = (struct dns_record){ .ttl_s = take(in) };
	if (type == DNS_MX) {
		r->preference = (uint16_t)(take(in) % 4 * 10);
		r->text = take_text(in);
		return;
	}
	/* Few bits, so that ours and unusable ones come often. */
	size_t len = type == DNS_A ? 4 : 16;
	r->addr.family = type == DNS_A ? ADDR_V4 : ADDR_V6;
	r->addr.bytes[0] = take(in);
	r->addr.bytes[len - 1] = take(in);
}

static struct dns_answer *
take_answer(struct input *in, enum dns_type type)
{
	struct told *t = &told[ntold++];
	uint8_t head = take(in);

	t->answer = (struct dns_answer){ .refs = 1,
		.status = head % 4,
		.why = "servfail",
		.ad = (head & 16) != 0,
		.ttl_s = take(in),
		.records = t->records };
	if (t->answer.status != DNS_OK)
		return &t->answer;
	for (size_t n = 1 + take(in) % RECORDS_MAX; n > 0; n--)
		take_record(in, type, &t->records[t->answer.nrecords++]);
	return &t->answer;
}

static void
check_addrs(const struct hosts *h, const struct way_found *f)
{
	size_t of_host = 0;

	for (size_t i = 0; i < f->naddrs; i++) {
		const struct way_addr *a = &f->addrs[i];
		struct hop_addr at = { .addr = a->addr, .port = h->port };

		MUST(!hop_is_unusable(&a->addr));
		MUST(!hop_is_ours(&at, &config));
		MUST(h->kind == WAY_HOST || h->is_implicit ||
		     (hop_is_host_name(a->host) &&
			 !hop_is_our_name(a->host, &config)));
		if (i > 0 && a->host.p == a[-1].host.p)
			of_host++;
		else
			of_host = 1;
		MUST(of_host <= WAY_ADDRS_MAX);
		MUST(i == 0 || a->preference >= a[-1].preference);
	}
}

static void
check(const struct hosts *h, const struct way_found *f)
{
	MUST(h->n <= WAY_HOSTS_MAX);
	MUST(f->naddrs <= WAY_ALL_MAX);
	MUST((f->result == WAY_FOUND) == (f->naddrs > 0));
	MUST((f->result == WAY_FOUND) == (f->text[0] == '\0'));
	MUST(memchr(f->text, '\0', sizeof(f->text)) != NULL);
	MUST(f->ttl_s <= DNS_TTL_MAX);
	check_addrs(h, f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct way_found found;
	struct hosts h;
	enum way_result result = WAY_FOUND;

	ntold = 0;
	hosts_init(&h, STR("example.com"),
	    take(&in) % 2 == 0 ? WAY_MX : WAY_HOST, 25, &config);
	if (h.kind == WAY_MX)
		result = hosts_from_mx(&h, take_answer(&in, DNS_MX));
	else
		hosts_from_name(&h);
	if (result == WAY_FOUND)
		for (size_t i = 0; i < h.n * HOST_FAMILIES; i++)
			hosts_set_answer(&h, i / HOST_FAMILIES,
			    i % HOST_FAMILIES,
			    take_answer(&in, hosts_type(i % HOST_FAMILIES)));
	hosts_finish(&h, result, &found);
	check(&h, &found);
	for (size_t i = 0; i < found.naddrs; i++) {
		const struct host *host = hosts_find(&h, found.addrs[i].host);

		MUST(host != NULL);
		MUST(!hosts_is_secure(&h, host) || hosts_mx_is_secure(&h));
		MUST(hosts_canonical(host).len < 256);
	}
	hosts_clear(&h);
	/* All references came back. */
	for (size_t i = 0; i < ntold; i++)
		MUST(told[i].answer.refs == 1);
	return 0;
}
