/* Changes of one filter to the envelope: sender and recipients. */
#ifndef POSTERN_MILTERS_CLIENT_EDIT_ENVELOPE_H
#define POSTERN_MILTERS_CLIENT_EDIT_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"
#include "milters/client/milter.h"

struct edit_envelope {
	char *from;                     /* owned; NULL: not changed */
	char *from_args;                /* owned; its ESMTP parameters, or "" */
	struct milter_rcpt_edit *rcpts; /* owned, with their text */
	size_t nrcpts, rcpts_cap;
};

void edit_envelope_clear(struct edit_envelope *v);
/* Frees recipients and their text. */
void rcpt_edits_free(struct milter_rcpt_edit *rcpts, size_t n);

/* Each takes the payload of a packet. utf8: the mail allows it in addresses.
 * 0, or -1 with *fault. What adds or deletes nobody is nothing. */
int edit_envelope_add_rcpt(struct edit_envelope *v, struct str in,
    bool has_args, bool utf8, const char **fault);
int edit_envelope_del_rcpt(
    struct edit_envelope *v, struct str in, const char **fault);
int edit_envelope_set_from(
    struct edit_envelope *v, struct str in, bool utf8, const char **fault);

#endif
