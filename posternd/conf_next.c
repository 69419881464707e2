/* The next hops of an action: `to', and `lmtp'. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "posternd/conf_action.h"
#include "posternd/conf_hops.h"

enum { HOPS_MAX = 4096 };

/* --- relay to --- */

static int
add_hop(struct conf_parser *p, struct buf *hops)
{
	struct fault why;
	struct str s = conf_peek(p)->text;

	if (conf_hops_check(s, &why) == -1)
		return conf_error(p, "%s", why.text);
	if (hops->len > 0)
		buf_add_char(hops, ' ');
	buf_add_str(hops, str_trim(s));
	if (hops->failed)
		return conf_error(p, "too many next hops");
	conf_advance(p);
	return 0;
}

/* URL ..., up to what is not one; a list may go over lines. */
static int
take_hops(struct conf_parser *p, struct action *a, bool in_list)
{
	enum conf_kind kind;
	struct fault why;
	struct buf hops;
	int r = 0;

	buf_init(&hops, HOPS_MAX);
	for (;;) {
		kind = conf_peek(p)->kind;
		if (kind == CONF_COMMA || (in_list && kind == CONF_EOL)) {
			conf_advance(p);
			continue;
		}
		if (kind != CONF_STRING && kind != CONF_MACRO)
			break;
		if (add_hop(p, &hops) == -1) {
			r = -1;
			break;
		}
	}
	a->hops = str_dup(buf_str(&hops));
	buf_clear(&hops);
	/* Once more for what only all of them show: too many. */
	if (r == 0 && a->hops[0] != '\0' &&
	    conf_hops_check(str_of(a->hops), &why) == -1)
		r = conf_error(p, "%s", why.text);
	return r;
}

/* A list is of next hops, unless its first entry has a value. */
static bool
is_map(struct conf_parser *p)
{
	const struct conf_statement *st = p->st;
	size_t i = p->at + 1;

	while (i < st->ntokens && st->tokens[i].kind == CONF_EOL)
		i++;
	return i + 1 < st->ntokens && st->tokens[i + 1].kind == CONF_EQUALS;
}

static int
take_hop_list(struct conf_parser *p, struct action *a)
{
	conf_advance(p);
	if (take_hops(p, a, true) == -1)
		return -1;
	if (conf_peek(p)->kind != CONF_CLOSE)
		return conf_error(p, "expected a next hop in quotes, not %s",
		    conf_kind_text(conf_peek(p)->kind));
	if (a->hops[0] == '\0')
		return conf_error(p, "no next hop");
	conf_advance(p);
	return 0;
}

/* Does the macro stand for URLs? Else it names a table. */
static bool
is_url(struct str s)
{
	for (; s.len >= 3; s = str_skip(s, 1))
		if (str_eq(str_head(s, 3), STR("://")))
			return true;
	return false;
}

/* to URL ... | to TABLE | to { ... } */
int
conf_set_to(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;
	const struct conf_token *t = conf_peek(p);

	(void)k;
	if (m->action.hops != NULL)
		return conf_error(p, "`to' beside `lmtp'");
	m->has_to = true;
	if (t->kind == CONF_MACRO &&
	    (!is_url(t->text) || t->text.p[0] == '"' || t->text.p[0] == '{'))
		t = conf_peek_word(p);
	if (t->kind == CONF_STRING || t->kind == CONF_MACRO)
		return take_hops(p, &m->action, false);
	if (t->kind == CONF_OPEN && !is_map(p))
		return take_hop_list(p, &m->action);
	m->action.routes = conf_take_table(p, TABLE_FOR_ROUTES);
	return m->action.routes == NULL ? -1 : 0;
}

/* --- lmtp --- */

/* A socket in the notation of filters, as a URL. */
static int
add_socket(struct conf_parser *p, struct str s, struct buf *url)
{
	struct milter_socket socket = { .text = NULL };
	char text[ADDR_TEXT_MAX];
	int r = conf_parse_socket(p, s, &socket);

	if (r == 0 && socket.path != NULL)
		buf_addf(url, "lmtp+unix://%s", socket.path);
	else if (r == 0 && socket.host != NULL)
		buf_addf(url, "lmtp://%s:%u", socket.host, socket.port);
	else if (r == 0)
		buf_addf(url, socket.ipv6 ? "lmtp://[%s]:%u" : "lmtp://%s:%u",
		    addr_format(&socket.addr, text), socket.port);
	free(socket.text);
	free(socket.path);
	free(socket.host);
	return r;
}

static int
check_lmtp(struct conf_parser *p, struct str url)
{
	struct hop_url hop;
	struct fault why;

	if (hop_url_parse(url, &hop, &why) == -1)
		return conf_error(p, "%s", why.text);
	return hop.lmtp ? 0 :
			  conf_error(p,
			      "`%.*s' is not LMTP: that is `relay "
			      "to'",
			      (int)str_head(url, 100).len, url.p);
}

/* lmtp "unix:PATH" | "inet:PORT@HOST" | "lmtp://..." */
int
conf_set_lmtp(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;
	struct buf url;
	struct str s;
	int r = 0;

	if (m->has_to)
		return conf_error(p, "`lmtp' beside `to'");
	if (conf_set_kind(p, k, m) == -1 ||
	    conf_take_text(p, "a socket in quotes", &s) == -1)
		return -1;
	p->at--; /* errors from here on are about the socket */
	buf_init(&url, HOPS_MAX);
	if (is_url(s))
		buf_add_str(&url, s);
	else
		r = add_socket(p, s, &url);
	if (r == 0)
		r = check_lmtp(p, buf_str(&url));
	if (r == 0) {
		m->action.hops = str_dup(buf_str(&url));
		conf_advance(p);
	}
	buf_clear(&url);
	return r;
}
