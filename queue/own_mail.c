#include "queue/own_mail.h"

#include <string.h>

#include "edges/smtpd_queue.h"
#include "queue/quarantine.h"
#include "queue/queue.h"

enum { REASON_MAX = 128 };

void
own_mail_init(struct own_mail *o, const struct queue *q, struct str id,
    struct str to, const struct route_decision *d)
{
	buf_init(&o->reason, REASON_MAX);
	o->rcpt = (struct mail_rcpt){ .to = to,
		.action = str_of(d->action->name),
		.orig = STR(""),
		.start = START_WAITING };
	o->record = (struct mail_record){
		.from = STR(""),
		.client = STR("local"),
		.client_name = STR(""),
		.listener = STR(ROUTE_REPORT_LISTENER),
		.msgid = id,
		.rcpts = &o->rcpt,
		.nrcpt = 1,
	};
	if (d->quarantine) {
		o->rcpt.start = START_QUARANTINED;
		o->record.filter = STR(QUARANTINE_BY_RULE);
		o->record.reason = route_reason(d, &o->reason);
	} else if (q->config->report_milters != NULL) {
		o->rcpt.start = START_UNFILTERED;
	}
}

struct content *
own_mail_set_text(struct own_mail *o, struct str text, uint32_t header_size)
{
	struct content *c = content_new_with((uint32_t)text.len, STR(""));

	memcpy(c->bytes, text.p, text.len);
	o->record.content = (struct str){ c->bytes, c->len };
	o->record.header_size = header_size;
	o->record.body_size = text.len - header_size;
	return c;
}

void
own_mail_clear(struct own_mail *o)
{
	buf_clear(&o->reason);
}
