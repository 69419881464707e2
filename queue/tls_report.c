/*
 * The file: a line "postern tls-reports 1 CRC", then the lines of tally.c; the
 * CRC (CRC-32C, hexadecimal) is of these. It is written a little after each
 * change, the later the longer it is.
 */
#include "queue/tls_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/crc32c.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"
#include "lib/mail/path.h"
#include "queue/own_mail.h"
#include "queue/queue.h"
#include "queue/side_file.h"
#include "queue/tls_report_text.h"

enum {
	DAY_MS = 86400000,
	/* Agents tell what was before midnight, and nobody gets the reports of
	 * all the world at once (RFC 8460 4.1). */
	LATE_MS = 15 * 60 * 1000,
	SPREAD_MS = 4 * 3600 * 1000,
	KEPT_DAYS = 7, /* what could not be told until then is forgotten */
	LOOK_MS = 30000,
	SAVE_MS = 1000, /* and as many more as there are entries */
	SENDING_MAX = 32,
	FILE_MAX = TALLY_TEXT_MAX + 64
};

static const char file_name[] = "tls-reports";
static const char file_head[] = "postern tls-reports 1 ";

static uint32_t
today(void)
{
	return (uint32_t)(clock_wall_ms() / DAY_MS);
}

uint64_t
tls_report_due_ms(uint32_t day, const char *domain, const char *hostname)
{
	uint32_t lot = crc32c(
	    crc32c(0, hostname, strlen(hostname)), domain, strlen(domain));

	return ((uint64_t)day + 1) * DAY_MS + LATE_MS + lot % SPREAD_MS;
}

/* --- the file --- */

static void
set_save(struct queue *q)
{
	struct tls_reporting *t = &q->tls_reporting;
	uint64_t now_ms = queue_now_ms(q);

	if (t->changed && !t->saving)
		timer_set(t->save, t->due_ms > now_ms ? t->due_ms - now_ms : 0);
}

/* What comes later does not put off what was there. */
static void
changed_until(struct queue *q, uint64_t within_ms)
{
	struct tls_reporting *t = &q->tls_reporting;
	uint64_t due_ms = queue_now_ms(q) + within_ms;

	if (!t->changed || due_ms < t->due_ms)
		t->due_ms = due_ms;
	t->changed = true;
	set_save(q);
}

static void
changed(struct queue *q)
{
	changed_until(q, SAVE_MS + q->tls_reporting.tallies.nentries);
}

static void
on_saved(void *ctx, const struct fault *why)
{
	struct queue *q = ctx;

	q->tls_reporting.saving = false;
	if (why == NULL) {
		set_save(q);
		return;
	}
	log_warn(
	    NULL, "spool", "tls-reports=unsaved error=%s", log_cstr(why->text));
	changed_until(q, LOOK_MS);
}

static void
save(void *ctx)
{
	struct queue *q = ctx;
	struct tls_reporting *t = &q->tls_reporting;
	struct buf lines, file;

	buf_init(&lines, TALLY_TEXT_MAX);
	buf_init(&file, FILE_MAX);
	tallies_format(&t->tallies, &lines);
	buf_addf(&file, "%s%08x\n", file_head, crc32c(0, lines.p, lines.len));
	buf_add_str(&file, buf_str(&lines));
	buf_clear(&lines);
	t->changed = false;
	t->saving = true;
	side_file_write(q->store, file_name, &file, on_saved, q);
}

static int
parse_file(struct tallies *t, struct str text)
{
	struct str head = str_of(file_head);
	char crc[16];

	if (!str_eq(str_head(text, head.len), head))
		return -1;
	text = str_skip(text, head.len);
	struct str said = str_cut(&text, '\n');
	(void)snprintf(crc, sizeof(crc), "%08x", crc32c(0, text.p, text.len));
	return str_eq(said, str_of(crc)) ? tallies_parse(t, text) : -1;
}

static void
set_aside(struct queue *q, const char *error)
{
	tallies_clear(&q->tls_reporting.tallies);
	log_warn(NULL, "spool", "tls-reports=damaged error=%s why=%s",
	    log_cstr(error), log_cstr("what was counted was set aside"));
	side_file_set_aside(q->store, file_name);
}

