/* queue_crash: the agent, which answers as the ledger wants it, and the
 * filters, which change what they see. */
#include "tests/crash/queue_crash.h"

#include <stdio.h>
#include <string.h>

#include "edges/edges.h"
#include "lib/base/clock.h"
#include "queue/queue.h"

/* --- the agent --- */

static uint32_t
rcpt_of(struct str to)
{
	for (uint32_t i = 0; i < RCPTS; i++)
		if (str_eq(to, str_of(rcpts[i].to)))
			return i;
	broken("an unknown recipient");
	return 0;
}

static uint32_t
mail_of(struct str msgid)
{
	uint64_t n;

	if (str_to_u64(msgid, MAILS - 1, &n) != 0)
		broken("an unknown message");
	return (uint32_t)n;
}

static struct work_in *
work_of(uint64_t id)
{
	for (int i = 0; i < WORKS; i++)
		if (child()->works[i].id == id)
			return &child()->works[i];
	broken("no such work, or too many");
	return NULL;
}

/* What stands between `before` and the end of the line, from *at on, which is
 * moved behind it. */
static bool
next_field(const char **at, const char *before, struct str *value)
{
	const char *p = strstr(*at, before);

	if (p == NULL)
		return false;
	p += strlen(before);
	*value = (struct str){ p, strcspn(p, "\r") };
	*at = p + value->len;
	return true;
}

/* Does the text in front of a recipient's address name the one that its sender
 * had? */
static void
see_original(const char *from, const char *to, uint32_t i)
{
	struct str orcpt = str_of(rcpts[i].orcpt), original = STR("");
	size_t type = str_find(orcpt, ';');

	if (!next_field(&from, "\r\nOriginal-Recipient: rfc822; ", &original) ||
	    original.p > to)
		original = STR("");
	if (!str_eq(original, str_skip(orcpt, type + 1)))
		broken("a report about another recipient");
}

static void
see_report(const struct work_in *w)
{
	const char *at = w->content, *from;
	struct str envid, id, to, action;

	if (!next_field(&at, "\r\nOriginal-Envelope-Id: ", &envid) ||
	    !str_eq(envid, STR(ENVID)))
		broken("a report about another envelope");
	if (!next_field(&at, "\r\nX-Postern-Queue-ID: ", &id))
		broken("a report about nothing");
	from = at;
	while (next_field(&at, "\r\nFinal-Recipient: rfc822; ", &to)) {
		uint32_t i = rcpt_of(to);

		see_original(from, to.p, i);
		from = at;
		if (!next_field(&at, "\r\nAction: ", &action))
			broken("a report without an action");
		/* Who fails or is delivered late may be late before. */
		if (rcpts[i].told != NULL &&
		    str_eq(action, str_of(rcpts[i].told)))
			tell_parent('R', mail_of(id), i);
		else if (!str_eq(action, STR("delayed")) ||
			 rcpts[i].notify != NOTIFY_DEFAULT)
			broken("a report that is not due");
	}
}

static void
answer_rcpt(const struct work_in *w, uint32_t n)
{
	enum outcome o =
	    w->is_report ? OUTCOME_DELIVERED : rcpts[w->which[n]].outcome;
	struct tell_result m = {
		.index = w->index[n],
		.outcome = (uint8_t)o,
		.code = o == OUTCOME_DELIVERED ? 250 :
			o == OUTCOME_FAILED    ? 550 :
						 451,
		.status = o == OUTCOME_DELIVERED ? STR("2.0.0") :
			  o == OUTCOME_FAILED    ? STR("5.1.1") :
						   STR("4.2.0"),
		.relay = STR("127.0.0.1:2"),
		.reply = STR("so it is"),
		.handover = (uint8_t)rcpts[w->which[n]].handover,
	};

	if (!w->is_report && rcpts[w->which[n]].told == NULL)
		tell_parent('D', w->mail, w->which[n]);
	channel_tell(child()->agent, TYPE_tell_result, &m, w->id);
}

/* Did it leave as it may? */
static void
see_mail(const struct work_in *w)
{
	enum rcpt_start start = starts[w->mail % STARTS];

	if (start == START_UNFILTERED && strstr(w->content, "filtered") == NULL)
		broken("nobody filtered it");
	if (start == START_QUARANTINED && child()->first && !child()->released)
		broken("nobody released it");
}

static void
finish(struct work_in *w)
{
	struct tell_done m = { .unreachable = false };

	if (w->is_report)
		see_report(w);
	else
		see_mail(w);
	for (uint32_t i = 0; i < w->nindex; i++)
		answer_rcpt(w, i);
	channel_tell(child()->agent, TYPE_tell_done, &m, w->id);
	w->id = 0;
}

static void
on_work(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work *m = msg;
	struct work_in *w = work_of(0);

	(void)ctx, (void)ch;
	if (m->nrcpt > RCPTS || m->inline_size >= CONTENT_MAX)
		broken("a work that is too large");
	*w = (struct work_in){ .id = id,
		.is_report = m->from.len == 0,
		.nrcpt = m->nrcpt,
		.size = m->inline_size };
	if (!w->is_report)
		w->mail = mail_of(m->msgid);
}

