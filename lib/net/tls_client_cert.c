/*
 * Certificates of clients: asked for, looked at within bounds, and never a
 * reason to fail; what was found is for rules, filters and the log.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "lib/net/tls_own.h"

enum {
	CHAIN_SIZE_MAX = 32768, /* of the whole message; more is an attack */
	DEPTH_MAX = 5
};

/* In place of OpenSSL's own check, whose result it leaves in c; 1 lets the
 * handshake go on. */
static int
on_verify(X509_STORE_CTX *c, void *has_ca)
{
	if (has_ca == NULL)
		X509_STORE_CTX_set_error(
		    c, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	else if (!tls_chain_is_cheap(X509_STORE_CTX_get0_untrusted(c)))
		X509_STORE_CTX_set_error(c, X509_V_ERR_CERT_REJECTED);
	else if (X509_verify_cert(c) != 1 &&
		 X509_STORE_CTX_get_error(c) == X509_V_OK)
		X509_STORE_CTX_set_error(c, X509_V_ERR_UNSPECIFIED);
	ERR_clear_error();
	return 1;
}

/* Their names go to the client, so that it knows which of its own to show. */
static int
trust(SSL_CTX *ctx, BIO *pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509 *cert;
	int n = 0;

	for (; (cert = tls_next_cert(pem)) != NULL; n++) {
		bool ok = X509_STORE_add_cert(store, cert) == 1 &&
			  SSL_CTX_add_client_CA(ctx, cert) == 1;

		X509_free(cert);
		if (!ok)
			return -1;
	}
	return n > 0 ? 0 : -1;
}

int
tls_client_ask(SSL_CTX *ctx, const char *ca, struct fault *why)
{
	BIO *pem;
	int r;

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
	SSL_CTX_set_verify_depth(ctx, DEPTH_MAX);
	SSL_CTX_set_max_cert_list(ctx, CHAIN_SIZE_MAX);
	SSL_CTX_set_cert_verify_callback(
	    ctx, on_verify, ca != NULL ? ctx : NULL);
	if (ca == NULL)
		return 0;
	pem = BIO_new_mem_buf(ca, -1);
	r = pem == NULL ? -1 : trust(ctx, pem);
	BIO_free(pem);
	return r == 0 ? 0 :
			fault_set(why, FAULT_PERM, "client-certificate ca: %s",
			    tls_reason());
}
