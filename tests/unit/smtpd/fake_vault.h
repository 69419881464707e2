/* The vault of the sessions' tests: knows alice, whose password is "secret"
 * and whose proof is 32 times "p", and answers at once or when the test says
 * so. */
#ifndef POSTERN_TESTS_FAKE_VAULT_H
#define POSTERN_TESTS_FAKE_VAULT_H

#include "lib/rules/table.h"
#include "smtpd/from_vault.h"
#include "tests/unit/smtpd/harness.h"

#define FAKE_SALT  "0123456789abcdef"
#define FAKE_PROOF "pppppppppppppppppppppppppppppppp"
#define FAKE_SIGN  "ssssssssssssssssssssssssssssssss"

static struct {
	struct channel *ch;
	bool hold; /* answers nothing by itself */
	bool say;  /* this verdict, whatever is right */
	enum vault_verdict verdict;
	unsigned int nasked;
	uint64_t held;
	char table[256], user[256], password[1025], message[4097];
} vault;

static inline uint8_t
vault_verdict(bool right)
{
	if (vault.say)
		return (uint8_t)vault.verdict;
	return right ? VAULT_RIGHT : VAULT_WRONG;
}

static inline void
vault_note(struct str table, struct str user)
{
	vault.nasked++;
	copy(vault.table, sizeof(vault.table), table);
	copy(vault.user, sizeof(vault.user), user);
}

static inline void
on_password(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_password *m = msg;
	struct answer_password a = { .verdict = vault_verdict(
					 str_eq_nocase(m->user, STR("alice")) &&
					 str_eq(m->password, STR("secret"))) };

	(void)ctx;
	vault_note(m->table, m->user);
	copy(vault.password, sizeof(vault.password), m->password);
	vault.held = id;
	if (!vault.hold)
		channel_tell(ch, TYPE_answer_password, &a, id);
}

static inline void
on_scram(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_scram *m = msg;
	struct answer_scram a = { .verdict = vault_verdict(true),
		.salt = STR(FAKE_SALT),
		.iterations = 4096 };

	(void)ctx;
	vault_note(m->table, m->user);
	vault.held = id;
	if (!vault.hold)
		channel_tell(ch, TYPE_answer_scram, &a, id);
}

static inline void
on_proof(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_scram_proof *m = msg;
	struct answer_scram_proof a = { .verdict = vault_verdict(
					    str_eq(m->user, STR("alice")) &&
					    str_eq(m->proof, STR(FAKE_PROOF))),
		.signature = STR(FAKE_SIGN) };

	(void)ctx;
	vault_note(m->table, m->user);
	copy(vault.message, sizeof(vault.message), m->auth_message);
	vault.held = id;
	if (!vault.hold)
		channel_tell(ch, TYPE_answer_scram_proof, &a, id);
}

static inline void
on_vault_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == vault.ch)
		channel_free(&vault.ch);
}

static const struct handler vault_handlers[] = {
	{ TYPE_ask_password, on_password },
	{ TYPE_ask_scram, on_scram },
	{ TYPE_ask_scram_proof, on_proof },
	{ 0, NULL },
};

/* A table of the configuration: keys and values, ended by NULL. */
static inline struct table *
harness_table(struct config *c, const char *name, const char *const pairs[][2])
{
	struct table_builder *b = table_builder_new(name);
	struct table *t;

	for (size_t i = 0; pairs[i][0] != NULL; i++)
		if (table_builder_add(
			b, str_of(pairs[i][0]), pairs[i][1], NULL) < 0)
			abort();
	t = table_open(table_builder_seal(&b, NULL), name, NULL);
	if (t == NULL)
		abort();
	c->tables =
	    xreallocarray(c->tables, c->ntables + 1, sizeof(*c->tables));
	c->tables[c->ntables++] = t;
	return t;
}

static inline void
vault_connect(struct harness *h)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		abort();
	vault.ch = channel_new(h->loop, sv[1], &smtpd_vault_edge, EDGE_B,
	    vault_handlers, on_vault_closed, NULL);
	from_vault_start(h->loop, VAULT_PASSWORDS, sv[0]);
}

/* AUTH on listener 0, in the clear, by every mechanism. */
static inline void
vault_start(struct harness *h)
{
	static const char *const users[][2] = { { "alice", NULL },
		{ "bob", NULL }, { NULL, NULL } };
	struct listener *l = &h->config->listeners[0];

	memset(&vault, 0, sizeof(vault));
	l->auth = harness_table(h->config, "accounts", users);
	l->flags |= LISTENER_AUTH_CLEAR | LISTENER_SCRAM;
	h->config->limits.auth_delay = 0;
	h->config->limits.soft_errors = 1000;
	h->config->limits.errors = 1000;
	vault_connect(h);
}

static inline void
vault_stop(struct harness *h)
{
	channel_free(&vault.ch);
	harness_settle(h);
	from_vault_stop();
}

#endif
