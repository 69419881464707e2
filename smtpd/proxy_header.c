/* Version 1 is a line, version 2 a block of bytes that says its length. */
#include "smtpd/proxy_header.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/base/crc32c.h"

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

enum {
	SIGNATURE_LEN = sizeof(signature) - 1,
	TLV_CRC32C = 3,
	TLV_HEAD = 3,
	ADDRS_V4 = 12,
	ADDRS_V6 = 36,
	ADDRS_UNIX = 216
};

void
proxy_header_init(struct proxy_header *h)
{
	memset(h, 0, sizeof(*h));
	buf_init(&h->bytes, PROXY_MAX);
}

void
proxy_header_clear(struct proxy_header *h)
{
	buf_clear(&h->bytes);
}

static enum proxy_result
bad(struct proxy_header *h, const char *why)
{
	h->why = why;
	return PROXY_BAD;
}

/* --- version 1 --- */

/* The next word of a line whose words one blank parts. */
static struct str
next_word(struct str *line)
{
	size_t n = str_find(*line, ' ');
	struct str word = str_head(*line, n);

	/* A blank that nothing follows begins one more word, an empty one. */
	*line = str_skip(*line, n < line->len ? n + 1 : n);
	return word;
}

/* As the specification has them: no zeros in front. */
static int
parse_port(struct str s, uint16_t *out)
{
	uint64_t n;

	if (s.len == 0 || (s.len > 1 && s.p[0] == '0') ||
	    str_to_u64(s, UINT16_MAX, &n) < 0)
		return -1;
	*out = (uint16_t)n;
	return 0;
}

/* Text as the family says: brackets and scopes are not of this protocol. */
static int
parse_address(struct str s, bool v6, struct addr *out)
{
	bool colon = str_find(s, ':') < s.len;

	if (colon != v6 || str_find(s, '[') < s.len || str_find(s, '%') < s.len)
		return -1;
	return addr_parse(s, out);
}

static enum proxy_result
parse_v1(struct proxy_header *h)
{
	struct str line = str_head(buf_str(&h->bytes), h->bytes.len - 2);
	struct str words[6];
	size_t n = 0;
	bool v6;

	if (memchr(line.p, '\0', line.len) != NULL ||
	    memchr(line.p, '\r', line.len) != NULL)
		return bad(h, "syntax");
	next_word(&line); /* PROXY */
	struct str family = next_word(&line);
	/* Whatever stands behind it is ignored. */
	if (str_eq(family, STR("UNKNOWN")))
		return PROXY_DONE;
	v6 = str_eq(family, STR("TCP6"));
	if (!v6 && !str_eq(family, STR("TCP4")))
		return bad(h, "family");
	while (n < 4 && line.len > 0)
		words[n++] = next_word(&line);
	if (n != 4 || line.len > 0 || h->bytes.p[h->bytes.len - 3] == ' ')
		return bad(h, "syntax");
	if (parse_address(words[0], v6, &h->client) < 0 ||
	    parse_address(words[1], v6, &h->local) < 0)
		return bad(h, "address");
	if (parse_port(words[2], &h->client_port) < 0 ||
	    parse_port(words[3], &h->local_port) < 0)
		return bad(h, "port");
	h->named = true;
	return PROXY_DONE;
}

/* Bytes up to the LF that ends the line. */
static enum proxy_result
feed_v1(struct proxy_header *h, struct str in, size_t *used)
{
	static const char begin[] = "PROXY ";
	size_t had = h->bytes.len, n = str_find(in, '\n');
	struct str all;

	n = n < in.len ? n + 1 : n;
	if (n > PROXY_V1_MAX - had)
		n = PROXY_V1_MAX - had;
	buf_add(&h->bytes, in.p, n);
	*used = n;
	all = buf_str(&h->bytes);
	if (memcmp(all.p, begin,
		all.len < sizeof(begin) - 1 ? all.len : sizeof(begin) - 1) != 0)
		return bad(h, "no-header");
	if (all.p[all.len - 1] != '\n')
		return all.len == PROXY_V1_MAX ? bad(h, "too-long") :
						 PROXY_MORE;
	if (all.len < sizeof(begin) || all.p[all.len - 2] != '\r')
		return bad(h, "syntax");
	return parse_v1(h);
}

/* --- version 2 --- */

static unsigned int
byte_at(const struct proxy_header *h, size_t at)
{
	return (unsigned char)h->bytes.p[at];
}

static uint16_t
be16_at(const struct proxy_header *h, size_t at)
{
	return (uint16_t)(byte_at(h, at) << 8 | byte_at(h, at + 1));
}

static uint32_t
be32_at(const struct proxy_header *h, size_t at)
{
	return (uint32_t)be16_at(h, at) << 16 | be16_at(h, at + 2);
}

/* Over the whole header, the sum itself as zeros. */
static bool
crc_is_right(struct proxy_header *h, size_t at)
{
	uint32_t said = be32_at(h, at);

	memset(h->bytes.p + at, 0, 4);
	return crc32c(0, h->bytes.p, h->bytes.len) == said;
}

