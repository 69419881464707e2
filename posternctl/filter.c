/* THE TABLE OF FILTERS. */
#include "posternctl/filter.h"

#include <string.h>

#include "lib/net/addr.h"
#include "posternctl/command.h"

struct keyword {
	const char *word;
	enum term_kind kind;
	const char *value; /* what follows, for messages; NULL: nothing does */
	/* Takes the value. Returns 0, or -1 when it is not one (and why, when
	 * there is more to say than that). */
	int (*take)(struct filter *f, struct tell_term *t, struct str value,
	    const char **why);
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
	static const char *const states[] = { "active", "deferred", "held" };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (str_eq(v, str_of(states[i])))
			return take_text(f, t, v, why);
	if (str_eq(v, STR("quarantined")))
		*why = "not available yet";
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
take_milter(
    struct filter *f, struct tell_term *t, struct str v, const char **why)
{
	(void)f;
	(void)t;
	(void)v;
	*why = "not available yet";
	return -1;
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
	{ "id",      TERM_ID,     "ID",      take_text,    true, false, false },
	{ "state",   TERM_STATE,  "active, deferred or held",
	                                     take_state,   true, false, false },
	{ "from",    TERM_FROM,   "ADDRESS", take_address, true, false, false },
	{ "to",      TERM_TO,     "ADDRESS", take_address, true, false, false },
	{ "domain",  TERM_DOMAIN, "DOMAIN",  take_text,    true, false, false },
	{ "client",  TERM_CLIENT, "NETWORK", take_network, true, false, false },
	{ "older",   TERM_OLDER,  "TIME",    take_age,     true, false, false },
	{ "larger",  TERM_LARGER, "SIZE",    take_size,    true, false, false },
	{ "tries",   TERM_TRIES,  "NUMBER",  take_number,  true, false, false },
	{ "reply",   TERM_REPLY,  "TEXT",    take_text,    true, false, false },
	{ "limit",   TERM_LIMIT,  "NUMBER",  take_number,  true, false, true },
	{ "milter",  TERM_ID,     "NAME",    take_milter,  true, false, false },
	{ "all",     TERM_ID,     NULL,      take_all,     false, true, true },
	{ "reason",  TERM_ID,     "TEXT",    take_reason,  false, true, true },
	{ "--dry-run", TERM_ID,   NULL,      take_dry_run, false, true, true },
	{ "-y",      TERM_ID,     NULL,      take_yes,     false, true, true },
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

/* One keyword and its value; *words moves behind them. */
static int
parse_one(struct filter *f, char ***words, bool is_change)
{
	static const struct keyword bare = { "id", TERM_ID, "ID", take_text,
		true, false, false };
	char **w = *words;
	bool negate = strcmp(*w, "not") == 0;
	const char *why = NULL, *value = "";
	struct tell_term term = { .negate = negate };

	if (negate && *++w == NULL) {
		complain("`not' of what?");
		return -1;
	}
	const char *word = *w;
	const struct keyword *k = find(word, is_change);
	if (k == NULL && is_bare_id(word, is_change)) {
		k = &bare;
		value = *w++;
	} else if (k == NULL) {
		complain("no such filter, and not an id: %s", word);
		return -1;
	} else if (k->value == NULL) {
		w++;
	} else if ((value = *++w) == NULL) {
		complain("%s: %s is missing", word, k->value);
		return -1;
	} else {
		w++;
	}
	if (negate && k->no_not) {
		complain("`not' makes no sense before %s", word);
		return -1;
	}
	if (k->is_term && f->n == FILTER_TERMS_MAX) {
		complain("too many filters");
		return -1;
	}
	term.kind = (uint8_t)k->kind;
	if (k->take(f, &term, str_of(value), &why) == -1) {
		complain("%s %s: %s%s", word, value,
		    why == NULL ? "this is not " : why,
		    why == NULL ? k->value : "");
		return -1;
	}
	if (k->is_term)
		f->terms[f->n++] = term;
	*words = w;
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
