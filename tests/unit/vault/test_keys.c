/* Keys come as files and are found by their public half; what they sign
 * OpenSSL verifies, and nothing else is done with them. */
#include <check.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vault/keys.h"
#include "vault/signing.h"

static EVP_PKEY *rsa, *ec;

static void
setup(void)
{
	keys_init();
	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	ck_assert(rsa != NULL && ec != NULL);
}

static void
teardown(void)
{
	keys_clear();
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
}

static struct str
id_of(EVP_PKEY *key)
{
	static uint8_t id[VAULT_KEY_ID];
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	ck_assert_int_gt(len, 0);
	EVP_Digest(der, (size_t)len, id, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	return (struct str){ (const char *)id, sizeof(id) };
}

/* What a file that can be read from its beginning, wherever its offset is. */
static int
file_of(const char *text, size_t len)
{
	int fd = memfd_create("key", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	return fd;
}

static void
bring(EVP_PKEY *key, const EVP_CIPHER *cipher)
{
	static const uint8_t phrase[] = "secret";
	char *text;
	BIO *bio = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, cipher,
			     cipher == NULL ? NULL : phrase,
			     cipher == NULL ? 0 : 6, NULL, NULL),
	    1);
	long len = BIO_get_mem_data(bio, &text);
	keys_bring(STR("file"), file_of(text, (size_t)len));
	BIO_free(bio);
}

