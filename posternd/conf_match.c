/* `match` and `bare-newline`: who may send what to whom. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/rules/dnsbl.h"
#include "posternd/conf_parse.h"
#include "posternd/conf_reply.h"

enum { CONDS_MAX = 64, TEXT_MAX = 4096, SCORE_MAX = 100000 };

/* A rule in the making. */
struct making {
	struct rule rule;
	bool negate; /* of the condition that is being read */
	bool done;   /* the verdict is there */
};

static int
add_cond(struct conf_parser *p, struct making *m, enum cond_kind kind,
    struct table *table)
{
	struct rule *r = &m->rule;

	if (r->nconds == CONDS_MAX)
		return conf_error(p, "more than %d conditions", CONDS_MAX);
	r->conds = xreallocarray(r->conds, r->nconds + 1, sizeof(*r->conds));
	r->conds[r->nconds++] =
	    (struct cond){ .kind = kind, .negate = m->negate, .table = table };
	return 0;
}

/* --- conditions --- */

static int
cond_plain(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	if (m->negate &&
	    (k->value == COND_FROM_ANY || k->value == COND_FOR_ANY)) {
		p->at--;
		return conf_error(p, "not `any' would match nobody");
	}
	return add_cond(p, m, (enum cond_kind)k->value, NULL);
}

static const enum table_use cond_uses[] = {
	[COND_FROM_SOURCE] = TABLE_FOR_SOURCE,
	[COND_FOR_DOMAIN] = TABLE_FOR_DOMAIN,
	[COND_FOR_RCPT] = TABLE_FOR_ADDRESS,
	[COND_MAIL_FROM] = TABLE_FOR_ADDRESS,
	[COND_HELO] = TABLE_FOR_DOMAIN,
};

static int
cond_table(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct table *t = conf_take_table(p, cond_uses[k->value]);

	if (t == NULL)
		return -1;
	return add_cond(p, into, (enum cond_kind)k->value, t);
}

static int
cond_tag(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;
	struct str tag;

	if (conf_take_name(p, "a tag", &tag) == -1 ||
	    add_cond(p, m, (enum cond_kind)k->value, NULL) == -1)
		return -1;
	m->rule.conds[m->rule.nconds - 1].text = str_dup(tag);
	return 0;
}

/* auth [user USERS] */
static int
cond_auth(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct table *t = NULL;

	if (conf_take_word(p, "user") &&
	    (t = conf_take_table(p, TABLE_FOR_NAME)) == NULL)
		return -1;
	return add_cond(p, into, (enum cond_kind)k->value, t);
}

/* Its index among the tables of DNS lists; -1 after conf_error. */
static int
dnsbl_index(struct conf_parser *p, struct table *t)
{
	struct config *c = p->config;

	for (size_t i = 0; i < c->ndnsbls; i++)
		if (c->dnsbls[i] == t)
			return (int)i;
	if (c->ndnsbls == CONFIG_DNSBLS_MAX)
		return conf_error(p,
		    "more than %d tables of DNS lists; one table may stand "
		    "in many rules",
		    CONFIG_DNSBLS_MAX);
	c->dnsbls[c->ndnsbls] = t;
	return (int)c->ndnsbls++;
}

/* Can the table give it? */
static int
check_score(struct conf_parser *p, const struct table *t, uint64_t score)
{
	struct fault why = { 0 };
	int32_t most = 0;

	if (dnsbl_check(t, &most, &why) == -1)
		return conf_error(p, "%s", why.text);
	if ((int64_t)score > most)
		return conf_error(p,
		    "a score of %d is out of reach: all lists together give "
		    "%d",
		    (int)score, (int)most);
	return 0;
}

/* dnsbl LISTS [score N] */
static int
cond_dnsbl(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct table *t = conf_take_table(p, TABLE_FOR_LISTS);
	struct making *m = into;
	uint64_t score = 1;
	struct cond *c;
	int i, r;

	if (t == NULL)
		return -1;
	if (conf_take_word(p, "score") &&
	    conf_take_count(p, 1, SCORE_MAX, &score) == -1)
		return -1;
	p->at--; /* errors name its line */
	i = dnsbl_index(p, t);
	r = i == -1 ? -1 : check_score(p, t, score);
	conf_advance(p);
	if (r == -1 || add_cond(p, m, (enum cond_kind)k->value, t) == -1)
		return -1;
	c = &m->rule.conds[m->rule.nconds - 1];
	c->dnsbl = (uint32_t)i;
	c->score = (int32_t)score;
	return 0;
}

/* clang-format off */
static const struct conf_keyword from_words[] = {
	CONF_CHOICE("any", cond_plain, COND_FROM_ANY),
	CONF_CHOICE("local", cond_plain, COND_FROM_LOCAL),
	CONF_CHOICE("source", cond_table, COND_FROM_SOURCE),
	CONF_CHOICE("auth", cond_plain, COND_FROM_AUTH),
	CONF_NO_MORE
};

