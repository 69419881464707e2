/*
 * A listing remembers the serial number of the last session that it told, so
 * that sessions may come and go while it waits for room. Those that come
 * later than the question are not told: it ends, however slowly it is read.
 */
#include "smtpd/session_rows.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>

#include "edges/control_all.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/net/tls.h"
#include "smtpd/listing.h"
#include "smtpd/session.h"
#include "smtpd/sessions.h"

enum { TLS_TEXT_MAX = 128 };

struct rows {
	LIST_ENTRY(rows) next;
	struct channel *ch;
	uint64_t id, told, last, n; /* told, last: serial numbers */
	bool stopped;               /* the channel is full */
};

static LIST_HEAD(, rows) all = LIST_HEAD_INITIALIZER(all);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: it is not secured. */
static const char *
tls_text(const struct session *s, char out[static TLS_TEXT_MAX])
{
	const struct tls *t = s->stream == NULL ? NULL : stream_tls(s->stream);
	struct tls_info info;

	out[0] = '\0';
	if (t == NULL || s->state == SESSION_HANDSHAKE)
		return out;
	tls_info(t, &info);
	snprintf(out, TLS_TEXT_MAX, "%s %s", info.version, info.cipher);
	return out;
}

void
session_rows_tell(struct channel *ch, uint64_t id, const struct session *s)
{
	char tls[TLS_TEXT_MAX], peer[ADDR_TEXT_MAX];
	struct row_session row = {
		.session = str_of(s->id),
		.client = str_of(s->client_text),
		.port = s->port,
		.peer = str_of(addr_format(&s->peer, peer)),
		.listener = str_of(s->listener_name),
		.helo = str_head(str_of(s->helo), 1024),
		.state = str_of(session_state_text(s)),
		.tls = str_of(tls_text(s, tls)),
		.auth = str_head(str_of(s->user), 255),
		.listed = str_head(str_of(listing_text(s->listing)), 1024),
		.age_ms = clock_mono_ms() - s->begin_ms,
		.messages = s->naccepted,
		.errors = s->nerrors,
	};

	channel_tell(ch, TYPE_row_session, &row, id);
}

static void
on_session(void *ctx, const struct session *s)
{
	struct rows *r = ctx;

	if (r->stopped || s->serial <= r->told || s->serial > r->last)
		return;
	if (channel_is_full(r->ch)) {
		r->stopped = true;
		return;
	}
	session_rows_tell(r->ch, r->id, s);
	r->told = s->serial;
	r->n++;
}

/* False: there is more to come. */
static bool
go_on(struct rows *r)
{
	struct answer_done done = { .code = ANSWER_OK };

	r->stopped = false;
	sessions_each(on_session, r);
	if (r->stopped)
		return false;
	done.matched = r->n;
	channel_tell(r->ch, TYPE_answer_done, &done, r->id);
	return true;
}

static void
end(struct rows *r)
{
	LIST_REMOVE(r, next);
	free(r);
}

void
session_rows_start(struct channel *ch, uint64_t id)
{
	struct rows *r = xcalloc(1, sizeof(*r));

	r->ch = ch;
	r->id = id;
	r->last = sessions_last_serial();
	LIST_INSERT_HEAD(&all, r, next);
	if (go_on(r))
		end(r);
}

void
session_rows_go_on(void)
{
	struct rows *r, *next;

	LIST_FOREACH_SAFE(r, &all, next, next)
		if (go_on(r))
			end(r);
}

void
session_rows_lost(void)
{
	struct rows *r;

	while ((r = LIST_FIRST(&all)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): r is another */
		end(r);
}
