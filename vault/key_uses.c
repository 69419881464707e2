#include "vault/key_uses.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "edges/vault_limits.h"
#include "lib/base/alloc.h"

struct use {
	uint8_t id[VAULT_KEY_ID];
	enum key_use use;
};

struct uses {
	struct use *list;
	size_t n;
};

static struct uses present, former;

/* Of the first certificate, whose key it is. 0/-1 */
static int
id_of(const char *chain, uint8_t id[static VAULT_KEY_ID])
{
	BIO *pem = BIO_new_mem_buf(chain, -1);
	X509 *cert =
	    pem == NULL ? NULL : PEM_read_bio_X509(pem, NULL, NULL, NULL);
	uint8_t *der = NULL;
	int len = cert == NULL ?
		      -1 :
		      i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	int ok = len > 0 && EVP_Digest(der, (size_t)len, id, NULL, EVP_sha256(),
				NULL) == 1;
	OPENSSL_free(der);
	X509_free(cert);
	BIO_free(pem);
	ERR_clear_error();
	return ok ? 0 : -1;
}

static void
add(const struct pki *p, enum key_use use)
{
	for (size_t i = 0; p != NULL && i < p->ncerts; i++) {
		struct use u = { .use = use };
		if (id_of(p->certs[i].chain, u.id) == -1)
			continue;
		present.list = xreallocarray(
		    present.list, present.n + 1, sizeof(*present.list));
		present.list[present.n++] = u;
	}
}

void
key_uses_set_config(const struct config *c)
{
	free(former.list);
	former = present;
	present = (struct uses){ NULL, 0 };
	for (size_t i = 0; i < c->nlisteners; i++)
		for (size_t j = 0; j < c->listeners[i].npkis; j++)
			add(c->listeners[i].pkis[j], KEY_OF_LISTENER);
	for (size_t i = 0; i < c->nactions; i++)
		add(c->actions[i].pki, KEY_OF_RELAY);
}

static bool
has(const struct uses *u, struct str id, enum key_use use)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->list[i].use == use &&
		    memcmp(u->list[i].id, id.p, VAULT_KEY_ID) == 0)
			return true;
	return false;
}

bool
key_uses_allow(struct str id, enum key_use use)
{
	return id.len == VAULT_KEY_ID &&
	       (has(&present, id, use) || has(&former, id, use));
}

void
key_uses_clear(void)
{
	free(present.list);
	free(former.list);
	present = former = (struct uses){ NULL, 0 };
}
