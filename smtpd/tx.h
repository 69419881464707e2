/* One transaction: sender, recipients, id. From MAIL to the reply of DATA. */
#ifndef POSTERN_SMTPD_TX_H
#define POSTERN_SMTPD_TX_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "edges/smtpd_queue.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/mail/param.h"
#include "lib/mail/path.h"
#include "lib/rules/config.h"

struct rcpt {
	TAILQ_ENTRY(rcpt) entry;     /* in the client's order */
	RB_ENTRY(rcpt) node;         /* by address */
	const struct action *action; /* of the session's configuration */
	const char
	    *orig; /* as the client wrote it when that differs; or NULL */
	const char *orcpt; /* ORCPT, decoded: "type;address"; or NULL */
	uint8_t start;     /* enum rcpt_start */
	uint8_t notify;    /* enum notify */
	char to[];         /* local@domain, and behind it orig and orcpt */
};

struct tx {
	char msgid[ID_LEN + 1];
	struct log_ctx log;   /* msg=, on top of the session's */
	struct params params; /* of MAIL; without its views */
	uint64_t begin_us;    /* monotonic */
	uint64_t begin_wall_ms;
	TAILQ_HEAD(, rcpt) rcpts;
	RB_HEAD(rcpt_tree, rcpt) by_address;
	uint32_t nrcpt;    /* without duplicates */
	uint32_t nrefused; /* RCPT answered with 4xx or 5xx */
	uint32_t nover;    /* of these: over the limit */
	/* its filters, decided by the first recipient; NULL: none */
	const struct milter_set *set;
	char *filter, *reason;  /* owned: who had it quarantined, why; NULL */
	char *new_from;         /* owned: what from became, or NULL */
	char *envid;            /* owned: ENVID, decoded; or NULL */
	const char *from;       /* formatted; "" for <> */
	struct str from_local;  /* unquoted */
	struct str from_domain; /* in lower case */
	struct str written;     /* the path in MAIL */
	struct str args;        /* what stood behind it */
	char text[];            /* what these view */
};

/* up: the log context below msg=, must outlive the transaction. written and
 * args: what stood in the command. */
struct tx *tx_new(const struct log_ctx *up, const struct path *from,
    const struct params *params, struct str written, struct str args);
/* Clears the pointer; NULL is allowed. */
void tx_free(struct tx **tx);
/* to as path_format writes it. One that is there already is not added again.
 * written: what stood in the command; params: what it had beside. */
void tx_add_rcpt(struct tx *tx, struct str to, struct str written,
    const struct params *params, const struct action *action,
    enum rcpt_start start);
/* The one with this address (as path_format writes it), or NULL. */
struct rcpt *tx_find_rcpt(struct tx *tx, struct str to);
void tx_del_rcpt(struct tx *tx, struct rcpt *r);
/* Another sender, as path_format writes it; what the rules see stays. params:
 * those that come with it count beside what MAIL had. */
void tx_set_from(struct tx *tx, struct str from, const struct params *params);
/* Why (some of) it is set aside; the first that says so is believed. */
void tx_set_reason(struct tx *tx, const char *filter, const char *reason);
/* The same for a recipient whom this rule has set aside. */
void tx_set_rule_reason(struct tx *tx, const struct rule *rule);
/* All of it is set aside. */
void tx_quarantine(struct tx *tx, const char *filter, const char *reason);
/* ENVELOPE_ flags as far as MAIL told them. */
uint32_t tx_flags(const struct tx *tx);

#endif
