/* From bytes to command lines. */
#include "smtpd/line_input.h"

#include <string.h>

#include "lib/base/log.h"
#include "lib/net/line.h"
#include "smtpd/auth.h"
#include "smtpd/client_name.h"
#include "smtpd/command.h"
#include "smtpd/recorder.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum {
	/* A line without an end, before the connection goes. */
	SKIP_MAX = 65536
};

void
line_end_early(struct session *s, const char *why, const char *reply)
{
	const char *stage = s->ncmds == 0 ? "connect" : "command";

	stats_add(
	    reply != NULL && reply[0] == '4' ? STAT_TEMPFAILED : STAT_REJECTED,
	    1);
	log_info(&s->log, "reject",
	    "stage=%s reply=%s why=%s client=%s rdns=%s", log_cstr(stage),
	    log_cstr(reply), log_cstr(why), log_cstr(s->client_text),
	    log_cstr(caller_text(s->caller)));
	if (reply == NULL)
		recorder_note(s, "refused: %s", why);
	session_end(s, reply, why);
}

/* AUTH has a bound of its own (RFC 4954 4). */
static size_t
line_max(const struct session *s, struct str in)
{
	size_t max = s->config->limits.command_line;

	if (max < AUTH_LINE_MAX && s->listener->auth != NULL &&
	    str_starts_nocase(in, STR("AUTH ")))
		return AUTH_LINE_MAX;
	return max;
}

size_t
line_input(struct session *s, struct str in)
{
	struct str line;
	size_t used;

	if (verb_is_forbidden(in)) {
		recorder_odd_line(s, in);
		line_end_early(
		    s, "not-smtp", "521 5.5.1 This is an SMTP server");
		return in.len;
	}
	switch (line_next(in, line_max(s, in), &line, &used)) {
	case LINE_MORE:
		break;
	case LINE_OK:
		command_begin(s, line, used < in.len);
		break;
	case LINE_BARE:
		recorder_odd_line(s, in);
		line_end_early(s, "bare-newline",
		    "500 5.5.2 Lines end with CR LF and hold no other CR, LF "
		    "or NUL");
		break;
	case LINE_LONG:
		recorder_odd_line(s, in);
		s->skipped = used;
		s->skip_last = in.p[used - 1];
		session_enter(s, SESSION_SKIP);
		break;
	}
	return used;
}

size_t
line_skip(struct session *s, struct str in)
{
	const char *lf = memchr(in.p, '\n', in.len);
	size_t used = lf != NULL ? (size_t)(lf - in.p) + 1 : in.len;
	char before = s->skip_last;

	if (used > 1)
		before = in.p[used - 2];

	s->skipped += used;
	s->skip_last = in.p[used - 1];
	if (s->skipped > SKIP_MAX) {
		line_end_early(
		    s, "line-too-long", "421 5.5.6 Line is too long");
	} else if (lf != NULL && before != '\r') {
		line_end_early(
		    s, "bare-newline", "500 5.5.2 Lines end with CR LF");
	} else if (lf != NULL)
		command_begin_too_long(s);
	return used;
}
