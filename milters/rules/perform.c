/*
 * Edits by index: an MTA that counts a removed field on and one that does not
 * both understand changes that go from the last field to the first.
 */
#include "milters/rules/perform.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/alloc.h"
#include "milters/common/note.h"

/* libmilter takes its texts without const, and leaves them alone. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* --- fields --- */

static void
plan_remove(
    const struct seen *s, const struct action *a, struct field_fate *fates)
{
	for (size_t i = 0; i < s->nfields; i++) {
		struct str v = str_trim(str_of(s->fields[i].value));
		char *value;

		if (!patterns_match(&a->names, s->fields[i].name))
			continue;
		value = str_dup(v);
		if (a->patterns.n == 0 || patterns_match(&a->patterns, value))
			fates[i].remove = true;
		free(value);
	}
}

/* The first stays, with the new value. Returns whether there is one. */
static bool
plan_replace(
    const struct seen *s, const struct action *a, struct field_fate *fates)
{
	bool found = false;

	for (size_t i = 0; i < s->nfields; i++) {
		if (strcasecmp(s->fields[i].name, a->name) != 0 ||
		    fates[i].remove)
			continue;
		if (found)
			fates[i].remove = true;
		else
			fates[i].value = a->value;
		found = true;
	}
	return found;
}

void
plan_fields(const struct seen *s, const struct judgement *j,
    struct field_fate *fates, bool *absent)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct action *a = &j->edits[i]->action;

		if (a->kind == DO_REMOVE_HEADER)
			plan_remove(s, a, fates);
		else if (a->kind == DO_REPLACE_HEADER)
			absent[i] = !plan_replace(s, a, fates);
	}
}

/* Its number among those of its name, from 1. */
static int
number_of(const struct seen *s, size_t field)
{
	int n = 1;

	for (size_t i = 0; i < field; i++)
		n += strcasecmp(s->fields[i].name, s->fields[field].name) == 0;
	return n;
}

static int
change_fields(
    SMFICTX *ctx, const struct seen *s, const struct field_fate *fates)
{
	int result = MI_SUCCESS;

	for (size_t i = s->nfields; i-- > 0 && result == MI_SUCCESS;)
		if (fates[i].remove || fates[i].value != NULL)
			result = smfi_chgheader(ctx, s->fields[i].name,
			    number_of(s, i),
			    fates[i].remove ? NULL : text(fates[i].value));
	return result;
}

/* --- the rest --- */

static int
delete_rcpts(SMFICTX *ctx, const struct seen *s, const struct action *a)
{
	int result = MI_SUCCESS;

	for (size_t i = 0; i < s->nrcpts && result == MI_SUCCESS; i++) {
		struct buf b;

		if (!patterns_match(&a->patterns, s->rcpts[i]))
			continue;
		buf_init(&b, 8192);
		buf_addf(&b, "<%s>", s->rcpts[i]);
		buf_add_char(&b, '\0');
		result = b.failed ? MI_FAILURE : smfi_delrcpt(ctx, b.p);
		buf_clear(&b);
	}
	return result;
}

static int
do_edit(SMFICTX *ctx, const struct seen *s, const struct action *a, bool absent)
{
	switch (a->kind) {
	case DO_ADD_HEADER:
		return smfi_addheader(ctx, a->name, a->value);
	case DO_INSERT_HEADER:
		return smfi_insheader(ctx, a->index, a->name, a->value);
	case DO_REPLACE_HEADER:
		return absent ? smfi_addheader(ctx, a->name, a->value) :
				MI_SUCCESS;
	case DO_ADD_RCPT:
		return smfi_addrcpt(ctx, a->value);
	case DO_DELETE_RCPT:
		return delete_rcpts(ctx, s, a);
	case DO_CHANGE_SENDER:
		return smfi_chgfrom(ctx, a->value, NULL);
	case DO_REMOVE_HEADER:
	case DO_ACCEPT:
	case DO_DISCARD:
	case DO_REJECT:
	case DO_TEMPFAIL:
	case DO_QUARANTINE:
		break;
	}
	return MI_SUCCESS;
}

static int
do_edits(SMFICTX *ctx, const struct seen *s, const struct judgement *j)
{
	struct field_fate *fates = xcalloc(s->nfields + 1, sizeof(*fates));
	bool *absent = xcalloc(j->n + 1, sizeof(*absent));
	int result;

	plan_fields(s, j, fates, absent);
	result = change_fields(ctx, s, fates);
	for (size_t i = 0; i < j->n && result == MI_SUCCESS; i++)
		result = do_edit(ctx, s, &j->edits[i]->action, absent[i]);
	free(fates);
	free(absent);
	return result;
}

static sfsistat
do_decision(SMFICTX *ctx, const struct action *a)
{
	switch (a->kind) {
	case DO_DISCARD:
		return SMFIS_DISCARD;
	case DO_REJECT:
		(void)smfi_setreply(ctx, a->code, a->status, a->text);
		return SMFIS_REJECT;
	case DO_TEMPFAIL:
		(void)smfi_setreply(ctx, a->code, a->status, a->text);
		return SMFIS_TEMPFAIL;
	case DO_QUARANTINE:
		return smfi_quarantine(ctx, a->value) == MI_SUCCESS ?
			   SMFIS_ACCEPT :
			   SMFIS_TEMPFAIL;
	case DO_ACCEPT:
	case DO_ADD_HEADER:
	case DO_INSERT_HEADER:
	case DO_REMOVE_HEADER:
	case DO_REPLACE_HEADER:
	case DO_ADD_RCPT:
	case DO_DELETE_RCPT:
	case DO_CHANGE_SENDER:
		break;
	}
	return SMFIS_ACCEPT;
}

sfsistat
perform(SMFICTX *ctx, const struct seen *s, const struct judgement *j)
{
	static const char *const words[] = { [DO_ACCEPT] = "accept",
		[DO_DISCARD] = "discard",
		[DO_REJECT] = "reject",
		[DO_TEMPFAIL] = "tempfail",
		[DO_QUARANTINE] = "quarantine" };
	const struct rule *d = j->decision;
	bool taken = d == NULL || d->action.kind == DO_ACCEPT ||
		     d->action.kind == DO_QUARANTINE;
	const char *id = s->id == NULL ? "-" : s->id;

	if (d != NULL)
		note_info("msg=%s line=%u verdict=%s", id, d->line,
		    words[d->action.kind]);
	if (j->n > 0 && taken)
		note_info("msg=%s edits=%zu", id, j->n);
	if (taken && do_edits(ctx, s, j) != MI_SUCCESS) {
		note_warn("msg=%s an edit was refused", id);
		return SMFIS_TEMPFAIL;
	}
	return d == NULL ? SMFIS_ACCEPT : do_decision(ctx, &d->action);
}
