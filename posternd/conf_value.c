/* Values: numbers with their units, texts, paths, names. */
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/mail/idna.h"
#include "lib/mail/path.h"
#include "posternd/conf_parse.h"

enum { NAME_MAX_BYTES = 64, NUMBER_TEXT = 40 };

struct unit {
	const char *name;
	uint64_t factor;
};

/* Longer names first, so that `ms' is not minutes. */
static const struct unit time_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60000 },
	{ "h", 3600000 },
	{ "d", 86400000 },
	{ "w", 604800000 },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "K", 1 << 10 },
	{ "M", 1 << 20 },
	{ "G", 1 << 30 },
	{ "T", UINT64_C(1) << 40 },
	{ NULL, 0 },
};

/* The unit at the start of s; bare: what a number without one counts. */
static int
take_unit(
    struct str *s, const struct unit *units, uint64_t bare, uint64_t *factor)
{
	*factor = bare;
	if (s->len == 0)
		return 0;
	for (; units->name != NULL; units++) {
		struct str name = str_of(units->name);

		if (!str_starts_nocase(*s, name))
			continue;
		*factor = units->factor;
		*s = str_skip(*s, name.len);
		return 0;
	}
	return -1;
}

/* 90m, 1h30m: sums of numbers with units. */
static int
parse_sum(struct str s, const struct unit *units, uint64_t bare, uint64_t *out)
{
	uint64_t sum = 0, n, factor;
	size_t len;

	if (s.len == 0)
		return -1;
	while (s.len > 0) {
		for (len = 0; len < s.len && chr_is_digit(s.p[len]);)
			len++;
		if (str_to_u64(str_head(s, len), UINT64_MAX, &n) == -1)
			return -1;
		s = str_skip(s, len);
		if (take_unit(&s, units, bare, &factor) == -1 ||
		    n > (UINT64_MAX - sum) / factor)
			return -1;
		sum += n * factor;
	}
	*out = sum;
	return 0;
}

int
conf_parse_time(struct str s, uint64_t *ms)
{
	return parse_sum(s, time_units, 1000, ms);
}

int
conf_parse_size(struct str s, uint64_t *bytes)
{
	return parse_sum(s, size_units, 1, bytes);
}

static int
parse_count(struct str s, uint64_t *n)
{
	return str_to_u64(s, UINT64_MAX, n);
}

/* As the administrator would write it. */
static const char *
format_number(uint64_t n, const struct unit *units, char out[NUMBER_TEXT])
{
	const struct unit *best = NULL;

	for (; units != NULL && units->name != NULL; units++)
		if (n > 0 && n % units->factor == 0 &&
		    (best == NULL || units->factor > best->factor))
			best = units;
	snprintf(out, NUMBER_TEXT, "%" PRIu64 "%s",
	    best == NULL ? n : n / best->factor,
	    best == NULL ? "" : best->name);
	return out;
}

struct kind {
	int (*parse)(struct str s, uint64_t *out);
	const struct unit *units; /* for messages */
	const char *what;
};

static const struct kind kind_time = { conf_parse_time, time_units,
	"a time (30s, 5m, 4h, 5d)" };
static const struct kind kind_size = { conf_parse_size, size_units,
	"a size (64K, 50M, 1G)" };
static const struct kind kind_count = { parse_count, NULL, "a number" };

/* The value at the cursor, which moves on only when it is good, so that
 * errors name its line. */
