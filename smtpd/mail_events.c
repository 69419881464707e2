/* The words of filters, in the log and for the trace. */
#include "smtpd/mail_events.h"

#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

enum {
	EVENTS_MAX = 256, /* of one mail; what comes later is only logged */
	CONTENT_MAX = 32, /* of these: places that only content has */
	TEXT_MAX = 1024
};

struct mail_event {
	STAILQ_ENTRY(mail_event) entry;
	uint64_t when_ms;
	const char *event; /* static */
	size_t len;
	char text[];
};

void
mail_events_init(struct mail_events *list)
{
	STAILQ_INIT(&list->list);
	list->n = 0;
}

void
mail_events_clear(struct mail_events *list)
{
	struct mail_event *e;

	while ((e = STAILQ_FIRST(&list->list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list->list, entry);
		free(e);
	}
	list->n = 0;
}

/* Many recipients leave room for what was said of the content. */
static bool
has_room(const struct mail_events *list, enum milter_stage stage)
{
	return list->n < (size_t)(stage == MILTER_CONTENT ?
				      EVENTS_MAX :
				      EVENTS_MAX - CONTENT_MAX);
}

static void
keep(struct mail_events *list, const char *event, struct str pairs)
{
	struct mail_event *e;
	struct buf b;

	buf_init(&b, pairs.len);
	log_add_text(&b, pairs);
	struct str text = str_head(buf_str(&b), TEXT_MAX);
	e = xmalloc(sizeof(*e) + text.len);
	e->when_ms = clock_wall_ms();
	e->event = event;
	e->len = text.len;
	memcpy(e->text, text.p, text.len);
	STAILQ_INSERT_TAIL(&list->list, e, entry);
	list->n++;
	buf_clear(&b);
}

/* key=value, when there is one. */
static void
add_word(struct buf *b, const char *key, const char *value)
{
	if (value != NULL)
		buf_addf(b, " %s=%s", key, log_cstr(value));
}

void
mail_event_describe(const struct milter_event *e, struct buf *b)
{
	buf_addf(b, "name=%s", log_cstr(e->filter));
	add_word(b, "stage", milter_stage_name(e->stage));
	add_word(b, "verdict", milter_verdict_name(e->verdict));
	add_word(b, "reply", e->reply);
	add_word(b, "edits", e->edits);
	add_word(b, "fault", e->fault);
	buf_addf(b, " ms=%llu", (unsigned long long)(e->us / 1000));
	if (e->shadow)
		buf_addf(
		    b, " shadow=yes differs=%s", e->differs ? "yes" : "no");
}

void
mail_events_add_milter(struct mail_events *list, const struct log_ctx *log,
    const struct milter_event *e)
{
	struct buf b;

	buf_init(&b, (size_t)TEXT_MAX * 64);
	mail_event_describe(e, &b);
	buf_add_char(&b, '\0');
	/* Also of a failure: one for each message. That somebody should act is
	 * said when the filter is left alone. */
	log_info(log, "milter", "%s", b.p);
	if (list != NULL && has_room(list, e->stage))
		keep(list, "milter", str_head(buf_str(&b), b.len - 1));
	buf_clear(&b);
}

void
mail_events_send(
    const struct mail_events *list, struct channel *ch, uint64_t id)
{
	const struct mail_event *e;

	STAILQ_FOREACH(e, &list->list, entry) {
		struct tell_event m = { .when_ms = e->when_ms,
			.event = str_of(e->event),
			.text = (struct str){ e->text, e->len } };

		channel_tell(ch, TYPE_tell_event, &m, id);
	}
}
