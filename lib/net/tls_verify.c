/*
 * Is the server who it has to be? By OpenSSL's own check, which knows names
 * (in the subjectAltName alone, their length in mind), dates, purposes, and
 * TLSA records (RFC 6698, 7671, 7672). Who asks for no proof is told what
 * would have been amiss, and goes on.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "lib/base/clock.h"
#include "lib/net/tls_own.h"

enum {
	CHAIN_SIZE_MAX = 256 * 1024, /* bytes of the whole message */
	CHAIN_MAX = 10,
	KEY_BITS_MAX = 8192,
	AUTH_LEVEL = 2, /* RSA of 2048 bits, no SHA-1 */
	USAGE_TA = 2,
	USAGE_EE = 3
};

bool
tls_chain_is_cheap(const STACK_OF(X509) * chain)
{
	int n = sk_X509_num(chain);

	for (int i = 0; i < n && n <= CHAIN_MAX; i++) {
		EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(chain, i));

		if (key == NULL || EVP_PKEY_get_bits(key) > KEY_BITS_MAX)
			return false;
	}
	return n <= CHAIN_MAX;
}

/* --- what was found --- */

static const struct {
	int error;
	enum tls_failure failure;
} failures[] = {
	{ X509_V_OK, TLS_FINE },
	{ X509_V_ERR_HOSTNAME_MISMATCH, TLS_HOST_MISMATCH },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, TLS_HOST_MISMATCH },
	{ X509_V_ERR_CERT_HAS_EXPIRED, TLS_EXPIRED },
	{ X509_V_ERR_CERT_NOT_YET_VALID, TLS_EXPIRED },
	{ X509_V_ERR_DANE_NO_MATCH, TLS_NO_MATCH },
};

static enum tls_failure
failure_of(int error)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (failures[i].error == error)
			return failures[i].failure;
	return TLS_NOT_TRUSTED;
}

/* In place of OpenSSL's own; 1 lets the handshake go on. */
static int
on_verify(X509_STORE_CTX *c, void *unused)
{
	SSL *ssl =
	    X509_STORE_CTX_get_ex_data(c, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	int error;

	(void)unused;
	/* What is a proof does not depend on what else is let pass. */
	X509_VERIFY_PARAM_set_auth_level(
	    X509_STORE_CTX_get0_param(c), AUTH_LEVEL);
	if (!tls_chain_is_cheap(X509_STORE_CTX_get0_untrusted(c)))
		X509_STORE_CTX_set_error(c, X509_V_ERR_CERT_CHAIN_TOO_LONG);
	else if (X509_verify_cert(c) != 1 &&
		 X509_STORE_CTX_get_error(c) == X509_V_OK)
		X509_STORE_CTX_set_error(c, X509_V_ERR_UNSPECIFIED);
	error = X509_STORE_CTX_get_error(c);
	ERR_clear_error();
	t->wish->look = (struct tls_look){ failure_of(error), clock_mono_ms() };
	if (error == X509_V_OK || t->wish->proof == TLS_PROOF_NONE)
		return 1;
	t->error = X509_verify_cert_error_string(error);
	return 0;
}

void
tls_verify_use(SSL_CTX *ctx)
{
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_max_cert_list(ctx, CHAIN_SIZE_MAX);
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
}

/* --- what is wanted --- */

/* To OpenSSL an empty one is no demand: whoever would be that. */
static bool
has_names(const struct tls_demand *d)
{
	for (size_t i = 0; i < d->nnames; i++)
		if (d->names[i][0] != '\0')
			return true;
	return d->address != NULL;
}

static int
set_names(SSL *ssl, const struct tls_demand *d)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(
	    p, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
		   X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
		   X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS);
	if (X509_VERIFY_PARAM_set1_host(p, NULL, 0) != 1)
		return -1;
	if (d->address != NULL)
		return X509_VERIFY_PARAM_set1_ip(p, d->address->bytes,
			   d->address->family == ADDR_V4 ? 4 : 16) == 1 ?
			   0 :
			   -1;
	for (size_t i = 0; i < d->nnames; i++)
		if (X509_VERIFY_PARAM_add1_host(p, d->names[i], 0) != 1)
			return -1;
	return 0;
}

/* One of usage 2 says nothing without a name. */
static bool
is_usable(const struct tls_demand *d, const struct tls_tlsa *r)
{
	return r->usage == USAGE_EE || (r->usage == USAGE_TA && has_names(d));
}

/* Records that make no sense are as if they were not there (RFC 7671 4). */
static int
set_records(SSL *ssl, const struct tls_demand *d, struct fault *why)
{
	size_t n = 0;

	/* A base domain there has to be; names and SNI are set by us. */
	if (SSL_dane_enable(ssl, "invalid") != 1)
		return fault_set(why, FAULT_OURS, "DANE: %s", tls_reason());
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < d->ntlsas; i++) {
		const struct tls_tlsa *r = &d->tlsas[i];

		if (is_usable(d, r) &&
		    SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching,
			r->data, r->len) == 1)
			n++;
	}
	ERR_clear_error();
	return n > 0 ? 0 :
		       fault_set(
			   why, FAULT_PEER, "no TLSA record that can be used");
}

int
tls_verify_set(SSL *ssl, const struct tls_demand *d, struct fault *why)
{
	const char *sni = d->server_name;

	if (d->proof == TLS_PROOF_NAME && !has_names(d))
		return fault_set(why, FAULT_OURS, "nobody whom it could be");
	if (d->proof == TLS_PROOF_DANE && set_records(ssl, d, why) < 0)
		return -1;
	if (set_names(ssl, d) < 0)
		return fault_set(why, FAULT_OURS, "TLS: %s", tls_reason());
	if (sni != NULL && !tls_is_host_name(sni))
		sni = NULL;
	return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		   TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)sni) == 1 ?
		   0 :
		   fault_set(why, FAULT_OURS, "SNI: %s", tls_reason());
}
