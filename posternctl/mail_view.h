/* Mails with their recipients, as rows come in: what `show queue' and the
 * quarantine's listing have in common. */
#ifndef POSTERN_POSTERNCTL_MAIL_VIEW_H
#define POSTERN_POSTERNCTL_MAIL_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"

struct mail_view {
	bool json;
	bool one; /* with all there is to say */
	struct json j;
	struct buf line;
	uint64_t now_ms; /* wall */
	uint64_t n;      /* mails so far */
};

/* The object of the mail before, and its array of recipients, end. */
void mail_view_end(struct mail_view *v);
/* Asks the question (of this type, it has no fields) with the filters of the
 * command line; on_row gets a struct mail_view. Returns the exit status. */
int mail_view_list(const struct call *c, uint16_t question, row_fn *on_row);
/* The same for one mail, whose id is the argument; missing: what is said
 * before the id when it is not there. */
int mail_view_one(const struct call *c, uint16_t question, row_fn *on_row,
    const char *missing);

#endif
