/* The time before the greeting. */
#include "smtpd/greeting.h"

#include <sys/socket.h>

#include "lib/base/log.h"
#include "smtpd/auth.h"
#include "smtpd/line_input.h"
#include "smtpd/opening.h"
#include "smtpd/recorder.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum { SHOWN_MAX = 80 }; /* of what it said, in the log */

/* Counts and logs it, once. True: it is refused. */
static bool
is_refused(struct session *s, struct str said)
{
	bool flag = (s->listener->flags & LISTENER_GREET_FLAG) != 0;

	if (s->early)
		return !flag;
	s->early = true;
	recorder_note(s, "it talks before the greeting");
	stats_add(STAT_EARLY_TALKERS, 1);
	said = str_head(said, auth_find_hint(str_head(said, SHOWN_MAX)));
	log_info(&s->log, "early-talker", "client=%s action=%s pregreet=%s",
	    log_cstr(s->client_text), log_cstr(flag ? "flagged" : "refused"),
	    log_str(said));
	return !flag;
}

bool
greeting_is_disturbed(struct session *s)
{
	char said[SHOWN_MAX] = "";
	ssize_t n = 0;

	/* A gateway that says XCLIENT may go on at once. */
	if (s->renamed || !session_has_input(s))
		return false;
	/* Nobody has looked at it yet; of TLS it could not be read. */
	if (stream_unread(s->stream) == 0 && !secure_is_on(s))
		n = recv(stream_fd(s->stream), said, sizeof(said),
		    MSG_PEEK | MSG_DONTWAIT);
	return is_refused(s, (struct str){ said, n > 0 ? (size_t)n : 0 });
}

bool
greeting_hold_back(struct session *s)
{
	const struct listener *l = s->listener;

	if (l->greet_delay_ms == 0 || s->trusted ||
	    s->client.family == ADDR_LOCAL ||
	    (l->no_delay_for != NULL &&
		table_find_source(l->no_delay_for, &s->client, NULL)))
		return false;
	session_enter(s, SESSION_GREETING);
	stream_deadline(s->stream, l->greet_delay_ms);
	return true;
}

size_t
greeting_input(struct session *s, struct str in)
{
	if (is_refused(s, in)) {
		line_end_early(s, "early-talker", GREETING_EARLY_REPLY);
		return in.len;
	}
	stream_pause(s->stream); /* it is read once it has been greeted */
	return 0;
}

void
greeting_timeout(struct session *s)
{
	opening_next(s);
}
