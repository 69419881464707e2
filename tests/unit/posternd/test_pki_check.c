/* What is said of certificates and keys, by the process that looks at them;
 * and the keys of tickets. */
#include <check.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "posternd/pki_check.h"
#include "posternd/tickets.h"

static struct config *conf;
static struct buf said;
static char dir[32];
static EVP_PKEY *key, *other;

static void
setup(void)
{
	strcpy(dir, "/tmp/test-pki-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	conf = config_new();
	conf->pkis = xcalloc(2, sizeof(*conf->pkis));
	conf->npkis = 2;
	for (uint32_t i = 0; i < 2; i++)
		conf->pkis[i] = (struct pki){ .id = i, .name = xstrdup("p") };
	buf_init(&said, 65536);
	key = EVP_EC_gen("P-256");
	other = EVP_EC_gen("P-256");
}

static void
teardown(void)
{
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < conf->pkis[i].ncerts; k++)
			unlink(conf->pkis[i].certs[k].key_path);
	rmdir(dir);
	config_unref(&conf);
	buf_clear(&said);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static const EVP_MD *digest; /* of signatures; NULL: SHA-256 */

/* Appends a certificate in PEM; from and to: days from now. */
static void
add_cert(BIO *out, EVP_PKEY *pkey, const char *name, EVP_PKEY *issuer,
    const char *issuer_name, int from, int to)
{
	X509 *x = X509_new();
	X509_NAME *n = X509_NAME_new();
	X509_NAME_add_entry_by_txt(
	    n, "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0);
	X509_set_subject_name(x, n);
	X509_NAME_free(n);
	n = X509_NAME_new();
	X509_NAME_add_entry_by_txt(
	    n, "CN", MBSTRING_ASC, (const uint8_t *)issuer_name, -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_NAME_free(n);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from * 86400L);
	X509_gmtime_adj(X509_getm_notAfter(x), to * 86400L);
	X509_set_pubkey(x, pkey);
	ck_assert_int_gt(
	    X509_sign(x, issuer, digest != NULL ? digest : EVP_sha256()), 0);
	ck_assert_int_eq(PEM_write_bio_X509(out, x), 1);
	X509_free(x);
}

/* One more certificate of an identity, with a file for its key. */
static void
add(size_t i, BIO *chain, EVP_PKEY *pkey, mode_t mode)
{
	struct pki *p = &conf->pkis[i];
	struct cert *c = &p->certs[p->ncerts];
	char path[64], *text;
	long len = BIO_get_mem_data(chain, &text);
	snprintf(path, sizeof(path), "%s/%zu.%zu.key", dir, i, p->ncerts++);
	c->chain = xstrndup(text, (size_t)len);
	c->cert_path = xstrdup("file.crt");
	c->key_path = xstrdup(path);
	BIO_free(chain);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL);
	ck_assert_int_eq(fchmod(fileno(f), mode), 0);
	fclose(f);
}

static BIO *
own_cert(EVP_PKEY *pkey, int from, int to)
{
	BIO *b = BIO_new(BIO_s_mem());
	add_cert(b, pkey, "mx", pkey, "mx", from, to);
	return b;
}

static void
complain(void *ctx, const struct pki *p, bool is_warning, const char *text)
{
	(void)ctx;
	buf_addf(&said, "%u%c %s\n", p->id, is_warning ? 'W' : 'E', text);
}

static int
check(void)
{
	int result = pki_check(conf, complain, NULL);
	buf_add_char(&said, '\0');
	return result;
}

static void
is_said(const char *text)
{
	ck_assert_msg(
	    strstr(said.p, text) != NULL, "not said: %s in: %s", text, said.p);
}

START_TEST(good)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	BIO *chain = BIO_new(BIO_s_mem());
	add_cert(chain, key, "mx", other, "ca", -1, 300);
	add_cert(chain, other, "ca", other, "ca", -1, 300);
	add(0, chain, key, 0600);
	add(0, own_cert(rsa, -1, 300), rsa, 0640);
	add(1, own_cert(other, -1, 300), other, 0400);
	ck_assert_int_eq(check(), 0);
	ck_assert_str_eq(said.p, "");
	for (size_t k = 0; k < 2; k++) {
		int fd = conf->pkis[0].certs[k].key_fd;
		ck_assert_int_gt(fd, STDERR_FILENO);
		/* Whoever was handed it before read nothing away. */
		ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
		ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	}
	EVP_PKEY_free(rsa);
}

