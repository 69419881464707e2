/* THE TABLE OF FILTERS. */
#include "posternctl/terms.h"

#include <string.h>

#include "lib/net/addr.h"
#include "posternctl/commands.h"

enum { TERM_TEXT_MAX = 320 }; /* of a tell_term */

struct keyword {
	const char *word;
	/* For messages: what follows (NULL: nothing does), and how it is
	 * written. */
	const char *value, *example;
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
	*why = "longer than 320 bytes";
	if (v.len > TERM_TEXT_MAX)
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
	{ "id",      "ID",      "16 letters and digits",
	                        take_text,    TERM_ID,     true, false, false },
	{ "state",   "STATE",   "active, deferred, held or quarantined",
	                        take_state,   TERM_STATE,  true, false, false },
	{ "from",    "ADDRESS", "luke@example.com, or <>",
	                        take_address, TERM_FROM,   true, false, false },
	{ "to",      "ADDRESS", "luke@example.com",
	                        take_address, TERM_TO,     true, false, false },
	{ "domain",  "DOMAIN",  "example.com",
	                        take_text,    TERM_DOMAIN, true, false, false },
	{ "client",  "NETWORK", "192.0.2.1, 192.0.2.0/24, 2001:db8::/32 or local",
	                        take_network, TERM_CLIENT, true, false, false },
	{ "older",   "TIME",    "30s, 5m, 1h30m or 2d",
	                        take_age,     TERM_OLDER,  true, false, false },
	{ "larger",  "SIZE",    "512, 64K, 10M or 1G",
	                        take_size,    TERM_LARGER, true, false, false },
	{ "tries",   "NUMBER",  "3",
	                        take_number,  TERM_TRIES,  true, false, false },
	{ "reply",   "TEXT",    "\"mailbox full\"",
	                        take_text,    TERM_REPLY,  true, false, false },
	{ "limit",   "NUMBER",  "100",
	                        take_number,  TERM_LIMIT,  true, false, true },
	{ "milter",  "NAME",    "rspamd",
	                        take_text,    TERM_MILTER, true, false, false },
	{ "all",       NULL,    NULL, take_all,     TERM_ID, false, true, true },
	{ "reason",    "TEXT",  "\"case 42\"",
	                        take_reason,  TERM_ID,     false, true, true },
	{ "--dry-run", NULL,    NULL, take_dry_run, TERM_ID, false, true, true },
	{ "-y",        NULL,    NULL, take_yes,     TERM_ID, false, true, true },
};

/* clang-format on */

enum { NKEYWORDS = sizeof(keywords) / sizeof(keywords[0]) };

static const struct keyword *
find(const char *word, bool is_change)
{
	for (size_t i = 0; i < NKEYWORDS; i++)
		if (strcmp(keywords[i].word, word) == 0 &&
		    (is_change || !keywords[i].is_change))
			return &keywords[i];
	return NULL;
}

/* A word that is none: what there is. */
static void
complain_word(const char *word, bool is_change)
{
	struct buf words = { .max = 1024 };

	for (size_t i = 0; i < NKEYWORDS; i++)
		if (is_change || !keywords[i].is_change)
			buf_addf(&words, "%s%s", i > 0 ? ", " : "",
			    keywords[i].word);
	complain("no such filter, and not an id: %s (there are: %.*s)", word,
	    (int)words.len, words.p);
	buf_clear(&words);
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
	static const struct keyword bare = { "id", "ID", "", take_text, TERM_ID,
		true, false, false };
	char **w = *words;
	const struct keyword *k = find(*w, is_change);

	if (k == NULL && !is_bare_id(*w, is_change)) {
		complain_word(*w, is_change);
		return NULL;
	}
	if (k == NULL)
		k = &bare;
	else if (k->value != NULL && *++w == NULL) {
		complain(
		    "%s: %s is missing, as %s", k->word, k->value, k->example);
		return NULL;
	}
	*value = *w;
	*words = w + 1;
	return k;
}

/* Returns 0, or -1 (said on stderr). */
static int
add(struct filter *f, const struct tell_term *t)
{
	struct str id = filter_id(f);

	if (f->n == FILTER_TERMS_MAX) {
		complain("too many filters");
		return -1;
	}
	/* All filters have to hold. */
	if (t->kind == TERM_ID && !t->negate && id.len > 0) {
		complain("%.*s, %.*s: no message has two ids", (int)id.len,
		    id.p, (int)t->text.len, t->text.p);
		return -1;
	}
	f->terms[f->n++] = *t;
	return 0;
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
	term.kind = (uint8_t)k->kind;
	if (k->take(f, &term, str_of(value), &why) == -1) {
		if (why != NULL)
			complain("%s %s: %s", k->word, value, why);
		else
			complain("%s %s: %s is to be %s", k->word, value,
			    k->value, k->example);
		return -1;
	}
	return k->is_term ? add(f, &term) : 0;
}

int
filter_add(struct filter *f, enum term_kind kind, struct str text)
{
	return add(
	    f, &(struct tell_term){ .kind = (uint8_t)kind, .text = text });
}

struct str
filter_id(const struct filter *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->terms[i].kind == TERM_ID && !f->terms[i].negate)
			return f->terms[i].text;
	return STR("");
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
