/* A pause is in force at once, and said to be when it is on disk. */
#include "queue/pause_question.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/idna.h"
#include "lib/mail/path.h"
#include "queue/pauses.h"
#include "queue/queue.h"
#include "queue/saved.h"
#include "queue/side_text.h"

/* --- changes --- */

static void
log_change(const struct ask_pause *m, struct str domain)
{
	bool has_domain = m->what == PAUSE_DOMAIN;

	log_info(NULL, m->resume ? "resume" : "pause",
	    "what=%s%s%s uid=%u reason=%s", pause_name(m->what),
	    has_domain ? " domain=" : "", has_domain ? log_str(domain) : "",
	    m->uid, log_str(m->reason));
}

static void
pause(struct control_peer *p, uint64_t id, const struct ask_pause *m,
    struct str domain)
{
	struct pause like = {
		.what = m->what,
		.domain = domain,
		.since_ms = clock_wall_ms(),
		.uid = m->uid,
		.reason = m->reason,
	};

	switch (pauses_add(p->q, &like)) {
	case 0:
		log_change(m, domain);
		saved_answer(p, id, pauses_save, 1);
		break;
	case 1:
		/* As it was; but perhaps it is not on disk yet. */
		saved_answer(p, id, pauses_save, 0);
		break;
	default:
		answer(p, id, ANSWER_REFUSED_IT, "there are too many pauses");
		break;
	}
}

static void
resume(struct control_peer *p, uint64_t id, const struct ask_pause *m,
    struct str domain)
{
	if (pauses_del(p->q, m->what, domain) == -1) {
		answer(p, id, ANSWER_NOT_FOUND, "it is not paused");
		return;
	}
	log_change(m, domain);
	saved_answer(p, id, pauses_save, 1);
}

/* As it is kept. The final dot says nothing; a literal is a domain, too. */
static int
normal_domain(struct str domain, struct buf *out)
{
	struct str name;

	if (domain.len > 1 && domain.p[domain.len - 1] == '.')
		domain.len--;
	if (domain.len == 0 || idna_to_ascii(domain, out) == -1 || out->failed)
		return -1;
	name = buf_str(out);
	if (name.p[0] == '[')
		return side_text_is_line(name) &&
			       str_find(name, ' ') == name.len &&
			       name.p[name.len - 1] == ']' ?
			   0 :
			   -1;
	return path_is_domain(name, false) ? 0 : -1;
}

void
pause_question(struct control_peer *p, uint64_t id, const struct ask_pause *m)
{
	struct buf domain;

	buf_init(&domain, PATH_DOMAIN_MAX);
	if (m->what == PAUSE_DOMAIN && normal_domain(m->domain, &domain) == -1)
		answer(p, id, ANSWER_REFUSED_IT, "not a domain");
	else if (!side_text_is_line(m->reason))
		answer(p, id, ANSWER_REFUSED_IT, "the reason is not one line");
	else if (m->resume)
		resume(p, id, m, buf_str(&domain));
	else
		pause(p, id, m, buf_str(&domain));
	buf_clear(&domain);
}

/* --- the list --- */

struct pause_listing {
	struct row_listing rows; /* the first member */
	struct pause last;       /* its domain is in room */
	char room[PATH_DOMAIN_MAX];
};

static void
tell_row(const struct asking *a, const struct pause *p)
{
	struct row_pause row = {
		.what = p->what,
		.domain = p->domain,
		.since_ms = p->since_ms,
		.reason = p->reason,
		.uid = p->uid,
	};

	channel_tell(a->peer->channel, TYPE_row_pause, &row, a->id);
}

/* Behind the last one that was told, whatever became of that. */
static bool
next_row(struct row_listing *rows)
{
	struct pause_listing *l = (struct pause_listing *)rows;
	const struct pause *p = pauses_next(
	    &rows->asking.peer->q->pauses, rows->n > 0 ? &l->last : NULL);

	if (p == NULL)
		return false;
	tell_row(&rows->asking, p);
	l->last.what = p->what;
	l->last.domain = (struct str){ l->room, p->domain.len };
	if (p->domain.len > 0)
		memcpy(l->room, p->domain.p, p->domain.len);
	return true;
}

void
pause_question_list(struct control_peer *p, uint64_t id)
{
	struct pause_listing *l = xcalloc(1, sizeof(*l));

	row_listing_start(&l->rows, p, id, next_row);
}
