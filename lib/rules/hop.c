#include "lib/rules/hop.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mail/path.h"
#include "lib/rules/config.h"

enum { PORT_SMTPS = 465, PORT_LMTP = 24 };

/* What stands behind ://. */
enum where { AT_HOST, BY_MX, AT_PATH };

/* clang-format off */
static const struct scheme {
	struct str prefix;
	enum where where;
	uint16_t port;
	enum hop_tls tls;
	bool lmtp;
} schemes[] = {
	{ { "smtp://", 7 },       AT_HOST, HOP_PORT,   HOP_TLS_BY_ACTION, false },
	{ { "smtp+tls://", 11 },  AT_HOST, HOP_PORT,   HOP_TLS_STARTTLS,  false },
	{ { "smtps://", 8 },      AT_HOST, PORT_SMTPS, HOP_TLS_AT_ONCE,   false },
	{ { "smtp+notls://", 13 }, AT_HOST, HOP_PORT,  HOP_TLS_NEVER,     false },
	{ { "lmtp://", 7 },       AT_HOST, PORT_LMTP,  HOP_TLS_BY_ACTION, true },
	{ { "smtp+unix://", 12 }, AT_PATH, 0,          HOP_TLS_NEVER,     false },
	{ { "lmtp+unix://", 12 }, AT_PATH, 0,          HOP_TLS_NEVER,     true },
	{ { "mx://", 5 },         BY_MX,   HOP_PORT,   HOP_TLS_BY_ACTION, false },
};

/* clang-format on */

/* What messages show of it. */
static int
shown(struct str s)
{
	return (int)(s.len > 100 ? 100 : s.len);
}

/* Cuts off :PORT, which *port is without one; an IPv6 address stands in
 * brackets, as in any URL. */
static int
split_port(struct str *host, uint16_t *port)
{
	struct str in = *host;
	uint64_t n = *port;
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
	/* Not shown: it may be a password. */
	if (str_find(host, '@') < host.len)
		return fault_set(why, FAULT_PERM,
		    "a next hop has no `user:password@': the action has `auth "
		    "TABLE label NAME'");
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

/* Blanks would end the URL in a list of them. */
static bool
is_path(struct str s)
{
	if (s.len < 2 || s.p[0] != '/' || s.p[s.len - 1] == '/')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static int
parse_path(
    struct str url, struct str path, struct hop_url *out, struct fault *why)
{
	if (!is_path(path))
		return fault_set(why, FAULT_PERM,
		    "`%.*s': expected the absolute path of a socket behind "
		    "the `//'",
		    shown(url), url.p);
	if (path.len > HOP_PATH_MAX)
		return fault_set(why, FAULT_PERM,
		    "`%.*s': the path is longer than %d bytes", shown(url),
		    url.p, HOP_PATH_MAX);
	out->kind = HOP_LOCAL;
	out->addr.family = ADDR_LOCAL;
	out->name = path;
	return 0;
}

int
hop_url_parse(struct str url, struct hop_url *out, struct fault *why)
{
	*out = (struct hop_url){ 0 };
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		const struct scheme *s = &schemes[i];
		struct str rest = str_skip(url, s->prefix.len);

		if (!str_starts_nocase(url, s->prefix))
			continue;
		*out = (struct hop_url){
			.port = s->port, .tls = s->tls, .lmtp = s->lmtp
		};
		return s->where == AT_PATH ?
			   parse_path(url, rest, out, why) :
			   parse_place(url, rest, s->where == BY_MX, out, why);
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

	if (at->addr.family == ADDR_LOCAL) {
		(void)snprintf(out, HOP_TEXT_MAX, "%s", at->path);
		return out;
	}
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

/* A socket file of ours: `listen on socket', or the one of control, which is
 * no more a next hop. */
static bool
is_our_path(const char *path, const struct config *c)
{
	const char *const ours[] = { c->submit_path, c->control_path };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (ours[i] != NULL && strcmp(ours[i], path) == 0)
			return true;
	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].path != NULL &&
		    strcmp(c->listeners[i].path, path) == 0)
			return true;
	return false;
}

bool
hop_is_ours(const struct hop_addr *at, const struct config *c)
{
	if (c != NULL && at->addr.family == ADDR_LOCAL)
		return is_our_path(at->path, c);
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

		if (at->addr.family != ADDR_LOCAL && l->port == at->port &&
		    l->addr.family == at->addr.family && is_wildcard(&l->addr))
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
