/*
 * The file has a line each: "smtp SINCE UID REASON", "delivery SINCE UID
 * REASON", "domain NAME SINCE UID REASON"; times are milliseconds.
 */
#include "queue/pauses.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/mail/idna.h"
#include "lib/mail/path.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"

static const struct side_text file = { "pauses", "postern pauses 1 ", NULL };

static const char *const names[] = {
	[PAUSE_SMTP] = "smtp",
	[PAUSE_DELIVERY] = "delivery",
	[PAUSE_DOMAIN] = "domain",
};

enum { NAMES = sizeof(names) / sizeof(names[0]) };

const char *
pause_name(uint8_t what)
{
	return names[what];
}

static int
pause_cmp(const struct pause *a, const struct pause *b)
{
	if (a->what != b->what)
		return a->what < b->what ? -1 : 1;
	return str_cmp(a->domain, b->domain);
}

TREE_DEFINE(pause_tree, pause, node, pause_cmp)

static struct pause_tree *
tree_of(const struct pauses *ps)
{
	return (struct pause_tree *)(uintptr_t)&ps->tree;
}

static struct pause *
find(const struct pauses *ps, uint8_t what, struct str domain)
{
	struct pause like = { .what = what, .domain = domain };

	return RB_FIND(pause_tree, tree_of(ps), &like);
}

const struct pause *
pauses_next(const struct pauses *ps, const struct pause *after)
{
	struct pause *at;

	if (after == NULL)
		return RB_MIN(pause_tree, tree_of(ps));
	at =
	    RB_NFIND(pause_tree, tree_of(ps), (struct pause *)(uintptr_t)after);
	if (at != NULL && pause_cmp(at, after) == 0)
		at = RB_NEXT(pause_tree, tree_of(ps), at);
	return at;
}

/* --- whom it concerns --- */

static bool
has_domain(const struct pauses *ps, struct str domain)
{
	struct buf ascii;
	bool has = false;

	buf_init(&ascii, PATH_DOMAIN_MAX);
	if (idna_to_ascii(domain, &ascii) == 0 && !ascii.failed)
		has = find(ps, PAUSE_DOMAIN, buf_str(&ascii)) != NULL;
	buf_clear(&ascii);
	return has;
}

bool
pauses_has_domain(const struct pauses *ps, const struct rcpt *r)
{
	return ps->ndomains > 0 && has_domain(ps, rcpt_domain(r));
}

void
pauses_tell(struct queue *q, struct smtpd_peer *p)
{
	struct tell_paused m = { .paused = q->pauses.smtp };

	channel_tell(p->channel, TYPE_tell_paused, &m, 0);
}

static void
apply_smtp(struct queue *q, const struct pause *p, bool on)
{
	struct smtpd_peer *peer;

	(void)p;
	q->pauses.smtp = on;
	if (!q->started)
		return;
	LIST_FOREACH(peer, &q->smtpds, next)
		pauses_tell(q, peer);
}

static void
apply_delivery(struct queue *q, const struct pause *p, bool on)
{
	(void)p;
	schedule_hold(&q->schedule, on, queue_now_ms(q));
	queue_run_soon(q);
}

static bool
is_of_domain(void *ctx, const struct rcpt *r)
{
	const struct pauses *only = ctx;

	return pauses_has_domain(only, r);
}

/* Those that wait in a line go to another: into one that is held, or out of
 * it, in the order they had. */
static void
apply_domain(struct queue *q, const struct pause *p, bool on)
{
	struct rcpt_list moved = TAILQ_HEAD_INITIALIZER(moved);
	struct pauses only = { .ndomains = 1 };
	struct pause like = { .what = PAUSE_DOMAIN, .domain = p->domain };
	struct rcpt *r;

	q->pauses.ndomains += on ? 1 : (size_t)-1;
	if (!q->started)
		return;
	RB_INIT(&only.tree);
	RB_INSERT(pause_tree, &only.tree, &like);
	schedule_take(&q->schedule, is_of_domain, &only, &moved);
	while ((r = TAILQ_FIRST(&moved)) != NULL) {
		TAILQ_REMOVE(&moved, r, link);
		queue_send_rcpt(q, r);
	}
	queue_run_soon(q);
}

static void (*const apply[])(struct queue *, const struct pause *, bool on) = {
	[PAUSE_SMTP] = apply_smtp,
	[PAUSE_DELIVERY] = apply_delivery,
	[PAUSE_DOMAIN] = apply_domain,
};