static int
take_number(struct conf_parser *p, const struct kind *kind, uint64_t min,
    uint64_t max, uint64_t *out)
{
	char low[NUMBER_TEXT], high[NUMBER_TEXT];
	const struct conf_token *t = conf_peek(p);
	int len = (int)(t->text.len > 100 ? 100 : t->text.len);

	if (t->kind != CONF_WORD && t->kind != CONF_STRING &&
	    t->kind != CONF_MACRO)
		return conf_error(p, "expected %s, not %s", kind->what,
		    conf_kind_text(t->kind));
	if (min == 0 && str_eq(t->text, STR("off")))
		*out = 0;
	else if (kind->parse(t->text, out) == -1)
		return conf_error(
		    p, "`%.*s' is not %s", len, t->text.p, kind->what);
	if (*out < min || *out > max)
		return conf_error(p, "`%.*s' is out of range (%s to %s)", len,
		    t->text.p, format_number(min, kind->units, low),
		    format_number(max, kind->units, high));
	conf_advance(p);
	return 0;
}

int
conf_take_time(struct conf_parser *p, uint64_t min, uint64_t max, uint64_t *out)
{
	return take_number(p, &kind_time, min, max, out);
}

int
conf_take_count(
    struct conf_parser *p, uint64_t min, uint64_t max, uint64_t *out)
{
	return take_number(p, &kind_count, min, max, out);
}

static void *
field(const struct conf_keyword *k, void *into)
{
	return (char *)into + k->offset;
}

int
conf_set_size(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	return take_number(p, &kind_size, k->min, k->max, field(k, into));
}

int
conf_set_count(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	return take_number(p, &kind_count, k->min, k->max, field(k, into));
}

int
conf_set_time(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	return take_number(p, &kind_time, k->min, k->max, field(k, into));
}

int
conf_set_port(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	uint64_t port = 0;

	if (conf_take_count(p, 1, 65535, &port) == -1)
		return -1;
	*(uint16_t *)field(k, into) = (uint16_t)port;
	return 0;
}

int
conf_set_true(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	(void)p;
	*(bool *)field(k, into) = true;
	return 0;
}

/* COUNT/TIME; the time of a bare COUNT is a minute. */
int
conf_set_rate(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct str s = conf_peek(p)->text;
	uint64_t *rate = field(k, into), count, period = 60000;
	size_t slash = str_find(s, '/');
	struct str time = str_skip(s, slash + 1);

	if (slash == s.len) {
		rate[1] = period;
		return take_number(p, &kind_count, k->min, k->max, rate);
	}
	/* `/m' is `/1m' */
	if (time.len > 0 && !chr_is_digit(time.p[0])) {
		if (take_unit(&time, time_units, 0, &period) == -1 ||
		    time.len > 0)
			period = 0;
	} else if (conf_parse_time(time, &period) == -1) {
		period = 0;
	}
	if (str_to_u64(str_head(s, slash), UINT64_MAX, &count) == -1 ||
	    period == 0)
		return conf_error(p, "`%.*s' is not a rate (60/1m)",
		    (int)(s.len > 100 ? 100 : s.len), s.p);
	if (count < k->min || count > k->max || period < 1000 ||
	    period > 86400000)
		return conf_error(p,
		    "`%.*s' is out of range (%" PRIu64 " to %" PRIu64
		    ", per 1s to 1d)",
		    (int)s.len, s.p, k->min, k->max);
	rate[0] = count;
	rate[1] = period;
	conf_advance(p);
	return 0;
}

/* Replaces the text at the keyword's field. */
static int
put_text(const struct conf_keyword *k, void *into, struct str s)
{
	char **text = field(k, into);

	free(*text);
	*text = str_dup(s);
	return 0;
}

/* One step back, for an error about what was just taken. */
static int
refuse(struct conf_parser *p, const char *what, struct str s)
{
	if (p->at > 0)
		p->at--;
	conf_error(p, "`%.*s' %s", (int)(s.len > 200 ? 200 : s.len), s.p, what);
	conf_advance(p);
	return -1;
}

int
conf_set_text(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct str s;

	if (conf_take_text(p, "a text", &s) == -1)
		return -1;
	if (s.len == 0)
		return refuse(p, "is empty", s);
	if (memchr(s.p, '\t', s.len) != NULL)
		return refuse(p, "has a tab in it", s);
	if (s.len > k->max)
		return refuse(p, "is too long", s);
	return put_text(k, into, s);
}