/* The block that OpenSSL itself makes, as long as the modulus. */
static void
pad(EVP_PKEY *key, int padding, const EVP_MD *md, uint8_t *block)
{
	uint8_t digest[64], sig[VAULT_SIGN_MAX];
	size_t size = (size_t)EVP_PKEY_get_size(key), len = sizeof(sig);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	memset(digest, 0x5a, sizeof(digest));
	ck_assert_int_eq(EVP_PKEY_sign_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_signature_md(ctx, md), 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(
				     ctx, RSA_PSS_SALTLEN_DIGEST),
		    1);
	ck_assert_int_eq(
	    EVP_PKEY_sign(ctx, sig, &len, digest, (size_t)EVP_MD_get_size(md)),
	    1);
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new(key, NULL);
	ck_assert_int_eq(EVP_PKEY_encrypt_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
	ck_assert_int_eq(EVP_PKEY_encrypt(ctx, block, &size, sig, len), 1);
	EVP_PKEY_CTX_free(ctx);
}

static size_t
sign_block(EVP_PKEY *key, const uint8_t *block, size_t len)
{
	uint8_t out[VAULT_SIGN_MAX];
	return signing_make(id_of(key), VAULT_RSA_RAW,
	    (struct str){ (const char *)block, len }, out);
}

static size_t
sign(EVP_PKEY *key, enum vault_scheme scheme, size_t len,
    uint8_t out[static VAULT_SIGN_MAX])
{
	static char input[VAULT_SIGN_MAX];
	memset(input, 0x11, sizeof(input));
	if (scheme == VAULT_RSA_RAW && len == 256)
		pad(rsa, RSA_PKCS1_PADDING, EVP_sha256(), (uint8_t *)input);
	return signing_make(
	    id_of(key), scheme, (struct str){ input, len }, out);
}

START_TEST(signs_rsa)
{
	uint8_t out[VAULT_SIGN_MAX], back[256], input[256];
	size_t len = sizeof(back);
	pad(rsa, RSA_PKCS1_PADDING, EVP_sha256(), input);
	bring(rsa, NULL);
	ck_assert_uint_eq(sign(rsa, VAULT_RSA_RAW, 256, out), 0);
	keys_change();
	ck_assert_uint_eq(sign(rsa, VAULT_RSA_RAW, 256, out), 256);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(rsa, NULL);
	ck_assert_int_eq(EVP_PKEY_encrypt_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
	ck_assert_int_eq(EVP_PKEY_encrypt(ctx, back, &len, out, 256), 1);
	EVP_PKEY_CTX_free(ctx);
	ck_assert_mem_eq(back, input, sizeof(input));
}

END_TEST

START_TEST(signs_ecdsa)
{
	uint8_t out[VAULT_SIGN_MAX], digest[64];
	memset(digest, 0x11, sizeof(digest));
	bring(ec, NULL);
	keys_change();
	for (size_t n = 32; n <= 64; n += 16) {
		size_t len = sign(ec, VAULT_ECDSA, n, out);
		ck_assert_uint_gt(len, 0);
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ec, NULL);
		ck_assert_int_eq(EVP_PKEY_verify_init(ctx), 1);
		ck_assert_int_eq(EVP_PKEY_verify(ctx, out, len, digest, n), 1);
		EVP_PKEY_CTX_free(ctx);
	}
}

END_TEST

/* What TLS signs, with keys of odd sizes too. */
START_TEST(padded_as_a_signature)
{
	static const unsigned int bits[] = { 2048, 2049, 2052, 2055, 3072 };
	const EVP_MD *mds[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };
	EVP_PKEY *key = EVP_RSA_gen(bits[_i]);
	size_t len = (size_t)EVP_PKEY_get_size(key);
	uint8_t block[VAULT_SIGN_MAX];
	bring(key, NULL);
	keys_change();
	for (size_t i = 0; i < 3; i++) {
		pad(key, RSA_PKCS1_PADDING, mds[i], block);
		ck_assert_uint_eq(sign_block(key, block, len), len);
		pad(key, RSA_PKCS1_PSS_PADDING, mds[i], block);
		ck_assert_uint_eq(sign_block(key, block, len), len);
	}
	EVP_PKEY_free(key);
}

END_TEST

/* Each byte is looked at, but for the digest; so is what was encrypted. */
START_TEST(padded_otherwise)
{
	uint8_t block[256], sealed[256];
	size_t len = sizeof(sealed);
	bring(rsa, NULL);
	keys_change();
	pad(rsa, RSA_PKCS1_PADDING, EVP_sha256(), block);
	for (size_t i = 0; i < sizeof(block); i++) {
		block[i] ^= 0x04;
		ck_assert_uint_eq(
		    sign_block(rsa, block, 256), i < 256 - 32 ? 0 : 256);
		block[i] ^= 0x04;
	}
	pad(rsa, RSA_PKCS1_PSS_PADDING, EVP_sha256(), block);
	for (size_t i = 0; i < sizeof(block); i++) {
		bool is_salt = i >= 256 - 1 - 32 - 32 && i < 256 - 1 - 32;
		block[i] ^= 0x04;
		ck_assert_uint_eq(
		    sign_block(rsa, block, 256), is_salt ? 256 : 0);
		block[i] ^= 0x04;
	}
	for (int i = 0; i < 2; i++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(rsa, NULL);
		ck_assert_int_eq(EVP_PKEY_encrypt_init(ctx), 1);
		ck_assert_int_eq(
		    EVP_PKEY_CTX_set_rsa_padding(ctx,
			i == 0 ? RSA_PKCS1_PADDING : RSA_PKCS1_OAEP_PADDING),
		    1);
		ck_assert_int_eq(
		    EVP_PKEY_encrypt(ctx, sealed, &len, block, 16), 1);
		EVP_PKEY_CTX_free(ctx);
		ck_assert_uint_eq(sign_block(rsa, sealed, 256), 0);
	}
	memset(block, 0, sizeof(block));
	ck_assert_uint_eq(sign_block(rsa, block, 256), 0);
	block[255] = 2;
	ck_assert_uint_eq(sign_block(rsa, block, 256), 0);
}

END_TEST

/* Only whole blocks, only digests, only what the key is for. */
START_TEST(refuses)
{
	static const size_t no_digest[] = { 0, 1, 16, 20, 28, 31, 33, 47, 65,
		256, VAULT_SIGN_MAX };
	uint8_t out[VAULT_SIGN_MAX];
	static char high[256];
	struct str block = { high, sizeof(high) };
	bring(rsa, NULL);
	bring(ec, NULL);
	keys_change();
	for (size_t n = 0; n <= 300; n++)
		ck_assert_uint_eq(
		    sign(rsa, VAULT_RSA_RAW, n, out), n == 256 ? 256 : 0);
	for (size_t i = 0; i < sizeof(no_digest) / sizeof(no_digest[0]); i++)
		ck_assert_uint_eq(sign(ec, VAULT_ECDSA, no_digest[i], out), 0);
	ck_assert_uint_eq(sign(rsa, VAULT_ECDSA, 32, out), 0);
	ck_assert_uint_eq(sign(ec, VAULT_RSA_RAW, 32, out), 0);
	/* Not padded at all. */
	memset(high, 0xff, sizeof(high));
	ck_assert_uint_eq(
	    signing_make(id_of(rsa), VAULT_RSA_RAW, block, out), 0);
	ck_assert_uint_eq(
	    signing_make(STR("short"), VAULT_RSA_RAW, block, out), 0);
	ck_assert_uint_eq(signing_make(STR(""), VAULT_RSA_RAW, block, out), 0);
}

END_TEST

/* The set before stays for one change. */
START_TEST(changes)
{
	uint8_t out[VAULT_SIGN_MAX];
	bring(ec, NULL);
	keys_change();
	bring(rsa, NULL);
	keys_change();
	ck_assert_uint_gt(sign(ec, VAULT_ECDSA, 32, out), 0);
	ck_assert_uint_gt(sign(rsa, VAULT_RSA_RAW, 256, out), 0);
	bring(rsa, NULL);
	bring(rsa, NULL);
	keys_change();
	ck_assert_uint_eq(sign(ec, VAULT_ECDSA, 32, out), 0);
	ck_assert_uint_gt(sign(rsa, VAULT_RSA_RAW, 256, out), 0);
	keys_change();
	ck_assert_uint_gt(sign(rsa, VAULT_RSA_RAW, 256, out), 0);
	keys_change();
	ck_assert_uint_eq(sign(rsa, VAULT_RSA_RAW, 256, out), 0);
}

END_TEST

/* One bad file costs itself, not its neighbours. */
START_TEST(bad_files)
{
	static const char *const texts[] = { "", "garbage",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n"
		"-----END PRIVATE KEY-----\n" };
	uint8_t out[VAULT_SIGN_MAX];
	static char huge[128 * 1024];
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *encrypted = EVP_EC_gen("P-256");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		keys_bring(STR("bad"), file_of(texts[i], strlen(texts[i])));
	keys_bring(STR("huge"), file_of(huge, sizeof(huge)));
	keys_bring(STR("directory"), open("/", O_RDONLY | O_CLOEXEC));
	bring(weak, NULL);
	bring(ed, NULL);
	bring(encrypted, EVP_aes_128_cbc());
	bring(ec, NULL);
	keys_change();
	ck_assert_uint_gt(sign(ec, VAULT_ECDSA, 32, out), 0);
	ck_assert_ptr_null(keys_find(id_of(weak)));
	ck_assert_ptr_null(keys_find(id_of(ed)));
	ck_assert_ptr_null(keys_find(id_of(encrypted)));
	EVP_PKEY_free(weak);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(encrypted);
}

END_TEST

START_TEST(warms_up)
{
	signing_warm_up();
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("keys");
	TCase *t = tcase_create("keys");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, signs_rsa);
	tcase_add_test(t, signs_ecdsa);
	tcase_add_loop_test(t, padded_as_a_signature, 0, 5);
	tcase_add_test(t, padded_otherwise);
	tcase_add_test(t, refuses);
	tcase_add_test(t, changes);
	tcase_add_test(t, bad_files);
	tcase_add_test(t, warms_up);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