static const struct conf_keyword for_words[] = {
	CONF_CHOICE("any", cond_plain, COND_FOR_ANY),
	CONF_CHOICE("domain", cond_table, COND_FOR_DOMAIN),
	CONF_CHOICE("rcpt", cond_table, COND_FOR_RCPT),
	CONF_NO_MORE
};

/* clang-format on */

static int
cond_from(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_keyword *word =
	    conf_take_keyword(p, from_words, "word behind `from'");

	(void)k;
	return word == NULL ? -1 : word->parse(p, word, into);
}

static int
cond_for(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_keyword *word =
	    conf_take_keyword(p, for_words, "word behind `for'");

	(void)k;
	return word == NULL ? -1 : word->parse(p, word, into);
}

/* --- verdicts --- */

static const struct action *
unknown_action(struct conf_parser *p, struct str name)
{
	const struct config *c = p->config;
	const char **names = xcalloc(c->nactions + 1, sizeof(*names));
	size_t i;

	for (i = 0; i < c->nactions; i++)
		names[i] = c->actions[i].name;
	conf_error(p, "unknown action `%.*s'%s", (int)name.len, name.p,
	    conf_nearest_name(name, names, c->nactions));
	free(names);
	return NULL;
}

static int
verdict_action(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;
	struct rule *r = &m->rule;
	struct str name;

	if (conf_take_name(p, "the name of an action", &name) == -1)
		return -1;
	p->at--;
	r->action = config_find_action(p->config, name);
	if (r->action == NULL)
		r->action = unknown_action(p, name);
	if (r->action == NULL)
		return -1;
	p->action_notes[r->action->id].used = true;
	r->verdict = (enum verdict_kind)k->value;
	m->done = true;
	conf_advance(p);
	return 0;
}

static int
verdict_refuse(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;
	const struct conf_token *t = conf_peek(p);

	m->rule.verdict = (enum verdict_kind)k->value;
	m->done = true;
	if (t->kind == CONF_WORD && chr_is_digit(t->text.p[0]))
		return conf_error(p, "a reply stands in quotes");
	if (t->kind != CONF_STRING && t->kind != CONF_MACRO)
		return 0;
	if (conf_parse_reply(p, t->text, k->value == VERDICT_REJECT ? "5" : "4",
		&m->rule.reply) == -1)
		return -1;
	conf_advance(p);
	return 0;
}

/* --- the filters of these recipients --- */

static int
set_milters(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)k;
	if (m->rule.milters != NULL)
		return conf_error(p, "`milters' twice");
	m->rule.milters = conf_take_milters(p);
	return m->rule.milters == NULL ? -1 : 0;
}

/* --- the statement --- */

/* clang-format off */
static const struct conf_keyword conditions[] = {
	CONF_OPTION("from", cond_from),
	CONF_OPTION("for", cond_for),
	CONF_CHOICE("mail-from", cond_table, COND_MAIL_FROM),
	CONF_CHOICE("helo", cond_table, COND_HELO),
	CONF_CHOICE("tag", cond_tag, COND_TAG),
	CONF_CHOICE("tls", cond_plain, COND_TLS),
	CONF_CHOICE("auth", cond_auth, COND_AUTH),
	CONF_CHOICE("rdns", cond_plain, COND_RDNS),
	CONF_CHOICE("fcrdns", cond_plain, COND_FCRDNS),
	CONF_CHOICE("helo-ptr", cond_plain, COND_HELO_PTR),
	CONF_CHOICE("dnsbl", cond_dnsbl, COND_DNSBL),
	CONF_CHOICE("early-talker", cond_plain, COND_EARLY_TALKER),
	CONF_CHOICE("action", verdict_action, VERDICT_ACTION),
	CONF_CHOICE("reject", verdict_refuse, VERDICT_REJECT),
	CONF_CHOICE("tempfail", verdict_refuse, VERDICT_TEMPFAIL),
	CONF_CHOICE("quarantine", verdict_action, VERDICT_QUARANTINE),
	CONF_OPTION("milters", set_milters),
	CONF_NO_MORE
};

/* clang-format on */

static bool
is_verdict(const struct conf_keyword *k)
{
	return k->parse == verdict_action || k->parse == verdict_refuse;
}

static int
take_part(struct conf_parser *p, struct making *m)
{
	const struct conf_keyword *k;

	m->negate = conf_peek_word(p)->kind == CONF_NOT;
	if (m->negate)
		conf_advance(p);
	if (conf_peek(p)->kind == CONF_STRING && m->rule.nconds > 0)
		return conf_error(p, "expected a condition or verdict, not a "
				     "string; several values stand in braces");
	k = conf_take_keyword(p, conditions, "condition or verdict");
	if (k == NULL)
		return -1;
	if (m->negate && is_verdict(k))
		return conf_error(p, "`!' before a verdict");
	if (m->negate && k->parse == set_milters)
		return conf_error(p, "`!' before `milters'");
	return k->parse(p, k, m);
}

