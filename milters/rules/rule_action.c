/* The action of a rule. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "lib/mail/reply.h"
#include "milters/rules/rule.h"
#include "milters/rules/rule_line.h"

enum { TEXT_MAX = 400, NAME_MAX_LEN = 100, INDEX_MAX = 1000 };

void
action_clear(struct action *a)
{
	free(a->name);
	free(a->value);
	free(a->code);
	free(a->status);
	free(a->text);
	patterns_clear(&a->names);
	patterns_clear(&a->patterns);
	memset(a, 0, sizeof(*a));
}

bool
action_decides(const struct action *a)
{
	return a->kind < DO_ADD_HEADER;
}

/* --- what stands behind the words --- */

static bool
is_text(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static int
arg_none(struct rule_line *l, struct action *a)
{
	(void)l;
	(void)a;
	return 0;
}

/* libmilter wants per cent signs twice. */
static char *
double_percent(struct str s)
{
	char *out = xcalloc(2, s.len + 1), *to = out;

	for (size_t i = 0; i < s.len; i++) {
		*to++ = s.p[i];
		if (s.p[i] == '%')
			*to++ = '%';
	}
	return out;
}

/* "550 5.7.1 text", the enhanced code and the text may be left out. */
static int
set_reply(struct rule_line *l, struct action *a, struct str s, char class)
{
	struct status st = {
		.class = (uint8_t)(class - '0'), .subject = 7, .detail = 1
	};
	struct str rest = str_skip(s, 4);
	char status[16];

	if (s.len < 3 || s.p[0] != class || !chr_is_digit(s.p[1]) ||
	    !chr_is_digit(s.p[2]) || (s.len > 3 && s.p[3] != ' ') ||
	    s.len > TEXT_MAX)
		return rule_line_fault(
		    l, "the reply has to be \"%cxx x.y.z text\"", class);
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] >= 0x7f)
			return rule_line_fault(
			    l, "the reply has to be printable ASCII");
	if (status_parse(rest, &st, &rest) == 0 && st.class != class - '0')
		return rule_line_fault(l, "the reply's codes contradict");
	if (rest.len == 0)
		rest = STR("Command rejected");
	a->code = xstrndup(s.p, 3);
	a->status = xstrdup(status_format(&st, status));
	a->text = double_percent(rest);
	return 0;
}

static int
arg_reply(struct rule_line *l, struct action *a)
{
	bool reject = a->kind == DO_REJECT;
	struct str s = reject ? STR("550 5.7.1 Command rejected") :
				STR("451 4.7.1 Try again later");
	int result;

	if (l->token.kind != TOKEN_STRING)
		return set_reply(l, a, s, reject ? '5' : '4');
	result = set_reply(l, a, str_of(l->token.text.p), reject ? '5' : '4');
	rule_line_next(l);
	return result;
}

static int
arg_reason(struct rule_line *l, struct action *a)
{
	a->value = rule_line_text(l, "the reason");
	if (a->value == NULL)
		return -1;
	if (a->value[0] == '\0' || !is_text(a->value) ||
	    strlen(a->value) > TEXT_MAX)
		return rule_line_fault(l, "the reason has to be text");
	return 0;
}

static int
arg_field(struct rule_line *l, struct action *a)
{
	a->name = rule_line_text(l, "the header field's name");
	if (a->name == NULL)
		return -1;
	for (const char *p = a->name; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == ':')
			return rule_line_fault(
			    l, "not a header field's name: %s", a->name);
	if (a->name[0] == '\0' || strlen(a->name) > NAME_MAX_LEN)
		return rule_line_fault(
		    l, "not a header field's name: %s", a->name);
	a->value = rule_line_text(l, "the header field's value");
	if (a->value == NULL)
		return -1;
	return is_text(a->value) ?
		   0 :
		   rule_line_fault(
		       l, "the header field's value has to be text");
}

static int
arg_index_field(struct rule_line *l, struct action *a)
{
	uint64_t index = 0;

	if (l->token.kind == TOKEN_WORD && chr_is_digit(l->token.text.p[0])) {
		if (str_to_u64(str_of(l->token.text.p), INDEX_MAX, &index) ==
		    -1)
			return rule_line_fault(
			    l, "not an index: %s", l->token.text.p);
		rule_line_next(l);
	}
	a->index = (int)index;
	return arg_field(l, a);
}

static int
arg_remove(struct rule_line *l, struct action *a)
{
	if (rule_line_patterns(l, &a->names) == -1)
		return -1;
	return rule_line_has_pattern(l) ? rule_line_patterns(l, &a->patterns) :
					  0;
}

static int
arg_patterns(struct rule_line *l, struct action *a)
{
	return rule_line_patterns(l, &a->patterns);
}

/* Kept with brackets, as it goes out. */
static int
arg_address(struct rule_line *l, struct action *a)
{
	unsigned int flags =
	    PATH_ALLOW_BARE | PATH_ALLOW_UTF8 |
	    (a->kind == DO_CHANGE_SENDER ? PATH_ALLOW_NULL : 0U);
	char *text = rule_line_text(l, "the address");
	struct path path;
	struct str rest;
	struct buf b;

	if (text == NULL)
		return -1;
	if (path_parse(str_of(text), flags, &path, &rest) != PATH_OK ||
	    rest.len > 0) {
		int r = rule_line_fault(l, "not an address: %s", text);

		free(text);
		return r;
	}
	buf_init(&b, PATH_FORMAT_MAX + 2);
	buf_add_char(&b, '<');
	path_format(&path, &b);
	buf_add_char(&b, '>');
	a->value = str_dup(buf_str(&b));
	buf_clear(&b);
	free(text);
	return 0;
}

/* One word or two. */
static const struct {
	const char *word, *second;
	enum action_kind kind;
	int (*arg)(struct rule_line *l, struct action *a);
} words[] = {
	{ "accept", NULL, DO_ACCEPT, arg_none },
	{ "discard", NULL, DO_DISCARD, arg_none },
	{ "reject", NULL, DO_REJECT, arg_reply },
	{ "tempfail", NULL, DO_TEMPFAIL, arg_reply },
	{ "quarantine", NULL, DO_QUARANTINE, arg_reason },
	{ "add", "header", DO_ADD_HEADER, arg_field },
	{ "insert", "header", DO_INSERT_HEADER, arg_index_field },
	{ "remove", "header", DO_REMOVE_HEADER, arg_remove },
	{ "replace", "header", DO_REPLACE_HEADER, arg_field },
	{ "add", "rcpt", DO_ADD_RCPT, arg_address },
	{ "delete", "rcpt", DO_DELETE_RCPT, arg_patterns },
	{ "change", "sender", DO_CHANGE_SENDER, arg_address },
};

int
rule_parse_action(struct rule_line *l, struct action *out)
{
	char first[32];

	memset(out, 0, sizeof(*out));
	if (l->token.kind != TOKEN_WORD)
		return rule_line_fault(l, "no action");
	(void)snprintf(first, sizeof(first), "%s", l->token.text.p);
	rule_line_next(l);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(first, words[i].word) != 0)
			continue;
		if (words[i].second != NULL) {
			if (!token_is(&l->token, words[i].second))
				continue;
			rule_line_next(l);
		}
		out->kind = words[i].kind;
		return words[i].arg(l, out);
	}
	return rule_line_fault(l, "unknown: %s", first);
}
