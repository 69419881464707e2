/* The conditions of a rule. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "milters/rules/rule.h"
#include "milters/rules/rule_line.h"

void
condition_clear(struct condition *c)
{
	patterns_clear(&c->names);
	patterns_clear(&c->patterns);
	free(c->nets);
	memset(c, 0, sizeof(*c));
}

/* --- what stands behind the words --- */

static int
take_net(struct rule_line *l, void *out)
{
	struct condition *c = out;
	struct addr_net net;

	if ((l->token.kind != TOKEN_WORD && l->token.kind != TOKEN_STRING) ||
	    addr_net_parse(str_of(l->token.text.p), &net) == -1)
		return rule_line_fault(l, "not a network: %s", l->token.text.p);
	c->nets = xreallocarray(c->nets, c->nnets + 1, sizeof(*c->nets));
	c->nets[c->nnets++] = net;
	rule_line_next(l);
	return 0;
}

static int
arg_nets(struct rule_line *l, struct condition *c)
{
	return rule_line_list(l, take_net, c);
}

static int
arg_patterns(struct rule_line *l, struct condition *c)
{
	return rule_line_patterns(l, &c->patterns);
}

static int
arg_header(struct rule_line *l, struct condition *c)
{
	if (rule_line_patterns(l, &c->names) == -1)
		return -1;
	return rule_line_has_pattern(l) ? arg_patterns(l, c) : 0;
}

static int
arg_size(struct rule_line *l, struct condition *c)
{
	static const char units[] = "KMG";
	struct str s = str_of(l->token.text.p);
	const char *unit = s.len > 1 ? strchr(units, s.p[s.len - 1]) : NULL;
	unsigned int shift = 0;

	if (unit != NULL) {
		shift = 10 * (unsigned int)(unit - units + 1);
		s.len--;
	}
	if (l->token.kind != TOKEN_WORD ||
	    str_to_u64(s, UINT64_MAX >> shift, &c->size) == -1)
		return rule_line_fault(l, "not a size: %s", l->token.text.p);
	c->size <<= shift;
	rule_line_next(l);
	return 0;
}

static int
arg_none(struct rule_line *l, struct condition *c)
{
	(void)l;
	(void)c;
	return 0;
}

static const struct {
	const char *word;
	enum condition_kind kind;
	int (*arg)(struct rule_line *l, struct condition *c);
} words[] = {
	{ "attachment", COND_ATTACHMENT, arg_patterns },
	{ "auth", COND_AUTH, arg_none },
	{ "header", COND_HEADER, arg_header },
	{ "helo", COND_HELO, arg_patterns },
	{ "larger", COND_LARGER, arg_size },
	{ "mail-from", COND_MAIL_FROM, arg_patterns },
	{ "rcpt", COND_RCPT, arg_patterns },
	{ "source", COND_SOURCE, arg_nets },
	{ "type", COND_TYPE, arg_patterns },
};

/* 1: there is one; 0: the token begins something else. */
static int
parse_one(struct rule_line *l, struct condition *c)
{
	*c = (struct condition){ .negated = l->token.kind == TOKEN_NOT };
	if (c->negated)
		rule_line_next(l);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!token_is(&l->token, words[i].word))
			continue;
		c->kind = words[i].kind;
		rule_line_next(l);
		if (words[i].arg(l, c) == 0)
			return 1;
		condition_clear(c);
		return -1;
	}
	return c->negated ? rule_line_fault(l, "no condition behind !") : 0;
}

int
rule_parse_conditions(struct rule_line *l, struct rule *out)
{
	struct condition c;
	int found;

	while ((found = parse_one(l, &c)) == 1) {
		out->conditions =
		    xreallocarray(out->conditions, out->n + 1, sizeof(c));
		out->conditions[out->n++] = c;
	}
	return found;
}
