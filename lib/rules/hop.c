#include "lib/rules/hop.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mail/path.h"
#include "lib/rules/config.h"

/* Those not there yet have their names reserved. */
static const struct {
	struct str prefix;
	bool there, by_mx;
} schemes[] = {
	{ { "smtp://", 7 }, true, false },
	{ { "smtp+notls://", 13 }, true, false },
	{ { "mx://", 5 }, true, true },
	{ { "smtp+tls://", 11 }, false, false },
	{ { "smtps://", 8 }, false, false },
	{ { "lmtp://", 7 }, false, false },
	{ { "lmtp+unix://", 12 }, false, false },
};

/* What messages show of it. */
static int
shown(struct str s)
{
	return (int)(s.len > 100 ? 100 : s.len);
}

/* Cuts off :PORT; an IPv6 address stands in brackets, as in any URL. */
static int
split_port(struct str *host, uint16_t *port)
{
	struct str in = *host;
	uint64_t n = HOP_PORT;
	size_t end;

	if (in.len > 0 && in.p[in.len - 1] == '/')
		in.len--;
	end = in.len > 0 && in.p[0] == '[' ? str_find(in, ']') + 1 :
					     str_find(in, ':');
	if (end > in.len)
		return -1;
	*host = str_head(in, end);
	if (end < in.len &&
	    (in.p[end] != ':' ||
		str_to_u64(str_skip(in, end + 1), 65535, &n) == -1 || n == 0))
		return -1;
	*port = (uint16_t)n;
	return 0;
}

static bool
is_address(struct str host, struct addr *out)
{
	return addr_parse(host, out) == 0 &&
	       (out->family == ADDR_V4 || out->family == ADDR_V6);
}

bool
hop_is_host_name(struct str s)
{
	size_t i = s.len;

	while (i > 0 && s.p[i - 1] != '.')
		i--;
	return path_is_domain(s, false) && !chr_is_digit(s.p[i]);
}

/* A mail domain that is an address (RFC 5321 5.1): it has no MX. */
static bool
is_literal(struct str domain, struct addr *out)
{
	struct str inside = str_skip(domain, 1);

	if (!path_is_literal(domain))
		return false;
	inside.len--;
	if (str_starts_nocase(inside, STR("IPv6:")))
		inside = str_skip(inside, 5);
	return is_address(inside, out);
}

static int
parse_place(struct str url, struct str host, bool by_mx, struct hop_url *out,
    struct fault *why)
{
	if (split_port(&host, &out->port) == -1)
		return fault_set(
		    why, FAULT_PERM, "`%.*s': bad port", shown(url), url.p);
	out->kind = by_mx ? HOP_MX : HOP_HOST;
	out->name = host;
	if (by_mx ? is_literal(host, &out->addr) :
		    is_address(host, &out->addr)) {
		out->kind = HOP_ADDRESS;
		return 0;
	}
	if (by_mx ? path_is_domain(host, false) : hop_is_host_name(host))
		return 0;
	return fault_set(why, FAULT_PERM, "`%.*s': bad address or host name",
	    shown(url), url.p);
}

int
hop_url_parse(struct str url, struct hop_url *out, struct fault *why)
{
	*out = (struct hop_url){ 0 };
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!str_starts_nocase(url, schemes[i].prefix))
			continue;
		if (!schemes[i].there)
			return fault_set(why, FAULT_PERM,
			    "%s is not available yet", schemes[i].prefix.p);
		return parse_place(url, str_skip(url, schemes[i].prefix.len),
		    schemes[i].by_mx, out, why);
	}
	return fault_set(why, FAULT_PERM,
	    "`%.*s' is not a next hop (smtp://HOST:PORT)", shown(url), url.p);
}

bool
hop_url_next(struct str *text, struct str *url)
{
	size_t end = 0;

	*text = str_trim(*text);
	while (end < text->len && text->p[end] != ' ' && text->p[end] != '\t')
		end++;
	*url = str_head(*text, end);
	*text = str_skip(*text, end);
	return end > 0;
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

bool
hop_is_our_name(struct str name, const struct config *c)
{
	if (c == NULL)
		return false;
	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].hostname != NULL &&
		    str_eq_nocase(name, str_of(c->listeners[i].hostname)))
			return true;
	return str_eq_nocase(name, str_of(c->hostname));
}

bool
hop_is_unusable(const struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family == ADDR_V4)
		return a->bytes[0] == 0 || a->bytes[0] >= 224;
	return a->family != ADDR_V6 || is_wildcard(a) || a->bytes[0] == 0xff ||
	       memcmp(a->bytes, mapped, sizeof(mapped)) == 0;
}