END_TEST

/* All of it is found in one go, of the right identity. */
START_TEST(bad)
{
	BIO *disorder = own_cert(key, -1, 300), *empty = BIO_new(BIO_s_mem());
	add_cert(disorder, other, "ca", other, "ca", -1, 300);
	EVP_PKEY *weak = EVP_RSA_gen(1024), *small = EVP_EC_gen("P-224");
	add(0, disorder, key, 0600);
	add(0, own_cert(key, -1, 300), other, 0600);
	add(0, own_cert(weak, -1, 300), weak, 0600);
	BIO_puts(empty, "nothing\n");
	add(0, empty, key, 0600);
	add(1, own_cert(small, -1, 300), small, 0600);
	add(1, own_cert(other, -1, 300), other, 0606);
	ck_assert_int_eq(check(), -1);
	is_said("0E file.crt: the chain is out of order: certificate 1 is not "
		"signed by certificate 2\n");
	is_said("0.1.key: the key does not belong to the certificate file.crt");
	is_said("0E file.crt: there is a certificate with a key of this kind");
	is_said("0E file.crt: an RSA key of less than 2048 bits");
	is_said("0E file.crt: no certificate in PEM");
	is_said("1E file.crt: an ECDSA key of less than 256 bits");
	is_said("1.1.key: writable by everybody");
	EVP_PKEY_free(weak);
	EVP_PKEY_free(small);
}

END_TEST

/* All that smtpd's TLS would refuse is found here, down to the root. */
START_TEST(bad_issuers)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	BIO *chain = BIO_new(BIO_s_mem());
	add_cert(chain, key, "mx", other, "ca", -1, 300);
	digest = EVP_sha1();
	add_cert(chain, other, "ca", weak, "root", -1, -1);
	/* Of who signed itself nobody looks at the signature. */
	add_cert(chain, weak, "root", weak, "root", -1, 3);
	digest = NULL;
	add(0, chain, key, 0600);
	ck_assert_int_eq(check(), -1);
	is_said("0E file.crt: certificate 2 is signed with a weak digest");
	is_said("0W file.crt: certificate 2 expired on");
	is_said("0E file.crt: certificate 3 has a weak key");
	is_said("0W file.crt: certificate 3 expires on");
	ck_assert_ptr_null(strstr(said.p, "certificate 3 is signed"));
	EVP_PKEY_free(weak);
}

END_TEST

static EVP_PKEY *
of_type(const char *type)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *made = NULL;
	ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_generate(ctx, &made), 1);
	EVP_PKEY_CTX_free(ctx);
	return made;
}

/* Kinds that TLS knows, and those that it does not or that nobody can ask for
 * a signature. */
START_TEST(kinds)
{
	static const struct {
		const char *type, *curve, *says; /* NULL: good */
	} all[] = {
		{ "EC", "P-256", NULL },
		{ "EC", "P-384", NULL },
		{ "EC", "P-521", NULL },
		{ "EC", "secp256k1", "0E file.crt: an ECDSA key on another" },
		{ "EC", "brainpoolP384r1", "0E file.crt: an ECDSA key on" },
		{ "RSA-PSS", NULL, "0E file.crt: a key that is neither RSA" },
		{ "ED25519", NULL, "0E file.crt: a key that is neither RSA" },
		{ "ED448", NULL, "0E file.crt: a key that is neither RSA" },
	};

	EVP_PKEY *one = all[_i].curve != NULL ? EVP_EC_gen(all[_i].curve) :
						of_type(all[_i].type);
	BIO *b = BIO_new(BIO_s_mem());
	ck_assert_ptr_nonnull(one);
	/* Those keys have a digest of their own: another signs. */
	add_cert(b, one, "mx", other, "ca", -1, 300);
	add(0, b, one, 0600);
	ck_assert_int_eq(check(), all[_i].says == NULL ? 0 : -1);
	if (all[_i].says != NULL)
		is_said(all[_i].says);
	EVP_PKEY_free(one);
}

