/* Segments, commits over several of them, and a disk that fails. */
#include <sys/stat.h>

#include "edges/smtpd_queue.h"
#include "queue/store_impl.h"
#include "tests/unit/queue/running.h"
#include "tests/unit/queue/spool.h"

static int log_dir;

static void
start(void)
{
	char path[128];

	spool.thread = false;
	spool_start();
	snprintf(path, sizeof(path), "%s/log", spool.dir);
	log_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ne(log_dir, -1);
}

static void
stop(void)
{
	close(log_dir);
	spool_stop();
}

START_TEST(a_filled_file_is_a_spare)
{
	static uint8_t block[SEGMENT_DATA];
	struct segment_header h;
	struct stat st;
	int fd = journal_fill(log_dir, 0xabc, 65536, 7);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 65536);
	/* Every block is there already. */
	ck_assert_int_ge(st.st_blocks * 512, 65536);
	ck_assert_int_eq(pread(fd, block, sizeof(block), 0), SEGMENT_DATA);
	ck_assert_int_eq(segment_header_decode(block, &h), 0);
	ck_assert_int_eq(segment_header_decode(block + SEGMENT_BLOCK, &h), 0);
	ck_assert_uint_eq(h.generation, 0);
	ck_assert_uint_eq(h.number, 0xabc);
	ck_assert_uint_eq(h.last_seq, 7);
	/* Its name is taken. */
	ck_assert_int_eq(journal_fill(log_dir, 0xabc, 65536, 7), -1);
	ck_assert_int_eq(faccessat(log_dir, "00000abc", F_OK, 0), 0);
	close(fd);
	ck_assert_int_eq(journal_remove(log_dir, 0xabc), 0);
	ck_assert_int_eq(faccessat(log_dir, "00000abc", F_OK, 0), -1);
	ck_assert_int_eq(journal_remove(log_dir, 0xabc), 0);
}

END_TEST

START_TEST(generations_grow_and_are_random)
{
	struct journal *j = &spool.store->journal;
	uint32_t a = journal_open(j, true), b = journal_open(j, true);
	uint64_t ga = j->segments[a].generation, gb = j->segments[b].generation;

	ck_assert_uint_eq(ga >> 32, 1);
	ck_assert_uint_eq(gb >> 32, 2);
	ck_assert_uint_ne(ga & UINT32_MAX, gb & UINT32_MAX);
	ck_assert_int_eq(j->segments[a].state, SEGMENT_FULL);
	ck_assert_int_eq(j->segments[b].state, SEGMENT_ACTIVE);
	journal_unopen(j, b);
	journal_unopen(j, a);
	ck_assert_uint_eq(j->active, NO_SEGMENT);
}

END_TEST

START_TEST(one_commit_over_many_segments)
{
	uint64_t first = spool_add(250000), seq = first;

	while (seq < first + 60)
		seq = spool_add(250000);
	store_commit(spool.store);
	for (uint64_t i = first; i <= seq; i++)
		ck_assert(spool.seen[i].ok);
	ck_assert_uint_ne(
	    spool.seen[first].ref.segment, spool.seen[seq].ref.segment);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 61);
	ck_assert_uint_eq(spool_files("corrupt"), 0);
}

END_TEST

START_TEST(a_commit_larger_than_a_batch)
{
	uint64_t seq = 0;

	spool_close();
	spool.settings.segment_size = 33554432;
	ck_assert_int_eq(spool_open(), 0);
	for (int i = 0; i < 50; i++)
		seq = spool_add(250000);
	store_commit(spool.store);
	ck_assert_uint_eq(store_totals(spool.store)->syncs, 1);
	ck_assert(spool.seen[seq].ok);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 50);
}

END_TEST

/* From now on the active segment takes no write. */
static void
break_disk(void)
{
	struct journal *j = &spool.store->journal;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ne(j->active, NO_SEGMENT);
	ck_assert_int_eq(
	    dup2(fd, j->segments[j->active].fd), j->segments[j->active].fd);
	close(fd);
}

