/* The table of ESMTP parameters and the one parser over it. */
#include "lib/mail/param.h"

#include "lib/mail/envelope.h"
#include "lib/mail/xtext.h"

enum {
	SIZE_DIGITS_MAX = 20,
	/* As they stand in the command; what is meant is never longer. */
	ENVID_TEXT_MAX = ENVELOPE_ENVID_MAX,
	ORCPT_TEXT_MAX = ENVELOPE_ORCPT_MAX,
	AUTH_TEXT_MAX = 500
};

typedef enum param_error param_fn(struct str value, struct params *out);

static enum param_error
parse_size(struct str value, struct params *out)
{
	if (value.len > SIZE_DIGITS_MAX)
		return PARAM_VALUE;
	for (size_t i = 0; i < value.len; i++)
		if (!chr_is_digit(value.p[i]))
			return PARAM_VALUE;
	if (str_to_u64(value, UINT64_MAX, &out->size) < 0)
		out->size = UINT64_MAX;
	out->has_size = true;
	return PARAM_OK;
}

static enum param_error
parse_body(struct str value, struct params *out)
{
	out->body_8bit = str_eq_nocase(value, STR("8BITMIME"));
	if (out->body_8bit || str_eq_nocase(value, STR("7BIT")))
		return PARAM_OK;
	return PARAM_VALUE;
}

static enum param_error
parse_smtputf8(struct str value, struct params *out)
{
	(void)value;
	out->smtputf8 = true;
	return PARAM_OK;
}

static enum param_error
parse_requiretls(struct str value, struct params *out)
{
	(void)value;
	out->requiretls = true;
	return PARAM_OK;
}

static enum param_error
parse_ret(struct str value, struct params *out)
{
	if (str_eq_nocase(value, STR("FULL")))
		out->ret = ENVELOPE_RET_FULL;
	else if (str_eq_nocase(value, STR("HDRS")))
		out->ret = ENVELOPE_RET_HDRS;
	else
		return PARAM_VALUE;
	return PARAM_OK;
}

/* Does decode take it? */
static bool
is_good(struct str value, int (*decode)(struct str, struct buf *), size_t max)
{
	struct buf b;
	bool good;

	if (value.len > max)
		return false;
	buf_init(&b, max);
	good = decode(value, &b) == 0 && !b.failed;
	buf_clear(&b);
	return good;
}

static enum param_error
parse_envid(struct str value, struct params *out)
{
	if (!is_good(value, xtext_decode, ENVID_TEXT_MAX))
		return PARAM_VALUE;
	out->envid = value;
	return PARAM_OK;
}

static enum param_error
parse_orcpt(struct str value, struct params *out)
{
	if (!is_good(value, orcpt_decode, ORCPT_TEXT_MAX))
		return PARAM_VALUE;
	out->orcpt = value;
	return PARAM_OK;
}

/* RFC 4954 5. Nobody here is trusted with who has submitted it: taken, and
 * told to nobody. */
static enum param_error
parse_auth(struct str value, struct params *out)
{
	(void)out;
	return str_eq(value, STR("<>")) ||
		       is_good(value, xtext_decode, AUTH_TEXT_MAX) ||
		       is_good(value, unitext_decode, AUTH_TEXT_MAX) ?
		   PARAM_OK :
		   PARAM_VALUE;
}

static uint8_t
notify_word(struct str s)
{
	static const struct {
		struct str word;
		uint8_t notify;
	} words[] = {
		{ { "NEVER", 5 }, NOTIFY_NEVER },
		{ { "SUCCESS", 7 }, NOTIFY_SUCCESS },
		{ { "FAILURE", 7 }, NOTIFY_FAILURE },
		{ { "DELAY", 5 }, NOTIFY_DELAY },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_nocase(s, words[i].word))
			return words[i].notify;
	return 0;
}