void
tls_report_load(struct queue *q)
{
	struct tallies *t = &q->tls_reporting.tallies;
	struct buf file;
	int rc;

	buf_init(&file, FILE_MAX);
	rc = side_file_read(q->store, file_name, &file);
	if (rc == -1 && errno != ENOENT)
		set_aside(q, strerror(errno));
	else if (rc == 0 && parse_file(t, buf_str(&file)) == -1)
		set_aside(q, "its sum or a line is wrong");
	buf_clear(&file);
}

/* --- counting --- */

void
tls_report_tally(struct queue *q, const struct tell_tls_tally *m)
{
	uint32_t now = today();

	if (q->config->tls_reports == NULL ||
	    !path_is_domain(m->domain, false) || m->day + 2 < now ||
	    m->day > now + 1)
		return;
	if (tallies_add(&q->tls_reporting.tallies, m) == -1)
		log_debug(NULL, "tls-tally-lost", "domain=%s day=%" PRIu32,
		    log_str(m->domain), m->day);
	else
		changed(q);
}

/* --- one mail --- */

struct sending {
	struct queue *q;
	uint32_t day;
	uint32_t bit; /* of its address */
	char *domain;
	struct entry *entry;     /* the mail's, until it is durable */
	struct content *content; /* owned until it goes to the cache */
};

static void
sending_free(struct sending *s)
{
	free(s->domain);
	free(s->content);
	free(s);
}

static void
log_sent(const struct sending *s)
{
	struct log_ctx ctx = { NULL, "msg", s->entry->msgid };
	char day[11];

	log_info(&ctx, "tls-report", "domain=%s day=%s to=%s",
	    log_cstr(s->domain), tls_report_day(s->day, day),
	    log_str(rcpt_to(&s->entry->rcpts[0])));
}

static void
on_committed(void *ctx, bool ok, struct store_ref ref)
{
	struct sending *s = ctx;
	struct queue *q = s->q;
	struct tally *t =
	    tallies_find(&q->tls_reporting.tallies, s->day, str_of(s->domain));

	q->tls_reporting.nsending--;
	t->nsending--;
	if (ok) {
		log_sent(s);
		q->tls_reporting.made++;
		t->told |= s->bit;
		queue_trace_accepted(q, s->entry);
		queue_take_in(q, s->entry, ref, s->content);
		s->content = NULL;
	} else {
		index_del(&q->index, &s->entry);
	}
	queue_check_limit(q);
	/* Before it is on disk a crash would have it told again; and few are
	 * made between two looks. */
	changed_until(q, SAVE_MS);
	sending_free(s);
}

/* 0: it is on its way to the disk. */
static int
send_mail(struct queue *q, struct tally *t, struct tls_report *r,
    const struct route_decision *d, uint32_t bit)
{
	struct sending *s;
	struct own_mail mail;
	struct buf text;
	uint32_t header_size;

	buf_init(&text, TLS_REPORT_MAX);
	if (tls_report_build(r, &text, &header_size) == -1) {
		buf_clear(&text);
		return -1;
	}
	s = xcalloc(1, sizeof(*s));
	s->q = q;
	s->day = t->day;
	s->bit = bit;
	s->domain = xstrdup(t->domain);
	own_mail_init(&mail, q, r->id, r->to, d);
	s->content = own_mail_set_text(&mail, buf_str(&text), header_size);
	buf_clear(&text);
	mail.rcpt.notify = NOTIFY_NEVER;
	mail.record.flags = ENVELOPE_TLS_OPTIONAL;
	mail.record.received_ms = r->now_ms;
	mail.record.seq = store_next_seq(q->store);
	s->entry = index_add(&q->index, &mail.record, queue_now_ms(q));
	if (s->entry == NULL) {
		sending_free(s);
		own_mail_clear(&mail);
		return -1;
	}
	t->nsending++;
	q->tls_reporting.nsending++;
	/* When there is no place for it on_committed is told so. */
	(void)store_add_mail(q->store, &mail.record, on_committed, s);
	own_mail_clear(&mail);
	pace_soon(&q->pace);
	return 0;
}

