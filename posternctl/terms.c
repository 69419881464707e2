/* THE TABLE OF FILTERS. */
#include "posternctl/terms.h"

#include <string.h>

#include "lib/net/addr.h"
#include "posternctl/commands.h"

struct keyword {
	const char *word;
	const char *value; /* what follows, for messages; NULL: nothing does */
	/* Takes the value. Returns 0, or -1 when it is not one (and why, when
	 * there is more to say than that). */
	int (*take)(struct filter *f, struct tell_term *t, struct str value,
	    const char **why);
	enum term_kind kind;
	bool is_term;
	bool is_change; /* of changes only */
	bool no_not;
};

static int
take_text(struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)f;
	(void)why;
	if (v.len > 320)
		return -1;
	t->text = v;
	return 0;
}

/* <a@b> is a@b, and <> is the empty sender. */
static int
take_address(
    struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	if (v.len >= 2 && v.p[0] == '<' && v.p[v.len - 1] == '>')
		v = (struct str){ v.p + 1, v.len - 2 };
	return take_text(f, t, v, why);
}

static int
take_state(
    struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	static const char *const states[] = { "active", "deferred", "held",
		"quarantined" };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (str_eq(v, str_of(states[i])))
			return take_text(f, t, v, why);
	(void)why;
	return -1;
}

static int
take_network(
    struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	struct addr_net net;

	if (!str_eq(v, STR("local")) && addr_net_parse(v, &net) == -1)
		return -1;
	return take_text(f, t, v, why);
}

static int
take_age(struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)f;
	(void)why;
	return filter_parse_duration(v, &t->number);
}

static int
take_size(struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)f;
	(void)why;
	return filter_parse_size(v, &t->number);
}

static int
take_number(
    struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)f;
	(void)why;
	return str_to_u64(v, UINT32_MAX, &t->number);
}

static int
take_all(struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)t;
	(void)v;
	(void)why;
	f->all = true;
	return 0;
}

static int
take_dry_run(
    struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)t;
	(void)v;
	(void)why;
	f->dry_run = true;
	return 0;
}

static int
take_yes(struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)t;
	(void)v;
	(void)why;
	f->yes = true;
	return 0;
}

static int
take_reason(
    struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)t;
	if (v.len > 512) {
		*why = "longer than 512 bytes";
		return -1;
	}
	f->reason = v.p;
	return 0;
}

/* clang-format off */
static const struct keyword keywords[] = {
	{ "id",      "ID",      take_text,    TERM_ID,     true, false, false },
	{ "state",   "active, deferred, held or quarantined",
	                        take_state,   TERM_STATE,  true, false, false },
	{ "from",    "ADDRESS", take_address, TERM_FROM,   true, false, false },
	{ "to",      "ADDRESS", take_address, TERM_TO,     true, false, false },
	{ "domain",  "DOMAIN",  take_text,    TERM_DOMAIN, true, false, false },
	{ "client",  "NETWORK", take_network, TERM_CLIENT, true, false, false },
	{ "older",   "TIME",    take_age,     TERM_OLDER,  true, false, false },
	{ "larger",  "SIZE",    take_size,    TERM_LARGER, true, false, false },
	{ "tries",   "NUMBER",  take_number,  TERM_TRIES,  true, false, false },
	{ "reply",   "TEXT",    take_text,    TERM_REPLY,  true, false, false },
	{ "limit",   "NUMBER",  take_number,  TERM_LIMIT,  true, false, true },
	{ "milter",  "NAME",    take_text,    TERM_MILTER, true, false, false },
	{ "all",       NULL,    take_all,     TERM_ID,     false, true, true },
	{ "reason",    "TEXT",  take_reason,  TERM_ID,     false, true, true },
	{ "--dry-run", NULL,    take_dry_run, TERM_ID,     false, true, true },
	{ "-y",        NULL,    take_yes,     TERM_ID,     false, true, true },
};

/* clang-format on */

static const struct keyword *
find(const char *word, bool is_change)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (strcmp(keywords[i].word, word) == 0 &&
		    (is_change || !keywords[i].is_change))
			return &keywords[i];
	return NULL;
}

/* A message is named by its id alone too. A change of what cannot be an id
 * goes to the gateway, which knows no such message. */
static bool
is_bare_id(const char *word, bool is_change)
{
	size_t n = 0;

	while (chr_is_alpha(word[n]) || chr_is_digit(word[n]))
		n++;
	if (is_change && n > 0 && word[n] == '\0')
		return true;
	return id_is_valid(str_of(word));
}

