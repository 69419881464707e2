/* What is known of a secured connection, and of one that failed. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "lib/net/tls_own.h"

enum { ONE_LINE_MAX = 512 };

const char *
tls_reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text != NULL ? text : "unknown error";
}

X509 *
tls_next_cert(BIO *pem)
{
	X509 *cert = PEM_read_bio_X509(pem, NULL, NULL, NULL);

	/* The end of a file looks like an error to it. */
	if (cert == NULL &&
	    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error();
	return cert;
}

/* "/C=DE/CN=mx.example", everything but printable ASCII as \xHH. */
static char *
one_line(const X509_NAME *name)
{
	char *text = X509_NAME_oneline(name, NULL, 0), *copy;

	if (text == NULL)
		return NULL;
	copy = xstrndup(text, strnlen(text, ONE_LINE_MAX));
	OPENSSL_free(text);
	return copy;
}

bool
tls_is_host_name(const char *name)
{
	size_t n = strnlen(name, TLS_NAME_MAX + 1);
	bool alpha = false;

	if (n == 0 || n > TLS_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (chr_is_alpha(name[i]))
			alpha = true;
		else if (!chr_is_digit(name[i]) && name[i] != '-' &&
			 name[i] != '.' && name[i] != '_')
			return false;
	}
	return alpha;
}

void
tls_info_learn(struct tls *t)
{
	const char *name =
	    SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	X509 *cert = SSL_get0_peer_certificate(t->ssl);

	if (name != NULL && tls_is_host_name(name))
		t->server_name = xstrdup(name);
	if (cert == NULL)
		return;
	t->subject = one_line(X509_get_subject_name(cert));
	t->issuer = one_line(X509_get_issuer_name(cert));
}

static const char *
or_empty(const char *s)
{
	return s != NULL ? s : "";
}

void
tls_info(const struct tls *t, struct tls_info *out)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);

	*out = (struct tls_info){
		.version = SSL_get_version(t->ssl),
		.cipher = SSL_CIPHER_get_name(cipher),
		.bits = SSL_CIPHER_get_bits(cipher, NULL),
		.resumed = SSL_session_reused(t->ssl) == 1,
		.server_name = or_empty(t->server_name),
		.subject = or_empty(t->subject),
		.issuer = or_empty(t->issuer),
		.has_cert = SSL_get0_peer_certificate(t->ssl) != NULL,
	};
	out->verified =
	    out->has_cert && SSL_get_verify_result(t->ssl) == X509_V_OK;
}

const char *
tls_error(const struct tls *t)
{
	return t->error != NULL ? t->error : "";
}
