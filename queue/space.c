/* Is there space, and can the disk be trusted? */
#include <errno.h>
#include <string.h>
#include <sys/vfs.h>

#include "edges/smtpd_queue.h"
#include "lib/base/log.h"
#include "queue/store_impl.h"

enum {
	CHECK_MS = 1000,
	PROBE_FIRST_MS = 1000,
	PROBE_LAST_MS = 60000,
	INODES_MIN = 16
};

static void
tell(struct store *s)
{
	uint8_t now = s->suspect                ? SPACE_SUSPECT :
		      s->is_short || s->no_room ? SPACE_SHORT :
						  SPACE_OK;

	if (now == s->told_space)
		return;
	s->told_space = now;
	s->ops.on_space(s->ctx, now, s->free_bytes);
}

/* Bytes that stay free whatever comes. */
static uint64_t
reserve(const struct store *s)
{
	uint64_t two = 2 * s->max_message;

	return s->settings.disk_reserve > two ? s->settings.disk_reserve : two;
}

static void
measure(struct store *s)
{
	struct statfs fs;
	uint64_t avail;

	if (fstatfs(s->dir, &fs) == -1) {
		log_warn(NULL, "spool", "statfs=%s", log_cstr(strerror(errno)));
		return;
	}
	avail = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	s->free_bytes = avail > reserve(s) ? avail - reserve(s) : 0;
	/* Some file systems do not count inodes, and say 0 of 0. */
	s->is_short =
	    s->free_bytes == 0 || (fs.f_files > 0 && fs.f_ffree < INODES_MIN);
	s->journal.short_of_space = s->is_short;
}

void
space_check(struct store *s, bool now)
{
	uint64_t t = loop_now_ms(s->loop);
	bool was = s->is_short;

	if (!now && t - s->space_checked_ms < CHECK_MS)
		return;
	s->space_checked_ms = t;
	measure(s);
	if (s->is_short != was)
		log_warn(NULL, "space", "short=%s free=%llu",
		    s->is_short ? "yes" : "no",
		    (unsigned long long)s->free_bytes);
	if (s->is_short)
		timer_set(s->space_timer, CHECK_MS);
	tell(s);
}

void
space_look_later(struct store *s)
{
	if (!timer_is_set(s->space_timer))
		timer_set(s->space_timer, CHECK_MS);
}

static void
on_space_timer(void *ctx)
{
	struct store *s = ctx;

	space_check(s, true);
	if (!s->is_short || s->no_room || s->reuse.barren) {
		s->reuse.barren = false;
		reuse_tend(s);
	}
	if (s->no_room)
		space_look_later(s);
}

/* Everything that was added while nothing could be written. */
static void
say_lost_again(struct store *s)
{
	const struct journal *j = &s->journal;

	for (uint32_t i = 0; i < j->nsegments; i++) {
		for (uint32_t k = 0; k < j->segments[i].nslots; k++) {
			struct store_ref ref = { i, k };
			struct slot slot = j->segments[i].slots[k];

			if ((slot.flags & SLOT_LOST_STATE) == 0)
				continue;
			if (slot.flags & (SLOT_DEAD | SLOT_ENDING))
				store_push_finished(s, ref, slot.seq);
			else
				store_restate(s, slot.seq);
		}
	}
}

void
space_no_room(struct store *s)
{
	log_warn(NULL, "storage", "failed=segment error=%s",
	    log_cstr(strerror(errno)));
	s->no_room = true;
	space_look_later(s);
	tell(s);
}

void
space_has_spare(struct store *s)
{
	if (!s->no_room)
		return;
	log_warn(NULL, "storage", "segment=ok");
	s->no_room = false;
	if (!s->suspect)
		say_lost_again(s);
	tell(s);
}

/* Is there a segment that can be trusted? */
static bool
probe(struct store *s)
{
	if (s->journal.active != NO_SEGMENT)
		return true;
	if (journal_probe(&s->journal) == 0) {
		log_warn(NULL, "storage", "probe=ok");
		return true;
	}
	log_warn(NULL, "storage", "probe=%s", log_cstr(strerror(errno)));
	return false;
}

static void
on_probe_timer(void *ctx)
{
	struct store *s = ctx;

	if (!probe(s)) {
		timer_set(s->probe_timer, s->probe_wait_ms);
		s->probe_wait_ms *= 2;
		if (s->probe_wait_ms > PROBE_LAST_MS)
			s->probe_wait_ms = PROBE_LAST_MS;
		return;
	}
	s->suspect = false;
	s->probe_wait_ms = PROBE_FIRST_MS;
	say_lost_again(s);
	measure(s);
	tell(s);
	reuse_tend(s);
	reuse_look(s);
}

void
space_suspect(struct store *s, const char *what)
{
	log_warn(NULL, "storage", "failed=%s error=%s", what,
	    log_cstr(strerror(errno)));
	s->suspect = true;
	tell(s);
	if (timer_is_set(s->probe_timer))
		return;
	/* The first probe at once, so that what failed is cut before anybody
	 * is told that it failed. What was lost is said again after that. */
	timer_set(s->probe_timer, probe(s) ? 0 : s->probe_wait_ms);
}

int
space_init(struct store *s)
{
	s->probe_timer = timer_new(s->loop, on_probe_timer, s);
	s->space_timer = timer_new(s->loop, on_space_timer, s);
	s->probe_wait_ms = PROBE_FIRST_MS;
	measure(s);
	s->space_checked_ms = loop_now_ms(s->loop);
	s->told_space = s->is_short ? SPACE_SHORT : SPACE_OK;
	if (s->is_short)
		timer_set(s->space_timer, CHECK_MS);
	return 0;
}

void
space_clear(struct store *s)
{
	timer_free(&s->probe_timer);
	timer_free(&s->space_timer);
}