static void
break_spares(void)
{
	struct journal *j = &spool.store->journal;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (uint32_t i = 0; i < j->nsegments; i++) {
		if (j->segments[i].state == SEGMENT_SPARE)
			dup2(fd, j->segments[i].fd);
	}
	close(fd);
}

START_TEST(a_failed_write_abandons_the_segment)
{
	uint64_t kept = spool_add(1000), over = spool_add(1000), lost, next;

	spool_commit();
	break_disk();
	lost = spool_add(1000);
	spool_state(kept, 5);
	spool_finish(over);
	store_commit(spool.store);
	ck_assert(spool.seen[lost].committed && !spool.seen[lost].ok);
	ck_assert_uint_eq(spool.space, SPACE_SUSPECT);
	/* The first probe worked; the rest comes with the loop. */
	while (spool.space == SPACE_SUSPECT)
		spool_round();
	ck_assert_uint_eq(spool.restated, 1);
	next = spool_add(1000);
	spool_commit();
	ck_assert(spool.seen[next].ok);
	ck_assert(!store_is_dirty(spool.store));
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 2);
	ck_assert_uint_eq(spool.seen[kept].attempts, 5);
	ck_assert_uint_eq(spool.seen[over].seq, 0);
	ck_assert_uint_eq(spool.seen[next].seq, next);
	ck_assert_uint_eq(spool_files("corrupt"), 0);
}

END_TEST

START_TEST(no_mail_while_nothing_works)
{
	uint64_t kept = spool_add(1000), lost;

	spool_commit();
	break_spares();
	break_disk();
	lost = spool_add(1000);
	store_commit(spool.store);
	ck_assert(!spool.seen[lost].ok);
	ck_assert_uint_eq(store_space(spool.store, NULL), SPACE_SUSPECT);
	ck_assert_uint_eq(spool.store->journal.active, NO_SEGMENT);
	spool_state(kept, 7);
	lost = spool_add(1000);
	store_commit(spool.store);
	ck_assert(spool.seen[lost].committed && !spool.seen[lost].ok);
	/* Both spares are broken; then a new file is made, and works. */
	while (store_space(spool.store, NULL) == SPACE_SUSPECT)
		spool_round();
	spool_commit();
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 1);
	ck_assert_uint_eq(spool.seen[kept].attempts, 7);
}

END_TEST

START_TEST(cuts_are_handed_on)
{
	uint64_t kept = spool_add(1000), lost, seq;
	char name[JOURNAL_NAME];

	/* The abandoned segment holds a message that lives on, while the
	 * segments behind it are used again and again. */
	spool_commit();
	break_disk();
	lost = spool_add(2000);
	store_commit(spool.store);
	ck_assert(!spool.seen[lost].ok);
	while (spool.space == SPACE_SUSPECT)
		spool_round();
	for (int i = 0; i < 100; i++) {
		seq = spool_add(250000);
		spool_commit();
		spool_finish(seq);
		spool_commit();
	}
	ck_assert_uint_gt(store_totals(spool.store)->segments_reused, 2);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 1);
	ck_assert_uint_eq(spool.seen[kept].seq, kept);
	/* When its last message is over, its file goes. */
	journal_name(
	    spool.store->journal.segments[spool.seen[kept].ref.segment].number,
	    name);
	ck_assert_int_eq(faccessat(log_dir, name, F_OK, 0), 0);
	spool_finish(kept);
	spool_commit();
	spool_add(1);
	spool_commit();
	ck_assert_int_eq(faccessat(log_dir, name, F_OK, 0), -1);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_filled_file_is_a_spare,
		generations_grow_and_are_random, one_commit_over_many_segments,
		a_commit_larger_than_a_batch,
		a_failed_write_abandons_the_segment,
		no_mail_while_nothing_works, cuts_are_handed_on };

	return TESTS_RUN("journal", tests, start, stop, 120);
}