static void
on_work_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_rcpt *m = msg;
	struct work_in *w = work_of(id);

	(void)ctx, (void)ch;
	w->which[w->nindex] = w->is_report ? 0 : rcpt_of(m->to);
	w->index[w->nindex++] = m->index;
}

static void
on_work_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_content *m = msg;
	struct work_in *w = work_of(id);

	(void)ctx, (void)ch;
	memcpy(w->content + w->len, m->bytes.p, m->bytes.len);
	w->len += m->bytes.len;
	w->content[w->len] = '\0';
	if (w->len == w->size && w->nindex == w->nrcpt)
		finish(w);
}

static const struct handler of_agent[] = {
	{ TYPE_tell_work, on_work },
	{ TYPE_tell_work_rcpt, on_work_rcpt },
	{ TYPE_tell_work_content, on_work_content },
	{ 0, NULL },
};

static void
on_space(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch, (void)msg, (void)id;
}

/* --- the filters --- */

/* What they are asked about. */
struct question {
	uint64_t id; /* 0: free */
	char msgid[ID_LEN + 1];
	uint32_t rcpts[RCPTS], nrcpt, nexpected;
};

static struct question questions[2 * MAILS];

static struct question *
question_of(uint64_t id)
{
	for (int i = 0; i < 2 * MAILS; i++)
		if (questions[i].id == id)
			return &questions[i];
	broken("no such question, or too many");
	return NULL;
}

static void
answer_filtered(struct question *a, bool replaced, enum filtered verdict)
{
	struct answer_filtered m = {
		.verdict = (uint8_t)verdict,
		.replaced = replaced,
		.filter = STR("scan"),
	};

	channel_tell(child()->smtpd, TYPE_answer_filtered, &m, a->id);
	a->id = 0;
}

static void
on_replaced(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	bool kept = fault == NULL && type == TYPE_answer_commit;

	(void)msg;
	answer_filtered(ctx, kept, kept ? FILTERED_PASS : FILTERED_TEMPFAIL);
}

/* The same mail, which says that it was filtered. */
static void
replace(struct question *a)
{
	static const char content[] = "Received: x\r\n\r\nfiltered\r\n";
	struct ask_commit m = {
		.msgid = str_of(a->msgid),
		.from = STR("anna@here.example"),
		.received_ms = clock_wall_ms(),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.nrcpt = a->nrcpt,
		.header_size = 15,
		.inline_size = sizeof(content) - 1,
		.replaces = 1,
		.envid = STR(ENVID),
	};
	struct tell_content c = { .bytes = { content, sizeof(content) - 1 } };
	uint64_t id =
	    channel_ask(child()->smtpd, TYPE_ask_commit, &m, on_replaced, a);

	for (uint32_t i = 0; i < a->nrcpt; i++) {
		struct tell_rcpt r = { .to = str_of(rcpts[a->rcpts[i]].to),
			.action = STR("out"),
			.start = START_UNFILTERED,
			.notify = (uint8_t)rcpts[a->rcpts[i]].notify,
			.orcpt = str_of(rcpts[a->rcpts[i]].orcpt) };

		channel_tell(child()->smtpd, TYPE_tell_rcpt, &r, id);
	}
	channel_tell(child()->smtpd, TYPE_tell_content, &c, id);
}

static void
on_ask_filter(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_filter *m = msg;
	struct question *a = question_of(0);

	(void)ctx, (void)ch;
	if (!str_eq(m->envid, STR(ENVID)))
		broken("a question about another envelope");
	*a = (struct question){ .id = id, .nexpected = m->nrcpt };
	memcpy(a->msgid, m->msgid.p, ID_LEN);
}

static void
on_asked_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_rcpt *m = msg;
	struct question *a = question_of(id);
	uint32_t i;

	(void)ctx, (void)ch;
	if (a->nrcpt == RCPTS)
		broken("too many recipients");
	i = rcpt_of(m->to);
	if (m->notify != rcpts[i].notify ||
	    !str_eq(m->orcpt, str_of(rcpts[i].orcpt)))
		broken("a question about another's wishes");
	a->rcpts[a->nrcpt++] = i;
}

/* What was changed and is asked about again (the answer was not heard) is as
 * it should be. */
static void
on_asked_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_content *m = msg;
	struct question *a = question_of(id);

	(void)ctx, (void)ch;
	if (a->nrcpt != a->nexpected)
		broken("half a question");
	if (memmem(m->bytes.p, m->bytes.len, "filtered", 8) != NULL)
		answer_filtered(a, false, FILTERED_PASS);
	else
		replace(a);
}

static const struct handler of_smtpd[] = {
	{ TYPE_tell_space, on_space },
	{ TYPE_tell_paused, on_space },
	{ TYPE_tell_blocks, on_space },
	{ TYPE_tell_block, on_space },
	{ TYPE_ask_filter, on_ask_filter },
	{ TYPE_tell_rcpt, on_asked_rcpt },
	{ TYPE_tell_content, on_asked_content },
	{ 0, NULL },
};

const struct handler *
agent_handlers(void)
{
	return of_agent;
}

const struct handler *
smtpd_handlers(void)
{
	return of_smtpd;
}
