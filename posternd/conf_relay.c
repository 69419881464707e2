/* What a relay has besides its next hops: TLS, credentials, a certificate,
 * addresses to connect from; and what of that goes together. */
#include "lib/base/alloc.h"
#include "posternd/conf_action.h"
#include "posternd/conf_hops.h"
#include "posternd/conf_pki.h"

/* --- tls WORD ... --- */

static int
set_tls_word(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct action *a = into;

	(void)p;
	a->tls |= (unsigned int)k->value;
	return 0;
}

/* clang-format off */
static const struct conf_keyword tls_words[] = {
	CONF_CHOICE("opportunistic", set_tls_word, ACTION_TLS_MAY),
	CONF_CHOICE("require", set_tls_word, ACTION_TLS_REQUIRE),
	CONF_CHOICE("dane", set_tls_word, ACTION_TLS_DANE),
	CONF_CHOICE("mta-sts", set_tls_word, ACTION_TLS_STS),
	CONF_CHOICE("no-verify", set_tls_word, ACTION_TLS_UNVERIFIED),
	CONF_NO_MORE
};

/* clang-format on */

static bool
is_tls_word(const struct conf_token *t)
{
	return t->kind == CONF_WORD &&
	       conf_find_keyword(tls_words, t->text) != NULL;
}

static int
check_tls_words(struct conf_parser *p, unsigned int tls)
{
	if ((tls & ACTION_TLS_MAY) != 0 && tls != ACTION_TLS_MAY)
		return conf_error(p, "`opportunistic' stands alone: `dane' and "
				     "`mta-sts' are that for whoever has "
				     "neither, `require' never is");
	if ((tls & ACTION_TLS_UNVERIFIED) != 0 &&
	    (tls & (ACTION_TLS_DANE | ACTION_TLS_STS)) != 0)
		return conf_error(p, "`no-verify' beside `dane' or `mta-sts', "
				     "which say what is verified");
	return 0;
}

int
conf_set_tls(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;
	const struct conf_keyword *word;

	(void)k;
	do {
		unsigned int had = m->action.tls;

		word = conf_take_keyword(p, tls_words, "word behind `tls'");
		if (word == NULL)
			return -1;
		word->parse(p, word, &m->action);
		p->at--; /* errors name its line */
		if (m->action.tls == had)
			return conf_error(p, "`%s' twice", word->name);
		if (check_tls_words(p, m->action.tls) == -1)
			return -1;
		conf_advance(p);
	} while (is_tls_word(conf_peek_word(p)));
	return 0;
}

/* --- auth TABLE label "NAME" --- */

static const struct conf_keyword label_text = { .name = "label",
	.offset = offsetof(struct action, auth_label),
	.max = 255 };

int
conf_set_auth(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;
	struct action *a = &m->action;

	(void)k;
	a->auth = conf_take_table(p, TABLE_FOR_LOGIN);
	if (a->auth == NULL)
		return -1;
	if (!conf_take_word(p, "label"))
		return conf_error(p, "expected `label' behind `auth' and its "
				     "table: which of its entries?");
	if (conf_set_text(p, &label_text, a) == -1)
		return -1;
	if (table_find(a->auth, str_of(a->auth_label), NULL))
		return 0;
	p->at--;
	conf_error(p, "%s has no `%s'",
	    conf_table_called(conf_table_of(p, a->auth)), a->auth_label);
	conf_advance(p);
	return -1;
}

/* --- pki NAME --- */

int
conf_set_action_pki(
    struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;

	(void)k;
	m->action.pki = conf_take_pki(p);
	return m->action.pki == NULL ? -1 : 0;
}

/* --- source ADDRESS, or { ADDRESS, ... } --- */

static int
add_source(struct conf_parser *p, struct action *a)
{
	struct addr addr;

	if (conf_take_address(p, "an address", &addr) == -1)
		return -1;
	p->at--; /* errors name its line */
	/* The number of an interface does not tell which address is ours. */
	if (hop_is_unusable(&addr) || addr.scope != 0)
		return conf_error(p, "nobody can connect from that address");
	for (size_t i = 0; i < a->nsources; i++)
		if (addr_eq(&a->sources[i], &addr))
			return conf_error(p, "the same address twice");
	if (a->nsources == ACTION_SOURCES_MAX)
		return conf_error(
		    p, "more than %d addresses", ACTION_SOURCES_MAX);
	a->sources[a->nsources++] = addr;
	conf_advance(p);
	return 0;
}

static int
take_sources(struct conf_parser *p, struct action *a)
{
	enum conf_kind kind;

	while ((kind = conf_peek_word(p)->kind) != CONF_CLOSE) {
		if (kind == CONF_COMMA || kind == CONF_EOL)
			conf_advance(p);
		else if (add_source(p, a) == -1)
			return -1;
	}
	conf_advance(p);
	return a->nsources > 0 ? 0 : conf_error(p, "a list without an address");
}

int
conf_set_source(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct conf_making *m = into;

	(void)k;
	if (conf_peek_word(p)->kind != CONF_OPEN)
		return add_source(p, &m->action);
	conf_advance(p);
	return take_sources(p, &m->action);
}

/* --- what goes together --- */

