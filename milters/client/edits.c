/* What one filter wants changed: a table of the reply codes that say so. */
#include "milters/client/edits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "milters/client/edit_body.h"
#include "milters/client/edit_envelope.h"
#include "milters/client/edit_fields.h"
#include "milters/client/negotiate.h"
#include "milters/client/packet.h"

enum edit_kind {
	EDIT_ADD_HEADER,
	EDIT_INSERT_HEADER,
	EDIT_CHANGE_HEADER,
	EDIT_BODY,
	EDIT_ADD_RCPT,
	EDIT_ADD_RCPT_PAR,
	EDIT_DEL_RCPT,
	EDIT_FROM,
	EDIT_QUARANTINE,
	EDIT_KINDS
};

/* Addresses in a description. */
enum { DESCRIBED_MAX = 4 };

struct edits {
	const struct milter_mail *mail;
	uint32_t number;
	uint32_t actions;
	bool lead_space;
	struct edit_fields fields;
	struct edit_body body;
	struct edit_envelope envelope;
	char *reason; /* owned; NULL: no quarantine */
	size_t count[EDIT_KINDS];
	size_t bytes; /* of payloads, the body's not counted */
};

struct edits *
edits_new(struct headers *h, const struct milter_mail *mail, uint32_t number,
    const struct milter_ops *ops, void *ctx)
{
	struct edits *e = xcalloc(1, sizeof(*e));

	e->mail = mail;
	e->number = number;
	edit_fields_init(&e->fields, h);
	edit_body_init(&e->body, mail->max_size, ops, ctx);
	return e;
}

void
edits_free(struct edits **e)
{
	if (*e == NULL)
		return;
	edit_fields_clear(&(*e)->fields);
	edit_body_clear(&(*e)->body);
	edit_envelope_clear(&(*e)->envelope);
	free((*e)->reason);
	free(*e);
	*e = NULL;
}

void
edits_negotiated(struct edits *e, bool lead_space, uint32_t actions)
{
	e->lead_space = lead_space;
	e->actions = actions;
}

/* --- headers --- */

static enum edits_taken
bad(const char **fault, const char *text)
{
	*fault = text;
	return EDITS_BAD;
}

/* The two strings that end a header packet. */
static int
take_field(struct str *in, struct str *name, struct str *value)
{
	return packet_take_string(in, name) == -1 ||
		       packet_take_string(in, value) == -1 || in->len > 0 ?
		   -1 :
		   0;
}

static struct header_node *
make_field(const struct edits *e, struct str name, struct str value)
{
	return edit_fields_make(name, value, e->lead_space, EDITS_FIELD_MAX);
}

static enum edits_taken
take_add_header(struct edits *e, struct str in, const char **fault)
{
	struct str name, value;
	struct header_node *n;

	if (take_field(&in, &name, &value) == -1)
		return bad(fault, "malformed new header field");
	n = make_field(e, name, value);
	if (n == NULL)
		return bad(fault, "new header field with a bad name or size");
	edit_fields_insert(&e->fields, UINT32_MAX, n);
	return EDITS_TAKEN;
}

static enum edits_taken
take_insert_header(struct edits *e, struct str in, const char **fault)
{
	struct str name, value;
	struct header_node *n;
	uint32_t index;

	if (packet_take_u32(&in, &index) == -1 ||
	    take_field(&in, &name, &value) == -1)
		return bad(fault, "malformed header field to insert");
	n = make_field(e, name, value);
	if (n == NULL)
		return bad(
		    fault, "header field to insert with a bad name or size");
	edit_fields_insert(&e->fields, index, n);
	return EDITS_TAKEN;
}

static enum edits_taken
take_change_header(struct edits *e, struct str in, const char **fault)
{
	struct str name, value;
	struct header_node *n;
	uint32_t index;

	if (packet_take_u32(&in, &index) == -1 ||
	    take_field(&in, &name, &value) == -1)
		return bad(fault, "malformed change of a header field");
	n = make_field(e, name, value);
	if (n == NULL)
		return bad(
		    fault, "change of a header field with a bad name or size");
	if (value.len > 0) {
		edit_fields_change(&e->fields, index, n);
		return EDITS_TAKEN;
	}
	header_node_free(&n);
	edit_fields_delete(&e->fields, index, name);
	return EDITS_TAKEN;
}

/* --- body --- */

static enum edits_taken
take_body(struct edits *e, struct str in, const char **fault)
{
	switch (edit_body_add(&e->body, in)) {
	case EDIT_BODY_TAKEN:
		break;
	case EDIT_BODY_WAIT:
		return EDITS_WAIT;
	case EDIT_BODY_BIG:
		return bad(fault, "new body too large");
	case EDIT_BODY_NUL:
		return bad(fault, "NUL in the new body");
	}
	return EDITS_TAKEN;
}

