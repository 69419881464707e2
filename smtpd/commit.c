/* Envelope and content into frames; the queue's answer into a reply. */
#include "smtpd/commit.h"

#include "edges/smtpd_queue.h"
#include "lib/base/clock.h"
#include "lib/net/tls.h"
#include "smtpd/admission.h"
#include "smtpd/body.h"
#include "smtpd/client_name.h"
#include "smtpd/cmd_data.h"
#include "smtpd/command.h"
#include "smtpd/context.h"
#include "smtpd/filtering.h"
#include "smtpd/from_queue.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/tx.h"

static const struct {
	const char *reply, *why;
} refusals[] = {
	[REFUSED_FAULT] = { "451 4.3.0 Mail could not be stored", "storage" },
	[REFUSED_SPACE] = { "452 4.3.1 Out of space, try again later",
	    "space" },
	[REFUSED_BUSY] = { "451 4.3.2 Shutting down, try again later",
	    "queue-stopping" },
	[REFUSED_MALFORMED] = { "451 4.3.0 Mail could not be stored",
	    "queue-refused" },
};

/* For the log; "no" in the clear. */
static const char *
tls_text(const struct session *s)
{
	const struct tls *t = s->stream != NULL ? stream_tls(s->stream) : NULL;
	struct tls_info info = { .version = "no" };

	if (t != NULL)
		tls_info(t, &info);
	return info.version;
}

/* Did its sender ask for anything of RFC 3461? */
static bool
has_wishes(const struct tx *tx)
{
	const struct rcpt *r;

	if (tx->params.ret != 0 || tx->envid != NULL)
		return true;
	TAILQ_FOREACH(r, &tx->rcpts, entry)
		if (r->notify != 0 || r->orcpt != NULL)
			return true;
	return false;
}

static void
count_accepted(const struct tx *tx, uint64_t size)
{
	uint32_t flags = tx_flags(tx);

	stats_add(STAT_ACCEPTED, 1);
	stats_add(STAT_BYTES, size);
	stats_add(STAT_DSN, has_wishes(tx));
	stats_add(STAT_SMTPUTF8, (flags & ENVELOPE_SMTPUTF8) != 0);
	stats_add(STAT_REQUIRETLS, (flags & ENVELOPE_REQUIRETLS) != 0);
}

static void
log_accepted(const struct session *s)
{
	const struct tx *tx = s->tx;
	const struct body *b = s->body;
	uint64_t us = clock_mono_us() - tx->begin_us;
	bool unsent = s->state != SESSION_BUSY || s->ended;

	/* unsent: the client was gone before it could hear of it */
	log_info(&tx->log, "accepted",
	    "from=%s rdns=%s nrcpt=%u tls=%s user=%s size=%llu ms=%llu%s",
	    log_cstr(tx->from), log_cstr(caller_text(s->caller)), tx->nrcpt,
	    log_cstr(tls_text(s)), log_cstr(s->user != NULL ? s->user : ""),
	    (unsigned long long)b->size, (unsigned long long)(us / 1000),
	    unsent ? " reply=unsent" : "");
	count_accepted(tx, b->size);
	stats_accept(us);
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
		content_committed(&s->body->content);
		if (s->filtering != NULL)
			admission_remember(&s->client);
		command_answerf(c, "250 2.0.0 Ok: queued as %s", s->tx->msgid);
	} else
		command_refuse(c, why, reply);
	session_commit_done(s);
	if (s->state == SESSION_BUSY)
		data_answered(c);
}

/* What happens first to the mail of a recipient. */
static uint8_t
start_of(const struct rcpt *r, bool unfiltered)
{
	if (r->start == START_WAITING && unfiltered)
		return START_UNFILTERED;
	return r->start;
}

static void
send_rcpts(struct channel *ch, uint64_t id, const struct tx *tx)
{
	bool unfiltered = filtering_has(tx->set, true);
	const struct rcpt *r;

	TAILQ_FOREACH(r, &tx->rcpts, entry) {
		struct tell_rcpt m = { .to = str_of(r->to),
			.action = str_of(r->action->name),
			.start = start_of(r, unfiltered),
			.orig = str_of(r->orig),
			.notify = r->notify,
			.orcpt = str_of(r->orcpt) };

		channel_tell(ch, TYPE_tell_rcpt, &m, id);
	}
}

/* What it takes to show it to filters once more, should that be so. */
static void
make_context(const struct session *s, struct buf *out)
{
	const struct tx *tx = s->tx;
	struct facts facts;

	buf_init(out, COMMIT_CONTEXT_MAX);
	if (tx->reason == NULL && !filtering_has(tx->set, true))
		return;
	filtering_learn(&facts, s);
	context_make(&facts.m, tx->set, out);
	facts_clear(&facts);
}

static void
send_mail(struct command *c, struct channel *ch, struct ask_commit *m)
{
	struct session *s = c->session;
	struct content *content = &s->body->content;
	struct str header = body_header(s->body);
	struct buf context;
	uint64_t id;

	make_context(s, &context);
	m->context = buf_str(&context);
	content_describe(content, header.len, m);
	content_close(content);
	id = channel_ask(ch, TYPE_ask_commit, m, on_commit, c);
	send_rcpts(ch, id, s->tx);
	if (s->filtering != NULL)
		mail_events_send(&s->filtering->events, ch, id);
	content_send(content, ch, id, header);
	buf_clear(&context);
	buf_clear(&content->bytes);
}

static uint32_t
flags_of(const struct session *s)
{
	return tx_flags(s->tx) | (body_is_8bit(s->body) ? ENVELOPE_8BIT : 0U) |
	       (secure_is_on(s) ? ENVELOPE_TLS : 0U);
}

void
commit_begin(struct command *c)
{
	struct session *s = c->session;
	struct tx *tx = s->tx;
	struct channel *ch = from_queue_channel();
	struct ask_commit m = {
		.msgid = (struct str){ tx->msgid, ID_LEN },
		.from = str_of(tx->from),
		.flags = flags_of(s),
		.received_ms = clock_wall_ms(),
		.client = str_of(s->client_text),
		.client_name = str_head(str_of(s->helo), 255),
		.listener = str_head(str_of(s->listener_name), 80),
		.nrcpt = tx->nrcpt,
		.filter = str_head(str_of(tx->filter), 64),
		.reason = str_head(str_of(tx->reason), 512),
		.envid = str_of(tx->envid),
		.auth_user = str_head(str_of(s->user), 255),
	};

	if (ch == NULL) {
		command_refuse(c, "no-queue",
		    "451 4.3.0 Mail could not be stored, try again later");
		data_answered(c);
		return;
	}
	s->committing = true;
	session_enter(s, SESSION_BUSY);
	send_mail(c, ch, &m);
}