/* --- entries --- */

static struct pause *
add(struct pauses *to, const struct pause *like)
{
	size_t ndomain = like->domain.len, nreason = like->reason.len;
	struct pause *p = xcalloc(1, sizeof(*p) + ndomain + nreason);
	char *text = (char *)(p + 1);

	memcpy(p, like, sizeof(*p));
	p->domain = (struct str){ text, ndomain };
	p->reason = (struct str){ text + ndomain, nreason };
	if (ndomain > 0)
		memcpy(text, like->domain.p, ndomain);
	if (nreason > 0)
		memcpy(text + ndomain, like->reason.p, nreason);
	RB_INSERT(pause_tree, &to->tree, p);
	to->n++;
	return p;
}

int
pauses_add(struct queue *q, const struct pause *like)
{
	if (find(&q->pauses, like->what, like->domain) != NULL)
		return 1;
	if (q->pauses.n >= PAUSES_MAX)
		return -1;
	apply[like->what](q, add(&q->pauses, like), true);
	return 0;
}

int
pauses_del(struct queue *q, uint8_t what, struct str domain)
{
	struct pause *p = find(&q->pauses, what, domain);

	if (p == NULL)
		return -1;
	RB_REMOVE(pause_tree, &q->pauses.tree, p);
	q->pauses.n--;
	apply[what](q, p, false);
	free(p);
	return 0;
}

/* --- the file, written --- */

static void
format(const struct pause *p, struct buf *out)
{
	buf_addf(out, "%s ", names[p->what]);
	if (p->what == PAUSE_DOMAIN) {
		buf_add_str(out, p->domain);
		buf_add_char(out, ' ');
	}
	buf_addf(out, "%" PRIu64 " %" PRIu32 " ", p->since_ms, p->uid);
	buf_add_str(out, p->reason);
	buf_add_char(out, '\n');
}

static void
format_all(const struct queue *q, struct buf *out)
{
	struct pause *p;

	RB_FOREACH(p, pause_tree, tree_of(&q->pauses))
		format(p, out);
}

void
pauses_save(struct queue *q, side_file_fn *fn, void *ctx)
{
	side_list_save(&q->pauses.list, fn, ctx);
}

void
pauses_init(struct queue *q)
{
	RB_INIT(&q->pauses.tree);
	side_list_init(&q->pauses.list, q, &file, format_all);
}

/* --- the file, read --- */

static int
parse_what(struct str word, uint8_t *out)
{
	for (unsigned int i = 0; i < NAMES; i++) {
		if (str_eq(word, str_of(names[i]))) {
			*out = (uint8_t)i;
			return 0;
		}
	}
	return -1;
}

static int
load_entry(void *ctx, struct str line)
{
	struct queue *q = ctx;
	struct pause p = { .what = 0 };
	uint64_t uid;

	if (parse_what(str_cut(&line, ' '), &p.what) == -1)
		return -1;
	if (p.what == PAUSE_DOMAIN)
		p.domain = str_cut(&line, ' ');
	if ((p.what == PAUSE_DOMAIN &&
		(p.domain.len == 0 || p.domain.len > PATH_DOMAIN_MAX)) ||
	    str_to_u64(str_cut(&line, ' '), UINT64_MAX, &p.since_ms) == -1 ||
	    str_to_u64(str_cut(&line, ' '), UINT32_MAX, &uid) == -1 ||
	    line.len > PAUSE_REASON_MAX)
		return -1;
	p.uid = (uint32_t)uid;
	p.reason = line;
	return pauses_add(q, &p) == 0 ? 0 : -1;
}

static void
log_entry(const struct pause *p)
{
	bool has_domain = p->what == PAUSE_DOMAIN;

	log_warn(NULL, "paused", "what=%s%s%s uid=%u reason=%s", names[p->what],
	    has_domain ? " domain=" : "", has_domain ? log_str(p->domain) : "",
	    p->uid, log_str(p->reason));
}

void
pauses_load(struct queue *q)
{
	struct pause *p;

	if (side_text_load(q->store, &file, load_entry, q) == -1)
		while ((p = RB_MIN(pause_tree, &q->pauses.tree)) != NULL)
			pauses_del(q, p->what, p->domain);
	RB_FOREACH(p, pause_tree, &q->pauses.tree)
		log_entry(p);
}
