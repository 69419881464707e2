/* Envelope and content into frames; the queue's answer into a reply. */
#include "smtpd/commit.h"

#include <stdlib.h>
#include <unistd.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "smtpd/body.h"
#include "smtpd/client_name.h"
#include "smtpd/cmd_data.h"
#include "smtpd/command.h"
#include "smtpd/from_queue.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/tx.h"

static const struct {
	const char *reply, *why;
	enum body_fault fault; /* of a body file */
} refusals[] = {
	[REFUSED_FAULT] = { "451 4.3.0 Mail could not be stored", "storage",
	    BODY_NO_FILE },
	[REFUSED_SPACE] = { "452 4.3.1 Out of space, try again later", "space",
	    BODY_NO_SPACE },
	[REFUSED_BUSY] = { "451 4.3.2 Shutting down, try again later",
	    "queue-stopping", BODY_NO_FILE },
	[REFUSED_MALFORMED] = { "451 4.3.0 Mail could not be stored",
	    "queue-refused", BODY_NO_FILE },
};

static void
log_accepted(const struct session *s)
{
	const struct tx *tx = s->tx;
	const struct body *b = s->body;
	bool unsent = s->state != SESSION_BUSY || s->ended;

	/* unsent: the client was gone before it could hear of it */
	log_info(&tx->log, "accepted",
	    "from=%s rdns=%s nrcpt=%u size=%llu ms=%llu%s", log_cstr(tx->from),
	    log_cstr(caller_text(s->caller)), tx->nrcpt,
	    (unsigned long long)b->size,
	    (unsigned long long)(clock_mono_ms() - tx->begin_ms),
	    unsent ? " reply=unsent" : "");
	stats_add(STAT_ACCEPTED, 1);
	stats_add(STAT_BYTES, b->size);
}

/* Which reply an answer (or none) means; NULL: it is kept. */
static const char *
refusal(
    const struct fault *fault, uint16_t type, const void *msg, const char **why)
{
	if (fault == NULL && type == TYPE_answer_commit)
		return NULL;
	if (fault == NULL && type == TYPE_answer_refused) {
		const struct answer_refused *m = msg;

		*why = refusals[m->why].why;
		return refusals[m->why].reply;
	}
	*why = "no-queue";
	return "451 4.3.0 Mail could not be stored, try again later";
}

static void
on_commit(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct command *c = ctx;
	struct session *s = c->session;
	const char *why = NULL;
	const char *reply = refusal(fault, type, msg, &why);

	if (reply == NULL) {
		log_accepted(s);
		s->naccepted++;
		s->njunk = 0;
		/* The file is the queue's now. */
		s->body->bodyfile = 0;
		command_answerf(c, "250 2.0.0 Ok: queued as %s", s->tx->msgid);
	} else
		command_refuse(c, why, reply);
	session_commit_done(s);
	if (s->state == SESSION_BUSY)
		data_answered(c);
}

static void
send_content(struct channel *ch, uint64_t id, struct str content)
{
	while (content.len > 0) {
		struct tell_content m = { .bytes = str_head(
					      content, CHANNEL_CONTENT_MAX) };

		channel_tell(ch, TYPE_tell_content, &m, id);
		content = str_skip(content, CHANNEL_CONTENT_MAX);
	}
}

static void
send_rcpts(struct channel *ch, uint64_t id, const struct tx *tx)
{
	const struct rcpt *r;

	TAILQ_FOREACH(r, &tx->rcpts, entry) {
		struct tell_rcpt m = { .to = str_of(r->to),
			.action = str_of(r->action->name),
			.orig = str_of(r->orig) };

		channel_tell(ch, TYPE_tell_rcpt, &m, id);
	}
}

void
commit_begin(struct command *c)
{
	struct session *s = c->session;
	struct tx *tx = s->tx;
	struct body *b = s->body;
	struct channel *ch = from_queue_channel();
	size_t header = body_header_size(b);
	struct ask_commit m = {
		.msgid = (struct str){ tx->msgid, ID_LEN },
		.from = str_of(tx->from),
		.flags = tx_flags(tx) | (b->is_8bit ? ENVELOPE_8BIT : 0U),
		.received_ms = clock_wall_ms(),
		.client = str_of(s->client_text),
		.client_name = str_head(str_of(s->helo), 255),
		.listener = str_head(str_of(s->listener_name), 80),
		.nrcpt = tx->nrcpt,
		.header_size = (uint32_t)header,
		.inline_size = (uint32_t)b->content.len,
		.bodyfile = b->bodyfile,
		.body_size =
		    b->bodyfile != 0 ? b->file_size : b->content.len - header,
	};
	uint64_t id;

	if (ch == NULL) {
		command_refuse(c, "no-queue",
		    "451 4.3.0 Mail could not be stored, try again later");
		data_answered(c);
		return;
	}
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	s->committing = true;
	session_enter(s, SESSION_BUSY);
	id = channel_ask(ch, TYPE_ask_commit, &m, on_commit, c);
	send_rcpts(ch, id, tx);
	send_content(ch, id, buf_str(&b->content));
	buf_clear(&b->content);
}

/* The session went away meanwhile. */
static void
return_file(const struct answer_bodyfile *m)
{
	struct channel *ch = from_queue_channel();
	struct tell_bodyfile_dropped d = { .bodyfile = m->bodyfile };

	close(m->file);
	if (ch != NULL)
		channel_tell(ch, TYPE_tell_bodyfile_dropped, &d, 0);
}

static void
on_file(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct file_ask *ask = ctx;
	struct command *c = ask->command;
	struct body *b;

	free(ask);
	if (c == NULL) {
		if (fault == NULL && type == TYPE_answer_bodyfile)
			return_file(msg);
		return;
	}
	b = c->session->body;
	b->ask = NULL;
	if (fault == NULL && type == TYPE_answer_bodyfile) {
		const struct answer_bodyfile *m = msg;

		body_set_file(b, m->bodyfile, m->file, b->generation);
	} else if (fault == NULL && type == TYPE_answer_refused) {
		const struct answer_refused *m = msg;

		body_fail(b, refusals[m->why].fault);
	} else
		body_fail(b, BODY_NO_FILE);
	data_file_done(c);
}

void
commit_ask_file(struct command *c)
{
	struct session *s = c->session;
	struct body *b = s->body;
	struct channel *ch = from_queue_channel();
	struct ask_bodyfile m = { .size_hint = s->tx->params.size };

	if (ch == NULL) {
		body_fail(b, BODY_NO_FILE);
		return;
	}
	b->generation = from_queue_generation();
	b->ask = xmalloc(sizeof(*b->ask));
	b->ask->command = c;
	channel_ask(ch, TYPE_ask_bodyfile, &m, on_file, b->ask);
	session_enter(s, SESSION_BUSY);
}
