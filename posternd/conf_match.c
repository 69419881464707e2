/* `match` and `bare-newline`: who may send what to whom. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "posternd/conf_parse.h"

enum { CONDS_MAX = 64, TEXT_MAX = 4096, REPLY_MAX = 500 };

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

/* clang-format off */
static const struct conf_keyword from_words[] = {
	CONF_CHOICE("any", cond_plain, COND_FROM_ANY),
	CONF_CHOICE("local", cond_plain, COND_FROM_LOCAL),
	CONF_CHOICE("source", cond_table, COND_FROM_SOURCE),
	CONF_LATER("auth"),
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

static bool
is_printable(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

/* Length of the enhanced code (RFC 3463: class.subject.detail) at the start
 * of s, 0 when there is none. */
static size_t
enhanced_len(struct str s)
{
	size_t n = 0, dots = 0, digits = 0;

	for (; n < s.len && s.p[n] != ' '; n++) {
		if (chr_is_digit(s.p[n]) && ++digits <= 3)
			continue;
		if (s.p[n] != '.' || digits == 0 || ++dots > 2)
			return 0;
		digits = 0;
	}
	return dots == 2 && digits > 0 ? n : 0;
}

static bool
is_reply(struct str s, char class)
{
	return s.len >= 3 && s.p[0] == class && s.p[1] >= '0' &&
	       s.p[1] <= '5' && chr_is_digit(s.p[2]) &&
	       (s.len == 3 || s.p[3] == ' ');
}

/* `550 5.1.1 text`; the enhanced code is put in when it is missing, because
 * replies always have one. */
static int
set_reply(struct conf_parser *p, struct rule *r, struct str s)
{
	char class = r->verdict == VERDICT_REJECT ? '5' : '4';
	struct str text = str_trim(str_skip(s, 3));
	size_t code = enhanced_len(text);
	char reply[REPLY_MAX + 16];

	if (!is_reply(s, class))
		return conf_error(p, "`%.*s' is not a %cxx reply",
		    (int)(s.len > 60 ? 60 : s.len), s.p, class);
	if (!is_printable(s) || s.len > REPLY_MAX)
		return conf_error(p,
		    "a reply is printable ASCII, at most %d bytes", REPLY_MAX);
	if (code > 0 && (text.p[0] != class || text.p[1] != '.'))
		return conf_error(p,
		    "the enhanced code `%.*s' is not of class %c", (int)code,
		    text.p, class);
	snprintf(reply, sizeof(reply), "%.3s %.*s%s%.*s", s.p, code > 0 ? 0 : 5,
	    class == '5' ? "5.7.1" : "4.7.1",
	    code > 0 || text.len == 0 ? "" : " ", (int)text.len, text.p);
	free(r->reply);
	r->reply = xstrdup(reply);
	return 0;
}

static int
verdict_refuse(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;
	const struct conf_token *t = conf_peek(p);

	m->rule.verdict = (enum verdict_kind)k->value;
	m->done = true;
	if (t->kind != CONF_STRING && t->kind != CONF_MACRO)
		return 0;
	if (set_reply(p, &m->rule, t->text) == -1)
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
	CONF_LATER("tls"),
	CONF_LATER("auth"),
	CONF_CHOICE("rdns", cond_plain, COND_RDNS),
	CONF_CHOICE("fcrdns", cond_plain, COND_FCRDNS),
	CONF_CHOICE("helo-ptr", cond_plain, COND_HELO_PTR),
	CONF_LATER("dnsbl"),
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
};

/* All conditions have to hold, so two of a kind are most likely meant as one
 * or the other: that is what a list is for. */
static int
check_twice(struct conf_parser *p, const struct rule *r)
{
	size_t i, j;

	for (i = 0; i < r->nconds; i++)
		for (j = 0; j < i; j++)
			if (!r->conds[i].negate && !r->conds[j].negate &&
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
