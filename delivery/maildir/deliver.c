#include "delivery/maildir/deliver.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "delivery/maildir/boxes.h"
#include "delivery/maildir/maildir.h"
#include "delivery/maildir/mdpath.h"

/* What an error of the file system means. All may pass: somebody makes
 * room, mends a mode, replaces a disk. */
static void
set_error(struct local_outcome *o, int error)
{
	bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
	const char *status = "4.3.0";

	if (full)
		status = "4.2.2";
	else if (error == ELOOP || error == ENOTDIR || error == EXDEV ||
		 error == EACCES || error == EPERM)
		status = "4.3.5";
	local_outcome_set(o, OUTCOME_DEFERRED, status, strerror(error));
}

/* path: below the base. */
static void
write_one(const struct local_work *w, const struct local_rcpt *r,
    struct local_outcome *o, struct buf *path)
{
	struct mdpath_values v = {
		.rcpt = str_of(r->to),
		.sender = str_of(w->from),
		.hostname = str_of(boxes_hostname()),
	};
	struct mail_text text;
	int base, dir;
	const char *why;
	const struct action *a = boxes_find(str_of(w->action), &base);

	if (a == NULL) {
		local_outcome_set(o, OUTCOME_DEFERRED, "4.3.5",
		    "the action has no directory here");
		return;
	}
	if (mdpath_expand(str_of(a->path), &v, path, &why) == -1) {
		buf_reset(path);
		local_outcome_set(o, OUTCOME_FAILED, "5.1.3", why);
		return;
	}
	buf_add_char(path, '\0');
	if (path->failed) {
		local_outcome_set(
		    o, OUTCOME_FAILED, "5.1.3", "the path is too long");
		return;
	}
	local_work_text(w, r, &text);
	dir = mdpath_open(base, path->p);
	path->len--; /* the NUL is not part of it */
	if (dir == -1 || maildir_write(dir, boxes_hostname(), &text) == -1)
		set_error(o, errno);
	else
		local_outcome_set(
		    o, OUTCOME_DELIVERED, "2.0.0", "delivered to the Maildir");
	if (dir != -1)
		(void)close(dir);
}

void
deliver(struct local_work *w, struct channel *queue)
{
	struct local_outcome o;
	struct buf path;

	buf_init(&path, MDPATH_MAX);
	for (uint32_t i = 0; i < w->nrcpts; i++) {
		write_one(w, &w->rcpts[i], &o, &path);
		local_work_tell(w, &w->rcpts[i], &o, buf_str(&path), queue);
		buf_reset(&path);
	}
	buf_clear(&path);
	local_work_done(w, queue);
	local_work_free(&w);
}
