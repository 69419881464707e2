/*
 * A mail is shown to filters without a client: what was a session is played
 * to them from what is known of it, stage by stage, up to their verdict on
 * the content.
 */
#ifndef POSTERN_SMTPD_SCAN_H
#define POSTERN_SMTPD_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/loop.h"
#include "lib/rules/config.h"
#include "milters/client/milter.h"
#include "smtpd/facts.h"

/* The filters of one mail. Its own copies, because a mail that is looked at
 * again is shown to both kinds of them (before and after the 250). */
struct scan_set {
	struct milter_set set;
	struct milter milters[MILTER_SET_MAX];
	uint32_t last; /* step of the last one, as it was given */
};

/* Appends a filter, if there is room; step as it is elsewhere, not less than
 * the one before. strict: a failure puts the mail off instead of letting it
 * through. */
void scan_set_add(
    struct scan_set *s, const struct milter *m, uint32_t step, bool strict);

struct scan_rcpt {
	struct str to, written;
	const struct action *action; /* NULL: not known any more */
};

/* What is shown; all of it lives as long as the scan. */
struct scan_mail {
	struct str msgid, from, mail_args;
	const struct scan_rcpt *rcpts;
	size_t nrcpts;
	struct milter_mail content;
};

struct scan_ops {
	/* The verdict; once, never from inside a call. A recipient that was
	 * refused is none: it was accepted before. */
	void (*on_done)(void *ctx, const struct milter_answer *a);
	void (*on_event)(void *ctx, const struct milter_event *e);
};

struct scan;

/* facts: the gateway, the client and HELO are set, the scan sets the rest. All
 * given outlives it; of the configuration it takes a reference. */
struct scan *scan_new(struct loop *l, struct config *config,
    struct facts *facts, const struct scan_ops *ops, void *ctx);
void scan_start(
    struct scan *s, const struct scan_mail *mail, const struct milter_set *set);
/* After on_done with CONTINUE, ACCEPT or QUARANTINE: what they changed. A new
 * body is a struct content. Lives as long as the scan. */
const struct milter_result *scan_result(struct scan *s);
/* Safe inside on_done. Clears the pointer; NULL is allowed. */
void scan_free(struct scan **s);

#endif
