/*
 * What happened to a mail before it was committed, for the log and for its
 * trace: at most so many lines are kept, and handed to the queue with it.
 */
#ifndef POSTERN_SMTPD_MAIL_EVENTS_H
#define POSTERN_SMTPD_MAIL_EVENTS_H

#include <bsd/sys/queue.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/ipc/channel.h"
#include "milters/client/milter.h"

struct mail_event;

struct mail_events {
	STAILQ_HEAD(, mail_event) list;
	size_t n;
};

void mail_events_init(struct mail_events *list);
void mail_events_clear(struct mail_events *list);
/* Logs one filter's word as `milter`; list (NULL: none) keeps it too. */
void mail_events_add_milter(struct mail_events *list, const struct log_ctx *log,
    const struct milter_event *e);
/* The same words, appended to b. */
void mail_event_describe(const struct milter_event *e, struct buf *b);
/* As tell_event, under the id of a commit (before its content) or of a
 * question. */
void mail_events_send(
    const struct mail_events *list, struct channel *ch, uint64_t id);

#endif
