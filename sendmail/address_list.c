/*
 * A list is read character by character into the address it is at. What is in
 * angle brackets wins over what stands around it; a comma, or the semicolon of
 * a group, ends it.
 */
#include "sendmail/address_list.h"

#include <stdbool.h>

#include "lib/base/buf.h"

enum {
	/* No address is that long; more is not looked at. */
	ADDRESS_MAX = 8192,
	COMMENTS_MAX = 1000 /* within each other */
};

struct list {
	struct str rest;
	struct buf address; /* in brackets, or bare so far */
	const char *end;    /* behind it, in the list */
	bool is_route;      /* within angle brackets */
	bool had_route;     /* behind them */
	bool is_group;
	bool had_blank; /* something ended before this blank */
	bool has_more;  /* more than one word without brackets */
	const char *why;
	address_fn *fn;
	void *ctx;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
has_char(const struct list *l, char c)
{
	return str_find(buf_str(&l->address), c) < l->address.len;
}

/* Does c join what stands before and behind it, with or without blanks? */
static bool
is_joint(char c)
{
	return c == '.' || c == '@';
}

/* Text of an address, or of a name, which brackets may prove; end: behind it
 * in the list. */
static void
add_text(struct list *l, struct str s, const char *end)
{
	/* A name behind it: nobody writes that, and it is no harm. */
	if (l->had_route)
		return;
	if (l->had_blank && l->address.len > 0 && !is_joint(s.p[0]) &&
	    !is_joint(l->address.p[l->address.len - 1]))
		l->has_more = true;
	l->had_blank = false;
	l->end = end;
	buf_add_str(&l->address, s);
}

static void
end_address(struct list *l)
{
	bool is_empty = l->address.len == 0 && !l->had_route;

	if (l->is_route)
		l->why = "a < without its >";
	else if (l->address.failed)
		l->why = "an address is too long";
	else if (l->has_more)
		l->why = "a comma is missing between two addresses";
	else if (!is_empty && l->fn(l->ctx, buf_str(&l->address), l->end) == -1)
		l->why = "";
	buf_reset(&l->address);
	l->had_route = l->had_blank = l->has_more = false;
}

/* Takes what is enclosed by open (at its start) and close off the rest; with
 * depth within each other. False when it has no end. */
static bool
cut_enclosed(struct list *l, char close, bool nests, struct str *out)
{
	struct str s = l->rest;
	size_t depth = 1, i;

	for (i = 1; i < s.len && depth > 0; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == close)
			depth--;
		else if (nests && s.p[i] == s.p[0] && ++depth > COMMENTS_MAX)
			return false;
	}
	if (depth > 0 || i > s.len)
		return false;
	*out = str_head(s, i);
	l->rest = str_skip(s, i);
	return true;
}

/* The line ends of a folded line are not part of what is quoted. */
static void
add_quoted(struct list *l, struct str s)
{
	struct buf b;

	buf_init(&b, ADDRESS_MAX);
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n')
			buf_add_char(&b, s.p[i]);
	if (b.failed)
		l->address.failed = true;
	else
		add_text(l, buf_str(&b), s.p + s.len);
	buf_clear(&b);
}

static void
open_route(struct list *l)
{
	if (l->is_route || l->had_route)
		l->why = "a < too many";
	/* What stood before was a name. */
	buf_reset(&l->address);
	l->end = l->rest.p + 1;
	l->is_route = true;
	l->had_blank = l->has_more = false;
}

static void
close_route(struct list *l)
{
	if (!l->is_route)
		l->why = "a > without its <";
	else if (l->has_more)
		l->why = "a blank within an address";
	l->is_route = false;
	l->had_route = true;
}

/* "name:" opens a group; a colon within brackets belongs to a route. */
static void
colon(struct list *l)
{
	if (l->is_route) {
		add_text(l, STR(":"), l->rest.p + 1);
		return;
	}
	if (l->is_group || l->had_route || has_char(l, '@'))
		l->why = "a : where none may stand";
	l->is_group = true;
	buf_reset(&l->address);
	l->had_blank = l->has_more = false;
}

static void
semicolon(struct list *l)
{
	end_address(l);
	if (l->why == NULL && !l->is_group)
		l->why = "a ; without a group";
	l->is_group = false;
}

/* Returns true when c (the first of the rest) was one with a meaning. */
static bool
take_special(struct list *l, char c)
{
	struct str unused;

	switch (c) {
	case '<':
		open_route(l);
		break;
	case '>':
		close_route(l);
		break;
	case ':':
		colon(l);
		break;
	case ';':
		semicolon(l);
		break;
	case ',':
		/* A route may have some: <@a,@b:c@d>. */
		if (l->is_route)
			add_text(l, STR(","), l->rest.p + 1);
		else
			end_address(l);
		break;
	case '(':
		if (!cut_enclosed(l, ')', true, &unused))
			l->why = "a comment without its end";
		l->had_blank = true;
		return true;
	case ')':
		l->why = "a ) without its (";
		break;
	default:
		if (!is_blank(c))
			return false;
		l->had_blank = true;
		break;
	}
	l->rest = str_skip(l->rest, 1);
	return true;
}

static void
take_text(struct list *l, char c)
{
	struct str s = str_head(l->rest, 1);

	if (c == '"' || c == '[') {
		if (cut_enclosed(l, c == '"' ? '"' : ']', false, &s))
			add_quoted(l, s);
		else
			l->why = c == '"' ? "a \" without its end" :
					    "a [ without its ]";
		return;
	}
	if (c == '\\')
		s = str_head(l->rest, 2);
	add_text(l, s, s.p + s.len);
	l->rest = str_skip(l->rest, s.len);
}

const char *
address_list(struct str list, address_fn *fn, void *ctx)
{
	struct list l = { .rest = list, .fn = fn, .ctx = ctx };

	buf_init(&l.address, ADDRESS_MAX);
	while (l.rest.len > 0 && l.why == NULL) {
		char c = l.rest.p[0];
		if (!take_special(&l, c))
			take_text(&l, c);
	}
	if (l.why == NULL)
		end_address(&l);
	buf_clear(&l.address);
	return l.why;
}
