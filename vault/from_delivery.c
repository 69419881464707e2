/*
 * What an agent wants done with a secret, or lent. A table of handlers for
 * each instance: the questions of the other one are refused.
 */
#include "vault/from_delivery.h"

#include <string.h>

#include "vault/askers.h"
#include "vault/credentials.h"
#include "vault/key_uses.h"
#include "vault/signing.h"
#include "vault/tally.h"

static enum vault_instance self;

/* --- keys --- */

static void
answer_sign(struct channel *ch, uint64_t id, struct str output)
{
	struct answer_client_signed m = { .output = output };
	tally_add(output.len > 0 ? TALLY_SIGNATURES : TALLY_FAILURES);
	askers_answer(ch, TYPE_answer_client_signed, &m, id);
}

static void
run_sign(struct channel *ch, const struct job *j)
{
	uint8_t out[VAULT_SIGN_MAX];
	size_t n = 0;
	if (key_uses_allow(j->parts[0], KEY_OF_RELAY))
		n = signing_make(j->parts[0], (enum vault_scheme)j->scheme,
		    j->parts[1], out);
	answer_sign(ch, j->id, (struct str){ (const char *)out, n });
}

static void
on_ask_client_sign(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_client_sign *m = msg;
	struct job j = { .id = id,
		.run = run_sign,
		.scheme = m->scheme,
		.parts = { m->key, m->input } };
	if (askers_put_off(ctx, &j))
		return;
	tally_add(TALLY_BUSY);
	answer_sign(ch, id, STR(""));
}

/* --- credentials: next to no work, answered at once --- */

static void
on_ask_credentials(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_credentials *m = msg;
	struct answer_credentials a = { .found = 0 };
	(void)ctx;
	a.found = credentials_find(m->table, m->label, &a.user, &a.password);
	if (!a.found)
		a.user = a.password = STR("");
	tally_add(a.found ? TALLY_CREDENTIALS : TALLY_FAILURES);
	askers_answer(ch, TYPE_answer_credentials, &a, id);
}

/* --- of the other instance --- */

static void
refuse_sign(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	answer_sign(ch, id, STR(""));
}

static void
refuse_credentials(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_credentials a = { .found = 0 };
	(void)ctx;
	(void)msg;
	tally_add(TALLY_FAILURES);
	askers_answer(ch, TYPE_answer_credentials, &a, id);
}

static const struct handler of_keys[] = {
	{ TYPE_ask_client_sign, on_ask_client_sign },
	{ TYPE_ask_credentials, refuse_credentials },
	{ 0, NULL },
};

static const struct handler of_passwords[] = {
	{ TYPE_ask_client_sign, refuse_sign },
	{ TYPE_ask_credentials, on_ask_credentials },
	{ 0, NULL },
};

void
from_delivery_init(enum vault_instance instance)
{
	self = instance;
}

struct channel *
from_delivery_add(uint16_t instance, int socket)
{
	struct asker_kind kind = { .role = ROLE_DELIVERY,
		.edge = &delivery_vault_edge,
		.handlers = self == VAULT_KEYS ? of_keys : of_passwords };
	struct channel *ch = askers_add(&kind, instance, socket);
	if (self == VAULT_PASSWORDS)
		channel_set_secret(ch);
	return ch;
}
