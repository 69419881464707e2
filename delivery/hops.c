#include "delivery/hops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"

enum {
	PORT_SMTP = 25,
	HOPS_KEPT = 1024 /* from so many on the expired are swept */
};

static const struct str schemes[] = {
	{ "smtp://", 7 },
	{ "smtp+notls://", 13 },
};

static int
hop_cmp(const struct hop *a, const struct hop *b)
{
	int d = memcmp(a->at.addr.bytes, b->at.addr.bytes, 16);

	if (a->at.addr.family != b->at.addr.family)
		return a->at.addr.family < b->at.addr.family ? -1 : 1;
	if (d != 0)
		return d;
	if (a->at.addr.scope != b->at.addr.scope)
		return a->at.addr.scope < b->at.addr.scope ? -1 : 1;
	return a->at.port - b->at.port;
}

RB_HEAD(hop_tree, hop);

static struct hop_tree hops = RB_INITIALIZER(&hops);
static size_t nhops;

TREE_DEFINE(hop_tree, hop, entry, hop_cmp)

static int
parse_port(struct str s, uint16_t *out)
{
	uint64_t n = PORT_SMTP;

	if (s.len > 0 &&
	    (s.p[0] != ':' || str_to_u64(str_skip(s, 1), 65535, &n) == -1 ||
		n == 0))
		return -1;
	*out = (uint16_t)n;
	return 0;
}

int
hop_parse(struct str url, struct hop_addr *out)
{
	struct str host = { NULL, 0 };
	size_t end;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (str_starts_nocase(url, schemes[i]))
			host = str_skip(url, schemes[i].len);
	if (host.len > 0 && host.p[host.len - 1] == '/')
		host.len--;
	if (host.len == 0)
		return -1;
	end = host.p[0] == '[' ? str_find(host, ']') + 1 : str_find(host, ':');
	if (end > host.len || addr_parse(str_head(host, end), &out->addr) == -1)
		return -1;
	if (out->addr.family != ADDR_V4 && out->addr.family != ADDR_V6)
		return -1;
	return parse_port(str_skip(host, end), &out->port);
}

size_t
hops_parse(struct str text, struct hop_addr *out, size_t *nbad)
{
	size_t n = 0;

	*nbad = 0;
	for (text = str_trim(text); text.len > 0 && n < HOPS_MAX;) {
		size_t end = 0;

		while (
		    end < text.len && text.p[end] != ' ' && text.p[end] != '\t')
			end++;

		if (hop_parse(str_head(text, end), &out[n]) == 0)
			n++;
		else
			(*nbad)++;
		text = str_trim(str_skip(text, end));
	}
	return n;
}

const char *
hop_format(const struct hop_addr *at, char out[static HOP_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	addr_format(&at->addr, text);
	(void)snprintf(out, HOP_TEXT_MAX,
	    at->addr.family == ADDR_V6 ? "[%s]:%u" : "%s:%u", text, at->port);
	return out;
}

static bool
is_wildcard(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->bytes, zero, a->family == ADDR_V4 ? 4 : 16) == 0;
}

bool
hop_is_ours(const struct hop_addr *at, const struct config *c)
{
	for (size_t i = 0; c != NULL && i < c->nlisteners; i++) {
		const struct listener *l = &c->listeners[i];

		if (l->port != at->port || l->addr.family != at->addr.family)
			continue;
		if (addr_eq(&l->addr, &at->addr))
			return true;
		/* To connect to the wildcard is to connect to the loopback. */
		if ((is_wildcard(&l->addr) || addr_is_loopback(&l->addr)) &&
		    is_wildcard(&at->addr))
			return true;
		if (is_wildcard(&l->addr) && addr_is_loopback(&at->addr))
			return true;
	}
	return false;
}

bool
hop_may_be_ours(const struct hop_addr *at, const struct config *c)
{
	for (size_t i = 0; c != NULL && i < c->nlisteners; i++) {
		const struct listener *l = &c->listeners[i];

		if (l->port == at->port && l->addr.family == at->addr.family &&
		    is_wildcard(&l->addr))
			return true;
	}
	return false;
}

bool
hop_is_here(const struct hop_addr *at, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return false;
	addr_from_sockaddr((const struct sockaddr *)&ss, len, &a, &port);
	return addr_eq(&a, &at->addr);
}

static void
hop_drop(struct hop *h)
{
	RB_REMOVE(hop_tree, &hops, h);
	nhops--;
	free(h);
}

static void
hops_sweep(uint64_t now_ms)
{
	struct hop *h, *next;

	RB_FOREACH_SAFE(h, hop_tree, &hops, next)
		if (h->nconns == 0 && h->dead_until_ms <= now_ms)
			hop_drop(h);
}

struct hop *
hop_take(const struct hop_addr *at, uint64_t now_ms)
{
	struct hop *h = hop_find(at);

	if (h == NULL) {
		if (nhops >= HOPS_KEPT)
			hops_sweep(now_ms);
		h = xcalloc(1, sizeof(*h));
		h->at = *at;
		TAILQ_INIT(&h->idle);
		RB_INSERT(hop_tree, &hops, h);
		nhops++;
	}
	h->nconns++;
	return h;
}

void
hop_release(struct hop *h, uint64_t now_ms)
{
	if (--h->nconns == 0 && h->dead_until_ms <= now_ms)
		hop_drop(h);
}

void
hop_set_dead(struct hop *h, uint64_t now_ms)
{
	h->dead_until_ms = now_ms + HOP_DEAD_MS;
}

void
hop_set_alive(struct hop *h)
{
	h->dead_until_ms = 0;
}

struct hop *
hop_find(const struct hop_addr *at)
{
	struct hop key = { .at = *at };

	return RB_FIND(hop_tree, &hops, &key);
}

bool
hop_is_dead(const struct hop_addr *at, uint64_t now_ms)
{
	const struct hop *h = hop_find(at);

	return h != NULL && h->dead_until_ms > now_ms;
}