/* Which of the words that name one thing a condition belongs to. */
static const char *const cond_words[] = {
	[COND_FROM_ANY] = "from",
	[COND_FROM_LOCAL] = "from",
	[COND_FROM_SOURCE] = "from",
	[COND_FOR_ANY] = "for",
	[COND_FOR_DOMAIN] = "for",
	[COND_FOR_RCPT] = "for",
	[COND_MAIL_FROM] = "mail-from",
	[COND_HELO] = "helo",
	[COND_RDNS] = "rdns",
	[COND_FCRDNS] = "fcrdns",
	[COND_HELO_PTR] = "helo-ptr",
	[COND_TAG] = "tag",
	[COND_FROM_AUTH] = "from",
	[COND_AUTH] = "auth",
	[COND_TLS] = "tls",
	[COND_DNSBL] = "dnsbl",
	[COND_EARLY_TALKER] = "early-talker",
};

/* All conditions have to hold, so two of a kind are most likely meant as one
 * or the other: that is what a list is for. Lists of clients may well both
 * have one. */
static int
check_twice(struct conf_parser *p, const struct rule *r)
{
	size_t i, j;

	for (i = 0; i < r->nconds; i++)
		for (j = 0; j < i; j++)
			if (!r->conds[i].negate && !r->conds[j].negate &&
			    r->conds[i].kind != COND_DNSBL &&
			    strcmp(cond_words[r->conds[i].kind],
				cond_words[r->conds[j].kind]) == 0)
				return conf_error(p,
				    "`%s' twice: both would have to hold; "
				    "use one with a list",
				    cond_words[r->conds[i].kind]);
	return 0;
}

/* One token as the administrator writes it. */
static void
add_text(struct buf *b, const struct conf_token *t)
{
	static const char *const signs[] = { [CONF_OPEN] = "{",
		[CONF_CLOSE] = "}",
		[CONF_COMMA] = ",",
		[CONF_EQUALS] = "=",
		[CONF_NOT] = "!" };

	if (t->kind == CONF_EOL)
		return;
	if (b->len > 0 && b->p[b->len - 1] != '!' && t->kind != CONF_COMMA)
		buf_add_char(b, ' ');
	if (t->kind == CONF_WORD)
		buf_add_str(b, t->text);
	else if (t->kind == CONF_STRING || t->kind == CONF_MACRO)
		buf_addf(b, "\"%.*s\"", (int)t->text.len, t->text.p);
	else
		buf_addf(b, "%s", signs[t->kind]);
}

/* The rule's line for the log and `test match`; cut when it is very long. */
static char *
rule_text(const struct conf_statement *st)
{
	struct buf b;
	char *text;
	size_t i, len = 0;

	buf_init(&b, TEXT_MAX - 4);
	for (i = 0; i < st->ntokens && !b.failed; i++) {
		len = b.len;
		add_text(&b, &st->tokens[i]);
	}
	text = xmalloc(TEXT_MAX);
	snprintf(text, TEXT_MAX, "%.*s%s", (int)(b.failed ? len : b.len),
	    b.p == NULL ? "" : b.p, b.failed ? " ..." : "");
	buf_clear(&b);
	return text;
}

static void
free_rule(struct rule *r)
{
	size_t i;

	for (i = 0; i < r->nconds; i++)
		free(r->conds[i].text);
	free(r->conds);
	free(r->text);
	free(r->reply);
}

int
conf_match(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making m = { .rule = { .line = p->st->line } };
	struct config *c = into;
	int r = 0;

	(void)k;
	m.rule.text = rule_text(p->st);
	while (r == 0 && !m.done && !conf_at_end(p))
		r = take_part(p, &m);
	/* Also behind the verdict. */
	while (r == 0 && conf_take_word(p, "milters"))
		r = set_milters(p, NULL, &m);
	if (r == 0 && !m.done)
		r = conf_error(p, "a match needs a verdict: `action', "
				  "`reject', `tempfail' or `quarantine'");
	if (r == 0 && !conf_at_end(p))
		r = conf_error(p, "a match ends with its verdict (and "
				  "`milters'), conditions stand before it");
	if (r == 0 && m.rule.milters != NULL && m.rule.action == NULL)
		r = conf_error(p, "`milters' of a rule that refuses");
	if (r == 0)
		r = check_twice(p, &m.rule);
	/* One that is half wrong is as good as none: it would only confuse
	 * the checks. */
	if (r == -1) {
		free_rule(&m.rule);
		return -1;
	}
	c->rules = xreallocarray(c->rules, c->nrules + 1, sizeof(*c->rules));
	conf_note(p, &p->rule_notes, c->nrules);
	c->rules[c->nrules++] = m.rule;
	return 0;
}

/* --- bare-newline reject [except SOURCES] --- */

int
conf_bare_newline(
    struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;

	if (conf_once(p, k, 0) == -1)
		return -1;
	if (!conf_take_word(p, "reject"))
		return conf_error(p, "expected `reject'");
	if (!conf_take_word(p, "except"))
		return 0;
	c->bare_newline_except = conf_take_table(p, TABLE_FOR_SOURCE);
	return c->bare_newline_except == NULL ? -1 : 0;
}
