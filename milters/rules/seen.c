#include "milters/rules/seen.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

struct seen *
seen_new(struct rules *rules, unsigned long steps)
{
	struct seen *s = xcalloc(1, sizeof(*s));

	s->rules = rules;
	s->steps = steps;
	mime_scan_init(&s->mime);
	return s;
}

void
seen_reset(struct seen *s)
{
	free(s->id);
	free(s->from);
	s->id = s->from = NULL;
	for (size_t i = 0; i < s->nrcpts; i++)
		free(s->rcpts[i]);
	free(s->rcpts);
	s->rcpts = NULL;
	s->nrcpts = 0;
	for (size_t i = 0; i < s->nfields; i++) {
		free(s->fields[i].name);
		free(s->fields[i].value);
	}
	free(s->fields);
	s->fields = NULL;
	s->nfields = 0;
	mime_scan_clear(&s->mime);
	mime_scan_init(&s->mime);
	s->size = 0;
	s->auth = false;
}

void
seen_free(struct seen **s)
{
	if (*s == NULL)
		return;
	seen_reset(*s);
	mime_scan_clear(&(*s)->mime);
	rules_unref(&(*s)->rules);
	free((*s)->helo);
	free(*s);
	*s = NULL;
}

void
seen_set(char **where, const char *text)
{
	free(*where);
	*where = text == NULL ? NULL : xstrdup(text);
}

static char *
without_brackets(const char *address)
{
	struct str s = str_trim(str_of(address));

	if (s.len > 1 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = str_head(str_skip(s, 1), s.len - 2);
	return str_dup(s);
}

void
seen_from(struct seen *s, const char *address)
{
	free(s->from);
	s->from = without_brackets(address);
}

void
seen_rcpt(struct seen *s, const char *address)
{
	s->rcpts = xreallocarray(s->rcpts, s->nrcpts + 1, sizeof(char *));
	s->rcpts[s->nrcpts++] = without_brackets(address);
}

void
seen_field(struct seen *s, const char *name, const char *value)
{
	struct seen_field *f;
	char *to;

	s->fields = xreallocarray(s->fields, s->nfields + 1, sizeof(*f));
	f = &s->fields[s->nfields++];
	f->name = xstrdup(name);
	f->value = to = xstrdup(value);
	for (const char *p = f->value; *p != '\0'; p++)
		if (*p != '\r' && *p != '\n')
			*to++ = *p;
	*to = '\0';
	s->size += strlen(name) + strlen(value) + 3;
	mime_scan_field(&s->mime, str_of(f->name), str_of(f->value));
}
