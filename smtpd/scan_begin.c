/* What filters are shown of a mail, and which of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/header.h"
#include "smtpd/scan_job.h"

/* --- what is known of the session --- */

static const struct listener *
find_listener(const struct config *c, struct str name)
{
	char text[ADDR_TEXT_MAX], full[ADDR_TEXT_MAX + 8];

	for (size_t i = 0; i < c->nlisteners; i++) {
		const struct listener *l = &c->listeners[i];

		if (l->flags & LISTENER_SUBMIT)
			snprintf(full, sizeof(full), "submit");
		else
			snprintf(full, sizeof(full),
			    l->addr.family == ADDR_V6 ? "[%s]:%u" : "%s:%u",
			    addr_format(&l->addr, text), (unsigned int)l->port);
		if (str_eq(name, str_of(full)))
			return l;
	}
	return NULL;
}

/* Without a context: what the queue knows. */
static void
guess_session(struct job *j, const struct listener *l)
{
	const struct config *c = j->config;
	const char *hostname =
	    l != NULL && l->hostname != NULL ? l->hostname : c->hostname;
	struct addr client = { .family = ADDR_LOCAL };
	bool is_local = j->ask.why == FILTER_REPORT ||
			addr_parse(j->ask.client, &client) == -1;

	if (is_local)
		client = (struct addr){ .family = ADDR_LOCAL };
	facts_set_gateway(&j->facts, str_of(hostname),
	    str_of(l != NULL ? l->tag : NULL), j->ask.listener, NULL);
	facts_set_client(&j->facts, &client, 0, CLIENT_NAME_NONE, STR(""));
	facts_set_helo(&j->facts, is_local || j->ask.client_name.len == 0 ?
				      str_of(hostname) :
				      j->ask.client_name);
}

static void
learn_session(struct job *j, const struct listener *l)
{
	if (j->ask.why != FILTER_REPORT)
		j->context = context_parse(j->ask.context);
	if (j->context == NULL) {
		guess_session(j, l);
	} else {
		j->facts.m = j->context->facts;
		j->mail.mail_args = j->context->facts.mail_args;
	}
	j->facts.m.smtputf8 = (j->ask.flags & ENVELOPE_SMTPUTF8) != 0;
}

/* --- which filters --- */

static bool
is_wanted(const struct job *j, const struct milter *m)
{
	return j->ask.why != FILTER_AFTER_QUEUE || m->after_queue;
}

static void
add(struct job *j, const struct milter *m, uint32_t step)
{
	if (!is_wanted(j, m))
		return;
	scan_set_add(&j->set, m, step, j->ask.why == FILTER_RESCAN);
	if (!m->shadow)
		j->obeyed = true;
}

static void
choose_from(struct job *j, const struct milter_set *set)
{
	for (size_t i = 0; set != NULL && i < set->n; i++)
		add(j, set->members[i].milter, set->members[i].step);
}

/* By their names then, as they are configured now. */
static void
choose_known(struct job *j)
{
	const struct context *k = j->context;

	for (size_t i = 0; i < k->nmembers; i++) {
		const struct milter *m =
		    config_find_milter(j->config, k->members[i].name);

		if (m != NULL)
			add(j, m, k->members[i].step);
		else
			j->missing = true;
	}
}

static void
choose(struct job *j, const struct listener *l)
{
	j->set.set.n = 0;
	j->obeyed = j->missing = false;
	if (j->ask.why == FILTER_REPORT)
		choose_from(j, j->config->report_milters);
	else if (j->context != NULL && j->context->nmembers > 0)
		choose_known(j);
	else if (l != NULL)
		choose_from(j, l->milters);
}

/* --- the mail --- */

/* The fields that we put on top: our Received has the id of this mail. */
static size_t
our_fields(const struct job *j, struct str header)
{
	struct header_field field;
	size_t pos = 0, ours = 0;
	struct str id = { j->msgid, strlen(j->msgid) };

	while (header_next(header, &pos, &field)) {
		if (!str_eq_nocase(field.name, STR("Received")) ||
		    memmem(field.value.p, field.value.len, id.p, id.len) ==
			NULL)
			break;
		ours = pos;
	}
	return ours;
}

