/*
 * Mail that the queue wants shown to filters: asked by ask_filter, answered by
 * answer_filtered, with an ask_commit before that when they changed it. So
 * many at once; the rest waits.
 */
#ifndef POSTERN_SMTPD_SCAN_QUEUE_H
#define POSTERN_SMTPD_SCAN_QUEUE_H

#include "edges/smtpd_queue.h"
#include "lib/base/loop.h"

enum {
	SCANS_AT_ONCE = 16,
	SCANS_WAITING = 240 /* beyond these: to be asked again later */
};

/* Where they run; with each new channel. */
void scan_queue_init(struct loop *l);
/* Everybody is there who has to be asked: they begin. */
void scan_queue_go(void);
/* Rows of the handlers of the queue's channel. */
handler_fn scan_queue_on_filter, scan_queue_on_rcpt, scan_queue_on_body,
    scan_queue_on_content;
/* The channel that they came by is gone. */
void scan_queue_lost(void);
/* No more begin, which the queue is told. It asks others what it has no answer
 * to when this process ends. */
void scan_queue_stop(void);
size_t scan_queue_count(void);

#endif
