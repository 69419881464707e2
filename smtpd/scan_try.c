/* One filter, one mail, and what it says: events, then the mail as it would
 * have it. */
#include "smtpd/scan_try.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/mail/header.h"
#include "smtpd/content.h"
#include "smtpd/listener.h"
#include "smtpd/mail_events.h"
#include "smtpd/scan.h"

/* What is on its way back. */
struct part {
	struct str bytes;
	int fd; /* else: from here; -1: none */
	uint64_t size;
};

enum { PART_HEADER, PART_BODY, PARTS };

struct
try {
	TAILQ_ENTRY(try) entry;
	struct loop *loop;
	struct channel *ch;
	uint64_t id;
	char *texts; /* owned: what the mail's envelope views */
	char msgid[ID_LEN + 1];
	struct buf content;
	struct config *config; /* a reference */
	struct facts facts;
	struct scan_set set;
	struct scan_rcpt rcpt;
	struct scan_mail mail;
	struct scan *scan;
	struct content *body; /* a new one, or NULL */
	struct part parts[PARTS];
	size_t part; /* that is being sent; PARTS: none */
	uint64_t at; /* bytes of it that went */
	bool sending;
	struct deferred reap;
};

static TAILQ_HEAD(, try) tries = TAILQ_HEAD_INITIALIZER(tries);
static size_t ntries;

