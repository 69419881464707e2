#include "vault/passwords.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "vault/accounts.h"

enum {
	SALT_LEN = 16, /* made up where no secret shows another length */
	USER_MAX = 255
};

/* Nobody else has it: what is made up of it looks random, and is the same for
 * a user at each question. */
static uint8_t own_key[SCRAM_HASH];

void
passwords_init(void)
{
	/* No openssl.cnf, and no file to be opened behind the jail. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (getrandom(own_key, sizeof(own_key), 0) != sizeof(own_key))
		fatal_errno("getrandom");
}

void
passwords_set_config(struct config *c)
{
	accounts_set_config(c);
}

/* --- made up --- */

/* Bytes that are the user's own; a table does not tell upper from lower
 * case. */
static void
bytes_of(
    const struct accounts *a, struct str user, uint8_t out[static SCRAM_HASH])
{
	struct buf text;
	buf_init(&text, 2 * USER_MAX + 2);
	buf_add_str(&text, str_of(table_name(a->table)));
	buf_add_char(&text, '\0');
	for (size_t i = 0; i < user.len; i++)
		buf_add_char(&text, chr_lower(user.p[i]));
	scram_hmac((struct str){ (const char *)own_key, sizeof(own_key) },
	    buf_str(&text), out);
	buf_clear(&text);
}

/* What his secret might be; empty: nobody has one. */
static struct str
made_up(const struct accounts *a, struct str user)
{
	uint8_t bytes[SCRAM_HASH];
	if (a->nsamples == 0)
		return STR("");
	bytes_of(a, user, bytes);
	return a->samples[bytes[0] % a->nsamples];
}

/* --- passwords --- */

/* The strings of crypt(3) end with a NUL. */
static enum vault_verdict
check_crypt(struct str value, struct str password)
{
	static struct crypt_data data;
	enum vault_verdict verdict = VAULT_FAULT;
	const char *hash;
	if (memchr(password.p, '\0', password.len) != NULL)
		return VAULT_WRONG;
	char *setting = str_dup(value), *phrase = str_dup(password);
	memset(&data, 0, sizeof(data));
	hash = crypt_rn(phrase, setting, &data, sizeof(data));
	if (hash != NULL)
		verdict = strlen(hash) == value.len &&
				  CRYPTO_memcmp(hash, value.p, value.len) == 0 ?
			      VAULT_RIGHT :
			      VAULT_WRONG;
	else if (password.len > CRYPT_MAX_PASSPHRASE_SIZE)
		verdict = VAULT_WRONG;
	explicit_bzero(&data, sizeof(data));
	explicit_bzero(phrase, password.len);
	explicit_bzero(setting, value.len);
	free(phrase);
	free(setting);
	return verdict;
}

static enum vault_verdict
check_scram(struct str value, struct str password)
{
	struct scram_secret s;
	enum vault_verdict verdict = VAULT_FAULT;
	if (scram_parse(value, &s) == 0)
		verdict =
		    scram_is_password(&s, password) ? VAULT_RIGHT : VAULT_WRONG;
	explicit_bzero(&s, sizeof(s));
	return verdict;
}

static enum vault_verdict
check(struct str value, struct str password)
{
	switch (secret_kind_of(value)) {
	case SECRET_CRYPT:
		return check_crypt(value, password);
	case SECRET_SCRAM:
		return check_scram(value, password);
	case SECRET_NONE:
		break;
	}
	return VAULT_FAULT;
}

enum vault_verdict
passwords_check(const struct ask_password *m)
{
	const struct accounts *a = accounts_find(m->table);
	struct str value;
	if (a == NULL)
		return VAULT_FAULT;
	if (!table_find(a->table, m->user, &value)) {
		(void)check(made_up(a, m->user), m->password);
		return VAULT_WRONG;
	}
	enum vault_verdict verdict = check(value, m->password);
	if (verdict == VAULT_FAULT)
		log_warn(NULL, "accounts", "table=%s user=%s why=%s",
		    log_str(m->table), log_str(m->user),
		    log_cstr("the secret is of no kind that is known"));
	return verdict;
}

/* --- SCRAM --- */

_Static_assert(SCRAM_SALT_MAX == 2 * SCRAM_HASH, "two hashes of salt");

/* With keys that nobody knows. */
static void
make_up_secret(
    const struct accounts *a, struct str user, struct scram_secret *out)
{
	uint8_t bytes[SCRAM_HASH], salt[SCRAM_SALT_MAX];
	struct str key = { (const char *)bytes, sizeof(bytes) };
	/* Of the usual form, when there is one. */
	if (a->scram.len == 0 || scram_parse(a->scram, out) == -1) {
		out->salt_len = SALT_LEN;
		out->iterations = SCRAM_ITERATIONS_MIN;
	}
	bytes_of(a, user, bytes);
	scram_hmac(key, STR("stored"), out->stored_key);
	scram_hmac(key, STR("server"), out->server_key);
	scram_hmac(key, STR("salt"), salt);
	scram_hmac(key, STR("more salt"), salt + SCRAM_HASH);
	memcpy(out->salt, salt, out->salt_len);
}

/* Is it his own, and not made up? */
static bool
secret_of(const struct accounts *a, struct str user, struct scram_secret *out)
{
	struct str value;
	if (table_find(a->table, user, &value) && scram_parse(value, out) == 0)
		return true;
	make_up_secret(a, user, out);
	return false;
}

enum vault_verdict
passwords_scram(const struct ask_scram *m, struct scram_secret *out)
{
	const struct accounts *a = accounts_find(m->table);
	if (a == NULL)
		return VAULT_FAULT;
	(void)secret_of(a, m->user, out);
	return VAULT_RIGHT;
}

enum vault_verdict
passwords_scram_proof(
    const struct ask_scram_proof *m, uint8_t signature[static SCRAM_HASH])
{
	const struct accounts *a = accounts_find(m->table);
	struct scram_secret s = { 0 };
	if (a == NULL)
		return VAULT_FAULT;
	bool own = secret_of(a, m->user, &s);
	bool right = scram_is_proof(&s, m->auth_message, m->proof, signature);
	explicit_bzero(&s, sizeof(s));
	return own && right ? VAULT_RIGHT : VAULT_WRONG;
}
