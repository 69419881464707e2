/* Mail that filters see after it was accepted, as smtpd hands it in. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_REFILTERING_H
#define POSTERN_TESTS_UNIT_QUEUE_REFILTERING_H

#include "tests/unit/queue/house.h"

static inline void
send_unfiltered(const char *from, const char *const *to)
{
	how.start = START_UNFILTERED;
	how.context = "ctx";
	send_mail(from, to);
	memset(&how, 0, sizeof(how));
}

/* The changed mail, under the id that was asked about. */
static inline void
send_changed(const char *const *to, enum rcpt_start start)
{
	how.start = start;
	how.replaces = true;
	how.content = "Received: x\r\n\r\nchanged\r\n";
	send_as(t.asked_msgid, "a@x", to);
	memset(&how, 0, sizeof(how));
}

/* A worker that dies and comes back. */
static inline void
new_smtpd(void)
{
	channel_free(&t.smtpd);
	t.smtpd =
	    connect_to(ROLE_SMTPD, &smtpd_queue_edge, EDGE_A, smtpd_handlers);
}

#endif
