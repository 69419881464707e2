#include "posternd/table_uses.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/base64.h"
#include "lib/mail/idna.h"
#include "lib/mail/path.h"
#include "lib/net/addr.h"
#include "lib/rules/dnsbl.h"
#include "posternd/conf_hops.h"

enum {
	USER_BYTES_MAX = 255, /* in the messages that carry it */
	VALUE_BYTES_MAX = 4096,
	PASSWORD_BYTES_MAX = 1024,   /* likewise */
	SCRAM_ITERATIONS_MIN = 4096, /* RFC 7677 4 */
	SCRAM_ITERATIONS_MAX = 10000000,
	SCRAM_SALT_MAX = 64,
	SCRAM_KEY_SIZE = 32
};

static bool
is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] > 127)
			return false;
	return true;
}

/* --- other scripts --- */

/* Where the domain of a key begins. */
static size_t
domain_at(struct str key)
{
	size_t at = key.len;

	while (at > 0 && key.p[at - 1] != '@')
		at--;
	if (at == 0 && key.len > 1 && key.p[0] == '.')
		at = 1;
	return at;
}

bool
table_key_to_ascii(struct str key, struct buf *out)
{
	size_t at = domain_at(key);
	struct str domain = str_skip(key, at);

	if (is_ascii(domain))
		return false;
	buf_add_str(out, str_head(key, at));
	return idna_to_ascii(domain, out) == 0 && !out->failed;
}

static bool
is_between(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* The next word of a value; what it leaves is behind it. */
static bool
next_word(struct str *s, struct str *word)
{
	size_t n = 0;

	while (s->len > 0 && is_between(s->p[0]))
		*s = str_skip(*s, 1);
	while (n < s->len && !is_between(s->p[n]))
		n++;
	*word = str_head(*s, n);
	*s = str_skip(*s, n);
	return n > 0;
}

char *
table_words_to_ascii(const char *value)
{
	struct str s = str_of(value), word;
	struct buf out;
	char *text;

	/* A colon: no addresses, but perhaps a password, and of that every
	 * byte counts. */
	if (is_ascii(s) || str_find(s, ':') < s.len)
		return NULL;
	buf_init(&out, VALUE_BYTES_MAX);
	while (next_word(&s, &word)) {
		size_t len;

		if (out.len > 0)
			buf_add_char(&out, ' ');
		len = out.len;
		if (str_find(word, '@') < word.len &&
		    table_key_to_ascii(word, &out))
			continue;
		/* As it stands: who wants addresses will say it is none. */
		out.len = len;
		buf_add_str(&out, word);
	}
	text = out.failed ? NULL : str_dup(buf_str(&out));
	buf_clear(&out);
	return text;
}

/* --- keys --- */

static bool
fits_source(struct str key, const char *value)
{
	struct addr_net net;

	(void)value;
	return addr_net_parse(key, &net) == 0;
}

/* A domain of other scripts is one when it has A-labels. */
static bool
is_domain(struct str s)
{
	struct buf ascii;
	bool good;

	if (is_ascii(s))
		return path_is_domain(s, false);
	buf_init(&ascii, PATH_DOMAIN_MAX);
	good = path_is_domain(s, true) && idna_to_ascii(s, &ascii) == 0;
	buf_clear(&ascii);
	return good;
}

static bool
fits_domain(struct str key, const char *value)
{
	if (path_is_literal(key))
		return true;
	if (fits_source(key, value))
		return false;
	if (key.len > 1 && key.p[0] == '.')
		key = str_skip(key, 1);
	return is_domain(key);
}

static bool
fits_address(struct str key, const char *value)
{
	size_t at = key.len;
	struct str domain;

	if (str_eq(key, STR("<>")))
		return true;
	while (at > 0 && key.p[at - 1] != '@')
		at--;
	if (at == 0 || key.len == 1)
		return false;
	domain = str_skip(key, at);
	if (domain.len == 0)
		return true;
	return domain.p[0] != '.' && fits_domain(domain, value);
}

static bool
fits_routes(struct str key, const char *value)
{
	return fits_domain(key, NULL) && value != NULL &&
	       conf_hops_check(str_of(value), NULL) == 0;
}

static bool
fits_name(struct str key, const char *value)
{
	(void)value;
	return key.len > 0 && key.len <= USER_BYTES_MAX;
}

/* --- passwords --- */

/* The kinds of crypt(3) that hold, with the length of the hash itself. */
static const struct {
	const char *prefix;
	size_t hash_len;
} crypts[] = {
	{ "$y$", 43 },
	{ "$6$", 86 },
	{ "$5$", 43 },
	{ "$2b$", 53 },
	{ "$2a$", 53 },
	{ "$2y$", 53 },
};

static bool
is_crypt_text(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':' ||
		    s.p[i] == '*' || s.p[i] == '!')
			return false;
	return true;
}

