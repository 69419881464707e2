/* Which rules hold for a mail. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "milters/rules/seen.h"

/* --- conditions --- */

static bool
has_source(const struct condition *c, const struct seen *s)
{
	for (size_t i = 0; i < c->nnets; i++)
		if (addr_net_has(&c->nets[i], &s->client))
			return true;
	return false;
}

static bool
has_helo(const struct condition *c, const struct seen *s)
{
	return s->helo != NULL && patterns_match(&c->patterns, s->helo);
}

static bool
has_from(const struct condition *c, const struct seen *s)
{
	return s->from != NULL && patterns_match(&c->patterns, s->from);
}

static bool
has_rcpt(const struct condition *c, const struct seen *s)
{
	for (size_t i = 0; i < s->nrcpts; i++)
		if (patterns_match(&c->patterns, s->rcpts[i]))
			return true;
	return false;
}

static bool
has_auth(const struct condition *c, const struct seen *s)
{
	(void)c;
	return s->auth;
}

/* As it stands, without the blanks around it, or with its encoded words
 * decoded. */
static bool
value_matches(const struct patterns *p, const char *value)
{
	struct str s = str_trim(str_of(value));
	char *text = str_dup(s);
	struct buf b;
	bool found = patterns_match(p, text);

	if (!found && strstr(text, "=?") != NULL) {
		buf_init(&b, 65536);
		(void)mime_decode_words(s, &b);
		buf_add_char(&b, '\0');
		found = !b.failed && patterns_match(p, b.p);
		buf_clear(&b);
	}
	free(text);
	return found;
}

static bool
has_header(const struct condition *c, const struct seen *s)
{
	for (size_t i = 0; i < s->nfields; i++)
		if (patterns_match(&c->names, s->fields[i].name) &&
		    (c->patterns.n == 0 ||
			value_matches(&c->patterns, s->fields[i].value)))
			return true;
	return false;
}

static bool
is_larger(const struct condition *c, const struct seen *s)
{
	return s->size > c->size;
}

/* Dots and blanks at the end of a name are none to some systems. */
static bool
name_matches(const struct patterns *p, const char *name)
{
	size_t len = strlen(name);
	bool found = patterns_match(p, name);

	while (len > 0 && strchr(". \t", name[len - 1]) != NULL)
		len--;
	if (!found && name[len] != '\0') {
		char *cut = xstrndup(name, len);

		found = patterns_match(p, cut);
		free(cut);
	}
	return found;
}

/* What may have one has one. */
static bool
has_attachment(const struct condition *c, const struct seen *s)
{
	for (size_t i = 0; i < s->mime.files.n; i++)
		if (name_matches(&c->patterns, s->mime.files.v[i]))
			return true;
	return s->mime.ambiguous;
}

static bool
has_type(const struct condition *c, const struct seen *s)
{
	for (size_t i = 0; i < s->mime.types.n; i++)
		if (patterns_match(&c->patterns, s->mime.types.v[i]))
			return true;
	return false;
}

static bool (*const checks[])(
    const struct condition *c, const struct seen *s) = {
	[COND_SOURCE] = has_source,
	[COND_HELO] = has_helo,
	[COND_MAIL_FROM] = has_from,
	[COND_RCPT] = has_rcpt,
	[COND_AUTH] = has_auth,
	[COND_HEADER] = has_header,
	[COND_LARGER] = is_larger,
	[COND_ATTACHMENT] = has_attachment,
	[COND_TYPE] = has_type,
};

bool
judge_condition(const struct condition *c, const struct seen *s)
{
	return checks[c->kind](c, s) != c->negated;
}

/* --- rules --- */

static bool
holds(const struct rule *r, const struct seen *s)
{
	for (size_t i = 0; i < r->n; i++)
		if (!judge_condition(&r->conditions[i], s))
			return false;
	return true;
}

void
judge(const struct seen *s, struct judgement *out)
{
	const struct rules *rules = s->rules;

	*out = (struct judgement){ .edits = xcalloc(
				       rules->n + 1, sizeof(struct rule *)) };
	for (size_t i = 0; i < rules->n && out->decision == NULL; i++) {
		const struct rule *r = &rules->rules[i];

		if (!holds(r, s))
			continue;
		if (action_decides(&r->action))
			out->decision = r;
		else
			out->edits[out->n++] = r;
	}
}

void
judgement_clear(struct judgement *j)
{
	free(j->edits);
	*j = (struct judgement){ 0 };
}
