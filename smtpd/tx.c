/* Transactions; a sender and each recipient are one allocation each. */
#include "smtpd/tx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/mail/envelope.h"
#include "lib/mail/xtext.h"

static int
rcpt_cmp(struct rcpt *a, struct rcpt *b)
{
	return strcmp(a->to, b->to);
}

TREE_DEFINE(rcpt_tree, rcpt, node, rcpt_cmp)

/* The same as a view. */
static struct str
place_str(char **p, struct str s)
{
	return (struct str){ str_place(p, s), s.len };
}

/* The parameters were parsed: what is given can be decoded. */
static void
set_envid(struct tx *tx, struct str envid)
{
	struct buf b;

	if (envid.len == 0)
		return;
	buf_init(&b, ENVELOPE_ENVID_MAX);
	if (xtext_decode(envid, &b) == 0) {
		free(tx->envid);
		tx->envid = str_dup(buf_str(&b));
	}
	buf_clear(&b);
}

struct tx *
tx_new(const struct log_ctx *up, const struct path *from,
    const struct params *params, struct str written, struct str args)
{
	struct buf b;
	struct tx *tx;
	char *p;

	buf_init(&b, PATH_FORMAT_MAX);
	path_format(from, &b);
	tx = xmalloc(sizeof(*tx) + b.len + from->local.len + from->domain.len +
		     written.len + args.len + 5);
	memset(tx, 0, sizeof(*tx));
	p = tx->text;
	tx->from = b.len > 0 ? str_place(&p, buf_str(&b)) : "";
	tx->from_local = place_str(&p, from->local);
	tx->from_domain = place_str(&p, from->domain);
	tx->written = place_str(&p, written);
	tx->args = place_str(&p, args);
	buf_clear(&b);
	tx->params = *params;
	set_envid(tx, params->envid);
	tx->params.envid = tx->params.orcpt = STR("");
	tx->begin_us = clock_mono_us();
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
	free((*tx)->filter);
	free((*tx)->reason);
	free((*tx)->new_from);
	free((*tx)->envid);
	free(*tx);
	*tx = NULL;
}

static struct rcpt *
rcpt_new(struct str to, struct str written, struct str orcpt)
{
	bool differs =
	    !str_eq(to, written) && written.len <= ENVELOPE_ADDRESS_MAX;
	struct rcpt *r =
	    xmalloc(sizeof(*r) + to.len + written.len + orcpt.len + 3);
	char *p = r->to;

	memset(r, 0, sizeof(*r));
	str_place(&p, to);
	if (differs)
		r->orig = str_place(&p, written);
	if (orcpt.len > 0)
		r->orcpt = str_place(&p, orcpt);
	return r;
}

void
tx_add_rcpt(struct tx *tx, struct str to, struct str written,
    const struct params *params, const struct action *action,
    enum rcpt_start start)
{
	struct rcpt *r;
	struct buf orcpt;

	buf_init(&orcpt, ENVELOPE_ORCPT_MAX);
	if (params->orcpt.len > 0)
		(void)orcpt_decode(params->orcpt, &orcpt);
	r = rcpt_new(to, written, buf_str(&orcpt));
	buf_clear(&orcpt);
	r->action = action;
	r->start = (uint8_t)start;
	r->notify = params->notify;
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
	return param_flags(&tx->params);
}

struct rcpt *
tx_find_rcpt(struct tx *tx, struct str to)
{
	struct rcpt *like = rcpt_new(to, to, STR(""));
	struct rcpt *r = RB_FIND(rcpt_tree, &tx->by_address, like);

	free(like);
	return r;
}

void
tx_del_rcpt(struct tx *tx, struct rcpt *r)
{
	RB_REMOVE(rcpt_tree, &tx->by_address, r);
	TAILQ_REMOVE(&tx->rcpts, r, entry);
	tx->nrcpt--;
	free(r);
}

void
tx_set_from(struct tx *tx, struct str from, const struct params *params)
{
	struct params *mine = &tx->params;

	free(tx->new_from);
	tx->new_from = str_dup(from);
	tx->from = tx->new_from;
	mine->body_8bit |= params->body_8bit;
	mine->smtputf8 |= params->smtputf8;
	mine->requiretls |= params->requiretls;
	if (params->ret != 0)
		mine->ret = params->ret;
	set_envid(tx, params->envid);
}

void
tx_set_reason(struct tx *tx, const char *filter, const char *reason)
{
	if (tx->reason != NULL)
		return;
	tx->filter = xstrdup(filter);
	tx->reason = xstrdup(reason);
}

void
tx_set_rule_reason(struct tx *tx, const struct rule *rule)
{
	char text[64];

	snprintf(
	    text, sizeof(text), "set aside by the rule in line %u", rule->line);
	tx_set_reason(tx, QUARANTINE_BY_RULE, text);
}

void
tx_quarantine(struct tx *tx, const char *filter, const char *reason)
{
	struct rcpt *r;

	TAILQ_FOREACH(r, &tx->rcpts, entry)
		r->start = START_QUARANTINED;
	/* A filter's word says more than the rule of one recipient. */
	free(tx->filter);
	free(tx->reason);
	tx->reason = tx->filter = NULL;
	tx_set_reason(tx, filter, reason);
}