int
conf_set_path(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct str s;

	if (conf_take_text(p, "a path", &s) == -1)
		return -1;
	if (s.len == 0 || s.p[0] != '/')
		return refuse(p, "is not an absolute path", s);
	if (s.len > k->max)
		return refuse(p, "is too long", s);
	return put_text(k, into, s);
}

int
conf_set_domain(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct str s;

	if (conf_take_text(p, "a host name", &s) == -1)
		return -1;
	if (!path_is_domain(s, false))
		return refuse(p, "is not a host name", s);
	return put_text(k, into, s);
}

int
conf_set_address(
    struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct buf address;
	struct path path;
	struct str s;
	bool good;

	if (conf_take_text(p, "a mail address", &s) == -1)
		return -1;
	buf_init(&address, k->max);
	/* The domain is in A-labels wherever we keep one. */
	good = path_split(s, &path) == 0 && path.local.len > 0 &&
	       path_is_domain(path.domain, true);
	if (good) {
		buf_add_str(&address, str_head(s, s.len - path.domain.len));
		good = idna_to_ascii(path.domain, &address) == 0 &&
		       !address.failed;
	}
	if (good)
		put_text(k, into, buf_str(&address));
	buf_clear(&address);
	return good ? 0 : refuse(p, "is not a mail address", s);
}

/* fe80::1%eth0: the number of the interface is all that travels. */
int
conf_parse_address(struct str s, struct addr *out)
{
	size_t at = str_find(s, '%');
	char name[IF_NAMESIZE];
	struct str scope = str_skip(s, at + 1);

	if (at == s.len || (scope.len > 0 && chr_is_digit(scope.p[0])))
		return addr_parse(s, out);
	if (scope.len == 0 || scope.len >= sizeof(name) ||
	    addr_parse(str_head(s, at), out) == -1)
		return -1;
	memcpy(name, scope.p, scope.len);
	name[scope.len] = '\0';
	out->scope = if_nametoindex(name);
	return out->scope == 0 ? -1 : 0;
}

/* As other programs write it: 192.0.2.1:25, [2001:db8::1]:25. */
static bool
has_port(struct str s)
{
	size_t colon = s.len;
	struct addr unused;
	uint64_t port;

	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon < 2 || str_to_u64(str_skip(s, colon), 65535, &port) == -1)
		return false;
	return addr_parse(str_head(s, colon - 1), &unused) == 0;
}

int
conf_take_address(struct conf_parser *p, const char *what, struct addr *out)
{
	const struct conf_token *t = conf_peek(p);

	if (t->kind != CONF_WORD && t->kind != CONF_STRING &&
	    t->kind != CONF_MACRO)
		return conf_error(
		    p, "expected %s, not %s", what, conf_kind_text(t->kind));
	if (conf_parse_address(t->text, out) == -1)
		return conf_error(p, "`%.*s' is not an address%s",
		    (int)(t->text.len > 100 ? 100 : t->text.len), t->text.p,
		    has_port(t->text) ?
			": its port stands behind it, as `port 25'" :
			" (192.0.2.1, 2001:db8::1)");
	conf_advance(p);
	return 0;
}

int
conf_take_name(struct conf_parser *p, const char *what, struct str *out)
{
	size_t i;

	if (conf_take_text(p, what, out) == -1)
		return -1;
	for (i = 0; i < out->len; i++) {
		char c = out->p[i];

		if (!chr_is_alpha(c) && !chr_is_digit(c) && c != '_' &&
		    c != '-' && c != '.')
			break;
	}
	if (out->len == 0 || i < out->len)
		return refuse(
		    p, "is not a name (letters, digits, `_', `-', `.')", *out);
	if (out->len > NAME_MAX_BYTES)
		return refuse(p, "is too long for a name", *out);
	return 0;
}
