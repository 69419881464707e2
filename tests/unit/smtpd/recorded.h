/* What a session's recording has, as text: "< " what came, "> " what left,
 * "- " a note, a line each. */
#ifndef POSTERN_TESTS_RECORDED_H
#define POSTERN_TESTS_RECORDED_H

#include "smtpd/recorder.h"
#include "smtpd/sessions.h"
#include "tests/unit/smtpd/auth_talk.h"

static struct buf recorded;
static char last_id[ID_LEN + 1];

static inline void
add_recorded(void *ctx, enum line_way way, uint64_t wall_ms, struct str text)
{
	static const char marks[] = {
		[LINE_IN] = '<', [LINE_OUT] = '>', [LINE_NOTE] = '-'
	};

	(void)ctx;
	ck_assert_uint_gt(wall_ms, 1600000000000);
	ck_assert_uint_le(text.len, RECORDING_TEXT_MAX);
	ck_assert(text.len == 0 || memchr(text.p, '\0', text.len) == NULL);
	buf_add_char(&recorded, marks[way]);
	buf_add_char(&recorded, ' ');
	buf_add_str(&recorded, text);
	buf_add_char(&recorded, '\n');
}

static inline void
of_session(void *ctx, const struct session *s)
{
	(void)ctx;
	memcpy(last_id, s->id, sizeof(last_id));
	recording_each(s->recording, add_recorded, NULL);
}

static inline const char *
terminated(void)
{
	buf_add_char(&recorded, '\0');
	return recorded.p;
}

/* Of the sessions there are. */
static inline const char *
live(void)
{
	buf_clear(&recorded);
	buf_init(&recorded, 64 << 20);
	sessions_each(of_session, NULL);
	return terminated();
}

/* Of the one that live() saw last, now that it is over; "": nothing. */
static inline const char *
kept(void)
{
	buf_clear(&recorded);
	buf_init(&recorded, 64 << 20);
	recorder_each_kept(str_of(last_id), add_recorded, NULL);
	return terminated();
}

/* The session that there is, to be changed. */
static inline void
take_session(void *ctx, const struct session *s)
{
	*(const struct session **)ctx = s;
}

static inline struct session *
the_session(void)
{
	struct session *s = NULL;

	sessions_each(take_session, &s);
	ck_assert_ptr_nonnull(s);
	return s;
}

static inline void
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	ck_assert_msg(n >= m && strcmp(text + n - m, end) == 0,
	    "%s\nand not\n%s", text, end);
}

#define LIVE(end) ends_with(live(), (end))
#define KEPT(end) ends_with(kept(), (end))

#endif
