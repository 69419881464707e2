/* The table of ESMTP parameters and the one parser over it. */
#include "lib/mail/param.h"

#include <string.h>

enum { SIZE_DIGITS_MAX = 20 };

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

static const struct {
	const char *name;
	unsigned int verbs; /* of enum param_verb */
	bool has_value;     /* must have one, or must not */
	param_fn *parse;
} known[] = {
	{ "SIZE", PARAM_MAIL, true, parse_size },
	{ "BODY", PARAM_MAIL, true, parse_body },
	{ "SMTPUTF8", PARAM_MAIL, false, parse_smtputf8 },
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
