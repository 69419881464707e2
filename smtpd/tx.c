/* Transactions; a sender and each recipient are one allocation each. */
#include "smtpd/tx.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/mail/envelope.h"

static int
rcpt_cmp(struct rcpt *a, struct rcpt *b)
{
	return strcmp(a->to, b->to);
}

TREE_DEFINE(rcpt_tree, rcpt, node, rcpt_cmp)

/* Copies s behind *p and moves *p on. */
static const char *
place(char **p, struct str s)
{
	char *at = *p;

	if (s.len > 0)
		memcpy(at, s.p, s.len);
	at[s.len] = '\0';
	*p = at + s.len + 1;
	return at;
}

struct tx *
tx_new(const struct log_ctx *up, const struct path *from,
    const struct params *params)
{
	struct buf b;
	struct tx *tx;
	char *p;

	buf_init(&b, PATH_FORMAT_MAX);
	path_format(from, &b);
	tx = xmalloc(
	    sizeof(*tx) + b.len + from->local.len + from->domain.len + 3);
	memset(tx, 0, sizeof(*tx));
	p = tx->text;
	tx->from = b.len > 0 ? place(&p, buf_str(&b)) : "";
	tx->from_local = (struct str){ p, from->local.len };
	place(&p, from->local);
	tx->from_domain = (struct str){ p, from->domain.len };
	place(&p, from->domain);
	buf_clear(&b);
	tx->params = *params;
	tx->begin_ms = clock_mono_ms();
	tx->begin_wall_ms = clock_wall_ms();
	id_new(tx->begin_wall_ms, tx->msgid);
	tx->log = (struct log_ctx){ up, "msg", tx->msgid };
	TAILQ_INIT(&tx->rcpts);
	RB_INIT(&tx->by_address);
	return tx;
}

void
tx_free(struct tx **tx)
{
	struct rcpt *r;

	if (*tx == NULL)
		return;
	while ((r = TAILQ_FIRST(&(*tx)->rcpts)) != NULL) {
		TAILQ_REMOVE(&(*tx)->rcpts, r, entry);
		free(r);
	}
	free(*tx);
	*tx = NULL;
}

void
tx_add_rcpt(struct tx *tx, struct str to, struct str written,
    const struct action *action)
{
	struct rcpt *r;
	bool differs =
	    !str_eq(to, written) && written.len <= ENVELOPE_ADDRESS_MAX;
	char *p;

	r = xmalloc(sizeof(*r) + to.len + written.len + 2);
	memset(r, 0, sizeof(*r));
	p = r->to;
	place(&p, to);
	if (differs)
		r->orig = place(&p, written);
	r->action = action;
	if (RB_INSERT(rcpt_tree, &tx->by_address, r) != NULL) {
		free(r);
		return;
	}
	TAILQ_INSERT_TAIL(&tx->rcpts, r, entry);
	tx->nrcpt++;
}

uint32_t
tx_flags(const struct tx *tx)
{
	return (tx->params.body_8bit ? ENVELOPE_8BIT : 0U) |
	       (tx->params.smtputf8 ? ENVELOPE_SMTPUTF8 : 0U);
}
