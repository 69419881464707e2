/*
 * What the process finds goes through a pipe as lines: the number of the
 * identity, `E' or `W', the text. Its last word is `.'; without it it did not
 * get to the end.
 */
#include "posternd/pki_check.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"

enum {
	LOOK_SECONDS = 60, /* then the process is ended */
	REPORT_MAX = 1 << 20,
	KEY_FILE_MAX = 64 * 1024,
	CHAIN_LENGTH_MAX = 16,
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 8192,     /* of a signature that the vault can send */
	SECURITY_BITS_MIN = 112, /* as smtpd's TLS wants it (its level 2) */
	WARN_DAYS = 14
};

/* --- in the process that looks --- */

/* About one identity, to the pipe. */
struct sheet {
	FILE *out;
	const struct pki *pki;
};

static void __attribute__((format(printf, 3, 4)))
note(const struct sheet *s, char what, const char *fmt, ...)
{
	va_list ap;
	fprintf(s->out, "%u %c ", s->pki->id, what);
	va_start(ap, fmt);
	vfprintf(s->out, fmt, ap);
	va_end(ap);
	fputc('\n', s->out);
}

#define bad(s, ...)   note(s, 'E', __VA_ARGS__)
#define doubt(s, ...) note(s, 'W', __VA_ARGS__)

/* All certificates of a file, in the order they stand in. */
static STACK_OF(X509) *
    read_certs(const struct sheet *s, const char *pem, const char *path)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x;
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(list, x) == 0)
			X509_free(x);
	unsigned long error = ERR_peek_last_error();
	BIO_free(bio);
	if (ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		bad(s, "%s: certificate %d cannot be read: %s", path,
		    sk_X509_num(list) + 1, ERR_reason_error_string(error));
	else if (sk_X509_num(list) == 0)
		bad(s, "%s: no certificate in PEM", path);
	ERR_clear_error();
	return list;
}

/* "2026-11-22". */
static const char *
day(const ASN1_TIME *t, char text[static 16])
{
	struct tm tm = { 0 };
	if (ASN1_TIME_to_tm(t, &tm) != 1 ||
	    strftime(text, 16, "%Y-%m-%d", &tm) == 0)
		snprintf(text, 16, "?");
	return text;
}

/* Of a chain: "certificate", "certificate 2". */
static const char *
numbered(int i, char text[static 24])
{
	snprintf(text, 24, i == 0 ? "certificate" : "certificate %d", i + 1);
	return text;
}

static void
check_time(const struct sheet *s, const char *path, const X509 *x, int i)
{
	const ASN1_TIME *from = X509_get0_notBefore(x);
	const ASN1_TIME *to = X509_get0_notAfter(x);
	time_t soon = time(NULL) + (time_t)WARN_DAYS * 86400;
	char text[16], name[24];
	numbered(i, name);
	if (X509_cmp_current_time(from) > 0)
		doubt(s, "%s: %s is not valid before %s", path, name,
		    day(from, text));
	if (X509_cmp_current_time(to) < 0)
		doubt(s, "%s: %s expired on %s", path, name, day(to, text));
	else if (X509_cmp_time(to, &soon) < 0)
		doubt(s, "%s: %s expires on %s", path, name, day(to, text));
}

/* Others are of no use in TLS 1.3, or to nobody's client. */
static bool
is_common_curve(const EVP_PKEY *key)
{
	static const char *const curves[] = { "prime256v1", "secp384r1",
		"secp521r1" };
	char name[64];
	if (EVP_PKEY_get_group_name(key, name, sizeof(name), NULL) != 1)
		return false;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(name, curves[i]) == 0)
			return true;
	return false;
}

static const char *
weak_key(EVP_PKEY *key)
{
	int bits = key == NULL ? 0 : EVP_PKEY_get_bits(key);
	switch (key == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return bits < RSA_BITS_MIN ?
			   "an RSA key of less than 2048 bits" :
		       bits > RSA_BITS_MAX ?
			   "an RSA key of more than 8192 bits" :
			   NULL;
	case EVP_PKEY_EC:
		return bits < 256 ? "an ECDSA key of less than 256 bits" :
		       !is_common_curve(key) ?
				    "an ECDSA key on another curve than P-256, "
				    "P-384 and P-521" :
				    NULL;
	default:
		return "a key that is neither RSA nor ECDSA";
	}
}

/* Of who signed itself nobody looks at the signature. */
static bool
is_signed_weakly(X509 *x)
{
	int bits = 0;
	return (X509_get_extension_flags(x) & EXFLAG_SS) == 0 &&
	       X509_get_signature_info(x, NULL, NULL, &bits, NULL) == 1 &&
	       bits < SECURITY_BITS_MIN;
}

/* What smtpd's TLS would refuse of the whole chain, and when it would be of no
 * use. Of the first the key was looked at. */
