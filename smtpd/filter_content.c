/* The content of a message before its filters, and what they made of it and
 * of its envelope. */
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/mail/idna.h"
#include "smtpd/admission.h"
#include "smtpd/auth_results.h"
#include "smtpd/body.h"
#include "smtpd/filter_args.h"
#include "smtpd/filtering.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/tx.h"

enum {
	HEADER_MAX = 2097152, /* of ask_commit */
	RCPTS_MAX = 100000
};

/* --- the envelope --- */

/* An address as filters write it, in the form that we keep; path views it,
 * and room. */
struct address {
	struct path path;
	struct buf text; /* as path_format writes it */
	struct buf room; /* for its domain */
};

static void
address_init(struct address *a)
{
	buf_init(&a->text, PATH_FORMAT_MAX);
	buf_init(&a->room, PATH_DOMAIN_MAX);
}

static void
address_clear(struct address *a)
{
	buf_clear(&a->text);
	buf_clear(&a->room);
}

static int
complete(const struct session *s, struct str text, struct address *a)
{
	struct str rest;
	unsigned int flags = PATH_ALLOW_BARE | PATH_ALLOW_LOCAL;

	if (s->tx->params.smtputf8)
		flags |= PATH_ALLOW_UTF8;
	buf_reset(&a->text);
	buf_reset(&a->room);
	if (path_parse(text, flags, &a->path, &rest) != PATH_OK ||
	    rest.len > 0 || idna_path(&a->path, &a->room) != 0)
		return -1;
	policy_complete(s, &a->path);
	path_format(&a->path, &a->text);
	return a->text.failed || a->text.len > PATH_MAX_LEN ? -1 : 0;
}

/* Did the client mean this address by the recipient? */
static bool
was_given_as(const struct session *s, const struct rcpt *r, struct str to)
{
	struct address a;
	bool same;

	if (r->orig == NULL)
		return str_eq(str_of(r->to), to);
	address_init(&a);
	same = complete(s, str_of(r->orig), &a) == 0 &&
	       str_eq(buf_str(&a.text), to);
	address_clear(&a);
	return same;
}

static void
del_rcpt(struct session *s, const struct path *path, struct str to)
{
	struct rcpt *r = tx_find_rcpt(s->tx, to);

	if (r != NULL && was_given_as(s, r, to)) {
		tx_del_rcpt(s->tx, r);
		return;
	}
	/* The one address that may have become another. */
	if (!str_eq_nocase(path->local, STR("postmaster")))
		return;
	TAILQ_FOREACH(r, &s->tx->rcpts, entry)
		if (was_given_as(s, r, to)) {
			tx_del_rcpt(s->tx, r);
			return;
		}
}

static void
log_dropped(const struct session *s, struct str address, const char *why)
{
	log_warn(&s->tx->log, "rcpt-not-added", "to=%s filter=%s why=%s",
	    log_str(address),
	    log_cstr(s->filtering->answer.filter != NULL ?
			 s->filtering->answer.filter :
			 "milters"),
	    log_cstr(why));
}

/* The rules have to take it from this session, as if it had said so. */
static void
add_rcpt(struct session *s, const struct milter_rcpt_edit *e, struct address *a)
{
	struct rules_verdict v;
	enum rcpt_start start = START_WAITING;
	struct params params;

	if (s->tx->nrcpt >= RCPTS_MAX) {
		log_dropped(s, e->addr, "recipients");
		return;
	}
	if (!policy_postmaster(s, &a->path, &v))
		v = policy_decide(s, &a->path);
	if (v.rule == NULL || !rules_takes(v.rule)) {
		log_dropped(s, e->addr, "rule");
		return;
	}
	if (v.rule->verdict == VERDICT_QUARANTINE) {
		start = START_QUARANTINED;
		tx_set_rule_reason(s->tx, v.rule);
	}
	filter_args(&s->tx->log, e->args, PARAM_RCPT, &params);
	buf_reset(&a->text);
	path_format(&a->path, &a->text);
	tx_add_rcpt(s->tx, buf_str(&a->text), buf_str(&a->text), &params,
	    v.rule->action, start);
}

static void
edit_rcpts(struct session *s, const struct milter_result *r)
{
	struct address a;

	address_init(&a);
	for (size_t i = 0; i < r->nrcpts; i++) {
		const struct milter_rcpt_edit *e = &r->rcpts[i];

		if (complete(s, e->addr, &a) < 0 || a.path.local.len == 0) {
			if (e->add)
				log_dropped(s, e->addr, "syntax");
		} else if (e->add)
			add_rcpt(s, e, &a);
		else
			del_rcpt(s, &a.path, buf_str(&a.text));
	}
	address_clear(&a);
}