/* NEVER stands alone; the others may stand together. */
static enum param_error
parse_notify(struct str value, struct params *out)
{
	bool more = true;

	while (more) {
		size_t n = str_find(value, ',');
		uint8_t one = notify_word(str_head(value, n));

		if (one == 0)
			return PARAM_VALUE;
		out->notify |= one;
		more = n < value.len;
		value = str_skip(value, n + 1);
	}
	if ((out->notify & NOTIFY_NEVER) != 0 && out->notify != NOTIFY_NEVER)
		return PARAM_VALUE;
	return PARAM_OK;
}

static const struct {
	const char *name;
	unsigned int verbs; /* of enum param_verb */
	bool has_value;     /* must have one, or must not */
	param_fn *parse;
} known[] = {
	{ "SIZE", PARAM_MAIL, true, parse_size },
	{ "BODY", PARAM_MAIL, true, parse_body },
	{ "SMTPUTF8", PARAM_MAIL, false, parse_smtputf8 },
	{ "RET", PARAM_MAIL, true, parse_ret },
	{ "ENVID", PARAM_MAIL, true, parse_envid },
	{ "REQUIRETLS", PARAM_MAIL, false, parse_requiretls },
	{ "AUTH", PARAM_MAIL, true, parse_auth },
	{ "NOTIFY", PARAM_RCPT, true, parse_notify },
	{ "ORCPT", PARAM_RCPT, true, parse_orcpt },
};

enum { NKNOWN = sizeof(known) / sizeof(known[0]) };

/* esmtp-keyword: letters, digits, hyphens, not a hyphen first. */
static bool
is_keyword(struct str s)
{
	if (s.len == 0 || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!chr_is_alpha(s.p[i]) && !chr_is_digit(s.p[i]) &&
		    s.p[i] != '-')
			return false;
	return true;
}

/* esmtp-value: printable, but for "=". */
static bool
is_value(struct str s)
{
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '=' ||
		    s.p[i] == 0x7f)
			return false;
	return true;
}

/* One keyword[=value]; seen has a bit for each row that came before. */
static enum param_error
parse_one(struct str word, enum param_verb verb, unsigned int *seen,
    struct params *out)
{
	size_t eq = str_find(word, '=');
	struct str name = str_head(word, eq);
	struct str value = str_skip(word, eq + 1);
	bool has_value = eq < word.len;

	if (!is_keyword(name))
		return PARAM_SYNTAX;
	for (unsigned int i = 0; i < NKNOWN; i++) {
		if ((known[i].verbs & verb) == 0 ||
		    !str_eq_nocase(name, str_of(known[i].name)))
			continue;
		if ((*seen & 1U << i) != 0)
			return PARAM_DUPLICATE;
		*seen |= 1U << i;
		if (has_value != known[i].has_value ||
		    (has_value && !is_value(value)))
			return PARAM_VALUE;
		return known[i].parse(value, out);
	}
	/* A lone word is rather a slip than an extension we lack. */
	return has_value ? PARAM_UNKNOWN : PARAM_SYNTAX;
}

enum param_error
param_parse(struct str in, enum param_verb verb, struct params *out)
{
	unsigned int seen = 0;

	*out = (struct params){ .size = 0 };
	for (in = str_trim(in); in.len > 0; in = str_trim(in)) {
		size_t n = 0;

		while (n < in.len && in.p[n] != ' ' && in.p[n] != '\t')
			n++;
		enum param_error e =
		    parse_one(str_head(in, n), verb, &seen, out);
		if (e != PARAM_OK)
			return e;
		in = str_skip(in, n);
	}
	return PARAM_OK;
}

uint32_t
param_flags(const struct params *p)
{
	return (p->body_8bit ? ENVELOPE_8BIT : 0U) |
	       (p->smtputf8 ? ENVELOPE_SMTPUTF8 : 0U) |
	       (p->requiretls ? ENVELOPE_REQUIRETLS : 0U) | p->ret;
}
