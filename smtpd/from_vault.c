/*
 * Two channels, to processes that do not know of each other. Whoever waits
 * when one dies is told at once, and may try again with the successor.
 */
#include "smtpd/from_vault.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/ipc/asked.h"
#include "lib/ipc/channel.h"
#include "lib/net/tls.h"

enum {
	/* What one worker may have asked without an answer. */
	SIGNATURES_MAX = 8192,
	PASSWORDS_MAX = 256,
	/* A signature takes a millisecond; a handshake waits no longer. */
	SIGNATURE_MS = 10000
};

static struct channel *channels[VAULT_INSTANCES];

static void
on_closed(void *ctx, struct channel *ch)
{
	struct channel **mine = ctx;
	if (*mine != ch)
		return;
	channel_free(mine);
	if (mine == &channels[VAULT_KEYS])
		tls_set_signer(NULL, NULL);
}

static bool
can_ask(enum vault_instance instance, size_t most)
{
	const struct channel *ch = channels[instance];
	return ch != NULL && channel_is_open(ch) && !channel_is_full(ch) &&
	       channel_npending(ch) < most;
}

/* --- questions --- */

struct question {
	struct asked asked; /* the first member */
	uint64_t due_ms;    /* of a signature: monotonic */
	vault_fn *fn;       /* about a password */
	void *ctx;          /* of fn; or the job of TLS */
};

static struct asked_tree signatures = RB_INITIALIZER(&signatures);
static struct asked_tree passwords = RB_INITIALIZER(&passwords);

static struct question *
question_new(struct asked_tree *t, vault_fn *fn, void *ctx, uint64_t *id)
{
	struct question *q = xcalloc(1, sizeof(*q));
	*id = asked_add(t, &q->asked);
	q->fn = fn;
	q->ctx = ctx;
	return q;
}

/* --- signatures: TLS' signer --- */

static struct timer *patience;

static void
cancel_signature(uint64_t id)
{
	asked_cancel(&signatures, id);
}

/* Those that were asked for too long ago fail. */
static void
on_impatience(void *unused)
{
	uint64_t now_ms = clock_mono_ms();
	struct asked *oldest;
	(void)unused;
	while ((oldest = asked_oldest(&signatures)) != NULL) {
		struct question *q = (struct question *)oldest;
		if (q->due_ms > now_ms) {
			timer_set(patience, q->due_ms - now_ms);
			return;
		}
		cancel_signature(oldest->id);
		tls_job_done(q->ctx, STR(""));
	}
}

static void
on_signed(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct question *q = ctx;
	const struct answer_signed *m = msg;
	bool is = fault == NULL && type == TYPE_answer_signed;
	if (asked_end(&signatures, &q->asked))
		tls_job_done(q->ctx, is ? m->output : STR(""));
	free(q);
}

static int
sign(struct tls_job *job, const uint8_t key[static TLS_KEY_ID],
    enum tls_scheme scheme, struct str input, uint64_t *cancel_id)
{
	struct ask_sign m = { .key = { (const char *)key, VAULT_KEY_ID },
		.scheme = scheme == TLS_RSA_RAW ? VAULT_RSA_RAW : VAULT_ECDSA,
		.input = input };
	if (input.len > VAULT_SIGN_MAX || !can_ask(VAULT_KEYS, SIGNATURES_MAX))
		return -1;
	struct question *q = question_new(&signatures, NULL, job, cancel_id);
	q->due_ms = clock_mono_ms() + SIGNATURE_MS;
	if (!timer_is_set(patience))
		timer_set(patience, SIGNATURE_MS);
	channel_ask(channels[VAULT_KEYS], TYPE_ask_sign, &m, on_signed, q);
	return 0;
}

/* --- passwords --- */

static void
read_answer(uint16_t type, const void *msg, struct vault_answer *a)
{
	const struct answer_password *password = msg;
	const struct answer_scram *scram = msg;
	const struct answer_scram_proof *proof = msg;
	switch (type) {
	case TYPE_answer_password:
		a->verdict = (enum vault_verdict)password->verdict;
		break;
	case TYPE_answer_scram:
		a->verdict = (enum vault_verdict)scram->verdict;
		a->salt = scram->salt;
		a->iterations = scram->iterations;
		break;
	case TYPE_answer_scram_proof:
		a->verdict = (enum vault_verdict)proof->verdict;
		a->signature = proof->signature;
		break;
	default:
		break;
	}
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct question *q = ctx;
	struct vault_answer a = { .verdict = VAULT_FAULT };
	if (fault == NULL)
		read_answer(type, msg, &a);
	if (asked_end(&passwords, &q->asked))
		q->fn(q->ctx, &a);
	free(q);
}

static int
ask(uint16_t type, const void *msg, vault_fn *fn, void *ctx, uint64_t *id)
{
	if (!can_ask(VAULT_PASSWORDS, PASSWORDS_MAX))
		return -1;
	channel_ask(channels[VAULT_PASSWORDS], type, msg, on_answer,
	    question_new(&passwords, fn, ctx, id));
	return 0;
}

int
from_vault_password(
    const struct ask_password *m, vault_fn *fn, void *ctx, uint64_t *id)
{
	return ask(TYPE_ask_password, m, fn, ctx, id);
}

int
from_vault_scram(
    const struct ask_scram *m, vault_fn *fn, void *ctx, uint64_t *id)
{
	return ask(TYPE_ask_scram, m, fn, ctx, id);
}

int
from_vault_scram_proof(
    const struct ask_scram_proof *m, vault_fn *fn, void *ctx, uint64_t *id)
{
	return ask(TYPE_ask_scram_proof, m, fn, ctx, id);
}

void
from_vault_cancel(uint64_t id)
{
	asked_cancel(&passwords, id);
}

/* --- the channels --- */

struct channel *
from_vault_start(struct loop *l, uint16_t instance, int fd)
{
	static const struct handler handlers[] = { { 0, NULL } };
	struct channel **mine;
	if (instance >= VAULT_INSTANCES) {
		close(fd);
		return NULL;
	}
	mine = &channels[instance];
	channel_free(mine);
	*mine = channel_new(
	    l, fd, &smtpd_vault_edge, EDGE_A, handlers, on_closed, mine);
	if (patience == NULL)
		patience = timer_new(l, on_impatience, NULL);
	if (instance == VAULT_KEYS)
		tls_set_signer(sign, cancel_signature);
	else
		channel_set_secret(*mine);
	return *mine;
}

void
from_vault_stop(void)
{
	for (size_t i = 0; i < VAULT_INSTANCES; i++)
		channel_free(&channels[i]);
	tls_set_signer(NULL, NULL);
	timer_free(&patience);
}
