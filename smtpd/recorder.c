/* What goes into a session's recording, and where that stays. */
#include "smtpd/recorder.h"

#include <bsd/sys/queue.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "smtpd/auth.h"
#include "smtpd/command.h"
#include "smtpd/follow.h"
#include "smtpd/session.h"

enum {
	ROOM = RECORDING_TEXT_MAX,
	SHOWN_MAX = 460, /* of a line that is cut, before how much */
	ODD_MAX = 80,    /* of a line that is none */
	LONG_WAIT_MS = 1000
};

#define MASK AUTH_MASK

/* --- one line --- */

/* NULs, which no message between processes may hold, become a picture of one;
 * what is too long ends with how much is missing. */
static struct str
shorten(struct str text, char room[static ROOM])
{
	static const char nul[] = "\xe2\x90\x80";
	size_t n = 0, i;

	for (i = 0; i < text.len && n + sizeof(nul) < SHOWN_MAX; i++) {
		if (text.p[i] != '\0') {
			room[n++] = text.p[i];
			continue;
		}
		memcpy(room + n, nul, sizeof(nul) - 1);
		n += sizeof(nul) - 1;
	}
	/* Not in the middle of a character, which has four bytes at most. */
	for (int k = 0; k < 3 && i < text.len && text.p[i - 1] != '\0' &&
			((unsigned char)text.p[i] & 0xc0) == 0x80;
	     k++) {
		i--;
		n--;
	}
	if (i < text.len)
		n += (size_t)snprintf(
		    room + n, ROOM - n, " [+%zu bytes]", text.len - i);
	return (struct str){ room, n };
}

static void
add(struct session *s, enum line_way way, struct str text)
{
	char room[ROOM];

	if (text.len > SHOWN_MAX ||
	    (text.len > 0 && memchr(text.p, '\0', text.len) != NULL))
		text = shorten(text, room);
	recording_add(&s->recording, way, text);
	if (follow_is_on())
		follow_line(s, way, text);
}

void
recorder_note(struct session *s, const char *fmt, ...)
{
	char text[ROOM];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		add(s, LINE_NOTE, str_of(text));
}

/* --- what the client says --- */

static void
add_secret(struct session *s, const struct verb *verb, struct str args)
{
	struct str shown = auth_shown(args);
	bool more = shown.len < args.len && !str_eq(shown, STR(MASK));
	char text[64];

	snprintf(text, sizeof(text), "%s%s%.*s%s", verb->name,
	    args.len > 0 ? " " : "", (int)shown.len, shown.p,
	    more ? " " MASK : "");
	add(s, LINE_IN, str_of(text));
}

/* Beyond doubt: a line of content may begin with a word that we know. */
static bool
is_command(const struct verb *verb, struct str args)
{
	static const char *const prose[] = { "HELP", "SEND", "TURN" };

	for (size_t i = 0; i < sizeof(prose) / sizeof(prose[0]); i++)
		if (strcmp(verb->name, prose[i]) == 0)
			return false;
	if (strcmp(verb->name, "MAIL") == 0)
		return str_starts_nocase(args, STR("FROM:")) &&
		       memchr(args.p, '<', args.len) != NULL;
	if ((verb->flags & VERB_NO_ARGS) != 0 && args.len > 0)
		return false;
	return verb->name[0] != '\0';
}

void
recorder_command(struct session *s, const struct verb *verb, struct str line,
    struct str args)
{
	bool known = verb->name[0] != '\0';

	if (is_command(verb, args))
		s->veiled = (verb->flags & VERB_SECRET) != 0;
	else if (!known && auth_find_hint(line) < line.len)
		s->veiled = true;
	if (!s->veiled)
		add(s, LINE_IN, line);
	else if (known)
		add_secret(s, verb, args);
	else
		add(s, LINE_IN, STR(MASK));
}

void
recorder_odd_line(struct session *s, struct str in)
{
	struct str args, line = str_head(in, str_find(in, '\n'));

	line = str_head(line, str_find(line, '\r'));
	const struct verb *verb = verb_find(line, &args);

	recorder_command(s, verb, str_head(line, ODD_MAX), args);
	if (line.len > ODD_MAX)
		recorder_note(
		    s, "cut: the line has %zu bytes or more", line.len);
}

void
recorder_secret(struct session *s)
{
	add(s, LINE_IN, STR(MASK));
}

/* --- what we say --- */