/* The keyword at *words, which moves behind it and its value (a bare id is
 * its own value). NULL after having said why. */
static const struct keyword *
take_keyword(char ***words, bool is_change, const char **value)
{
	static const struct keyword bare = { "id", "ID", take_text, TERM_ID,
		true, false, false };
	char **w = *words;
	const struct keyword *k = find(*w, is_change);

	if (k == NULL && !is_bare_id(*w, is_change)) {
		complain("no such filter, and not an id: %s", *w);
		return NULL;
	}
	if (k == NULL)
		k = &bare;
	else if (k->value != NULL && *++w == NULL) {
		complain("%s: %s is missing", k->word, k->value);
		return NULL;
	}
	*value = *w;
	*words = w + 1;
	return k;
}

/* One filter with what belongs to it; *words moves behind it. */
static int
parse_one(struct filter *f, char ***words, bool is_change)
{
	bool negate = strcmp(**words, "not") == 0;
	const char *why = NULL, *value = "";
	struct tell_term term = { .negate = negate };

	if (negate && *++*words == NULL) {
		complain("`not' of what?");
		return -1;
	}
	const struct keyword *k = take_keyword(words, is_change, &value);
	if (k == NULL)
		return -1;
	if (negate && k->no_not) {
		complain("`not' makes no sense before %s", k->word);
		return -1;
	}
	if (k->is_term && f->n == FILTER_TERMS_MAX) {
		complain("too many filters");
		return -1;
	}
	term.kind = (uint8_t)k->kind;
	if (k->take(f, &term, str_of(value), &why) == -1) {
		complain("%s %s: %s%s", k->word, value,
		    why == NULL ? "this is not " : why,
		    why == NULL ? k->value : "");
		return -1;
	}
	if (k->is_term)
		f->terms[f->n++] = term;
	return 0;
}

int
filter_add(struct filter *f, enum term_kind kind, struct str text)
{
	if (f->n == FILTER_TERMS_MAX) {
		complain("too many filters");
		return -1;
	}
	f->terms[f->n++] =
	    (struct tell_term){ .kind = (uint8_t)kind, .text = text };
	return 0;
}

int
filter_parse(struct filter *f, char **words, bool is_change)
{
	memset(f, 0, sizeof(*f));
	while (*words != NULL)
		if (parse_one(f, &words, is_change) == -1)
			return -1;
	if (is_change && f->all == (f->n > 0)) {
		complain(f->all ? "`all' and filters exclude each other" :
				  "which messages? (an ID, filters, or all)");
		return -1;
	}
	return 0;
}

struct unit {
	char letter;
	uint64_t factor;
};

static const struct unit *
unit_find(const struct unit *units, char letter)
{
	for (; units->letter != '\0'; units++)
		if (units->letter == letter)
			return units;
	return NULL;
}

/* Digits at the start of *s, and the letter behind them. 0/-1 */
static int
take_part(struct str *s, const struct unit *units, uint64_t *sum)
{
	size_t n = 0;
	uint64_t number;

	while (n < s->len && chr_is_digit(s->p[n]))
		n++;
	if (n == 0 || n == s->len ||
	    str_to_u64(str_head(*s, n), UINT32_MAX, &number) == -1)
		return -1;
	const struct unit *u = unit_find(units, s->p[n]);
	if (u == NULL || number > (UINT64_MAX - *sum) / u->factor)
		return -1;
	*sum += number * u->factor;
	*s = str_skip(*s, n + 1);
	return 0;
}

int
filter_parse_duration(struct str s, uint64_t *ms)
{
	static const struct unit units[] = { { 's', 1000 }, { 'm', 60000 },
		{ 'h', 3600000 }, { 'd', 86400000 }, { 'w', 604800000 },
		{ '\0', 0 } };
	uint64_t seconds;

	*ms = 0;
	if (str_to_u64(s, UINT32_MAX, &seconds) == 0) {
		*ms = seconds * 1000;
		return 0;
	}
	if (s.len == 0)
		return -1;
	while (s.len > 0)
		if (take_part(&s, units, ms) == -1)
			return -1;
	return 0;
}

int
filter_parse_size(struct str s, uint64_t *bytes)
{
	static const struct unit units[] = { { 'K', 1024 }, { 'k', 1024 },
		{ 'M', 1048576 }, { 'm', 1048576 }, { 'G', 1073741824 },
		{ 'g', 1073741824 }, { '\0', 0 } };

	*bytes = 0;
	if (str_to_u64(s, UINT64_MAX, bytes) == 0)
		return 0;
	*bytes = 0;
	return take_part(&s, units, bytes) == 0 && s.len == 0 ? 0 : -1;
}