static void
answer(struct channel *ch, uint64_t id, enum answer_code code, const char *why)
{
	struct answer_done m = { .code = (uint8_t)code, .text = str_of(why) };

	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
reap(void *ctx)
{
	struct try *t = ctx;

	content_free(&t->body);
	facts_clear(&t->facts);
	config_unref(&t->config);
	buf_clear(&t->content);
	free(t->texts);
	free(t);
}

static void
try_end(struct try *t)
{
	TAILQ_REMOVE(&tries, t, entry);
	ntries--;
	scan_free(&t->scan);
	loop_after(t->loop, &t->reap);
}

/* --- what comes back --- */

/* The next piece of the part being sent; empty: it is over, or cannot be
 * read. */
static struct str
next_piece(struct try *t, char piece[static CHANNEL_CONTENT_MAX])
{
	const struct part *p = &t->parts[t->part];
	uint64_t left = p->size - t->at;
	ssize_t n;

	if (left > CHANNEL_CONTENT_MAX)
		left = CHANNEL_CONTENT_MAX;
	if (p->fd < 0)
		return str_head(
		    str_skip(p->bytes, (size_t)t->at), (size_t)left);
	do
		n = pread(p->fd, piece, (size_t)left, (off_t)t->at);
	while (n < 0 && errno == EINTR);
	return (struct str){ piece, n > 0 ? (size_t)n : 0 };
}

static void
feed(struct try *t)
{
	static char piece[CHANNEL_CONTENT_MAX];

	while (t->part < PARTS && !channel_is_full(t->ch)) {
		struct row_content row = { .bytes = next_piece(t, piece) };

		if (row.bytes.len == 0) {
			t->part++;
			t->at = 0;
			continue;
		}
		channel_tell(t->ch, TYPE_row_content, &row, t->id);
		t->at += row.bytes.len;
	}
	if (t->part < PARTS)
		return;
	answer(t->ch, t->id, ANSWER_OK, "");
	try_end(t);
}

void
scan_try_go_on(void)
{
	struct try *t, *next;

	TAILQ_FOREACH_SAFE(t, &tries, entry, next)
		if (t->sending)
			feed(t);
}

static void
tell_event(struct try *t, const char *event, struct str pairs)
{
	struct buf b;

	buf_init(&b, pairs.len);
	log_add_text(&b, pairs);
	struct row_event row = { .when_ms = clock_wall_ms(),
		.event = str_of(event),
		.text = str_head(buf_str(&b), 1024) };
	channel_tell(t->ch, TYPE_row_event, &row, t->id);
	buf_clear(&b);
}

static void
on_event(void *ctx, const struct milter_event *e)
{
	struct buf b;

	buf_init(&b, 16384);
	mail_event_describe(e, &b);
	tell_event(ctx, "milter", buf_str(&b));
	buf_clear(&b);
}

/* The mail as it would go on. */
static void
choose_parts(struct try *t, const struct milter_result *r)
{
	struct milter_mail body = t->mail.content;

	t->body = r->body;
	if (t->body != NULL)
		content_show(t->body, &body);
	t->parts[PART_HEADER] = (struct part){
		.bytes = r->header, .fd = -1, .size = r->header.len
	};
	t->parts[PART_BODY] = (struct part){
		.bytes = body.body, .fd = body.fd, .size = body.body_size
	};
}

static void
tell_envelope(struct try *t, const struct milter_result *r)
{
	struct buf b;

	buf_init(&b, 1024);
	if (r->from != NULL) {
		buf_addf(&b, "from=%s", log_cstr(r->from));
		tell_event(t, "sender", buf_str(&b));
	}
	for (size_t i = 0; i < r->nrcpts; i++) {
		buf_reset(&b);
		buf_addf(&b, "to=%s", log_str(r->rcpts[i].addr));
		tell_event(t,
		    r->rcpts[i].add ? "recipient-added" : "recipient-deleted",
		    buf_str(&b));
	}
	buf_clear(&b);
}

static void
on_done(void *ctx, const struct milter_answer *a)
{
	struct try *t = ctx;
	const struct milter_result *r;
	struct buf b;

	buf_init(&b, 16384);
	buf_addf(&b, "verdict=%s", milter_verdict_name(a->verdict));
	if (a->reply != NULL)
		buf_addf(&b, " reply=%s", log_cstr(a->reply));
	tell_event(t, a->failed ? "failed" : "verdict", buf_str(&b));
	buf_clear(&b);
	switch (a->verdict) {
	case MILTER_ACCEPT:
	case MILTER_CONTINUE:
	case MILTER_QUARANTINE:
		/* Once: a new body is ours then. */
		r = scan_result(t->scan);
		tell_envelope(t, r);
		choose_parts(t, r);
		t->part = 0;
		break;
	case MILTER_DISCARD:
	case MILTER_TEMPFAIL:
	case MILTER_REJECT:
	case MILTER_SHUTDOWN:
		/* There would be no mail. */
		t->part = PARTS;
		break;
	}
	t->sending = true;
	feed(t);
}

static const struct scan_ops ops = { on_done, on_event };

/* --- what it is shown --- */

static void
show_content(struct try *t)
{
	struct milter_mail *m = &t->mail.content;
	struct str all = buf_str(&t->content);
	struct header_scan head;

	header_scan_init(&head);
	header_scan_feed(&head, all, true);
	m->header = str_head(all, head.size);
	m->body = str_skip(all, head.size);
	m->body_size = m->body.len;
	m->fd = -1;
	m->max_size = t->config->limits.message_size;
	m->utf8 = false;
}

/* From and to, in memory of ours. */
static void
show_envelope(struct try *t, const struct ask_test_milter *m)
{
	size_t from = m->from.len;
	struct buf b;

	buf_init(&b, from + m->to.len + 1);
	buf_add_str(&b, m->from);
	buf_add_str(&b, m->to);
	t->texts = str_dup(buf_str(&b));
	buf_clear(&b);
	t->rcpt.to = (struct str){ t->texts + from, m->to.len };
	t->rcpt.written = t->rcpt.to;
	id_new(clock_wall_ms(), t->msgid);
	t->mail.msgid = str_of(t->msgid);
	t->mail.mail_args = STR("");
	t->mail.from = (struct str){ t->texts, from };
	t->mail.rcpts = &t->rcpt;
	t->mail.nrcpts = m->to.len > 0 ? 1 : 0;
}

static void
show_session(struct try *t, const struct addr *client, struct str helo)
{
	struct str hostname = str_of(t->config->hostname);

	facts_init(&t->facts);
	facts_set_gateway(&t->facts, hostname, STR("test"), STR(""), NULL);
	facts_set_client(&t->facts, client, 0, CLIENT_NAME_NONE, STR(""));
	facts_set_helo(&t->facts, helo.len > 0 ? helo : hostname);
}

/* NULL: it can be done; what the client's address is. */
static const char *
refusal(const struct config *c, const struct ask_test_milter *m,
    const struct buf *mail, struct addr *client)
{
	if (c == NULL || config_find_milter(c, m->milter) == NULL)
		return "no such filter";
	if (mail->failed)
		return "the mail is longer than 16 MiB";
	if (ntries >= TRIES_AT_ONCE)
		return "other tests are running";
	*client = (struct addr){ .family = ADDR_LOCAL };
	if (m->client.len > 0 && !str_eq(m->client, STR("local")) &&
	    addr_parse(m->client, client) == -1)
		return "the client is no address";
	return NULL;
}

void
scan_try(struct loop *l, struct channel *ch, const struct ask_test_milter *m,
    uint64_t id, struct buf *mail)
{
	struct config *c = listener_config();
	struct addr client;
	const char *why = refusal(c, m, mail, &client);
	struct try *t;

	if (why != NULL) {
		buf_clear(mail);
		answer(ch, id, ANSWER_REFUSED_IT, why);
		return;
	}
	t = xcalloc(1, sizeof(*t));
	t->loop = l;
	t->ch = ch;
	t->id = id;
	t->config = config_ref(c);
	t->content = *mail;
	buf_init(mail, mail->max);
	deferred_init(&t->reap, reap, t);
	TAILQ_INSERT_TAIL(&tries, t, entry);
	ntries++;
	show_content(t);
	show_envelope(t, m);
	show_session(t, &client, m->helo);
	/* As if it were not a shadow: what it wants is to be seen. */
	scan_set_add(&t->set, config_find_milter(c, m->milter), 0, true);
	t->set.milters[0].shadow = false;
	t->scan = scan_new(l, c, &t->facts, &ops, t);
	scan_start(t->scan, &t->mail, &t->set.set);
}

void
scan_try_lost(void)
{
	struct try *t;

	while ((t = TAILQ_FIRST(&tries)) != NULL)
		try_end(t);
}
