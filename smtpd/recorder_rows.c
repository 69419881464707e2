/* One recording is a hundred rows or a few: they go together, and the next
 * question waits for room. */
#include "smtpd/recorder_rows.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "edges/control_all.h"
#include "lib/base/alloc.h"
#include "smtpd/recorder.h"
#include "smtpd/session.h"
#include "smtpd/session_rows.h"
#include "smtpd/sessions.h"

struct asked {
	STAILQ_ENTRY(asked) next;
	struct channel *ch;
	uint64_t id;
	char session[ID_LEN + 1];
	const char *client; /* of the lines that are told */
	uint64_t n;
	bool found;
};

static STAILQ_HEAD(, asked) all = STAILQ_HEAD_INITIALIZER(all);

static void
tell_line(void *ctx, enum line_way way, uint64_t wall_ms, struct str text)
{
	struct asked *a = ctx;
	struct row_line row = { .session = str_of(a->session),
		.client = str_of(a->client),
		.when_ms = wall_ms,
		.way = (uint8_t)way,
		.text = text };

	channel_tell(a->ch, TYPE_row_line, &row, a->id);
	a->n++;
}

static void
on_session(void *ctx, const struct session *s)
{
	struct asked *a = ctx;

	if (a->found || strcmp(s->id, a->session) != 0)
		return;
	a->found = true;
	a->client = s->client_text;
	session_rows_tell(a->ch, a->id, s);
	recording_each(s->recording, tell_line, a);
}

static void
answer(struct asked *a)
{
	struct answer_done done = { .code = ANSWER_OK };
	struct str id = str_of(a->session);

	sessions_each(on_session, a);
	if (!a->found && (a->client = recorder_kept_client(id)) != NULL) {
		a->found = true;
		recorder_each_kept(id, tell_line, a);
	}
	if (!a->found) {
		done.code = ANSWER_NOT_FOUND;
		done.text = STR("nothing is remembered of this session");
	}
	done.matched = a->n;
	channel_tell(a->ch, TYPE_answer_done, &done, a->id);
}

void
recorder_rows_go_on(void)
{
	struct asked *a;

	while ((a = STAILQ_FIRST(&all)) != NULL && !channel_is_full(a->ch)) {
		STAILQ_REMOVE_HEAD(&all, next);
		answer(a);
		free(a);
	}
}

void
recorder_rows_start(struct channel *ch, uint64_t id, struct str session)
{
	struct asked *a = xcalloc(1, sizeof(*a));

	a->ch = ch;
	a->id = id;
	if (session.len > 0 && session.len <= ID_LEN)
		memcpy(a->session, session.p, session.len);
	STAILQ_INSERT_TAIL(&all, a, next);
	recorder_rows_go_on();
}

void
recorder_rows_lost(void)
{
	struct asked *a;

	while ((a = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, next);
		free(a);
	}
}