static void
check_each(const struct sheet *s, const char *path, STACK_OF(X509) * list)
{
	char name[24];
	for (int i = 0; i < sk_X509_num(list) && i < CHAIN_LENGTH_MAX; i++) {
		X509 *x = sk_X509_value(list, i);
		EVP_PKEY *key = X509_get0_pubkey(x);
		numbered(i, name);
		if (i > 0 && (key == NULL || EVP_PKEY_get_security_bits(key) <
						 SECURITY_BITS_MIN))
			bad(s, "%s: %s has a weak key", path, name);
		if (is_signed_weakly(x))
			bad(s, "%s: %s is signed with a weak digest", path,
			    name);
		check_time(s, path, x, i);
	}
}

static void
check_links(const struct sheet *s, const char *path, STACK_OF(X509) * list)
{
	int n = sk_X509_num(list);
	if (n > CHAIN_LENGTH_MAX)
		bad(s, "%s: more than %d certificates", path, CHAIN_LENGTH_MAX);
	for (int i = 0; i + 1 < n && i < CHAIN_LENGTH_MAX; i++) {
		X509 *upper = sk_X509_value(list, i + 1);
		if (X509_check_issued(upper, sk_X509_value(list, i)) !=
			X509_V_OK ||
		    X509_verify(
			sk_X509_value(list, i), X509_get0_pubkey(upper)) != 1) {
			bad(s,
			    "%s: the chain is out of order: certificate %d is "
			    "not signed by certificate %d",
			    path, i + 1, i + 2);
			break;
		}
	}
	ERR_clear_error();
}

static void
check_chain(const struct sheet *s, const struct cert *c, STACK_OF(X509) * list)
{
	X509 *x = sk_X509_value(list, 0);
	const char *weak = weak_key(X509_get0_pubkey(x));
	if (weak != NULL)
		bad(s, "%s: %s", c->cert_path, weak);
	check_each(s, c->cert_path, list);
	check_links(s, c->cert_path, list);
}

/* --- keys --- */

static int
no_passphrase(char *text, int size, int writing, void *asked)
{
	(void)text;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static void
check_mode(const struct sheet *s, const struct cert *c)
{
	struct stat st;
	if (fstat(c->key_fd, &st) == 0 && (st.st_mode & S_IROTH) != 0)
		doubt(s, "%s: the key is readable by everybody", c->key_path);
}

/* The text, behind it a NUL; NULL: it was said why not. */
static char *
read_file(const struct sheet *s, const struct cert *c)
{
	char *text = calloc(1, KEY_FILE_MAX + 1);
	ssize_t n = text == NULL ? -1 : pread(c->key_fd, text, KEY_FILE_MAX, 0);
	if (n >= 0 && n < KEY_FILE_MAX)
		return text;
	bad(s, "%s: %s", c->key_path,
	    n == -1 ? strerror(errno) : "too long for a key");
	free(text);
	return NULL;
}

static EVP_PKEY *
read_key(const struct sheet *s, const struct cert *c)
{
	char *text = read_file(s, c);
	bool asked = false;
	if (text == NULL)
		return NULL;
	BIO *bio = BIO_new_mem_buf(text, -1);
	EVP_PKEY *key =
	    PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	BIO_free(bio);
	if (key == NULL)
		bad(s, "%s: %s", c->key_path,
		    asked ? "the key is encrypted: nobody is there to be "
			    "asked for its passphrase" :
			    "no private key in PEM");
	explicit_bzero(text, KEY_FILE_MAX);
	free(text);
	ERR_clear_error();
	return key;
}

static void
check_key(const struct sheet *s, const struct cert *c, X509 *x)
{
	EVP_PKEY *key;
	check_mode(s, c);
	if ((key = read_key(s, c)) == NULL)
		return;
	if (x != NULL && X509_check_private_key(x, key) != 1)
		bad(s, "%s: the key does not belong to the certificate %s",
		    c->key_path, c->cert_path);
	ERR_clear_error();
	EVP_PKEY_free(key);
}

/* --- all of it --- */

/* Of one kind there is no choice among them: the last would win. */
static void
check_kinds(const struct sheet *s, const int *kinds)
{
	for (size_t i = 0; i < s->pki->ncerts; i++)
		for (size_t j = 0; j < i; j++)
			if (kinds[i] != EVP_PKEY_NONE && kinds[i] == kinds[j])
				bad(s,
				    "%s: there is a certificate with a key of "
				    "this kind already",
				    s->pki->certs[i].cert_path);
}

static int
look_at(const struct sheet *s, const struct cert *c)
{
	STACK_OF(X509) *list = read_certs(s, c->chain, c->cert_path);
	X509 *x = sk_X509_value(list, 0);
	int kind = EVP_PKEY_NONE;
	if (x != NULL) {
		const EVP_PKEY *key = X509_get0_pubkey(x);
		kind = key == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key);
		check_chain(s, c, list);
	}
	if (c->key_fd > 0)
		check_key(s, c, x);
	sk_X509_pop_free(list, X509_free);
	return kind;
}

