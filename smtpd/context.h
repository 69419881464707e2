/*
 * What has to be known of a session to show its mail to filters again, as
 * bytes that the queue keeps with the mail (ask_commit.context): the client,
 * the listener, TLS and AUTH, the arguments of MAIL, and which filters the
 * mail met. What does not fit is left out.
 */
#ifndef POSTERN_SMTPD_CONTEXT_H
#define POSTERN_SMTPD_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/rules/milter_conf.h"
#include "milters/client/milter.h"

/* set: the filters of the transaction, NULL: none. out: begun with a bound of
 * COMMIT_CONTEXT_MAX, empty. */
void context_make(const struct milter_facts *facts,
    const struct milter_set *set, struct buf *out);

/* A filter that the mail met, by the name it had then. */
struct context_member {
	struct str name;
	uint32_t step;
};

/* What was read; all views are into its own copy of the bytes. Of the facts
 * those of the session and mail_args are set. */
struct context {
	struct milter_facts facts;
	struct context_member members[MILTER_SET_MAX];
	size_t nmembers;
	char *bytes; /* owned */
};

/* NULL: these are not what context_make makes. */
struct context *context_parse(struct str bytes);
/* Clears the pointer; NULL is allowed. */
void context_free(struct context **c);

#endif
