#include "fetch/policy_text.h"

#include <stdbool.h>

#include "lib/mail/path.h"

enum { KEY_MAX = 32, AGE_DIGITS_MAX = 10 };

static const char *const mode_names[] = { [STS_NONE] = "none",
	[STS_TESTING] = "testing",
	[STS_ENFORCE] = "enforce" };

const char *
sts_mode_name(enum sts_mode m)
{
	return mode_names[m];
}

int
sts_mode_find(struct str name)
{
	for (int m = STS_NONE; m <= STS_ENFORCE; m++)
		if (str_eq(name, str_of(mode_names[m])))
			return m;
	return -1;
}

static bool
is_alnum(char c)
{
	return chr_is_alpha(c) || chr_is_digit(c);
}

/* Of a field or an extension: letters, digits, and `_-.' behind the first. */
static bool
is_key(struct str s)
{
	if (s.len == 0 || s.len > KEY_MAX || !is_alnum(s.p[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' &&
		    s.p[i] != '.')
			return false;
	return true;
}

/* --- the fields of a policy --- */

/* What was read so far; of fields that may stand once the first one counts. */
struct reading {
	struct policy_text *policy;
	bool version, mode, max_age;
};

static int
read_version(struct reading *r, struct str value, struct fault *why)
{
	if (r->version)
		return 0;
	r->version = true;
	if (!str_eq(value, STR("STSv1")))
		return fault_set(why, FAULT_PERM, "no version that we know");
	return 0;
}

static int
read_mode(struct reading *r, struct str value, struct fault *why)
{
	int mode = sts_mode_find(value);

	if (r->mode)
		return 0;
	r->mode = true;
	if (mode == -1)
		return fault_set(why, FAULT_PERM, "no mode that we know");
	r->policy->mode = (enum sts_mode)mode;
	return 0;
}

static int
read_max_age(struct reading *r, struct str value, struct fault *why)
{
	uint64_t age;

	if (r->max_age)
		return 0;
	r->max_age = true;
	if (value.len > AGE_DIGITS_MAX ||
	    str_to_u64(value, UINT64_MAX, &age) == -1)
		return fault_set(why, FAULT_PERM, "max_age is no number");
	r->policy->max_age_s =
	    age < POLICY_AGE_MAX_S ? (uint32_t)age : POLICY_AGE_MAX_S;
	return 0;
}

static int
read_mx(struct reading *r, struct str value, struct fault *why)
{
	struct buf *mxs = &r->policy->mxs;
	struct str domain = value;

	if (value.len > 2 && value.p[0] == '*' && value.p[1] == '.')
		domain = str_skip(value, 2);
	if (!path_is_domain(domain, false))
		return fault_set(why, FAULT_PERM, "an mx is no name");
	if (mxs->len > 0)
		buf_add_char(mxs, ' ');
	for (size_t i = 0; i < value.len; i++)
		buf_add_char(mxs, chr_lower(value.p[i]));
	if (mxs->failed)
		return fault_set(
		    why, FAULT_PERM, "more than %d bytes of mx", STS_MXS_MAX);
	return 0;
}

static const struct {
	const char *key;
	int (*read)(struct reading *r, struct str value, struct fault *why);
} fields[] = {
	{ "version", read_version },
	{ "mode", read_mode },
	{ "max_age", read_max_age },
	{ "mx", read_mx },
};

static int
read_field(struct reading *r, struct str line, struct fault *why)
{
	struct str value = line, key = str_cut(&value, ':');

	if (key.len == line.len || !is_key(key))
		return fault_set(why, FAULT_PERM, "a line is no field");
	value = str_trim(value);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (str_eq(key, str_of(fields[i].key)))
			return fields[i].read(r, value, why);
	return 0; /* an extension */
}

/* Lines end with LF or CRLF, the last one maybe with nothing. */
static int
read_all(struct reading *r, struct str text, struct fault *why)
{
	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');

		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		line = str_trim(line);
		if (line.len > 0 && read_field(r, line, why) == -1)
			return -1;
	}
	if (!r->version || !r->mode || !r->max_age)
		return fault_set(
		    why, FAULT_PERM, "version, mode or max_age is missing");
	if (r->policy->mode != STS_NONE && r->policy->mxs.len == 0)
		return fault_set(why, FAULT_PERM, "there is no mx");
	return 0;
}

int
policy_text_parse(struct str text, struct policy_text *p, struct fault *why)
{
	struct reading r = { .policy = p };

	*p = (struct policy_text){ 0 };
	buf_init(&p->mxs, STS_MXS_MAX);
	if (read_all(&r, text, why) == 0)
		return 0;
	policy_text_clear(p);
	return -1;
}

void
policy_text_clear(struct policy_text *p)
{
	buf_clear(&p->mxs);
}

/* --- the record --- */

/* Other records may stand at the name, too. */
static bool
is_record(struct str text)
{
	struct str version = str_cut(&text, ';');

	/* Blanks may stand before the `;', not before the version. */
	while (version.len > 0 && (version.p[version.len - 1] == ' ' ||
				      version.p[version.len - 1] == '\t'))
		version.len--;
	return str_eq(version, STR("v=STSv1"));
}

static bool
is_id(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]))
			return false;
	return s.len > 0 && s.len <= STS_ID_MAX;
}

/* Printable ASCII but for `=' and `;'. */
static bool
is_extension_value(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '=')
			return false;
	return s.len > 0;
}

/* The empty view when it is not well formed. */
static struct str
record_id(struct str text)
{
	struct str id = { NULL, 0 }, none = { NULL, 0 };

	(void)str_cut(&text, ';');
	while (text.len > 0) {
		struct str value = str_trim(str_cut(&text, ';')), field = value;
		struct str key = str_cut(&value, '=');

		if (field.len == 0 && str_trim(text).len == 0)
			break; /* the last one may have its `;' */
		if (!is_key(key) || key.len == field.len)
			return none;
		if (str_eq(key, STR("id"))) {
			if (!is_id(value))
				return none;
			if (id.len == 0)
				id = value;
		} else if (!is_extension_value(value)) {
			return none;
		}
	}
	return id;
}

struct str
policy_record_id(char *const *texts, size_t ntexts)
{
	struct str id = { NULL, 0 };
	size_t nfound = 0;

	for (size_t i = 0; i < ntexts; i++) {
		if (!is_record(str_of(texts[i])))
			continue;
		nfound++;
		id = record_id(str_of(texts[i]));
	}
	return nfound == 1 ? id : (struct str){ NULL, 0 };
}