/* Of a listener: clients' certificates are checked against them. */
static void
look_at_ca(FILE *out, const struct listener *l)
{
	struct sheet s = { .out = out };
	char what[64];
	if (l->client_ca == NULL || l->npkis == 0)
		return;
	s.pki = l->pkis[0];
	snprintf(
	    what, sizeof(what), "`client-certificate ca\' of line %u", l->line);
	sk_X509_pop_free(read_certs(&s, l->client_ca, what), X509_free);
}

static _Noreturn void
look(const struct config *c, int fd)
{
	const struct rlimit no_core = { 0, 0 };
	FILE *out = fdopen(fd, "w");
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	alarm(LOOK_SECONDS);
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (out == NULL)
		_exit(1);
	for (size_t i = 0; i < c->npkis; i++) {
		struct sheet s = { .out = out, .pki = &c->pkis[i] };
		int kinds[PKI_CERTS_MAX] = { EVP_PKEY_NONE };
		for (size_t k = 0; k < s.pki->ncerts; k++)
			kinds[k] = look_at(&s, &s.pki->certs[k]);
		check_kinds(&s, kinds);
	}
	for (size_t i = 0; i < c->nlisteners; i++)
		look_at_ca(out, &c->listeners[i]);
	fputs(".\n", out);
	_exit(fflush(out) == 0 ? 0 : 1);
}

/* --- in the parent --- */

struct listening {
	const struct config *c;
	pki_complain_fn *complain;
	void *ctx;
	size_t nerrors;
};

static void
say(struct listening *l, const struct pki *p, bool is_warning, const char *text)
{
	l->nerrors += is_warning ? 0 : 1;
	l->complain(l->ctx, p, is_warning, text);
}

static int
open_key(const char *path, const char **why)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		*why = strerror(errno);
		return -1;
	}
	*why = NULL;
	if (fstat(fd, &st) == -1)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = "not a file";
	else if ((st.st_mode & S_IWOTH) != 0)
		*why = "writable by everybody";
	if (*why == NULL)
		return fd;
	close(fd);
	return -1;
}

static void
open_keys(struct config *c, struct listening *l)
{
	char text[1200];
	const char *why;
	for (size_t i = 0; i < c->npkis; i++) {
		struct pki *p = &c->pkis[i];
		for (size_t k = 0; k < p->ncerts; k++) {
			struct cert *cert = &p->certs[k];
			int fd = open_key(cert->key_path, &why);
			cert->key_fd = fd > 0 ? fd : 0;
			if (fd > 0)
				continue;
			snprintf(text, sizeof(text), "cannot open %s: %s",
			    cert->key_path, why);
			say(l, p, false, text);
		}
	}
}

/* A line of the report; true: it was the last. */
static bool
hear(struct listening *l, char *line)
{
	uint64_t id;
	char *what = strchr(line, ' ');
	if (strcmp(line, ".") == 0)
		return true;
	if (what == NULL || what[1] == '\0' || what[2] != ' ' ||
	    str_to_u64((struct str){ line, (size_t)(what - line) },
		l->c->npkis - 1, &id) == -1)
		return false;
	say(l, &l->c->pkis[id], what[1] == 'W', what + 3);
	return false;
}

static int
listen_to(struct listening *l, int fd)
{
	struct buf report;
	bool is_whole = false;
	char part[4096];
	ssize_t n;
	buf_init(&report, REPORT_MAX);
	while ((n = read(fd, part, sizeof(part))) > 0 ||
	       (n == -1 && errno == EINTR))
		if (n > 0)
			buf_add(&report, part, (size_t)n);
	buf_add_char(&report, '\0');
	char *rest = report.failed ? NULL : report.p, *line;
	while (!is_whole && (line = strsep(&rest, "\n")) != NULL)
		is_whole = hear(l, line);
	buf_clear(&report);
	return is_whole ? 0 : -1;
}

static int
ask(const struct config *c, struct listening *l)
{
	int ends[2], heard;
	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		look(c, ends[1]);
	}
	close(ends[1]);
	heard = pid == -1 ? -1 : listen_to(l, ends[0]);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	return heard;
}

int
pki_check(struct config *c, pki_complain_fn *complain, void *ctx)
{
	struct listening l = { .c = c, .complain = complain, .ctx = ctx };
	if (c->npkis == 0)
		return 0;
	open_keys(c, &l);
	if (ask(c, &l) == -1)
		say(&l, &c->pkis[0], false,
		    "certificates could not be looked at");
	return l.nerrors > 0 ? -1 : 0;
}
