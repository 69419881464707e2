/* A mail of our own, before it is in the queue: how a report is recorded. */
#ifndef POSTERN_QUEUE_OWN_MAIL_H
#define POSTERN_QUEUE_OWN_MAIL_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "queue/cache.h"
#include "queue/route.h"
#include "queue/store.h"

struct queue;

struct own_mail {
	struct mail_record record; /* its views point into this, and there */
	struct mail_rcpt rcpt;
	struct buf reason;
};

/* From <>, to one recipient, as the rules have decided: set aside, shown to
 * the filters of reports, or neither. to, d's action and id live as long as
 * o. Not to be moved. */
void own_mail_init(struct own_mail *o, const struct queue *q, struct str id,
    struct str to, const struct route_decision *d);
/* Its text, and where its header ends. Returns the content, the caller's,
 * which o's record points into. */
struct content *own_mail_set_text(
    struct own_mail *o, struct str text, uint32_t header_size);
void own_mail_clear(struct own_mail *o);

#endif
