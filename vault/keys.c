/* A key is looked at once, when its configuration comes; the parent has had
 * it checked against its certificate. */
#include "vault/keys.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edges/vault_limits.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
	/* Some hundred keys of 4096 bits. Of the smallest pieces there are
	 * few, and they cost a bit each. */
	HEAP_BYTES = 1 << 20,
	HEAP_PIECE = 32,
	FILE_MAX = 64 * 1024,
	RSA_BITS_MIN = 2048
};

struct key {
	SLIST_ENTRY(key) next;
	uint8_t id[VAULT_KEY_ID];
	EVP_PKEY *pkey; /* a reference */
};

SLIST_HEAD(keys, key);

/* Brought, not yet read. */
struct brought {
	SLIST_ENTRY(brought) next;
	char *name;
	int fd;
};

static SLIST_HEAD(, brought) waiting = SLIST_HEAD_INITIALIZER(waiting);
static struct keys present = SLIST_HEAD_INITIALIZER(present);
static struct keys former = SLIST_HEAD_INITIALIZER(former);

void
keys_init(void)
{
	/* The system's openssl.cnf has nothing to say here. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	switch (CRYPTO_secure_malloc_init(HEAP_BYTES, HEAP_PIECE)) {
	case 1:
		break;
	case 2:
		log_debug(NULL, "keys", "why=%s",
		    log_cstr("their memory could not be locked"));
		break;
	default:
		fatal("no memory for keys");
	}
}

void
keys_bring(struct str name, int fd)
{
	struct brought *b = xcalloc(1, sizeof(*b));
	b->name = str_dup(name);
	b->fd = fd;
	SLIST_INSERT_HEAD(&waiting, b, next);
}

/* --- reading --- */

/* Who encrypts a key has to say so before the gateway runs. */
static int
no_passphrase(char *text, int size, int writing, void *asked)
{
	(void)text;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

/* The offset is shared with whoever else was handed the file. */
static ssize_t
read_whole(int fd, char *text)
{
	size_t len = 0;
	while (len < FILE_MAX) {
		ssize_t n = pread(fd, text + len, FILE_MAX - len, (off_t)len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
	}
	errno = EFBIG;
	return -1;
}

static EVP_PKEY *
parse(const char *text, size_t len, const char **why)
{
	bool asked = false;
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *pkey = bio == NULL ? NULL :
				       PEM_read_bio_PrivateKey(
					   bio, NULL, no_passphrase, &asked);
	BIO_free(bio);
	ERR_clear_error();
	if (pkey == NULL)
		*why =
		    asked ? "the key is encrypted" : "not a private key in PEM";
	return pkey;
}

static EVP_PKEY *
read_key(int fd, const char **why)
{
	EVP_PKEY *pkey = NULL;
	char *text = OPENSSL_secure_malloc(FILE_MAX);
	ssize_t len;
	if (text == NULL) {
		*why = "no memory for it";
		return NULL;
	}
	if ((len = read_whole(fd, text)) == -1)
		*why = strerror(errno);
	else
		pkey = parse(text, (size_t)len, why);
	OPENSSL_secure_clear_free(text, FILE_MAX);
	return pkey;
}

static const char *
unfit(const EVP_PKEY *pkey)
{
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		if (EVP_PKEY_get_bits(pkey) < RSA_BITS_MIN)
			return "an RSA key of less than 2048 bits";
		return EVP_PKEY_get_size(pkey) > VAULT_SIGN_MAX ?
			   "an RSA key of more than 8192 bits" :
			   NULL;
	case EVP_PKEY_EC:
		return NULL;
	default:
		return "neither an RSA nor an ECDSA key";
	}
}

static int
id_of(EVP_PKEY *pkey, uint8_t id[static VAULT_KEY_ID])
{
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(pkey, &der);
	int ok = len > 0 && EVP_Digest(der, (size_t)len, id, NULL, EVP_sha256(),
				NULL) == 1;
	OPENSSL_free(der);
	return ok ? 0 : -1;
}

/* --- sets --- */

static EVP_PKEY *
find_in(const struct keys *set, const uint8_t id[static VAULT_KEY_ID])
{
	const struct key *k;
	SLIST_FOREACH(k, set, next)
	if (memcmp(k->id, id, VAULT_KEY_ID) == 0)
		return k->pkey;
	return NULL;
}

static void
clear_set(struct keys *set)
{
	struct key *k;
	while ((k = SLIST_FIRST(set)) != NULL) {
		SLIST_REMOVE_HEAD(set, next);
		EVP_PKEY_free(k->pkey);
		free(k);
	}
}

/* The same key as before is not kept twice. */
static void
add(struct keys *set, EVP_PKEY *pkey, const uint8_t id[static VAULT_KEY_ID])
{
	EVP_PKEY *same = find_in(&former, id);
	if (find_in(set, id) != NULL) {
		EVP_PKEY_free(pkey);
		return;
	}
	if (same != NULL) {
		EVP_PKEY_up_ref(same);
		EVP_PKEY_free(pkey);
		pkey = same;
	}
	struct key *k = xcalloc(1, sizeof(*k));
	memcpy(k->id, id, VAULT_KEY_ID);
	k->pkey = pkey;
	SLIST_INSERT_HEAD(set, k, next);
}

static void
take(const struct brought *b)
{
	uint8_t id[VAULT_KEY_ID];
	const char *why = NULL;
	EVP_PKEY *pkey = read_key(b->fd, &why);
	if (pkey != NULL)
		why = unfit(pkey);
	if (why == NULL && id_of(pkey, id) == -1)
		why = "its public half has no form";
	if (why == NULL) {
		add(&present, pkey, id);
		return;
	}
	EVP_PKEY_free(pkey);
	log_warn(
	    NULL, "key", "file=%s why=%s", log_cstr(b->name), log_cstr(why));
}

void
keys_change(void)
{
	struct brought *b;
	clear_set(&former);
	former = present;
	SLIST_INIT(&present);
	while ((b = SLIST_FIRST(&waiting)) != NULL) {
		SLIST_REMOVE_HEAD(&waiting, next);
		take(b);
		close(b->fd);
		free(b->name);
		free(b);
	}
}

EVP_PKEY *
keys_find(struct str id)
{
	EVP_PKEY *pkey;
	if (id.len != VAULT_KEY_ID)
		return NULL;
	pkey = find_in(&present, (const uint8_t *)id.p);
	return pkey != NULL ? pkey : find_in(&former, (const uint8_t *)id.p);
}

void
keys_clear(void)
{
	struct brought *b;
	while ((b = SLIST_FIRST(&waiting)) != NULL) {
		SLIST_REMOVE_HEAD(&waiting, next);
		close(b->fd);
		free(b->name);
		free(b);
	}
	clear_set(&present);
	clear_set(&former);
}
