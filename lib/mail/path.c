/*
 * Addresses of the envelope: one forward-only parser over views, so that no
 * other place in the house looks inside an address.
 */
#include "lib/mail/path.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/utf8.h"

enum { LABEL_MAX = 63, ROUTE_HOPS_MAX = 100 };

/* Where we are in the input. */
struct cursor {
	const char *p, *end;
};

static bool
at(const struct cursor *c, char want)
{
	return c->p < c->end && *c->p == want;
}

static bool
is_atext(char c)
{
	return chr_is_alpha(c) || chr_is_digit(c) ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL) ||
	       ((unsigned char)c & 0x80) != 0;
}

static bool
is_domain_byte(char c)
{
	return chr_is_alpha(c) || chr_is_digit(c) || c == '-' || c == '_' ||
	       c == '.' || ((unsigned char)c & 0x80) != 0;
}

static bool
has_8bit(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] & 0x80)
			return true;
	return false;
}

/* Atoms parted by single dots. */
static bool
is_dot_string(struct str s)
{
	if (s.len == 0 || s.p[0] == '.' || s.p[s.len - 1] == '.')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' ? s.p[i - 1] == '.' : !is_atext(s.p[i]))
			return false;
	}
	return true;
}

bool
path_is_domain(struct str s, bool utf8)
{
	size_t label = 0;

	if (s.len == 0 || s.len > PATH_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (!is_domain_byte(c))
			return false;
		if (c != '.') {
			/* Beyond ASCII by characters: how long it is as an
			 * A-label is idna's business. */
			label += ((unsigned char)c & 0xc0) != 0x80 ? 1 : 0;
			if (label > LABEL_MAX || (c == '-' && label == 1))
				return false;
			continue;
		}
		if (label == 0 || s.p[i - 1] == '-')
			return false;
		label = 0;
	}
	if (label == 0 || s.p[s.len - 1] == '-')
		return false;
	return !has_8bit(s) || (utf8 && utf8_is_valid(s));
}

bool
path_is_literal(struct str s)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct in6_addr a;
	int family = AF_INET;

	if (s.len < 2 || s.p[0] != '[' || s.p[s.len - 1] != ']')
		return false;
	s = str_head(str_skip(s, 1), s.len - 2);
	if (str_starts_nocase(s, STR("IPv6:"))) {
		family = AF_INET6;
		s = str_skip(s, 5);
	}
	if (s.len == 0 || s.len >= sizeof(text) ||
	    memchr(s.p, '\0', s.len) != NULL)
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	return inet_pton(family, text, &a) == 1;
}

/* The body of a quoted string, behind its opening quote, into scratch. */
static enum path_error
parse_quoted(struct cursor *c, struct path *out)
{
	size_t n = 0;

	for (; c->p < c->end && *c->p != '"'; c->p++) {
		if (*c->p == '\\' && ++c->p == c->end)
			return PATH_SYNTAX;
		/* Controls have no place in an address (RFC 5321 4.1.2). */
		if ((unsigned char)*c->p < 0x20 || *c->p == 0x7f)
			return PATH_SYNTAX;
		if (n == PATH_LOCAL_MAX)
			return PATH_LOCAL_LONG;
		out->scratch[n++] = *c->p;
	}
	if (c->p == c->end)
		return PATH_SYNTAX;
	c->p++;
	out->scratch[n] = '\0';
	out->local = (struct str){ out->scratch, n };
	return PATH_OK;
}

static enum path_error
parse_local(struct cursor *c, struct path *out)
{
	const char *start = c->p;

	if (at(c, '"')) {
		c->p++;
		return parse_quoted(c, out);
	}
	while (c->p < c->end && (is_atext(*c->p) || *c->p == '.'))
		c->p++;
	out->local = (struct str){ start, (size_t)(c->p - start) };
	if (!is_dot_string(out->local))
		return PATH_SYNTAX;
	return out->local.len > PATH_LOCAL_MAX ? PATH_LOCAL_LONG : PATH_OK;
}

