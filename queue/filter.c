/* Terms as a table: which are about the message, which about a recipient. */
#include "queue/filter.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/net/addr.h"
#include "queue/schedule.h"

struct term {
	uint8_t kind; /* enum term_kind */
	bool negate;
	uint8_t state; /* of TERM_STATE: enum rcpt_state */
	uint64_t number;
	struct addr_net net; /* of TERM_CLIENT */
	struct str text;     /* owned */
};

struct look {
	const struct entry *e;
	const struct rcpt *r; /* NULL for terms about the message */
	uint64_t now_ms;
};

static bool
has_id(const struct term *t, const struct look *l)
{
	return str_eq(t->text, (struct str){ l->e->msgid, ID_LEN });
}

static bool
has_from(const struct term *t, const struct look *l)
{
	return str_eq_nocase(t->text, entry_from(l->e));
}

static bool
has_client(const struct term *t, const struct look *l)
{
	struct str client = entry_origin(l->e).client;
	struct addr a;

	if (str_eq(client, STR("local")))
		return t->net.addr.family == ADDR_LOCAL;
	return addr_parse(client, &a) == 0 && addr_net_has(&t->net, &a);
}

static bool
is_older(const struct term *t, const struct look *l)
{
	return entry_age(l->e, l->now_ms) > t->number;
}

static bool
is_larger(const struct term *t, const struct look *l)
{
	return entry_size(l->e) > t->number;
}

static bool
in_state(const struct term *t, const struct look *l)
{
	if (schedule_is_put_off(l->r))
		return t->state == RCPT_DEFERRED;
	return l->r->state == t->state;
}

static bool
has_to(const struct term *t, const struct look *l)
{
	return str_eq_nocase(t->text, rcpt_to(l->r));
}

static bool
has_domain(const struct term *t, const struct look *l)
{
	return str_eq_nocase(t->text, rcpt_domain(l->r));
}

static bool
has_tries(const struct term *t, const struct look *l)
{
	return l->r->attempts >= t->number;
}

static bool
has_reply(const struct term *t, const struct look *l)
{
	struct str reply = word_str(l->r->reply);

	for (; reply.len >= t->text.len; reply = str_skip(reply, 1)) {
		if (str_starts_nocase(reply, t->text))
			return true;
		if (reply.len == 0)
			break;
	}
	return false;
}

static bool
has_milter(const struct term *t, const struct look *l)
{
	return l->r->state == RCPT_QUARANTINED &&
	       str_eq(t->text, word_str(l->r->relay));
}

static const struct {
	bool (*has)(const struct term *, const struct look *);
	bool of_rcpt;
} kinds[] = {
	[TERM_ID] = { has_id, false },
	[TERM_STATE] = { in_state, true },
	[TERM_FROM] = { has_from, false },
	[TERM_TO] = { has_to, true },
	[TERM_DOMAIN] = { has_domain, true },
	[TERM_CLIENT] = { has_client, false },
	[TERM_OLDER] = { is_older, false },
	[TERM_LARGER] = { is_larger, false },
	[TERM_TRIES] = { has_tries, true },
	[TERM_REPLY] = { has_reply, true },
	[TERM_MILTER] = { has_milter, true },
	[TERM_LIMIT] = { NULL, false }, /* not a question */
};

void
filter_init(struct filter *f)
{
	*f = (struct filter){ .limit = UINT64_MAX };
}

void
filter_clear(struct filter *f)
{
	for (size_t i = 0; i < f->nterms; i++) {
		char *text;

		memcpy(&text, &f->terms[i].text.p, sizeof(text));
		free(text);
	}
	free(f->terms);
	filter_init(f);
}

/* What is removed is found by nobody. */
static int
parse_state(struct str s, uint8_t *out)
{
	for (unsigned int i = 0; i <= RCPT_QUARANTINED; i++) {
		if (i != RCPT_REMOVED &&
		    str_eq_nocase(s, str_of(rcpt_state_name((uint8_t)i)))) {
			*out = (uint8_t)i;
			return 0;
		}
	}
	return -1;
}

static int
parse(struct term *t, struct str text)
{
	if (t->kind == TERM_STATE)
		return parse_state(text, &t->state);
	if (t->kind == TERM_FROM && str_eq(text, STR("<>")))
		text = STR("");
	if (t->kind == TERM_CLIENT && str_eq(text, STR("local")))
		t->net.addr.family = ADDR_LOCAL;
	else if (t->kind == TERM_CLIENT && addr_net_parse(text, &t->net) != 0)
		return -1;
	t->text = (struct str){ str_dup(text), text.len };
	return 0;
}

void
filter_add(struct filter *f, const struct tell_term *m)
{
	struct term t = {
		.kind = m->kind,
		.negate = m->negate != 0,
		.number = m->number,
	};

	if (m->kind == TERM_LIMIT && !t.negate) {
		f->limit = m->number;
		return;
	}
	if (m->kind >= TERM_LIMIT || f->nterms >= FILTER_TERMS_MAX ||
	    parse(&t, m->text) != 0) {
		f->bad = true;
		return;
	}
	f->terms = xreallocarray(f->terms, f->nterms + 1, sizeof(*f->terms));
	f->terms[f->nterms++] = t;
}

struct str
filter_id(const struct filter *f)
{
	for (size_t i = 0; i < f->nterms; i++)
		if (f->terms[i].kind == TERM_ID && !f->terms[i].negate)
			return f->terms[i].text;
	return (struct str){ "", 0 };
}

static bool
all_hold(const struct filter *f, const struct look *l)
{
	for (size_t i = 0; i < f->nterms; i++) {
		const struct term *t = &f->terms[i];

		if (kinds[t->kind].of_rcpt != (l->r != NULL))
			continue;
		if (kinds[t->kind].has(t, l) == t->negate)
			return false;
	}
	return true;
}

bool
filter_has_entry(const struct filter *f, const struct entry *e, uint64_t now_ms)
{
	return all_hold(f, &(struct look){ e, NULL, now_ms });
}

bool
filter_has_rcpt(const struct filter *f, const struct rcpt *r)
{
	return all_hold(f, &(struct look){ NULL, r, 0 });
}

bool
filter_has(const struct filter *f, const struct entry *e, uint64_t now_ms)
{
	if (!filter_has_entry(f, e, now_ms))
		return false;
	for (uint32_t i = 0; i < e->nrcpt; i++)
		if (filter_has_rcpt(f, &e->rcpts[i]))
			return true;
	return false;
}
