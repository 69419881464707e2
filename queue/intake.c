/* Assembles commits from their parts. */
#include "queue/intake.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "queue/wishes.h"

enum {
	/* Unfinished mail of one channel: smtpd sends one at a time, so this
	 * is reached by a peer gone wrong only. */
	INTAKE_BYTES_MAX = 64 << 20,
	INTAKE_COUNT_MAX = 10000,
	INTAKE_TEXT_MAX = 128 << 20 /* of one: 100,000 recipients fit */
};

/* A view as it is kept while its buffer still grows. */
struct span {
	uint32_t at, len;
};

struct span_rcpt {
	struct span to, action, orig, orcpt;
	uint8_t start, notify;
};

struct intake {
	RB_ENTRY(intake) by_id;
	uint64_t id, asked_us;
	struct ask_commit ask; /* its views are not valid any more */
	struct span msgid, from, client, client_name, listener, filter, reason,
	    envid, auth_user;
	struct buf text;         /* all texts */
	struct span_rcpt *rcpts; /* owned; grows as they come */
	uint32_t nrcpt, rcpts_cap;
	struct content *content; /* owned; room for all */
	uint32_t filled;         /* bytes of it that came */
	uint64_t bytes;          /* counted in intakes.bytes */
};

static int
cmp_id(const struct intake *a, const struct intake *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

TREE_DEFINE(intake_tree, intake, by_id, cmp_id)

void
intakes_init(struct intakes *all)
{
	*all = (struct intakes){ 0 };
	RB_INIT(&all->by_id);
}

static void
intake_free(struct intakes *all, struct intake *in)
{
	RB_REMOVE(intake_tree, &all->by_id, in);
	if (all->last == in)
		all->last = NULL;
	all->bytes -= in->bytes;
	all->count--;
	buf_clear(&in->text);
	free(in->rcpts);
	free(in->content);
	free(in);
}

void
intakes_clear(struct intakes *all)
{
	struct intake *in;

	while ((in = RB_MIN(intake_tree, &all->by_id)) != NULL)
		intake_free(all, in);
}

void
intake_mail_clear(struct intake_mail *mail)
{
	free(mail->content);
	free(mail->rcpts);
	free(mail->text);
	*mail = (struct intake_mail){ 0 };
}

static struct intake *
find(struct intakes *all, uint64_t id)
{
	struct intake key;

	if (all->last != NULL && all->last->id == id)
		return all->last;
	key.id = id;
	return RB_FIND(intake_tree, &all->by_id, &key);
}

/* --- texts --- */

static struct span
keep(struct intake *in, struct str s)
{
	struct span at = { (uint32_t)in->text.len, (uint32_t)s.len };

	buf_add_str(&in->text, s);
	return at;
}

static struct str
view(const char *text, struct span s)
{
	return (struct str){ text + s.at, s.len };
}

/* Takes n more bytes of the channel's share. */
static int
take_share(struct intakes *all, struct intake *in, uint64_t n)
{
	if (n > INTAKE_BYTES_MAX - all->bytes)
		return -1;
	all->bytes += n;
	in->bytes += n;
	return 0;
}

/* --- the whole --- */

static void
fill_rcpts(const struct intake *in, struct intake_mail *out)
{
	const char *text = in->text.p;

	out->rcpts = xreallocarray(NULL, in->nrcpt, sizeof(*out->rcpts));
	for (uint32_t i = 0; i < in->nrcpt; i++)
		out->rcpts[i] = (struct mail_rcpt){
			.to = view(text, in->rcpts[i].to),
			.action = view(text, in->rcpts[i].action),
			.orig = view(text, in->rcpts[i].orig),
			.orcpt = view(text, in->rcpts[i].orcpt),
			.start = in->rcpts[i].start,
			.notify = in->rcpts[i].notify,
		};
}

/* Its sender's wishes go with the content, which knows its record then. */
static void
fill_content(struct intake_mail *out)
{
	struct mail_record *m = &out->record;
	struct buf wishes;

	buf_init(&wishes, WISHES_MAX);
	wishes_make(m, &wishes);
	content_set_wishes(&out->content, buf_str(&wishes));
	buf_clear(&wishes);
	m->content = (struct str){ out->content->bytes, out->content->len };
	m->context = content_context(out->content);
}

static void
fill_record(const struct intake *in, struct intake_mail *out)
{
	const struct ask_commit *m = &in->ask;
	const char *text = in->text.p;

	out->text = in->text.p;
	out->content = in->content;
	out->replaces = m->replaces != 0;
	out->body_size = m->body_size;
	out->asked_us = in->asked_us;
	fill_rcpts(in, out);
	out->record = (struct mail_record){
		.msgid = view(text, in->msgid),
		.from = view(text, in->from),
		.client = view(text, in->client),
		.client_name = view(text, in->client_name),
		.listener = view(text, in->listener),
		.user = view(text, in->auth_user),
		.flags = m->flags,
		.received_ms = m->received_ms,
		.rcpts = out->rcpts,
		.nrcpt = in->nrcpt,
		.header_size = m->header_size,
		.bodyfile = m->bodyfile,
		.body_size = m->bodyfile != 0 ? m->body_size :
						m->inline_size - m->header_size,
		.filter = view(text, in->filter),
		.reason = view(text, in->reason),
		.envid = view(text, in->envid),
	};
	fill_content(out);
}

static enum intake_result
check_whole(struct intakes *all, struct intake *in, struct intake_mail *out)
{
	if (in->nrcpt < in->ask.nrcpt || in->filled < in->ask.inline_size)
		return INTAKE_MORE;
	fill_record(in, out);
	in->content = NULL;
	buf_init(&in->text, INTAKE_TEXT_MAX);
	intake_free(all, in);
	return INTAKE_WHOLE;
}

static enum intake_result
refuse(struct intakes *all, struct intake *in, enum intake_result why)
{
	intake_free(all, in);
	return why;
}

/* --- the parts --- */

static bool
makes_sense(const struct ask_commit *m)
{
	if (!id_is_valid(m->msgid) || m->nrcpt == 0 ||
	    m->header_size > m->inline_size)
		return false;
	return m->bodyfile == 0 || m->header_size == m->inline_size;
}

enum intake_result
intake_begin(struct intakes *all, uint64_t id, const struct ask_commit *m,
    struct intake_mail *out)
{
	struct intake *in;
	uint64_t fixed = sizeof(*in) + m->inline_size + m->from.len +
			 m->client.len + m->client_name.len + m->listener.len +
			 m->filter.len + m->reason.len + m->context.len +
			 m->envid.len + m->auth_user.len + ID_LEN;

	if (!makes_sense(m))
		return INTAKE_MALFORMED;
	in = find(all, id);
	if (in != NULL)
		return refuse(all, in, INTAKE_MALFORMED);
	if (all->count >= INTAKE_COUNT_MAX ||
	    fixed > INTAKE_BYTES_MAX - all->bytes)
		return INTAKE_BUSY;
	in = xmalloc(sizeof(*in));
	*in = (struct intake){
		.id = id, .asked_us = clock_mono_us(), .ask = *m, .bytes = fixed
	};
	buf_init(&in->text, INTAKE_TEXT_MAX);
	in->msgid = keep(in, m->msgid);
	in->from = keep(in, m->from);
	in->client = keep(in, m->client);
	in->client_name = keep(in, m->client_name);
	in->listener = keep(in, m->listener);
	in->filter = keep(in, m->filter);
	in->reason = keep(in, m->reason);
	in->envid = keep(in, m->envid);
	in->auth_user = keep(in, m->auth_user);
	in->content = content_new_with(m->inline_size, m->context);
	RB_INSERT(intake_tree, &all->by_id, in);
	all->last = in;
	all->bytes += fixed;
	all->count++;
	return check_whole(all, in, out);
}

enum intake_result
intake_add_rcpt(struct intakes *all, uint64_t id, const struct tell_rcpt *m,
    struct intake_mail *out)
{
	struct intake *in = find(all, id);

	if (in == NULL)
		return INTAKE_UNKNOWN;
	if (in->nrcpt >= in->ask.nrcpt || m->to.len == 0 || m->action.len == 0)
		return refuse(all, in, INTAKE_MALFORMED);
	/* An ORCPT is in the content, too, in the end. */
	if (take_share(all, in,
		sizeof(*in->rcpts) + m->to.len + m->action.len + m->orig.len +
		    2 * m->orcpt.len) != 0)
		return refuse(all, in, INTAKE_BUSY);
	if (in->nrcpt == in->rcpts_cap) {
		in->rcpts_cap = in->rcpts_cap == 0 ? 1 : in->rcpts_cap * 4;
		in->rcpts =
		    xreallocarray(in->rcpts, in->rcpts_cap, sizeof(*in->rcpts));
	}
	in->rcpts[in->nrcpt++] = (struct span_rcpt){
		.to = keep(in, m->to),
		.action = keep(in, m->action),
		.orig = keep(in, m->orig),
		.orcpt = keep(in, m->orcpt),
		.start = m->start,
		.notify = m->notify,
	};
	all->last = in;
	return check_whole(all, in, out);
}

enum intake_result
intake_add_content(struct intakes *all, uint64_t id,
    const struct tell_content *m, struct intake_mail *out)
{
	struct intake *in = find(all, id);

	if (in == NULL)
		return INTAKE_UNKNOWN;
	if (m->bytes.len > in->ask.inline_size - in->filled)
		return refuse(all, in, INTAKE_MALFORMED);
	if (m->bytes.len > 0)
		memcpy(
		    in->content->bytes + in->filled, m->bytes.p, m->bytes.len);
	in->filled += (uint32_t)m->bytes.len;
	all->last = in;
	return check_whole(all, in, out);
}

struct str
intake_msgid(struct intakes *all, uint64_t id)
{
	const struct intake *in = find(all, id);

	return in == NULL ? STR("") : view(in->text.p, in->msgid);
}