/* A domain or an address literal. */
static enum path_error
parse_domain(struct cursor *c, struct path *out)
{
	const char *start = c->p;

	out->is_literal = at(c, '[');
	if (out->is_literal) {
		while (c->p < c->end && *c->p != ']')
			c->p++;
		if (c->p == c->end)
			return PATH_SYNTAX;
		c->p++;
	} else {
		while (c->p < c->end && is_domain_byte(*c->p))
			c->p++;
	}
	out->domain = (struct str){ start, (size_t)(c->p - start) };
	if (out->domain.len > PATH_DOMAIN_MAX)
		return PATH_DOMAIN_LONG;
	if (out->is_literal)
		return path_is_literal(out->domain) ? PATH_OK : PATH_SYNTAX;
	return path_is_domain(out->domain, true) ? PATH_OK : PATH_SYNTAX;
}

/* @one,@two: in front of the mailbox; obsolete, parsed and dropped. */
static enum path_error
skip_route(struct cursor *c)
{
	struct path hop;

	for (int i = 0; i < ROUTE_HOPS_MAX; i++) {
		if (!at(c, '@'))
			return PATH_SYNTAX;
		c->p++;
		if (parse_domain(c, &hop) != PATH_OK)
			return PATH_SYNTAX;
		if (at(c, ':')) {
			c->p++;
			return PATH_OK;
		}
		if (!at(c, ','))
			return PATH_SYNTAX;
		c->p++;
	}
	return PATH_SYNTAX;
}

static enum path_error
parse_mailbox(struct cursor *c, unsigned int flags, struct path *out)
{
	enum path_error e = PATH_OK;

	if (at(c, '@'))
		e = skip_route(c);
	if (e == PATH_OK)
		e = parse_local(c, out);
	if (e != PATH_OK)
		return e;
	if (at(c, '@')) {
		c->p++;
		return parse_domain(c, out);
	}
	if ((flags & PATH_ALLOW_LOCAL) == 0 || out->local.len == 0)
		return PATH_SYNTAX;
	return PATH_OK;
}

enum path_error
path_parse(
    struct str in, unsigned int flags, struct path *out, struct str *rest)
{
	if (in.len == 0)
		in = STR("");
	struct cursor c = { in.p, in.p + in.len };
	enum path_error e;
	bool angle = at(&c, '<');

	out->local = out->domain = (struct str){ in.p, 0 };
	out->is_literal = out->is_utf8 = false;
	*rest = in;
	if (angle)
		c.p++;
	else if ((flags & PATH_ALLOW_BARE) == 0)
		return PATH_SYNTAX;
	if (!angle || !at(&c, '>')) {
		e = parse_mailbox(&c, flags, out);
		if (e != PATH_OK)
			return e;
	} else if ((flags & PATH_ALLOW_NULL) == 0)
		return PATH_SYNTAX;
	if (angle) {
		if (!at(&c, '>'))
			return PATH_SYNTAX;
		c.p++;
	}
	/* What follows is parameters, behind a blank. */
	if (c.p < c.end && *c.p != ' ' && *c.p != '\t')
		return PATH_SYNTAX;
	*rest = (struct str){ c.p, (size_t)(c.end - c.p) };
	out->is_utf8 = has_8bit(out->local) || has_8bit(out->domain);
	if (out->is_utf8 && (flags & PATH_ALLOW_UTF8) == 0)
		return PATH_UTF8;
	if (!utf8_is_valid(out->local) || !utf8_is_valid(out->domain))
		return PATH_SYNTAX;
	return PATH_OK;
}

void
path_format(const struct path *p, struct buf *out)
{
	if (p->local.len == 0 && p->domain.len == 0)
		return;
	if (is_dot_string(p->local))
		buf_add_str(out, p->local);
	else {
		buf_add_char(out, '"');
		for (size_t i = 0; i < p->local.len; i++) {
			if (p->local.p[i] == '"' || p->local.p[i] == '\\')
				buf_add_char(out, '\\');
			buf_add_char(out, p->local.p[i]);
		}
		buf_add_char(out, '"');
	}
	if (p->domain.len == 0)
		return;
	buf_add_char(out, '@');
	for (size_t i = 0; i < p->domain.len; i++)
		buf_add_char(out, chr_lower(p->domain.p[i]));
}

int
path_split(struct str address, struct path *out)
{
	out->local = out->domain = STR("");
	out->is_literal = out->is_utf8 = false;
	if (address.len == 0)
		return 0;
	struct cursor c = { address.p, address.p + address.len };
	if (parse_local(&c, out) != PATH_OK || !at(&c, '@'))
		return -1;
	c.p++;
	if (parse_domain(&c, out) != PATH_OK || c.p != c.end)
		return -1;
	out->is_utf8 = has_8bit(out->local) || has_8bit(out->domain);
	return 0;
}
