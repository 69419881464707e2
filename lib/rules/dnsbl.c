/* The grammar of DNS lists. */
#include "lib/rules/dnsbl.h"

#include <string.h>

#include "lib/rules/hop.h"

enum {
	OCTETS = 4,
	/* A name has 253 at most, and an IPv6 address stands before it. */
	ZONE_MAX = 253 - 64
};

static int
refuse(struct fault *why, struct str key, const char *text)
{
	return fault_set(why, FAULT_PERM, "DNS list \"%.*s\": %s",
	    (int)(key.len < 100 ? key.len : 100), key.p, text);
}

/* --- which answers count --- */

static void
set_range(uint8_t set[static 32], uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n <= to; n++)
		set[n / 8] |= (uint8_t)(1 << n % 8);
}

/* "7" or "2..11" */
static int
parse_range(struct str s, uint8_t set[static 32])
{
	size_t dots = str_find(s, '.');
	uint64_t from, to;

	if (str_to_u64(str_head(s, dots), 255, &from) == -1)
		return -1;
	to = from;
	if (dots < s.len) {
		struct str rest = str_skip(s, dots + 1);

		if (rest.len == 0 || rest.p[0] != '.' ||
		    str_to_u64(str_skip(rest, 1), 255, &to) == -1 || to < from)
			return -1;
	}
	set_range(set, from, to);
	return 0;
}

/* What stands between the brackets. */
static int
parse_ranges(struct str s, uint8_t set[static 32])
{
	for (;;) {
		size_t end = str_find(s, ';');

		if (parse_range(str_head(s, end), set) == -1)
			return -1;
		if (end == s.len)
			return 0;
		s = str_skip(s, end + 1);
	}
}

/* One octet off *s. */
static int
parse_octet(struct str *s, uint8_t set[static 32])
{
	struct str octet;
	uint64_t n;

	if (s->len > 0 && s->p[0] == '[') {
		size_t end = str_find(*s, ']');

		octet = str_skip(str_head(*s, end), 1);
		if (end == s->len || parse_ranges(octet, set) == -1)
			return -1;
		*s = str_skip(*s, end + 1);
		return 0;
	}
	octet = str_head(*s, str_find(*s, '.'));
	if (str_to_u64(octet, 255, &n) == -1)
		return -1;
	set_range(set, n, n);
	*s = str_skip(*s, octet.len);
	return 0;
}

static int
parse_answers(struct str s, struct dnsbl_list *out)
{
	for (size_t i = 0; i < OCTETS; i++) {
		if (i > 0) {
			if (s.len == 0 || s.p[0] != '.')
				return -1;
			s = str_skip(s, 1);
		}
		if (parse_octet(&s, out->octets[i]) == -1)
			return -1;
	}
	return s.len == 0 ? 0 : -1;
}

static bool
has(const uint8_t set[static 32], uint8_t n)
{
	return (set[n / 8] & 1 << n % 8) != 0;
}

/* --- a list --- */

static int
parse_weight(struct str value, int32_t *out)
{
	bool negative = value.len > 0 && value.p[0] == '-';
	uint64_t n = 1;

	if (value.len > 0 && (str_to_u64(str_skip(value, negative),
				  DNSBL_WEIGHT_MAX, &n) == -1 ||
				 n == 0))
		return -1;
	*out = negative ? -(int32_t)n : (int32_t)n;
	return 0;
}

int
dnsbl_parse(
    struct str key, struct str value, struct dnsbl_list *out, struct fault *why)
{
	size_t equals = str_find(key, '=');

	memset(out, 0, sizeof(*out));
	out->zone = str_head(key, equals);
	if (out->zone.len > ZONE_MAX || !hop_is_host_name(out->zone))
		return refuse(why, key, "no zone of the DNS is called so");
	if (equals == key.len)
		memset(out->octets, 0xff, sizeof(out->octets));
	else if (parse_answers(str_skip(key, equals + 1), out) == -1)
		return refuse(why, key,
		    "answers are written as 127.0.0.2 or 127.0.0.[2..11]");
	else if (!has(out->octets[0], 127))
		return refuse(why, key, "answers are in 127.0.0.0/8");
	if (parse_weight(str_trim(value), &out->weight) == -1)
		return refuse(why, key,
		    "its weight is a number from -1000 to 1000, not 0");
	return 0;
}

bool
dnsbl_is_refusal(const struct addr *answer)
{
	return answer->family == ADDR_V4 && answer->bytes[0] == 127 &&
	       answer->bytes[1] == 255 && answer->bytes[2] == 255;
}

bool
dnsbl_counts(const struct dnsbl_list *l, const struct addr *answer)
{
	if (answer->family != ADDR_V4 || answer->bytes[0] != 127 ||
	    dnsbl_is_refusal(answer))
		return false;
	for (size_t i = 0; i < OCTETS; i++)
		if (!has(l->octets[i], answer->bytes[i]))
			return false;
	return true;
}

/* --- a table of them --- */

struct lists_check {
	size_t n;
	int32_t score_max;
	struct fault *why;
};

static bool
is_bad(void *ctx, struct str key, struct str value)
{
	struct lists_check *c = ctx;
	struct dnsbl_list l;

	if (dnsbl_parse(key, value, &l, c->why) == -1)
		return true;
	/* More are refused when all are counted. */
	if (c->n++ < DNSBL_LISTS_MAX && l.weight > 0)
		c->score_max += l.weight;
	return false;
}

int
dnsbl_check(const struct table *t, int32_t *score_max, struct fault *why)
{
	struct lists_check c = { .why = why };

	if (table_any(t, is_bad, &c))
		return -1;
	if (c.n != table_count(t))
		return fault_set(why, FAULT_PERM,
		    "a DNS list is the name of a zone, not an address");
	if (c.n > DNSBL_LISTS_MAX)
		return fault_set(why, FAULT_PERM,
		    "there are %zu DNS lists in the table, at most %d can be",
		    c.n, DNSBL_LISTS_MAX);
	*score_max = c.score_max;
	return 0;
}

struct lists {
	struct dnsbl_list *out;
	size_t n;
};

static bool
add_list(void *ctx, struct str key, struct str value)
{
	struct lists *l = ctx;

	if (dnsbl_parse(key, value, &l->out[l->n], NULL) == 0)
		l->n++;
	return l->n == DNSBL_LISTS_MAX;
}

size_t
dnsbl_lists(
    const struct table *t, struct dnsbl_list out[static DNSBL_LISTS_MAX])
{
	struct lists l = { .out = out };

	(void)table_any(t, add_list, &l);
	return l.n;
}
