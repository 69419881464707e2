/* The rule file as a whole. */
#include <libmilter/mfapi.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "milters/rules/rule.h"
#include "milters/rules/rule_line.h"

/* What the MTA has to allow for an action. */
static unsigned long
acts_of(const struct action *a)
{
	switch (a->kind) {
	case DO_ACCEPT:
	case DO_DISCARD:
	case DO_REJECT:
	case DO_TEMPFAIL:
		break;
	case DO_QUARANTINE:
		return SMFIF_QUARANTINE;
	case DO_ADD_HEADER:
	case DO_INSERT_HEADER:
		return SMFIF_ADDHDRS;
	case DO_REMOVE_HEADER:
		return SMFIF_CHGHDRS;
	case DO_REPLACE_HEADER:
		return SMFIF_ADDHDRS | SMFIF_CHGHDRS;
	case DO_ADD_RCPT:
		return SMFIF_ADDRCPT;
	case DO_DELETE_RCPT:
		return SMFIF_DELRCPT;
	case DO_CHANGE_SENDER:
		return SMFIF_CHGFROM;
	}
	return 0;
}

static void
rule_clear(struct rule *r)
{
	for (size_t i = 0; i < r->n; i++)
		condition_clear(&r->conditions[i]);
	free(r->conditions);
	action_clear(&r->action);
}

static void
rules_add(struct rules *r, const struct rule *rule)
{
	r->rules = xreallocarray(r->rules, r->n + 1, sizeof(*rule));
	r->rules[r->n++] = *rule;
	r->acts |= acts_of(&rule->action);
	for (size_t i = 0; i < rule->n; i++) {
		enum condition_kind kind = rule->conditions[i].kind;

		r->wants_body = r->wants_body || kind == COND_ATTACHMENT ||
				kind == COND_TYPE || kind == COND_LARGER;
	}
}

/* match CONDITION… ACTION */
static int
parse_rule(struct rule_line *l, struct rule *out)
{
	if (!token_is(&l->token, "match"))
		return rule_line_fault(l, "a rule begins with match");
	rule_line_next(l);
	if (rule_parse_conditions(l, out) == -1 ||
	    rule_parse_action(l, &out->action) == -1)
		return -1;
	return l->token.kind == TOKEN_END ?
		   0 :
		   rule_line_fault(l, "too much: %s", l->token.text.p);
}

/* Returns 1 for a fault. */
static int
parse_line(struct rules *r, const char *name, unsigned int number,
    struct str text, struct buf *errors)
{
	struct rule rule = { .line = number };
	struct rule_line l;
	int wrong = 0;

	rule_line_init(&l, text);
	bool empty = l.token.kind == TOKEN_END;
	if (text.len > 0 && memchr(text.p, '\0', text.len) != NULL)
		(void)rule_line_fault(&l, "NUL in the line");
	else if (!empty)
		(void)parse_rule(&l, &rule);
	if (l.error[0] != '\0') {
		buf_addf(errors, "%s:%u: %s\n", name, number, l.error);
		rule_clear(&rule);
		wrong = 1;
	} else if (!empty)
		rules_add(r, &rule);
	rule_line_clear(&l);
	return wrong;
}

struct rules *
rules_parse(const char *name, struct str text, struct buf *errors)
{
	struct rules *r = xcalloc(1, sizeof(*r));
	unsigned int number = 0;
	int wrong = 0;

	atomic_init(&r->refs, 1);
	while (text.len > 0) {
		size_t n = str_find(text, '\n');

		wrong +=
		    parse_line(r, name, ++number, str_head(text, n), errors);
		text = str_skip(text, n + 1);
	}
	if (wrong > 0)
		rules_unref(&r);
	return r;
}

struct rules *
rules_ref(struct rules *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void
rules_unref(struct rules **r)
{
	struct rules *rules = *r;

	*r = NULL;
	if (rules == NULL || atomic_fetch_sub(&rules->refs, 1) > 1)
		return;
	for (size_t i = 0; i < rules->n; i++)
		rule_clear(&rules->rules[i]);
	free(rules->rules);
	free(rules);
}