void
recorder_reply(struct session *s, const char *reply)
{
	struct str rest = str_of(reply);

	recorder_state(s, s->state);
	if (reply[0] == '4' || reply[0] == '5')
		s->failed = true;
	if (s->auth != NULL && str_starts_nocase(rest, STR("334 "))) {
		add(s, LINE_OUT, rest.len > 4 ? STR("334 " MASK) : rest);
		return;
	}
	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');

		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		add(s, LINE_OUT, line);
	}
}

/* --- waiting --- */

static bool
is_waiting(unsigned int state)
{
	switch ((enum session_state)state) {
	case SESSION_BUSY:
	case SESSION_NAMING:
	case SESSION_FILTERING:
	case SESSION_DELAY:
	case SESSION_LISTING:
	case SESSION_VAULT:
	case SESSION_HANDSHAKE:
		return true;
	case SESSION_PROXY:
	case SESSION_GREETING:
	case SESSION_COMMAND:
	case SESSION_SKIP:
	case SESSION_AUTH:
	case SESSION_BODY:
	case SESSION_CHUNK:
	case SESSION_LINGER:
	case SESSION_GONE:
		break;
	}
	return false;
}

void
recorder_state(struct session *s, unsigned int state)
{
	uint64_t now, ms;

	if (!is_waiting(s->state) && !is_waiting(state))
		return;
	now = clock_mono_ms();
	ms = s->wait_ms > 0 ? now - s->wait_ms : 0;
	if (ms >= LONG_WAIT_MS && is_waiting(s->state)) {
		recorder_note(s, "waited %llu ms: %s", (unsigned long long)ms,
		    session_state_text(s));
		s->wait_ms = 0;
	}
	if (state != s->state)
		s->wait_ms = is_waiting(state) ? now : 0;
}

/* --- sessions that are over --- */

struct kept {
	TAILQ_ENTRY(kept) entry;
	struct recording *recording; /* owned */
	char id[ID_LEN + 1];
	char client[]; /* its address */
};

static TAILQ_HEAD(, kept) all_kept = TAILQ_HEAD_INITIALIZER(all_kept);
static size_t kept_size;

static size_t
size_of(const struct kept *k)
{
	return sizeof(*k) + strlen(k->client) + 1 +
	       recording_size(k->recording);
}

static void
forget(struct kept *k)
{
	TAILQ_REMOVE(&all_kept, k, entry);
	kept_size -= size_of(k);
	recording_free(&k->recording);
	free(k);
}

static void
keep(struct session *s)
{
	size_t n = strlen(s->client_text) + 1;
	struct kept *k = xmalloc(sizeof(*k) + n);

	memcpy(k->id, s->id, sizeof(k->id));
	memcpy(k->client, s->client_text, n);
	recording_finish(&s->recording);
	k->recording = s->recording;
	s->recording = NULL;
	TAILQ_INSERT_TAIL(&all_kept, k, entry);
	kept_size += size_of(k);
	while (kept_size > RECORDER_KEPT_MAX)
		forget(TAILQ_FIRST(&all_kept));
}

/* Whoever goes so has nothing to be asked about. */
static bool
is_good_end(const char *reason)
{
	static const char *const good[] = { "quit", "closed", "stopping" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(reason, good[i]) == 0)
			return true;
	return false;
}

void
recorder_end(struct session *s)
{
	bool bad = s->failed || !is_good_end(s->reason);

	if (bad || follow_is_on())
		recorder_note(s, "ended: %s", s->reason);
	if (bad && s->recording != NULL)
		keep(s);
	recording_free(&s->recording);
}

static const struct kept *
find(struct str session)
{
	const struct kept *k;

	TAILQ_FOREACH(k, &all_kept, entry)
		if (str_eq(str_of(k->id), session))
			return k;
	return NULL;
}

const char *
recorder_kept_client(struct str session)
{
	const struct kept *k = find(session);

	return k != NULL ? k->client : NULL;
}

void
recorder_each_kept(struct str session, recording_fn *fn, void *ctx)
{
	const struct kept *k = find(session);

	if (k != NULL)
		recording_each(k->recording, fn, ctx);
}

void
recorder_clear(void)
{
	struct kept *k, *next;

	TAILQ_FOREACH_SAFE(k, &all_kept, entry, next)
		forget(k);
}

size_t
recorder_kept_size(void)
{
	return kept_size;
}