/* Nobody listens on the way there. */
static bool
stays_here(const struct hop_url *hop)
{
	return hop->kind == HOP_LOCAL ||
	       (hop->kind == HOP_ADDRESS && addr_is_loopback(&hop->addr));
}

/* An address is connected to from one of its family. */
static bool
has_source(const struct action *a, const struct hop_url *hop)
{
	for (size_t i = 0; i < a->nsources; i++)
		if (hop->kind == HOP_HOST ||
		    (hop->kind == HOP_ADDRESS &&
			hop->addr.family == a->sources[i].family))
			return true;
	return false;
}

static bool
may_have_tls(const struct action *a, const struct hop_url *hop)
{
	(void)a;
	return hop->tls != HOP_TLS_NEVER;
}

static bool
has_tls_by_url(const struct action *a, const struct hop_url *hop)
{
	(void)a;
	return hop->tls == HOP_TLS_STARTTLS || hop->tls == HOP_TLS_AT_ONCE;
}

static bool
is_in_the_clear(const struct action *a, const struct hop_url *hop)
{
	(void)a;
	return hop->kind != HOP_LOCAL && hop->tls == HOP_TLS_NEVER;
}

static bool
has_records(const struct action *a, const struct hop_url *hop)
{
	(void)a;
	return hop->kind == HOP_HOST && hop->tls != HOP_TLS_NEVER;
}

/* May it be that the password goes in the clear? */
static bool
may_leak(const struct action *a, const struct hop_url *hop)
{
	if (stays_here(hop) || has_tls_by_url(a, hop))
		return false;
	return hop->tls == HOP_TLS_NEVER || (a->tls & ACTION_TLS_REQUIRE) == 0;
}

/* What to write instead: the same place with TLS, or, where a URL cannot say
 * it (LMTP), the word. */
static int
refuse_auth(struct conf_parser *p, struct str url)
{
	struct str place = str_skip(url, str_find(url, ':') + 3);
	bool is_lmtp = str_starts_nocase(url, STR("lmtp"));

	place = str_head(place, 100);
	return conf_error(p,
	    "`auth' at `%.*s', where the password could go in the clear: "
	    "write `%s%.*s'",
	    (int)str_head(url, 100).len, url.p,
	    is_lmtp ? "tls require" : "smtp+tls://",
	    is_lmtp ? 0 : (int)place.len, place.p);
}

static int
check_auth(struct conf_parser *p, const struct action *a, bool by_mx)
{
	struct str url;

	if (a->auth == NULL)
		return 0;
	if (by_mx)
		return conf_error(p, "`auth' by MX: the password would go to "
				     "whomever a domain names; `to' says whom "
				     "it is for");
	return conf_hops_any(a, may_leak, &url) ? refuse_auth(p, url) : 0;
}

/* With next hops that are known: `tls' has to mean something there. */
static int
check_tls_at_hops(struct conf_parser *p, const struct action *a)
{
	struct str url;

	if ((a->tls & ACTION_TLS_STS) != 0)
		return conf_error(p, "`mta-sts' is for relay by MX: next hops "
				     "that stand here have no such policy");
	if ((a->tls & ACTION_TLS_REQUIRE) != 0 &&
	    conf_hops_any(a, is_in_the_clear, &url))
		return conf_error(p, "`tls require' beside `%.*s'",
		    (int)str_head(url, 100).len, url.p);
	if (a->tls != 0 && !conf_hops_any(a, may_have_tls, NULL))
		return conf_error(p, "`tls' where no next hop can have it");
	if ((a->tls & ACTION_TLS_DANE) != 0 &&
	    !conf_hops_any(a, has_records, NULL))
		return conf_error(p, "`dane' where no next hop is a host's "
				     "name: addresses have no TLSA records");
	return 0;
}

static int
check_verify(struct conf_parser *p, const struct action *a)
{
	if ((a->tls & ACTION_TLS_UNVERIFIED) == 0 ||
	    (a->tls & ACTION_TLS_REQUIRE) != 0 ||
	    conf_hops_any(a, has_tls_by_url, NULL))
		return 0;
	return conf_error(p, "`no-verify' without `require', smtp+tls:// or "
			     "smtps://: nothing would be verified anyway");
}

static int
check_hops(struct conf_parser *p, const struct action *a)
{
	if (a->tls != 0 && check_tls_at_hops(p, a) == -1)
		return -1;
	if (a->pki != NULL && !conf_hops_any(a, may_have_tls, NULL))
		return conf_error(p, "`pki' where no next hop can have TLS");
	if (a->nsources > 0 && !conf_hops_any(a, has_source, NULL))
		return conf_error(p, "`source' from where no next hop can be "
				     "reached: sockets of the file system, or "
				     "addresses of the other family");
	return 0;
}

int
conf_check_relay(struct conf_parser *p, const struct conf_making *m)
{
	const struct action *a = &m->action;
	bool by_mx = a->hops == NULL && a->routes == NULL;

	if (!by_mx && a->mx_port != 0)
		return conf_error(p, "`port' belongs to `relay' by MX only: "
				     "a next hop has it in its URL");
	if (!by_mx && check_hops(p, a) == -1)
		return -1;
	if (check_verify(p, a) == -1)
		return -1;
	return check_auth(p, a, by_mx);
}
