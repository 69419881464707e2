#include "delivery/maildir/deliver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/maildir/boxes.h"
#include "delivery/maildir/maildir.h"
#include "delivery/maildir/mdpath.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

enum { RCPTS_FIRST = 16, REPLY_SIZE = 400, RELAY_MAX = 320 };

/* By outcome, with the names that delivery counts under too. */
static struct counter counters[] = {
	[OUTCOME_DELIVERED] = { "delivery.delivered", 0 },
	[OUTCOME_DEFERRED] = { "delivery.deferred", 0 },
	[OUTCOME_FAILED] = { "delivery.bounced", 0 },
	{ NULL, 0 },
};

/* --- what came --- */

struct delivery *
delivery_new(const struct tell_work *m, uint64_t id)
{
	struct delivery *d;

	if (m->nrcpt == 0)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->id = id;
	d->begun_ms = clock_mono_ms();
	d->from = str_dup(m->from);
	d->action = str_dup(m->action);
	d->inline_size = m->inline_size;
	d->content = xmalloc(d->inline_size + 1);
	d->in_file = m->in_file;
	d->body_size = m->in_file ? m->body_size : 0;
	d->file = -1;
	d->nexpected = m->nrcpt;
	return d;
}

void
delivery_free(struct delivery **dp)
{
	struct delivery *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	for (uint32_t i = 0; i < d->nrcpts; i++)
		free(d->rcpts[i].to);
	if (d->file != -1)
		(void)close(d->file);
	free(d->rcpts);
	free(d->content);
	free(d->from);
	free(d->action);
	free(d);
}

int
delivery_add_rcpt(struct delivery *d, const struct tell_work_rcpt *m)
{
	uint32_t n = d->nrcpts;

	if (n >= d->nexpected)
		return -1;
	if (n == 0 || (n >= RCPTS_FIRST && (n & (n - 1)) == 0))
		d->rcpts = xreallocarray(d->rcpts,
		    n < RCPTS_FIRST ? RCPTS_FIRST : (size_t)n * 2,
		    sizeof(*d->rcpts));
	d->rcpts[n].index = m->index;
	d->rcpts[n].to = str_dup(m->to);
	d->nrcpts++;
	return 0;
}

int
delivery_add_file(struct delivery *d, int file)
{
	if (!d->in_file || d->file != -1)
		return -1;
	d->file = file;
	return 0;
}

int
delivery_add_content(struct delivery *d, struct str bytes)
{
	if (bytes.len > d->inline_size - d->ncontent)
		return -1;
	memcpy(d->content + d->ncontent, bytes.p, bytes.len);
	d->ncontent += bytes.len;
	return 0;
}

bool
delivery_is_complete(const struct delivery *d)
{
	return d->nrcpts == d->nexpected && d->ncontent == d->inline_size &&
	       (!d->in_file || d->file != -1);
}

/* --- doing it --- */

struct outcome_of {
	enum outcome outcome;
	const char *status;
	char reply[REPLY_SIZE];
	struct buf path; /* below the base */
};

static void
set_outcome(struct outcome_of *o, enum outcome outcome, const char *status,
    const char *why)
{
	o->outcome = outcome;
	o->status = status;
	(void)snprintf(o->reply, sizeof(o->reply), "%s", why);
}

/* What an error of the file system means. All may pass: somebody makes
 * room, mends a mode, replaces a disk. */
static void
set_error(struct outcome_of *o, int error)
{
	bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
	const char *status = "4.3.0";

	if (full)
		status = "4.2.2";
	else if (error == ELOOP || error == ENOTDIR || error == EXDEV ||
		 error == EACCES || error == EPERM)
		status = "4.3.5";
	set_outcome(o, OUTCOME_DEFERRED, status, strerror(error));
}

static void
write_one(const struct delivery *d, const struct deliver_rcpt *r,
    struct outcome_of *o)
{
	struct maildir_mail mail = {
		.from = str_of(d->from),
		.rcpt = str_of(r->to),
		.hostname = boxes_hostname(),
		.content = { d->content, d->inline_size },
		.file = d->file,
		.body_size = d->body_size,
	};
	struct mdpath_values v = {
		.rcpt = mail.rcpt,
		.sender = mail.from,
		.hostname = str_of(mail.hostname),
	};
	int base, dir;
	const char *why;
	const struct action *a = boxes_find(str_of(d->action), &base);

	if (a == NULL) {
		set_outcome(o, OUTCOME_DEFERRED, "4.3.5",
		    "the action has no directory here");
		return;
	}
	if (mdpath_expand(str_of(a->path), &v, &o->path, &why) == -1) {
		buf_reset(&o->path);
		set_outcome(o, OUTCOME_FAILED, "5.1.3", why);
		return;
	}
	buf_add_char(&o->path, '\0');
	if (o->path.failed) {
		set_outcome(o, OUTCOME_FAILED, "5.1.3", "the path is too long");
		return;
	}
	dir = mdpath_open(base, o->path.p);
	o->path.len--; /* the NUL is not part of it */
	if (dir == -1 || maildir_write(dir, &mail) == -1)
		set_error(o, errno);
	else
		set_outcome(
		    o, OUTCOME_DELIVERED, "2.0.0", "delivered to the Maildir");
	if (dir != -1)
		(void)close(dir);
}

static void
run_one(const struct delivery *d, const struct deliver_rcpt *r,
    struct channel *queue)
{
	struct outcome_of o;
	struct tell_result m;

	buf_init(&o.path, MDPATH_MAX);
	write_one(d, r, &o);
	counters[o.outcome].value++;
	m = (struct tell_result){
		.index = r->index,
		.outcome = (uint8_t)o.outcome,
		.status = str_of(o.status),
		.relay = str_head(buf_str(&o.path), RELAY_MAX),
		.reply = str_of(o.reply),
		.handover = HANDOVER_FINAL,
	};
	(void)channel_tell(queue, TYPE_tell_result, &m, d->id);
	buf_clear(&o.path);
}

void
delivery_run(struct delivery *d, struct channel *queue)
{
	struct tell_done done = { .unreachable = 0 };
	uint64_t ms;

	for (uint32_t i = 0; i < d->nrcpts; i++)
		run_one(d, &d->rcpts[i], queue);
	ms = clock_mono_ms() - d->begun_ms;
	done.ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
	(void)channel_tell(queue, TYPE_tell_done, &done, d->id);
}

const struct counter *
deliver_counters(void)
{
	return counters;
}