/* Behind the last dollar; before it the kind, its cost and its salt. */
static struct str
last_field(struct str s)
{
	size_t at = s.len;

	while (at > 0 && s.p[at - 1] != '$')
		at--;
	return str_skip(s, at);
}

static bool
is_crypt(struct str s)
{
	for (size_t i = 0; i < sizeof(crypts) / sizeof(crypts[0]); i++) {
		struct str prefix = str_of(crypts[i].prefix);
		struct str hash = last_field(s);

		if (str_eq(str_head(s, prefix.len), prefix))
			return is_crypt_text(s) &&
			       hash.len == crypts[i].hash_len &&
			       s.len > prefix.len + hash.len;
	}
	return false;
}

static const struct str scram_prefix = { "{SCRAM-SHA-256}", 15 };

bool
table_value_is_scram(const char *value)
{
	struct str s = str_of(value);

	return str_eq(str_head(s, scram_prefix.len), scram_prefix);
}

/* Base64 of min to max bytes. */
static bool
is_bytes(struct str s, size_t min, size_t max)
{
	struct buf bytes;
	bool good;

	buf_init(&bytes, max);
	good =
	    base64_decode(s, &bytes) == 0 && !bytes.failed && bytes.len >= min;
	if (bytes.p != NULL)
		explicit_bzero(bytes.p, bytes.cap);
	buf_clear(&bytes);
	return good;
}

/* ITERATIONS,SALT,STOREDKEY,SERVERKEY */
static bool
is_scram(struct str s)
{
	uint64_t iterations;

	return str_to_u64(
		   str_cut(&s, ','), SCRAM_ITERATIONS_MAX, &iterations) == 0 &&
	       iterations >= SCRAM_ITERATIONS_MIN &&
	       is_bytes(str_cut(&s, ','), 1, SCRAM_SALT_MAX) &&
	       is_bytes(str_cut(&s, ','), SCRAM_KEY_SIZE, SCRAM_KEY_SIZE) &&
	       is_bytes(str_cut(&s, ','), SCRAM_KEY_SIZE, SCRAM_KEY_SIZE) &&
	       s.len == 0;
}

static bool
fits_auth(struct str key, const char *value)
{
	struct str s = str_of(value);

	if (!fits_name(key, value))
		return false;
	return table_value_is_scram(value) ?
		   is_scram(str_skip(s, scram_prefix.len)) :
		   is_crypt(s);
}

/* user:password, as it is sent (RFC 4616 2). */
static bool
fits_login(struct str key, const char *value)
{
	struct str password = str_of(value);
	struct str user = str_cut(&password, ':');

	for (const char *c = value; c != NULL && *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return fits_name(key, value) && user.len > 0 &&
	       user.len <= USER_BYTES_MAX && password.len > 0 &&
	       password.len <= PASSWORD_BYTES_MAX;
}

/* --- other values --- */

static bool
fits_senders(struct str key, const char *value)
{
	struct str s = str_of(value), word;
	size_t n = 0;

	if (!fits_name(key, value))
		return false;
	while (next_word(&s, &word)) {
		if (!fits_address(word, NULL))
			return false;
		n++;
	}
	return n > 0;
}

static bool
fits_lists(struct str key, const char *value)
{
	struct dnsbl_list list;

	return dnsbl_parse(key, str_of(value), &list, NULL) == 0;
}

/* --- all of them --- */

static const struct {
	bool (*fits)(struct str key, const char *value);
	const char *what;
	const char *values; /* NULL: nobody looks at them */
} uses[TABLE_USES] = {
	[TABLE_FOR_SOURCE] = { fits_source, "an address or network", NULL },
	[TABLE_FOR_DOMAIN] = { fits_domain, "a domain", NULL },
	[TABLE_FOR_ADDRESS] = { fits_address, "a mail address", NULL },
	[TABLE_FOR_ROUTES] = { fits_routes,
	    "a domain with next hops (smtp://HOST:PORT)", "next hops" },
	[TABLE_FOR_NAME] = { fits_name, "the name of a user", NULL },
	[TABLE_FOR_AUTH] = { fits_auth,
	    "a user with the hash of his password ($y$, $6$, $5$, $2b$ or "
	    "{SCRAM-SHA-256})",
	    NULL },
	[TABLE_FOR_LOGIN] = { fits_login,
	    "a label with user:password (\"hub\" = \"joe:password\")", NULL },
	[TABLE_FOR_SENDERS] = { fits_senders,
	    "a user with his addresses (user@domain, @domain)", "addresses" },
	[TABLE_FOR_LISTS] = { fits_lists,
	    "a DNS list with its weight (-1000 to 1000)", "weights" },
};

bool
table_use_fits(enum table_use use, struct str key, const char *value)
{
	return uses[use].fits(key, value);
}

bool
table_use_is_secret(enum table_use use)
{
	return use == TABLE_FOR_AUTH || use == TABLE_FOR_LOGIN;
}

const char *
table_use_what(enum table_use use)
{
	return uses[use].what;
}

const char *
table_use_values(enum table_use use)
{
	return uses[use].values;
}
