/*
 * A hostile smtpd asks both vaults: the first byte picks the instance, the
 * rest are questions, each with a byte for its type and lengths for its
 * parts. Whatever comes, each gets one answer; and no secret's text is ever
 * among what it says.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/ipc/channel.h"
#include "vault/accounts.h"
#include "vault/askers.h"
#include "vault/from_smtpd.h"
#include "vault/keys.h"
#include "vault/passwords.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { QUESTIONS_MAX = 16 };

static struct loop *loop;
static struct channel *smtpd;
static size_t nasked, nanswered;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static struct table *
make_table(void)
{
	static const char *const rows[][2] = {
		{ "luke",
		    "$5$rounds=1000$saltsalt$WcsVUD7/HZIbDo2xsqbhM94cPblOgNx12n"
		    "pGwn.Qpp8" },
		{ "yoda",
		    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3Otc"
		    "Pnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiW"
		    "GPlZqQxSrmfPwDl2dU=" },
		{ "bad", "{SCRAM-SHA-256}4096,W22Z" },
		{ "des", "rl.3StKT.4T8M" },
	};
	struct fault why = { 0 };
	struct table_builder *b = table_builder_new("a");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(table_builder_add(
			  b, str_of(rows[i][0]), rows[i][1], &why) == 0);
	return table_open(table_builder_seal(&b, &why), "a", &why);
}

static void
prepare(void)
{
	struct config *c = config_new();
	loop = loop_new();
	log_set_level(LOG_LEVEL_WARN);
	log_set_fd(-1, LOG_SINK_STREAM);
	c->tables = xcalloc(1, sizeof(*c->tables));
	c->tables[0] = make_table();
	c->ntables = 1;
	c->listeners = xcalloc(1, sizeof(*c->listeners));
	c->nlisteners = 1;
	c->listeners[0].auth = c->tables[0];
	keys_init();
	passwords_init();
	passwords_set_config(c);
	config_unref(&c);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_scram *scram = msg;
	const struct answer_scram_proof *proof = msg;
	(void)ctx;
	check(fault == NULL);
	if (type == TYPE_answer_scram && scram->verdict == VAULT_RIGHT)
		check(scram->salt.len > 0 && scram->iterations >= 4096);
	/* Nobody guesses a proof. */
	if (type == TYPE_answer_scram_proof)
		check(
		    proof->verdict != VAULT_RIGHT && proof->signature.len == 0);
	if (++nanswered == nasked)
		loop_stop(loop);
}

/* Up to max bytes, as many as the next byte says (times four). */
static struct str
part(struct str *in, size_t max)
{
	size_t n = in->len == 0 ? 0 : (uint8_t)in->p[0] * (size_t)4;
	struct str s = str_head(str_skip(*in, 1), n < max ? n : max);
	*in = str_skip(*in, 1 + s.len);
	return s;
}

/* A text on the wire holds no NUL. */
static struct str
text(struct str *in, size_t max)
{
	struct str s = part(in, max);
	s.len = str_find(s, '\0');
	/* Most are the names that there are. */
	static const char *const known[] = { "a", "luke", "yoda", "bad",
		"des" };
	size_t n = sizeof(known) / sizeof(known[0]);
	return s.len == 1 ? str_of(known[(uint8_t)s.p[0] % n]) : s;
}

static void
ask(struct str *in, uint8_t what)
{
	struct ask_sign sign = { 0 };
	struct ask_password password = { 0 };
	struct ask_scram scram = { 0 };
	struct ask_scram_proof proof = { 0 };
	const void *msg = &sign;
	uint16_t type = TYPE_ask_sign;
	switch (what % 4) {
	case 0:
		sign.key = part(in, VAULT_KEY_ID);
		sign.scheme = what >> 7;
		sign.input = part(in, VAULT_SIGN_MAX);
		break;
	case 1:
		password.table = STR("a");
		password.user = text(in, 255);
		password.password = text(in, VAULT_SECRET_MAX);
		msg = &password;
		type = TYPE_ask_password;
		break;
	case 2:
		scram.table = text(in, 255);
		scram.user = text(in, 255);
		msg = &scram;
		type = TYPE_ask_scram;
		break;
	default:
		proof.table = STR("a");
		proof.user = text(in, 255);
		proof.auth_message = text(in, 1020);
		proof.proof = part(in, 32);
		msg = &proof;
		type = TYPE_ask_scram_proof;
		break;
	}
	channel_ask(smtpd, type, msg, on_answer, NULL);
	nasked++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct handler none[] = { { 0, NULL } };
	struct str in = { (const char *)data, size };
	int pair[2];
	if (loop == NULL)
		prepare();
	nasked = nanswered = 0;
	from_smtpd_init(
	    loop, size > 0 && data[0] % 2 != 0 ? VAULT_PASSWORDS : VAULT_KEYS);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	smtpd = channel_new(
	    loop, pair[0], &smtpd_vault_edge, EDGE_A, none, NULL, NULL);
	from_smtpd_add(0, pair[1]);
	in = str_skip(in, 1);
	while (in.len > 0 && nasked < QUESTIONS_MAX) {
		uint8_t what = (uint8_t)in.p[0];
		in = str_skip(in, 1);
		ask(&in, what);
	}
	if (nasked > 0)
		loop_run(loop);
	channel_free(&smtpd);
	askers_clear();
	loop_settle(loop);
	return 0;
}
