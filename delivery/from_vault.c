/*
 * Two channels, to processes that do not know of each other. Whoever waits
 * when one dies is told at once; the next attempt asks the successor.
 */
#include "delivery/from_vault.h"

#include <stdlib.h>
#include <unistd.h>

#include "edges/delivery_vault.h"
#include "edges/edges.h"
#include "lib/base/alloc.h"
#include "lib/ipc/asked.h"
#include "lib/net/tls.h"

enum {
	/* What may be asked without an answer; a connection asks for one thing
	 * at a time. */
	QUESTIONS_MAX = 8192
};

static struct loop *loop;
static struct channel *channels[VAULT_INSTANCES];

/* Either for a job of TLS or for who waits for credentials. */
struct question {
	struct asked asked;
	struct tls_job *job;
	struct credentials_wait *wait;
	struct deferred refusal; /* when nobody can be asked */
};

static struct asked_tree questions = RB_INITIALIZER(&questions);

static struct question *
question_new(uint64_t *id)
{
	struct question *q = xcalloc(1, sizeof(*q));

	*id = asked_add(&questions, &q->asked);
	return q;
}

static void
cancel(uint64_t id)
{
	asked_cancel(&questions, id);
}

static bool
can_ask(enum vault_instance instance)
{
	const struct channel *ch = channels[instance];

	return ch != NULL && channel_is_open(ch) && !channel_is_full(ch) &&
	       channel_npending(ch) < QUESTIONS_MAX;
}

/* --- signatures: TLS' signer --- */

static void
on_signed(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct question *q = ctx;
	const struct answer_client_signed *m = msg;
	bool is = fault == NULL && type == TYPE_answer_client_signed;

	if (asked_end(&questions, &q->asked))
		tls_job_done(q->job, is ? m->output : STR(""));
	free(q);
}

/* How long is waited for it is for the connection's deadline to say. */
static int
sign(struct tls_job *job, const uint8_t key[static TLS_KEY_ID],
    enum tls_scheme scheme, struct str input, uint64_t *cancel_id)
{
	struct ask_client_sign m = { .key = { (const char *)key, VAULT_KEY_ID },
		.scheme = scheme == TLS_RSA_RAW ? VAULT_RSA_RAW : VAULT_ECDSA,
		.input = input };
	struct question *q;

	if (input.len > VAULT_SIGN_MAX || !can_ask(VAULT_KEYS))
		return -1;
	q = question_new(cancel_id);
	q->job = job;
	channel_ask(
	    channels[VAULT_KEYS], TYPE_ask_client_sign, &m, on_signed, q);
	return 0;
}

/* --- credentials --- */

static void
tell(struct question *q, bool found, struct str user, struct str password)
{
	struct credentials_wait *w = q->wait;

	if (asked_end(&questions, &q->asked)) {
		w->id = 0;
		w->fn(w->ctx, found, user, password);
	}
	free(q);
}

static void
on_credentials(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_credentials *m = msg;

	if (fault == NULL && type == TYPE_answer_credentials && m->found != 0)
		tell(ctx, true, m->user, m->password);
	else
		tell(ctx, false, STR(""), STR(""));
}

static void
on_refusal(void *ctx)
{
	tell(ctx, false, STR(""), STR(""));
}

void
from_vault_ask_credentials(
    const char *table, const char *label, struct credentials_wait *w)
{
	struct ask_credentials m = { .table = str_of(table),
		.label = str_of(label) };
	struct question *q = question_new(&w->id);

	q->wait = w;
	deferred_init(&q->refusal, on_refusal, q);
	if (can_ask(VAULT_PASSWORDS))
		channel_ask(channels[VAULT_PASSWORDS], TYPE_ask_credentials, &m,
		    on_credentials, q);
	else
		loop_after(loop, &q->refusal);
}

void
from_vault_cancel(struct credentials_wait *w)
{
	if (w->id != 0)
		cancel(w->id);
	w->id = 0;
}

/* --- the channels --- */

static void
on_closed(void *ctx, struct channel *ch)
{
	struct channel **mine = ctx;

	if (*mine == ch)
		channel_free(mine);
}

void
from_vault_init(struct loop *l)
{
	loop = l;
	tls_set_signer(sign, cancel);
}

struct channel *
from_vault_open(uint16_t instance, int socket)
{
	static const struct handler handlers[] = { { 0, NULL } };
	struct channel **mine;

	if (instance >= VAULT_INSTANCES) {
		close(socket);
		return NULL;
	}
	mine = &channels[instance];
	channel_free(mine);
	*mine = channel_new(loop, socket, &delivery_vault_edge, EDGE_A,
	    handlers, on_closed, mine);
	if (instance == VAULT_PASSWORDS)
		channel_set_secret(*mine);
	return *mine;
}

void
from_vault_close(void)
{
	for (size_t i = 0; i < VAULT_INSTANCES; i++)
		channel_free(&channels[i]);
	tls_set_signer(NULL, NULL);
}