/* --- envelope --- */

static enum edits_taken
take_add_rcpt(struct edits *e, struct str in, const char **fault)
{
	return edit_envelope_add_rcpt(
		   &e->envelope, in, false, e->mail->utf8, fault) == 0 ?
		   EDITS_TAKEN :
		   EDITS_BAD;
}

static enum edits_taken
take_add_rcpt_par(struct edits *e, struct str in, const char **fault)
{
	return edit_envelope_add_rcpt(
		   &e->envelope, in, true, e->mail->utf8, fault) == 0 ?
		   EDITS_TAKEN :
		   EDITS_BAD;
}

static enum edits_taken
take_del_rcpt(struct edits *e, struct str in, const char **fault)
{
	return edit_envelope_del_rcpt(&e->envelope, in, fault) == 0 ?
		   EDITS_TAKEN :
		   EDITS_BAD;
}

static enum edits_taken
take_from(struct edits *e, struct str in, const char **fault)
{
	return edit_envelope_set_from(&e->envelope, in, e->mail->utf8, fault) ==
		       0 ?
		   EDITS_TAKEN :
		   EDITS_BAD;
}

static enum edits_taken
take_quarantine(struct edits *e, struct str in, const char **fault)
{
	struct str text;

	if (packet_take_string(&in, &text) == -1 || in.len > 0)
		return bad(fault, "malformed quarantine");
	text = str_head(str_trim(text), EDITS_REASON_MAX);
	if (text.len == 0)
		text = STR("no reason given");
	free(e->reason);
	e->reason = str_dup(text);
	for (char *p = e->reason; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
	return EDITS_TAKEN;
}

/* --- all of them --- */

/* By enum edit_kind. action: the SMFIF_ bit that it takes. */
static const struct edit_row {
	char code;
	uint32_t action;
	const char *name;
	enum edits_taken (*take)(
	    struct edits *e, struct str payload, const char **fault);
} rows[EDIT_KINDS] = {
	[EDIT_ADD_HEADER] = { 'h', ACTION_ADD_HEADER, "addheader",
	    take_add_header },
	[EDIT_INSERT_HEADER] = { 'i', ACTION_ADD_HEADER, "insheader",
	    take_insert_header },
	[EDIT_CHANGE_HEADER] = { 'm', ACTION_CHANGE_HEADER, "chgheader",
	    take_change_header },
	[EDIT_BODY] = { 'b', ACTION_BODY, "replbody", take_body },
	[EDIT_ADD_RCPT] = { '+', ACTION_ADD_RCPT, "addrcpt", take_add_rcpt },
	[EDIT_ADD_RCPT_PAR] = { '2', ACTION_ADD_RCPT_ARGS, "addrcpt",
	    take_add_rcpt_par },
	[EDIT_DEL_RCPT] = { '-', ACTION_DEL_RCPT, "delrcpt", take_del_rcpt },
	[EDIT_FROM] = { 'e', ACTION_FROM, "chgfrom", take_from },
	[EDIT_QUARANTINE] = { 'q', ACTION_QUARANTINE, "quarantine",
	    take_quarantine },
};

enum edits_taken
edits_take(struct edits *e, char code, struct str payload, const char **fault)
{
	size_t kind = 0;

	while (kind < EDIT_KINDS && rows[kind].code != code)
		kind++;
	if (kind == EDIT_KINDS)
		return bad(fault, "unknown edit");
	if ((e->actions & rows[kind].action) == 0)
		return bad(fault, "edit that was not negotiated");
	if (kind == EDIT_BODY) {
		e->count[kind] = 1;
		return rows[kind].take(e, payload, fault);
	}
	if (edits_count(e) >= EDITS_MAX)
		return bad(fault, "too many edits");
	if (payload.len > EDITS_BYTES_MAX - e->bytes)
		return bad(fault, "too many bytes of edits");
	e->bytes += payload.len;
	e->count[kind]++;
	return rows[kind].take(e, payload, fault);
}

enum edits_taken
edits_end(struct edits *e)
{
	return e->body.begun && edit_body_end(&e->body) == EDIT_BODY_WAIT ?
		   EDITS_WAIT :
		   EDITS_TAKEN;
}

void
edits_body_ready(struct edits *e, bool ok)
{
	edit_body_ready(&e->body, ok);
}

bool
edits_owns_body(const struct edits *e, const void *body)
{
	return body != NULL && e->body.body == body;
}

bool
edits_has_body(const struct edits *e)
{
	return e->body.begun;
}

bool
edits_storage_failed(const struct edits *e)
{
	return e->body.failed;
}

size_t
edits_count(const struct edits *e)
{
	size_t n = 0;

	for (size_t i = 0; i < EDIT_KINDS; i++)
		n += e->count[i];
	return n;
}

const char *
edits_quarantine(const struct edits *e)
{
	return e->reason;
}

/* --- for good --- */

void
edits_sum_clear(struct edits_sum *sum, const struct milter_ops *ops)
{
	if (sum->body != NULL)
		ops->body_free(sum->body);
	rcpt_edits_free(sum->rcpts, sum->nrcpts);
	free(sum->from);
	free(sum->from_args);
	free(sum->reason);
	memset(sum, 0, sizeof(*sum));
}

static void
apply_body(struct edits *e, uint32_t step, struct edits_sum *sum)
{
	if (sum->body != NULL)
		e->body.ops->body_free(sum->body);
	sum->body = e->body.body;
	sum->body_by = e->number;
	sum->body_step = step;
	e->body.body = NULL;
}

static void
apply_envelope(struct edits *e, struct edits_sum *sum)
{
	struct edit_envelope *v = &e->envelope;

	if (v->from != NULL) {
		free(sum->from);
		free(sum->from_args);
		sum->from = v->from;
		sum->from_args = v->from_args;
		v->from = v->from_args = NULL;
	}
	if (v->nrcpts > 0) {
		sum->rcpts = xreallocarray(
		    sum->rcpts, sum->nrcpts + v->nrcpts, sizeof(*sum->rcpts));
		memcpy(sum->rcpts + sum->nrcpts, v->rcpts,
		    v->nrcpts * sizeof(*v->rcpts));
		sum->nrcpts += v->nrcpts;
		v->nrcpts = 0;
	}
	if (e->reason != NULL && sum->reason == NULL)
		sum->reason = xstrdup(e->reason);
}

/* Why they cannot be applied; NULL: they can. */
static const char *
obstacle(const struct edits *e, uint32_t step, const struct edits_sum *sum)
{
	if (e->body.begun && sum->body_by != 0 && sum->body_step == step)
		return "second new body in one group";
	if (e->body.failed || e->body.waiting)
		return "new body could not be stored";
	if (e->fields.headers->bytes + edit_fields_bytes(&e->fields) >
	    EDITS_HEADER_MAX)
		return "header grows too large";
	return NULL;
}

int
/* NOLINTNEXTLINE(readability-function-size): a callback with its context */
edits_apply(struct edits *e, uint32_t step, uint32_t first,
    struct edits_sum *sum, const char **fault,
    void (*conflict)(void *ctx, const struct header_node *n), void *ctx)
{
	struct headers *h = e->fields.headers;

	(void)edits_end(e);
	*fault = obstacle(e, step, sum);
	if (*fault != NULL)
		return -1;
	edit_fields_apply(&e->fields, e->number, first, conflict, ctx);
	/* Without the empty line a new field could run into the body, or the
	 * new body's first line could be one of the header. */
	if (h->rest.len == 0 && (e->fields.nops > 0 || e->body.begun)) {
		h->rest = STR("\r\n");
		h->changed = true;
	}
	if (e->body.begun)
		apply_body(e, step, sum);
	apply_envelope(e, sum);
	return 0;
}

/* --- for the log --- */

static void
describe(struct buf *out, const char *name, const char *left, struct str value,
    const char *right)
{
	if (out->len > 0)
		buf_add_char(out, ' ');
	buf_addf(out, "%s=%s", name, left);
	buf_add_str(out, value);
	buf_add_str(out, str_of(right));
}

static void
describe_count(struct buf *out, const char *name, size_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%zu", n);
	if (n > 0)
		describe(out, name, "", str_of(text), "");
}

static void
describe_address(struct buf *out, const char *name, struct str address)
{
	describe(out, name, "<", address, ">");
}

void
edits_describe(const struct edits *e, struct buf *out)
{
	const struct edit_envelope *v = &e->envelope;
	size_t n = 0;

	for (size_t i = EDIT_ADD_HEADER; i <= EDIT_BODY; i++)
		describe_count(out, rows[i].name, e->count[i]);
	for (; n < v->nrcpts && n < DESCRIBED_MAX; n++)
		describe_address(out,
		    rows[v->rcpts[n].add ? EDIT_ADD_RCPT : EDIT_DEL_RCPT].name,
		    v->rcpts[n].addr);
	describe_count(out, "morercpts", v->nrcpts - n);
	if (v->from != NULL)
		describe_address(out, rows[EDIT_FROM].name, str_of(v->from));
	describe_count(
	    out, rows[EDIT_QUARANTINE].name, e->reason != NULL ? 1 : 0);
}