static void
edit_from(struct session *s, const struct milter_result *r)
{
	struct address a;
	struct params params;
	const char *from = r->from;

	if (from == NULL)
		return;
	address_init(&a);
	filter_args(&s->tx->log, str_of(r->from_args), PARAM_MAIL, &params);
	if (from[0] == '\0')
		tx_set_from(s->tx, STR(""), &params);
	else if (complete(s, str_of(from), &a) == 0)
		tx_set_from(s->tx, buf_str(&a.text), &params);
	else
		log_warn(&s->tx->log, "sender-not-changed",
		    "from=%s why=syntax", log_cstr(from));
	address_clear(&a);
}

/* --- the verdict --- */

/* Taken, as far as the client can see. */
static enum stage
discard(struct session *s, struct command *c, const char *why)
{
	log_info(&s->tx->log, "discarded",
	    "from=%s nrcpt=%u size=%llu filter=%s why=%s",
	    log_cstr(s->tx->from), s->tx->nrcpt,
	    (unsigned long long)s->body->size,
	    log_cstr(s->filtering->answer.filter != NULL ?
			 s->filtering->answer.filter :
			 "milters"),
	    log_cstr(why));
	stats_add(STAT_DISCARDED, 1);
	s->naccepted++;
	s->njunk = 0;
	return command_answerf(c, "250 2.0.0 Ok: queued as %s", s->tx->msgid);
}

static void
edit_content(struct body *b, const struct milter_result *r)
{
	struct content *fresh = r->body;

	if (r->header.len > HEADER_MAX)
		body_fail(b, BODY_HEADER_SIZE);
	else if (r->header_changed)
		body_set_header(b, r->header);
	if (fresh == NULL)
		return;
	if (b->fault == BODY_FINE)
		body_set_content(b, &fresh);
	else
		content_free(&fresh);
}

static enum stage
take(struct session *s, struct command *c)
{
	const struct filtering *f = s->filtering;
	const struct milter_result *r = milters_result(f->milters);

	edit_content(s->body, r);
	edit_from(s, r);
	edit_rcpts(s, r);
	if (s->tx->nrcpt == 0)
		return discard(s, c, "no-recipients");
	if (f->answer.verdict == MILTER_QUARANTINE)
		tx_quarantine(s->tx,
		    f->answer.filter != NULL ? f->answer.filter : "",
		    f->answer.reply != NULL ? f->answer.reply : "");
	return STAGE_GO;
}

static enum stage
judge(struct filtering *f, struct command *c)
{
	struct session *s = f->session;
	uint64_t us = clock_mono_us() - f->asked_us;

	admission_took(admission(), us, clock_mono_ms());
	f->judged = true;
	switch (f->answer.verdict) {
	case MILTER_ACCEPT:
	case MILTER_CONTINUE:
	case MILTER_QUARANTINE:
		return take(s, c);
	case MILTER_DISCARD:
		return discard(s, c, "filter");
	case MILTER_TEMPFAIL:
	case MILTER_REJECT:
	case MILTER_SHUTDOWN:
		break;
	}
	return filtering_refuse(c, &f->answer);
}

void
filtering_strip(const struct session *s)
{
	unsigned int n;

	if (s->tx->set == NULL)
		return;
	n = auth_results_strip(s->body, str_of(session_hostname(s)));
	if (s->listener->hostname != NULL)
		n += auth_results_strip(s->body, str_of(s->config->hostname));
	if (n > 0)
		log_info(&s->tx->log, "forged-results", "removed=%u", n);
}

/* Ours are on top by now: hidden from filters, but counted by them. */
static void
begin(struct filtering *f)
{
	struct session *s = f->session;
	struct body *b = s->body;

	f->mail = (struct milter_mail){ .header = body_header(b),
		.ours = b->ours,
		.max_size = b->max_size,
		.utf8 = s->tx->params.smtputf8 };
	content_show(&b->content, &f->mail);
	facts_set_content(&f->facts, f->mail.header);
	f->asked_us = clock_mono_us();
	f->asked = true;
	f->answered = milters_filter(f->milters, &f->mail, &f->answer);
}

enum stage
filtering_content(struct filtering *f, struct command *c)
{
	if (!f->asked) {
		if (!filtering_has(f->session->tx->set, false))
			return STAGE_GO;
		begin(f);
	}
	if (!f->answered)
		return STAGE_WAITING;
	f->asked = f->answered = false;
	return judge(f, c);
}