static void
show_content(struct job *j, const struct listener *l)
{
	struct milter_mail *m = &j->mail.content;
	struct str all = buf_str(&j->content);
	uint64_t max = j->config->limits.message_size;

	m->header = str_head(all, j->ask.header_size);
	m->ours = our_fields(j, m->header);
	m->body = str_skip(all, j->ask.header_size);
	m->fd = j->ask.has_file ? j->fd : -1;
	m->body_size = j->ask.has_file ? j->ask.body_size : m->body.len;
	m->max_size = l != NULL && l->max_size > 0 ? l->max_size : max;
	m->utf8 = j->facts.m.smtputf8;
}

static void
show_envelope(struct job *j)
{
	j->mail.msgid = j->ask.msgid;
	j->mail.from = j->ask.from;
	j->shown = xcalloc(j->nrcpts + 1, sizeof(*j->shown));
	for (size_t i = 0; i < j->nrcpts; i++) {
		const struct job_rcpt *r = &j->rcpts[i];

		j->shown[i].to = str_of(r->to);
		j->shown[i].written =
		    str_of(r->orig[0] != '\0' ? r->orig : r->to);
		j->shown[i].action =
		    config_find_action(j->config, str_of(r->action));
	}
	j->mail.rcpts = j->shown;
	j->mail.nrcpts = j->nrcpts;
}

/* --- what they say --- */

static const enum filtered meanings[] = {
	[MILTER_ACCEPT] = FILTERED_PASS,
	[MILTER_CONTINUE] = FILTERED_PASS,
	[MILTER_QUARANTINE] = FILTERED_QUARANTINE,
	[MILTER_DISCARD] = FILTERED_DISCARD,
	[MILTER_TEMPFAIL] = FILTERED_TEMPFAIL,
	[MILTER_REJECT] = FILTERED_REJECT,
	[MILTER_SHUTDOWN] = FILTERED_TEMPFAIL,
};

static void
on_done(void *ctx, const struct milter_answer *a)
{
	struct job *j = ctx;
	enum filtered verdict = meanings[a->verdict];

	job_set_verdict(j, verdict, a->filter, a->reply);
	if (verdict == FILTERED_PASS || verdict == FILTERED_QUARANTINE)
		job_store(j);
	else
		job_answer(j);
}

static void
on_event(void *ctx, const struct milter_event *e)
{
	struct job *j = ctx;

	mail_events_add_milter(&j->events, &j->log, e);
}

static const struct scan_ops ops = { on_done, on_event };

/* Is there somebody to be asked? What was set aside is let go by all that it
 * met, or not at all. */
static bool
can_be_asked(const struct job *j)
{
	if (j->ask.why == FILTER_RESCAN && (j->missing || !j->obeyed))
		return false;
	return j->set.set.n > 0;
}

static void
nobody(struct job *j)
{
	if (j->ask.why == FILTER_RESCAN)
		job_set_verdict(j, FILTERED_QUARANTINE, NULL,
		    "a filter of it is not configured any more");
	else
		job_set_verdict(j, FILTERED_PASS, NULL, NULL);
	job_answer(j);
}

static void
forget_session(struct job *j)
{
	context_free(&j->context);
	facts_clear(&j->facts);
	config_unref(&j->config);
}

bool
job_begin(struct job *j, struct config *config)
{
	const struct listener *l;

	if (config == NULL) {
		job_fail(j, "not configured yet");
		return true;
	}
	j->config = config_ref(config);
	l = find_listener(config, j->ask.listener);
	learn_session(j, l);
	choose(j, l);
	if (!can_be_asked(j)) {
		nobody(j);
		return true;
	}
	if (!milters_have_room(config, &j->set.set, false)) {
		forget_session(j);
		return false;
	}
	show_content(j, l);
	show_envelope(j);
	j->scan = scan_new(j->loop, config, &j->facts, &ops, j);
	scan_start(j->scan, &j->mail, &j->set.set);
	return true;
}