static enum proxy_result
check_tlvs(struct proxy_header *h, size_t at)
{
	size_t end = h->bytes.len;

	while (at < end) {
		size_t len;

		if (end - at < TLV_HEAD)
			return bad(h, "tlv");
		len = be16_at(h, at + 1);
		if (len > end - at - TLV_HEAD)
			return bad(h, "tlv");
		if (byte_at(h, at) == TLV_CRC32C &&
		    (len != 4 || !crc_is_right(h, at + TLV_HEAD)))
			return bad(h, "checksum");
		at += TLV_HEAD + len;
	}
	return PROXY_DONE;
}

static void
set_v4(struct proxy_header *h)
{
	const char *p = h->bytes.p + PROXY_V2_HEAD;

	h->client.family = h->local.family = ADDR_V4;
	memcpy(h->client.bytes, p, 4);
	memcpy(h->local.bytes, p + 4, 4);
	h->client_port = be16_at(h, PROXY_V2_HEAD + 8);
	h->local_port = be16_at(h, PROXY_V2_HEAD + 10);
	h->named = true;
}

/* Mapped IPv4 comes out as what it is. */
static void
set_v6_address(struct addr *a, const char *p)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	uint16_t port;

	memcpy(&sin6.sin6_addr, p, 16);
	addr_from_sockaddr(
	    (const struct sockaddr *)&sin6, sizeof(sin6), a, &port);
}

static void
set_v6(struct proxy_header *h)
{
	const char *p = h->bytes.p + PROXY_V2_HEAD;

	set_v6_address(&h->client, p);
	set_v6_address(&h->local, p + 16);
	h->client_port = be16_at(h, PROXY_V2_HEAD + 32);
	h->local_port = be16_at(h, PROXY_V2_HEAD + 34);
	h->named = true;
}

/* By family and transport; without set it is as if nobody was named (a client
 * of the balancer's own machine is no client of ours). */
static const struct {
	unsigned int family;
	size_t size;
	void (*set)(struct proxy_header *h);
} families[] = {
	{ 0x00, 0, NULL },
	{ 0x11, ADDRS_V4, set_v4 },
	{ 0x21, ADDRS_V6, set_v6 },
	{ 0x31, ADDRS_UNIX, NULL },
};

static enum proxy_result
parse_v2(struct proxy_header *h)
{
	size_t len = h->bytes.len - PROXY_V2_HEAD, i = 0;
	enum proxy_result r;

	/* LOCAL: what follows is none of our business. */
	if (byte_at(h, SIGNATURE_LEN) == 0x20)
		return PROXY_DONE;
	while (i < sizeof(families) / sizeof(families[0]) &&
	       families[i].family != byte_at(h, SIGNATURE_LEN + 1))
		i++;
	if (i == sizeof(families) / sizeof(families[0]))
		return bad(h, "family");
	if (len < families[i].size)
		return bad(h, "syntax");
	/* Of nobody's address nothing is known, nor where TLVs begin. */
	if (families[i].size == 0)
		return PROXY_DONE;
	if (families[i].set != NULL)
		families[i].set(h);
	r = check_tlvs(h, PROXY_V2_HEAD + families[i].size);
	h->named = h->named && r == PROXY_DONE;
	return r;
}

static enum proxy_result
check_v2_head(struct proxy_header *h)
{
	size_t n = h->bytes.len;

	if (memcmp(h->bytes.p, signature,
		n < SIGNATURE_LEN ? n : SIGNATURE_LEN) != 0)
		return bad(h, "no-header");
	if (n > SIGNATURE_LEN && byte_at(h, SIGNATURE_LEN) != 0x20 &&
	    byte_at(h, SIGNATURE_LEN) != 0x21)
		return bad(h, "version");
	if (n >= PROXY_V2_HEAD &&
	    be16_at(h, PROXY_V2_HEAD - 2) > PROXY_MAX - PROXY_V2_HEAD)
		return bad(h, "too-long");
	return PROXY_MORE;
}

/* First the head, then as many bytes as it says. */
static enum proxy_result
feed_v2(struct proxy_header *h, struct str in, size_t *used)
{
	while (*used < in.len) {
		size_t whole = PROXY_V2_HEAD, n;

		if (h->bytes.len >= PROXY_V2_HEAD)
			whole += be16_at(h, PROXY_V2_HEAD - 2);
		n = whole - h->bytes.len;
		if (n > in.len - *used)
			n = in.len - *used;
		buf_add(&h->bytes, in.p + *used, n);
		*used += n;
		if (check_v2_head(h) == PROXY_BAD)
			return PROXY_BAD;
		if (h->bytes.len >= PROXY_V2_HEAD &&
		    h->bytes.len ==
			PROXY_V2_HEAD + (size_t)be16_at(h, PROXY_V2_HEAD - 2))
			return parse_v2(h);
	}
	return PROXY_MORE;
}

enum proxy_result
proxy_header_feed(struct proxy_header *h, struct str in, size_t *used)
{
	char first = h->bytes.len > 0 ? h->bytes.p[0] : in.p[0];

	*used = 0;
	if (first == signature[0])
		return feed_v2(h, in, used);
	return feed_v1(h, in, used);
}