END_TEST

START_TEST(client_ca)
{
	char *text;
	BIO *ca = own_cert(other, -1, 300);
	long len = BIO_get_mem_data(ca, &text);
	conf->listeners = xcalloc(1, sizeof(*conf->listeners));
	conf->nlisteners = 1;
	struct listener *l = &conf->listeners[0];
	l->line = 7;
	l->pkis[l->npkis++] = &conf->pkis[1];
	l->client_ca = xstrndup(text, (size_t)len);
	BIO_free(ca);
	add(1, own_cert(key, -1, 300), key, 0600);
	ck_assert_int_eq(check(), 0);
	buf_clear(&said);
	/* Its text has the marks of PEM still. */
	l->client_ca[strlen("-----BEGIN CERTIFICATE-----\n") + 100] = '!';
	ck_assert_int_eq(check(), -1);
	is_said("1E `client-certificate ca' of line 7: certificate 1 cannot");
}

END_TEST

START_TEST(doubtful)
{
	add(0, own_cert(key, -20, -10), key, 0600);
	add(1, own_cert(other, -1, 13), other, 0644);
	ck_assert_int_eq(check(), 0);
	is_said("0W file.crt: certificate expired on ");
	is_said("1W file.crt: certificate expires on ");
	is_said("1.0.key: the key is readable by everybody");
}

END_TEST

START_TEST(not_yet)
{
	add(0, own_cert(key, 3, 300), key, 0600);
	ck_assert_int_eq(check(), 0);
	is_said("0W file.crt: certificate is not valid before ");
}

END_TEST

/* The newest is in front, the oldest goes. */
START_TEST(tickets)
{
	static const uint8_t zeros[TICKET_KEY_SIZE];
	struct tickets t = { 0 };
	uint8_t first[TICKET_KEY_SIZE];
	ck_assert_uint_eq(tickets_keys(&t).len, 0);
	tickets_rotate(&t);
	ck_assert_uint_eq(tickets_keys(&t).len, TICKET_KEY_SIZE);
	memcpy(first, tickets_keys(&t).p, sizeof(first));
	ck_assert_mem_ne(first, zeros, sizeof(first));
	for (size_t i = 1; i < TICKET_KEYS_MAX; i++) {
		tickets_rotate(&t);
		struct str keys = tickets_keys(&t);
		ck_assert_uint_eq(keys.len, (i + 1) * TICKET_KEY_SIZE);
		ck_assert_mem_ne(keys.p, first, sizeof(first));
		ck_assert_mem_eq(
		    keys.p + i * TICKET_KEY_SIZE, first, sizeof(first));
	}
	tickets_rotate(&t);
	ck_assert_uint_eq(
	    tickets_keys(&t).len, TICKET_KEYS_MAX * TICKET_KEY_SIZE);
	for (size_t i = 0; i < TICKET_KEYS_MAX; i++)
		ck_assert_mem_ne(tickets_keys(&t).p + i * TICKET_KEY_SIZE,
		    first, sizeof(first));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("pki_check");
	TCase *t = tcase_create("pki_check");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, good);
	tcase_add_test(t, bad);
	tcase_add_test(t, bad_issuers);
	tcase_add_loop_test(t, kinds, 0, 8);
	tcase_add_test(t, client_ca);
	tcase_add_test(t, doubtful);
	tcase_add_test(t, not_yet);
	tcase_add_test(t, tickets);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
