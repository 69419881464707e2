/* A mail on its way out of a program: its header read, and completed. */
#ifndef POSTERN_SENDMAIL_LETTER_H
#define POSTERN_SENDMAIL_LETTER_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "sendmail/address_list.h"

struct letter {
	struct buf header; /* its fields, tidy: no mbox line, no blank before
			    * a colon, no empty line behind them */
	struct str body;   /* view of the content, the empty line not in it */
	bool is_resent;    /* Resent-* fields count, the others are history */
	bool has_from, has_date, has_id; /* those that count */
};

/* content: as reading.h makes it; the caller's, as long as the letter. */
void letter_init(struct letter *l, struct str content);
void letter_clear(struct letter *l);
/* Calls fn with each address of To, Cc and Bcc, or of Resent-To, Resent-Cc and
 * Resent-Bcc when there is one of these. As address_list; *name is the field
 * in which something is wrong. */
const char *letter_recipients(
    const struct letter *l, address_fn *fn, void *ctx, struct str *name);

/* Who sends it. */
struct writer {
	struct str name;    /* as people write it; may be empty */
	struct str address; /* empty: nobody */
	struct str domain;  /* of ids, and of addresses that have none */
};

/* Appends the header as it leaves: with domains for all addresses; From, Date
 * and Message-ID (or Resent-From, Resent-Date and Resent-Message-ID) if they
 * were missing, without Bcc, Resent-Bcc and Return-Path; and the empty line. */
void letter_compose(
    const struct letter *l, const struct writer *w, struct buf *out);

#endif
