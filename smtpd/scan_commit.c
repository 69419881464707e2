/* What filters changed in a mail of the queue, on its way back there. */
#include <stdlib.h>
#include <string.h>

#include "lib/mail/idna.h"
#include "lib/mail/path.h"
#include "lib/mail/xtext.h"
#include "lib/rules/rules.h"
#include "smtpd/content.h"
#include "smtpd/filter_args.h"
#include "smtpd/from_queue.h"
#include "smtpd/scan_job.h"

/* Of ask_commit, with room for a body in memory. */
enum { HEADER_MAX = 2097152, RCPTS_MAX = 100000 };

/* --- recipients --- */

/* An address as filters write it, in the form that we keep; false: it is
 * none. */
static bool
complete(const struct job *j, struct str addr, struct buf *out)
{
	unsigned int flags = PATH_ALLOW_BARE | PATH_ALLOW_LOCAL;
	struct buf room;
	struct path p;
	struct str rest;
	bool good;

	if (j->mail.content.utf8)
		flags |= PATH_ALLOW_UTF8;
	buf_reset(out);
	buf_init(&room, PATH_DOMAIN_MAX);
	good = path_parse(addr, flags, &p, &rest) == PATH_OK && rest.len == 0 &&
	       p.local.len > 0 && idna_path(&p, &room) == 0;
	if (good) {
		if (p.domain.len == 0)
			p.domain = str_of(j->config->domain);
		path_format(&p, out);
		good = out->len <= PATH_MAX_LEN;
	}
	buf_clear(&room);
	return good;
}

static bool
has_rcpt(const struct job *j, struct str to)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		if (str_eq(str_of(j->rcpts[i].to), to))
			return true;
	return false;
}

/* What the rules say of it, as if we had sent it. */
static struct rules_verdict
decide(const struct job *j, struct str addr)
{
	struct path from = { .local = STR(""), .domain = STR("") };
	struct path to = from;
	struct rules_query q = {
		.client = { .family = ADDR_LOCAL },
		.name_state = CLIENT_NAME_NONE,
		.helo = str_of(j->config->hostname),
		.tag = STR(""),
	};

	if (j->ask.from.len > 0)
		path_split(j->ask.from, &from);
	path_split(addr, &to);
	q.from_local = from.local;
	q.from_domain = from.domain;
	q.rcpt_local = to.local;
	q.rcpt_domain = to.domain;
	return rules_decide(j->config, &q);
}

/* As the filter's parameters have it. */
static void
add_with_args(struct job *j, struct tell_rcpt *m, struct str args)
{
	struct params params;
	struct buf orcpt;

	filter_args(&j->log, args, PARAM_RCPT, &params);
	buf_init(&orcpt, ENVELOPE_ORCPT_MAX);
	if (params.orcpt.len > 0)
		(void)orcpt_decode(params.orcpt, &orcpt);
	m->notify = params.notify;
	m->orcpt = buf_str(&orcpt);
	job_add_rcpt(j, m);
	buf_clear(&orcpt);
}

static void
add_rcpt(struct job *j, const struct milter_rcpt_edit *e, uint8_t start)
{
	struct tell_rcpt m = { .start = start };
	struct rules_verdict v;
	struct buf b;

	buf_init(&b, PATH_FORMAT_MAX);
	if (!complete(j, e->addr, &b) || has_rcpt(j, buf_str(&b))) {
		buf_clear(&b);
		return;
	}
	v = decide(j, buf_str(&b));
	if (v.rule == NULL || !rules_takes(v.rule) || j->nrcpts >= RCPTS_MAX)
		log_warn(&j->log, "rcpt-not-added", "to=%s why=%s",
		    log_str(buf_str(&b)),
		    log_cstr(j->nrcpts >= RCPTS_MAX ? "recipients" : "rule"));
	else {
		m.to = buf_str(&b);
		m.action = str_of(v.rule->action->name);
		if (v.rule->verdict == VERDICT_QUARANTINE)
			m.start = START_QUARANTINED;
		add_with_args(j, &m, e->args);
	}
	buf_clear(&b);
}

/* As the filter was told it, or as we keep it. */
static bool
is_rcpt(const struct job_rcpt *r, struct str addr, struct str kept)
{
	return str_eq(str_of(r->to), kept) || str_eq(str_of(r->to), addr) ||
	       str_eq(str_of(r->orig), addr);
}

static void
del_rcpt(struct job *j, struct str addr)
{
	struct buf b;
	size_t n = 0;

	buf_init(&b, PATH_FORMAT_MAX);
	if (!complete(j, addr, &b))
		buf_reset(&b);
	for (size_t i = 0; i < j->nrcpts; i++)
		if (addr.len > 0 && is_rcpt(&j->rcpts[i], addr, buf_str(&b)))
			free(j->rcpts[i].to);
		else
			j->rcpts[n++] = j->rcpts[i];
	j->nrcpts = n;
	buf_clear(&b);
}

