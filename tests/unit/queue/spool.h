/* A spool in a folder of its own, for the tests of the store. */
#ifndef POSTERN_TESTS_QUEUE_SPOOL_H
#define POSTERN_TESTS_QUEUE_SPOOL_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fault.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "queue/store.h"

enum { SEEN_MAX = 512 };

struct seen {
	uint64_t seq;
	struct store_ref ref;
	uint32_t attempts; /* of its last state; 0: none */
	uint64_t bodyfile;
	size_t content;
	bool committed, ok, over;
};

static struct {
	char dir[64];
	struct loop *loop;
	struct store *store;
	struct queue_settings settings;
	struct seen seen[SEEN_MAX]; /* by seq */
	unsigned int mails, states, restated, spaces;
	uint8_t space;
	bool thread;
	struct fault why;
} spool;

static char spool_bytes[1 << 20];

static inline void
spool_on_mail(void *ctx, const struct mail_record *m, struct store_ref ref)
{
	struct seen *s = &spool.seen[m->seq];
	size_t wrong = 0;

	(void)ctx;
	ck_assert_uint_lt(m->seq, SEEN_MAX);
	s->seq = m->seq;
	s->ref = ref;
	s->content = m->content.len;
	s->bodyfile = m->bodyfile;
	s->committed = s->ok = true;
	for (size_t i = 0; i < m->content.len; i++)
		wrong += m->content.p[i] != (char)(m->seq + i % 251);
	ck_assert_uint_eq(wrong, 0);
	spool.mails++;
}

static inline void
spool_on_state(void *ctx, const struct state_record *s)
{
	(void)ctx;
	spool.seen[s->seq].attempts = s->rcpts[0].attempts;
	spool.states++;
}

static inline void
spool_state(uint64_t seq, uint32_t attempts)
{
	struct state_rcpt r = { .attempts = attempts, .reply = STR("451 x") };
	struct state_record s = { .seq = seq, .rcpts = &r, .nrcpt = 1 };

	spool.seen[seq].attempts = attempts;
	store_add_state(spool.store, spool.seen[seq].ref, &s);
}

static inline void
spool_on_restate(void *ctx, uint64_t seq)
{
	(void)ctx;
	spool.restated++;
	if (!spool.seen[seq].over)
		spool_state(seq, spool.seen[seq].attempts);
}

static inline void
spool_on_space(void *ctx, uint8_t space, uint64_t free_bytes)
{
	(void)ctx;
	(void)free_bytes;
	spool.space = space;
	spool.spaces++;
}

static inline int
spool_open(void)
{
	static const struct store_ops OPS = { spool_on_mail, spool_on_state,
		NULL, spool_on_restate, spool_on_space };
	int dir = open(spool.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(spool.seen, 0, sizeof(spool.seen));
	spool.mails = spool.states = spool.restated = spool.spaces = 0;
	spool.loop = loop_new();
	spool.store = store_new(spool.loop);
	if (spool.thread)
		ck_assert_int_eq(store_start_thread(spool.store), 0);
	if (store_open(spool.store, dir, &spool.settings, 1024, &OPS, NULL,
		&spool.why) == -1)
		return -1;
	loop_settle(spool.loop);
	return 0;
}

static inline void
spool_close(void)
{
	store_close(&spool.store);
	loop_free(&spool.loop);
}

static inline void
spool_start(void)
{
	strcpy(spool.dir, "/tmp/postern-spool.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(spool.dir));
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	memset(&spool.settings, 0, sizeof(spool.settings));
	spool.settings.segment_size = 4194304;
	ck_assert_int_eq(spool_open(), 0);
}

static inline void
spool_stop(void)
{
	char command[128];

	if (spool.store != NULL)
		spool_close();
	snprintf(command, sizeof(command), "rm -rf '%s'", spool.dir);
	ck_assert_int_eq(system(command), 0);
}

static inline void
spool_reopen(void)
{
	spool_close();
	ck_assert_int_eq(spool_open(), 0);
}

static inline void
spool_on_committed(void *ctx, bool ok, struct store_ref ref)
{
	struct seen *s = ctx;

	s->committed = true;
	s->ok = ok;
	s->ref = ref;
}

static inline uint64_t
spool_add_body(size_t size, uint64_t bodyfile, uint64_t body_size)
{
	static const struct mail_rcpt R = { .to = { "a@b.example", 11 },
		.action = { "out", 3 } };
	uint64_t seq = store_next_seq(spool.store);
	struct mail_record m = { .seq = seq,
		.msgid = STR("0123456789abcdef"),
		.rcpts = &R,
		.nrcpt = 1,
		.bodyfile = bodyfile,
		.body_size = body_size,
		.content = { spool_bytes, size } };

	ck_assert_uint_lt(seq, SEEN_MAX);
	for (size_t i = 0; i < size; i++)
		spool_bytes[i] = (char)(seq + i % 251);
	spool.seen[seq].seq = seq;
	spool.seen[seq].content = size;
	store_add_mail(spool.store, &m, spool_on_committed, &spool.seen[seq]);
	return seq;
}

static inline uint64_t
spool_add(size_t size)
{
	return spool_add_body(size, 0, 0);
}

static inline void
spool_turn(void *loop)
{
	loop_stop(loop);
}

/* One round of the loop with the timers that are due. */
static inline void
spool_round(void)
{
	struct timer *t = timer_new(spool.loop, spool_turn, spool.loop);

	timer_set(t, 1);
	loop_run(spool.loop);
	timer_free(&t);
}

static inline void
spool_commit(void)
{
	store_commit(spool.store);
	if (spool.thread)
		spool_round();
	else
		loop_settle(spool.loop);
}

static inline void
spool_finish(uint64_t seq)
{
	spool.seen[seq].over = true;
	store_finish(spool.store, spool.seen[seq].ref, seq);
}

static inline unsigned int
spool_files(const char *sub)
{
	char path[128];
	unsigned int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", spool.dir, sub);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static inline void
spool_rename(const char *from, const char *to)
{
	char a[128], b[128];

	snprintf(a, sizeof(a), "%s/%s", spool.dir, from);
	snprintf(b, sizeof(b), "%s/%s", spool.dir, to);
	ck_assert_int_eq(rename(a, b), 0);
}

/* Changes one byte of a file of the spool. */
static inline void
spool_flip(const char *file, off_t offset)
{
	char path[128], c;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", spool.dir, file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pread(fd, &c, 1, offset), 1);
	c = (char)(c ^ 0x40);
	ck_assert_int_eq(pwrite(fd, &c, 1, offset), 1);
	close(fd);
}

#endif
