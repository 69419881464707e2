/*
 * What a session wants done with a secret. A table of handlers for each
 * instance: the questions of the other one are refused.
 */
#include "vault/from_smtpd.h"

#include <string.h>

#include "vault/askers.h"
#include "vault/key_uses.h"
#include "vault/passwords.h"
#include "vault/signing.h"
#include "vault/tally.h"

static const struct handler *table;

/* --- keys --- */

static void
answer_sign(struct channel *ch, uint64_t id, struct str output)
{
	struct answer_signed m = { .output = output };
	tally_add(output.len > 0 ? TALLY_SIGNATURES : TALLY_FAILURES);
	askers_answer(ch, TYPE_answer_signed, &m, id);
}

static void
run_sign(struct channel *ch, const struct job *j)
{
	uint8_t out[VAULT_SIGN_MAX];
	size_t n = 0;
	if (key_uses_allow(j->parts[0], KEY_OF_LISTENER))
		n = signing_make(j->parts[0], (enum vault_scheme)j->scheme,
		    j->parts[1], out);
	answer_sign(ch, j->id, (struct str){ (const char *)out, n });
}

static void
on_ask_sign(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_sign *m = msg;
	struct job j = { .id = id,
		.run = run_sign,
		.scheme = m->scheme,
		.parts = { m->key, m->input } };
	if (askers_put_off(ctx, &j))
		return;
	tally_add(TALLY_BUSY);
	answer_sign(ch, id, STR(""));
}

/* --- passwords --- */

static void
count(enum vault_verdict v)
{
	tally_add(v == VAULT_FAULT ? TALLY_FAILURES :
		  v == VAULT_BUSY  ? TALLY_BUSY :
				     TALLY_PASSWORDS);
}

static void
answer_password(struct channel *ch, uint64_t id, enum vault_verdict v)
{
	struct answer_password m = { .verdict = (uint8_t)v };
	count(v);
	askers_answer(ch, TYPE_answer_password, &m, id);
}

static void
run_password(struct channel *ch, const struct job *j)
{
	struct ask_password m = { .table = j->parts[0],
		.user = j->parts[1],
		.password = j->parts[2] };
	answer_password(ch, j->id, passwords_check(&m));
}

static void
on_ask_password(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_password *m = msg;
	struct job j = { .id = id,
		.run = run_password,
		.parts = { m->table, m->user, m->password } };
	if (!askers_put_off(ctx, &j))
		answer_password(ch, id, VAULT_BUSY);
}

/* These two cost next to nothing, and are answered at once. */
static void
on_ask_scram(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct scram_secret s;
	struct answer_scram m = { 0 };
	(void)ctx;
	m.verdict = (uint8_t)passwords_scram(msg, &s);
	if (m.verdict == VAULT_RIGHT) {
		m.salt = (struct str){ (const char *)s.salt, s.salt_len };
		m.iterations = s.iterations;
	} else {
		tally_add(TALLY_FAILURES);
	}
	askers_answer(ch, TYPE_answer_scram, &m, id);
	explicit_bzero(&s, sizeof(s));
}

static void
on_ask_scram_proof(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	uint8_t signature[SCRAM_HASH] = { 0 };
	struct answer_scram_proof m = { 0 };
	enum vault_verdict v = passwords_scram_proof(msg, signature);
	(void)ctx;
	count(v);
	m.verdict = (uint8_t)v;
	if (v == VAULT_RIGHT)
		m.signature =
		    (struct str){ (const char *)signature, sizeof(signature) };
	askers_answer(ch, TYPE_answer_scram_proof, &m, id);
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
refuse_password(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	answer_password(ch, id, VAULT_FAULT);
}

static void
refuse_scram(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_scram m = { .verdict = VAULT_FAULT };
	(void)ctx;
	(void)msg;
	tally_add(TALLY_FAILURES);
	askers_answer(ch, TYPE_answer_scram, &m, id);
}

static void
refuse_scram_proof(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_scram_proof m = { .verdict = VAULT_FAULT };
	(void)ctx;
	(void)msg;
	tally_add(TALLY_FAILURES);
	askers_answer(ch, TYPE_answer_scram_proof, &m, id);
}

static const struct handler of_keys[] = {
	{ TYPE_ask_sign, on_ask_sign },
	{ TYPE_ask_password, refuse_password },
	{ TYPE_ask_scram, refuse_scram },
	{ TYPE_ask_scram_proof, refuse_scram_proof },
	{ 0, NULL },
};

static const struct handler of_passwords[] = {
	{ TYPE_ask_sign, refuse_sign },
	{ TYPE_ask_password, on_ask_password },
	{ TYPE_ask_scram, on_ask_scram },
	{ TYPE_ask_scram_proof, on_ask_scram_proof },
	{ 0, NULL },
};

void
from_smtpd_init(struct loop *l, enum vault_instance instance)
{
	/* Handshakes are bounded by smtpd, and a signature takes less than a
	 * hash by far. */
	static const struct askers_limits limits[] = {
		[VAULT_KEYS] = { .jobs = 65536, .in_round = 8 },
		[VAULT_PASSWORDS] = { .jobs = 64, .in_round = 1 },
	};
	table = instance == VAULT_KEYS ? of_keys : of_passwords;
	askers_init(l, limits[instance]);
}

struct channel *
from_smtpd_add(uint16_t instance, int socket)
{
	struct asker_kind kind = {
		.role = ROLE_SMTPD, .edge = &smtpd_vault_edge, .handlers = table
	};
	struct channel *ch = askers_add(&kind, instance, socket);
	if (table == of_passwords)
		channel_set_secret(ch);
	return ch;
}
