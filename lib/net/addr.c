/* IP addresses, networks and socket addresses as text and back. */
#include "lib/net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	0xff };

static unsigned int
addr_bits(const struct addr *a)
{
	return a->family == ADDR_V4 ? 32 : 128;
}

static void
set_v6(struct addr *out, const uint8_t bytes[16], uint32_t scope)
{
	memset(out, 0, sizeof(*out));
	if (memcmp(bytes, v4_mapped, sizeof(v4_mapped)) == 0) {
		out->family = ADDR_V4;
		memcpy(out->bytes, bytes + 12, 4);
		return;
	}
	out->family = ADDR_V6;
	memcpy(out->bytes, bytes, 16);
	/* Only link-local addresses need to say which link. */
	if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
		out->scope = scope;
}

/* The scope is a number here: names of interfaces need a socket to look up,
 * which most processes may not make. */
static int
split_scope(struct str *s, uint32_t *scope)
{
	size_t at = str_find(*s, '%');
	uint64_t n;

	*scope = 0;
	if (at == s->len)
		return 0;
	if (str_to_u64(str_skip(*s, at + 1), UINT32_MAX, &n) == -1)
		return -1;
	*scope = (uint32_t)n;
	*s = str_head(*s, at);
	return 0;
}

int
addr_parse(struct str s, struct addr *out)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	uint32_t scope;

	memset(out, 0, sizeof(*out));
	if (s.len >= 2 && s.p[0] == '[' && s.p[s.len - 1] == ']')
		s = (struct str){ s.p + 1, s.len - 2 };
	if (split_scope(&s, &scope) == -1)
		return -1;
	if (s.len == 0 || s.len >= sizeof(text) ||
	    memchr(s.p, '\0', s.len) != NULL)
		return -1;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	if (inet_pton(AF_INET, text, bytes) == 1 && scope == 0) {
		out->family = ADDR_V4;
		memcpy(out->bytes, bytes, 4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return -1;
	set_v6(out, bytes, scope);
	return 0;
}

static bool
host_bits_zero(const struct addr_net *n)
{
	unsigned int bit;

	for (bit = n->bits; bit < addr_bits(&n->addr); bit++)
		if (n->addr.bytes[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

int
addr_net_parse(struct str s, struct addr_net *out)
{
	size_t slash = str_find(s, '/');
	bool was_v6 = str_find(s, ':') < s.len;
	uint64_t bits;

	memset(out, 0, sizeof(*out));
	if (addr_parse(str_head(s, slash), &out->addr) == -1)
		return -1;
	out->addr.scope = 0;
	bits = addr_bits(&out->addr);
	if (slash < s.len) {
		uint64_t shift = was_v6 && bits == 32 ? 96 : 0;

		if (str_to_u64(str_skip(s, slash + 1), bits + shift, &bits) ==
			-1 ||
		    bits < shift)
			return -1;
		bits -= shift;
	}
	out->bits = (uint8_t)bits;
	return host_bits_zero(out) ? 0 : -1;
}

bool
addr_net_has(const struct addr_net *n, const struct addr *a)
{
	unsigned int whole = n->bits / 8, rest = n->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (a->family != n->addr.family ||
	    (a->family != ADDR_V4 && a->family != ADDR_V6))
		return false;
	if (memcmp(a->bytes, n->addr.bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       ((a->bytes[whole] ^ n->addr.bytes[whole]) & mask) == 0;
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return false;
	if (a->family == ADDR_V4)
		return memcmp(a->bytes, b->bytes, 4) == 0;
	if (a->family == ADDR_V6)
		return memcmp(a->bytes, b->bytes, 16) == 0 &&
		       a->scope == b->scope;
	return true;
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t v6_loopback[16] = { [15] = 1 };

	if (a->family == ADDR_V4)
		return a->bytes[0] == 127;
	return a->family == ADDR_V6 && memcmp(a->bytes, v6_loopback, 16) == 0;
}

const char *
addr_format(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
	size_t len;

	switch ((enum addr_family)a->family) {
	case ADDR_V4:
		inet_ntop(AF_INET, a->bytes, out, ADDR_TEXT_MAX);
		return out;
	case ADDR_V6:
		inet_ntop(AF_INET6, a->bytes, out, ADDR_TEXT_MAX);
		len = strlen(out);
		if (a->scope != 0)
			snprintf(
			    out + len, ADDR_TEXT_MAX - len, "%%%u", a->scope);
		return out;
	case ADDR_LOCAL:
		return memcpy(out, "local", sizeof("local"));
	case ADDR_NONE:
		break;
	}
	return memcpy(out, "none", sizeof("none"));
}

const char *
addr_format_literal(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];
	struct addr plain = *a;

	plain.scope = 0; /* RFC 5321 has no word for it */
	addr_format(&plain, text);
	snprintf(out, ADDR_TEXT_MAX, "[%s%.45s]",
	    a->family == ADDR_V6 ? "IPv6:" : "", text);
	return out;
}

void
addr_from_sockaddr(
    const struct sockaddr *sa, socklen_t len, struct addr *out, uint16_t *port)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	memset(out, 0, sizeof(*out));
	if (port != NULL)
		*port = 0;
	if (len < sizeof(sa->sa_family))
		return;
	if (sa->sa_family == AF_UNIX) {
		out->family = ADDR_LOCAL;
	} else if (sa->sa_family == AF_INET && len >= sizeof(in4)) {
		memcpy(&in4, sa, sizeof(in4));
		out->family = ADDR_V4;
		memcpy(out->bytes, &in4.sin_addr, 4);
		if (port != NULL)
			*port = ntohs(in4.sin_port);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		set_v6(out, in6.sin6_addr.s6_addr, in6.sin6_scope_id);
		if (port != NULL)
			*port = ntohs(in6.sin6_port);
	}
}

socklen_t
addr_to_sockaddr(
    const struct addr *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memset(out, 0, sizeof(*out));
	if (a->family == ADDR_V4) {
		in4.sin_port = htons(port);
		memcpy(&in4.sin_addr, a->bytes, 4);
		memcpy(out, &in4, sizeof(in4));
		return sizeof(in4);
	}
	if (a->family == ADDR_V6) {
		in6.sin6_port = htons(port);
		memcpy(&in6.sin6_addr, a->bytes, 16);
		in6.sin6_scope_id = a->scope;
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

uint64_t
addr_source_key(const struct addr *a)
{
	uint64_t key = 0;
	size_t i;

	switch ((enum addr_family)a->family) {
	case ADDR_V4:
		/* Beside every /64 that is in use: ::ffff:0:0 is IPv4's. */
		key = 0xffff;
		for (i = 0; i < 4; i++)
			key = key << 8 | a->bytes[i];
		return key;
	case ADDR_V6:
		for (i = 0; i < 8; i++)
			key = key << 8 | a->bytes[i];
		return key;
	case ADDR_LOCAL:
		return 1;
	case ADDR_NONE:
		break;
	}
	return 0;
}

uint64_t
addr_subnet_key(const struct addr *a)
{
	uint64_t key = addr_source_key(a);

	return a->family == ADDR_V4 ? key & ~(uint64_t)0xff : key;
}