/* Where there is no way no report goes, today or later. */
static void
send_to(struct queue *q, struct tally *t, struct str to, uint32_t bit)
{
	uint64_t now_ms = clock_wall_ms();
	struct route_decision d = route_report(&q->router, to);
	struct tls_report r = { .tally = t,
		.by = q->config->tls_reports,
		.hostname = str_of(q->config->hostname),
		.to = to,
		.now_ms = now_ms };
	char id[ID_LEN + 1];

	id_new(now_ms, id);
	r.id = (struct str){ id, ID_LEN };
	if (d.action != NULL && send_mail(q, t, &r, &d, bit) == 0)
		return;
	log_warn(NULL, "tls-report-unsent", "domain=%s to=%s why=%s",
	    log_cstr(t->domain), log_str(to),
	    log_cstr(d.action == NULL ? "the rules refuse it" :
					"it cannot be made"));
	t->told |= bit;
	changed(q);
}

/* --- days that are over --- */

static void
send_day(struct queue *q, struct tally *t)
{
	struct str to[TLS_REPORT_TO_MAX];
	struct buf text;
	size_t n, nother, nleft = 0;

	buf_init(&text, 4096);
	n = tls_report_addresses(str_of(t->rua), &text, to, &nother);
	if (nother > 0 && t->told == 0)
		log_info(NULL, "tls-report-unsent", "domain=%s rua=%s why=%s",
		    log_cstr(t->domain), log_cstr(t->rua),
		    log_cstr("reports go to mailto: addresses only"));
	/* Of nothing there is nothing to tell. */
	if (t->npolicies == 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t bit = UINT32_C(1) << i;

		if ((t->told & bit) == 0)
			send_to(q, t, to[i], bit);
		nleft += (t->told & bit) == 0;
	}
	if (nleft == 0) {
		t->over = true;
		changed(q);
	}
	buf_clear(&text);
}

static bool
is_due(const struct queue *q, const struct tally *t, uint64_t now_ms)
{
	return !t->over && t->nsending == 0 && q->config->tls_reports != NULL &&
	       q->tls_reporting.nsending < SENDING_MAX &&
	       tls_report_due_ms(t->day, t->domain, q->config->hostname) <=
		   now_ms &&
	       store_space(q->store, NULL) == SPACE_OK;
}

/* Nobody will be told. What was is remembered for a while, so that what comes
 * late is not told as another report; what is of days to come is there since
 * the clock was wrong. NULL, or why. */
static const char *
find_end(const struct tally *t, uint32_t now)
{
	if (t->nsending > 0)
		return NULL;
	if (t->day > now + 1)
		return "its day is not now";
	return t->day + (t->over ? 2 : KEPT_DAYS) < now ? "it is too old" :
							  NULL;
}

static void
look(void *ctx)
{
	struct queue *q = ctx;
	struct tallies *all = &q->tls_reporting.tallies;
	uint64_t now_ms = clock_wall_ms();
	struct tally *t, *next;

	for (t = tallies_next(all, NULL); t != NULL; t = next) {
		const char *why = find_end(t, today());

		next = tallies_next(all, t);
		if (why != NULL) {
			if (!t->over)
				log_warn(NULL, "tls-report-unsent",
				    "domain=%s why=%s", log_cstr(t->domain),
				    log_cstr(why));
			tallies_del(all, &t);
			changed(q);
		} else if (is_due(q, t, now_ms)) {
			send_day(q, t);
		}
	}
	timer_set(q->tls_reporting.look, LOOK_MS);
}

/* --- start and stop --- */

void
tls_report_init(struct queue *q)
{
	struct tls_reporting *t = &q->tls_reporting;

	*t = (struct tls_reporting){ .changed = false };
	tallies_init(&t->tallies);
	t->save = timer_new(q->loop, save, q);
	t->look = timer_new(q->loop, look, q);
}

void
tls_report_start(struct queue *q)
{
	timer_set(q->tls_reporting.look, 0);
}

void
tls_report_stop(struct queue *q)
{
	timer_stop(q->tls_reporting.look);
	timer_stop(q->tls_reporting.save);
	if (q->tls_reporting.changed)
		save(q);
}