/* New ones begin as those that are there. */
static void
edit_rcpts(struct job *j, const struct milter_result *r)
{
	uint8_t start = j->nrcpts > 0 ? j->rcpts[0].start : START_UNFILTERED;

	for (size_t i = 0; i < r->nrcpts; i++)
		if (r->rcpts[i].add)
			add_rcpt(j, &r->rcpts[i], start);
		else
			del_rcpt(j, r->rcpts[i].addr);
}

/* As we keep it; out: room for it. */
static struct str
sender(const struct job *j, const char *from, struct buf *out)
{
	if (from == NULL || from[0] == '\0')
		return from == NULL ? j->ask.from : STR("");
	if (complete(j, str_of(from), out))
		return buf_str(out);
	log_warn(&j->log, "sender-not-changed", "from=%s why=syntax",
	    log_cstr(from));
	return j->ask.from;
}

/* What came with a new sender; envid: room for it. */
static void
learn_args(const struct job *j, const char *args, struct ask_commit *m,
    struct buf *envid)
{
	struct params params;

	if (args == NULL)
		return;
	filter_args(&j->log, str_of(args), PARAM_MAIL, &params);
	if (params.ret != 0)
		m->flags &= ~(uint32_t)(ENVELOPE_RET_FULL | ENVELOPE_RET_HDRS);
	m->flags |= param_flags(&params);
	if (params.envid.len > 0 && xtext_decode(params.envid, envid) == 0)
		m->envid = buf_str(envid);
}

/* --- the commit --- */

static void
on_commit(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct job *j = ctx;

	(void)msg;
	j->commit = 0;
	if (fault != NULL || type != TYPE_answer_commit) {
		job_fail(j, "it could not be stored");
		return;
	}
	if (j->body != NULL)
		content_committed(j->body);
	j->verdict.replaced = 1;
	job_answer(j);
}

static void
send_rcpts(const struct job *j, struct channel *ch)
{
	for (size_t i = 0; i < j->nrcpts; i++) {
		const struct job_rcpt *r = &j->rcpts[i];
		struct tell_rcpt m = { .to = str_of(r->to),
			.action = str_of(r->action),
			.start = r->start,
			.orig = str_of(r->orig),
			.notify = r->notify,
			.orcpt = str_of(r->orcpt) };

		channel_tell(ch, TYPE_tell_rcpt, &m, j->commit);
	}
}

static void
send_bytes(const struct job *j, struct channel *ch, struct str bytes)
{
	while (bytes.len > 0) {
		struct tell_content m = { .bytes = str_head(
					      bytes, CHANNEL_CONTENT_MAX) };

		channel_tell(ch, TYPE_tell_content, &m, j->commit);
		bytes = str_skip(bytes, CHANNEL_CONTENT_MAX);
	}
}

/* The body: a new one; the one in memory once more; the file stays where it
 * is, which a commit without any says. */
static void
describe_body(struct job *j, struct ask_commit *m, size_t header)
{
	if (j->body != NULL) {
		content_describe(j->body, header, m);
		content_close(j->body);
		return;
	}
	m->header_size = (uint32_t)header;
	m->inline_size = (uint32_t)(header + j->mail.content.body.len);
	m->body_size = j->mail.content.body_size;
}

static void
commit(struct job *j, struct channel *ch, const struct milter_result *r)
{
	struct buf from, envid;
	struct ask_commit m = {
		.msgid = j->ask.msgid,
		.flags = j->ask.flags,
		.received_ms = j->ask.received_ms,
		.client = j->ask.client,
		.client_name = j->ask.client_name,
		.listener = j->ask.listener,
		.nrcpt = (uint32_t)j->nrcpts,
		.replaces = 1,
		.context = j->ask.context,
		.envid = j->ask.envid,
	};

	buf_init(&from, PATH_FORMAT_MAX);
	buf_init(&envid, ENVELOPE_ENVID_MAX);
	m.from = sender(j, r->from, &from);
	learn_args(j, r->from_args, &m, &envid);
	describe_body(j, &m, r->header.len);
	j->state = JOB_STORING;
	j->commit = channel_ask(ch, TYPE_ask_commit, &m, on_commit, j);
	buf_clear(&from);
	buf_clear(&envid);
	send_rcpts(j, ch);
	if (j->body != NULL) {
		content_send(j->body, ch, j->commit, r->header);
		return;
	}
	send_bytes(j, ch, r->header);
	send_bytes(j, ch, j->mail.content.body);
}

static bool
fits(const struct job *j, const struct milter_result *r)
{
	return r->header.len <= HEADER_MAX &&
	       (j->body == NULL || content_finish(j->body) == CONTENT_FINE);
}

void
job_store(struct job *j)
{
	const struct milter_result *r = scan_result(j->scan);
	struct channel *ch = from_queue_channel();

	j->body = r->body;
	if (!r->header_changed && r->body == NULL && r->from == NULL &&
	    r->nrcpts == 0) {
		job_answer(j);
		return;
	}
	edit_rcpts(j, r);
	if (j->nrcpts == 0) {
		job_set_verdict(
		    j, FILTERED_DISCARD, NULL, "the filters left no recipient");
		job_answer(j);
	} else if (ch == NULL || !fits(j, r))
		job_fail(j, "it could not be stored");
	else
		commit(j, ch, r);
}
