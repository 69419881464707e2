/* The store as the queue sees it. */
#include <sys/resource.h>

#include "edges/smtpd_queue.h"
#include "queue/store_impl.h"
#include "tests/unit/queue/running.h"
#include "tests/unit/queue/spool.h"

START_TEST(kept_over_a_restart)
{
	uint64_t a, b, c;

	a = spool_add(10000);
	b = spool_add(0);
	c = spool_add(250000);
	ck_assert(store_is_dirty(spool.store));
	ck_assert(!spool.seen[a].committed);
	spool_commit();
	ck_assert(!store_is_dirty(spool.store));
	ck_assert(spool.seen[a].ok && spool.seen[b].ok && spool.seen[c].ok);
	spool_state(a, 3);
	spool_finish(b);
	spool_commit();
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 2);
	ck_assert_uint_eq(spool.seen[a].attempts, 3);
	ck_assert_uint_eq(spool.seen[a].content, 10000);
	ck_assert_uint_eq(spool.seen[b].seq, 0);
	ck_assert_uint_eq(spool.seen[c].content, 250000);
	ck_assert_uint_gt(store_next_seq(spool.store), c);
	ck_assert_uint_eq(spool_files("corrupt"), 0);
}

END_TEST

START_TEST(one_sync_for_all)
{
	uint64_t before;

	spool_add(100);
	spool_commit();
	before = store_totals(spool.store)->syncs;
	for (int i = 0; i < 100; i++)
		spool_add(10000);
	spool_commit();
	ck_assert_uint_eq(store_totals(spool.store)->syncs, before + 1);
	ck_assert_uint_eq(store_totals(spool.store)->commits, 2);
	ck_assert_uint_eq(store_totals(spool.store)->batched, 101);
}

END_TEST

START_TEST(second_queue_is_refused)
{
	struct store *mine = spool.store;
	struct loop *loop = spool.loop;

	ck_assert_int_eq(spool_open(), -1);
	ck_assert_ptr_nonnull(strstr(spool.why.text, "another queue"));
	spool_close();
	spool.store = mine;
	spool.loop = loop;
}

END_TEST

START_TEST(unknown_version_is_left_alone)
{
	char path[128];
	unsigned int files = spool_files("log");

	spool_add(100);
	spool_commit();
	spool_close();
	spool_flip("format", 14);
	snprintf(path, sizeof(path), "%s/lock", spool.dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(spool_open(), -1);
	ck_assert_ptr_nonnull(strstr(spool.why.text, "format"));
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_uint_ge(spool_files("log"), files);
	spool_close();
	spool_flip("format", 14);
	ck_assert_int_eq(spool_open(), 0);
	ck_assert_uint_eq(spool.mails, 1);
}

END_TEST

START_TEST(log_without_format_is_refused)
{
	char path[128];

	spool_close();
	snprintf(path, sizeof(path), "%s/format", spool.dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(spool_open(), -1);
}

END_TEST

START_TEST(segments_are_used_again)
{
	uint64_t old = spool_add(1000), seq;
	unsigned int files;

	spool_commit();
	spool_state(old, 1);
	spool_commit();
	/* Many times the size of all segments, nothing of it kept. */
	for (int i = 0; i < 100; i++) {
		seq = spool_add(250000);
		spool_commit();
		spool_state(seq, 1);
		if (i == 50)
			spool_state(old, 50);
		spool_commit();
		spool_finish(seq);
		spool_commit();
	}
	files = spool_files("log");
	ck_assert_uint_le(files, 12);
	ck_assert_uint_gt(store_totals(spool.store)->segments_reused, 3);
	/* Its state lay in one of them, and was said again. */
	ck_assert_uint_gt(spool.restated, 0);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 1);
	ck_assert_uint_eq(spool.seen[old].attempts, 50);
}

END_TEST

START_TEST(an_end_outlives_its_message)
{
	uint64_t keep = spool_add(1000), over = spool_add(1000), seq;

	spool_commit();
	for (int i = 0; i < 100; i++) {
		seq = spool_add(250000);
		if (i == 20)
			spool_finish(over);
		spool_commit();
		spool_finish(seq);
		spool_commit();
	}
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 1);
	ck_assert_uint_eq(spool.seen[keep].seq, keep);
	ck_assert_uint_eq(spool.seen[over].seq, 0);
}

END_TEST

static unsigned int reads;
static bool read_ok;
static enum fault_class read_fault;

static void
on_read(void *ctx, const struct mail_record *m, const struct fault *why)
{
	reads++;
	read_ok = m != NULL;
	ck_assert((m == NULL) == (why != NULL));
	read_fault = why == NULL ? FAULT_NONE : why->class;
	if (m != NULL) {
		ck_assert_uint_eq(m->seq, *(uint64_t *)ctx);
		ck_assert_uint_eq(m->content.len, 20000);
	}
}

static void
flip_content(void)
{
	spool_flip("log/00000001", 8192 + 64 + 32 + 1000);
}

START_TEST(read_back)
{
	uint64_t seq = spool_add(20000);

	spool_commit();
	reads = 0;
	store_read(spool.store, spool.seen[seq].ref, on_read, &seq);
	ck_assert_uint_eq(reads, 0);
	while (reads == 0)
		spool_round();
	ck_assert(read_ok);
	/* What is damaged is not given out. */
	flip_content();
	store_read(spool.store, spool.seen[seq].ref, on_read, &seq);
	while (reads == 1)
		spool_round();
	ck_assert(!read_ok);
	ck_assert_int_eq(read_fault, FAULT_PERM);
	flip_content();
	/* What cannot be reached may come back. */
	spool_rename("log/00000001", "away");
	store_read(spool.store, spool.seen[seq].ref, on_read, &seq);
	while (reads == 2)
		spool_round();
	ck_assert(!read_ok);
	ck_assert_int_eq(read_fault, FAULT_OURS);
	spool_rename("away", "log/00000001");
	spool_finish(seq);
	spool_commit();
	store_read(spool.store, spool.seen[seq].ref, on_read, &seq);
	while (reads == 3)
		spool_round();
	ck_assert(!read_ok);
}

END_TEST

static uint64_t
add_large(size_t size, size_t said)
{
	uint64_t number, seq;
	int fd = store_bodyfile_new(spool.store, &number);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pwrite(fd, spool_bytes, size, 0), (ssize_t)size);
	close(fd);
	seq = spool_add_body(300, number, said);
	spool.seen[seq].bodyfile = number;
	while (!spool.seen[seq].committed)
		spool_round();
	return seq;
}

START_TEST(large_bodies)
{
	uint64_t seq = add_large(500000, 500000), unwanted;
	int fd;

	ck_assert(spool.seen[seq].ok);
	fd = store_bodyfile_new(spool.store, &unwanted);
	ck_assert_int_ne(fd, -1);
	close(fd);
	ck_assert_uint_eq(spool_files("large"), 2);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 1);
	ck_assert_uint_eq(spool_files("large"), 1);
	fd = store_bodyfile_open(spool.store, spool.seen[seq].bodyfile);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 500000);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	close(fd);
	spool_finish(seq);
	spool_commit();
	while (spool_files("large") > 0)
		spool_round();
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 0);
}

END_TEST

START_TEST(large_body_of_another_size)
{
	uint64_t seq = add_large(500000, 500001);

	ck_assert(!spool.seen[seq].ok);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 0);
	ck_assert_uint_eq(spool_files("large"), 0);
}

END_TEST

START_TEST(large_body_gone)
{
	uint64_t seq = add_large(1000, 1000), other = spool_add(10);
	char path[128];

	spool_commit();
	snprintf(path, sizeof(path), "%s/large/%llu", spool.dir,
	    (unsigned long long)spool.seen[seq].bodyfile);
	ck_assert_int_eq(truncate(path, 999), 0);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 1);
	ck_assert_uint_eq(spool.seen[other].seq, other);
	/* The record, the body, a reason each. */
	ck_assert_uint_eq(spool_files("corrupt"), 4);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 1);
	ck_assert_uint_eq(spool_files("corrupt"), 4);
}

END_TEST

START_TEST(disk_short)
{
	uint64_t seq = spool_add(1000), other;
	struct queue_settings all = spool.settings;

	spool_commit();
	all.disk_reserve = (uint64_t)1 << 60;
	store_set_settings(spool.store, &all, 1024);
	ck_assert_uint_eq(store_space(spool.store, NULL), SPACE_SHORT);
	ck_assert_uint_eq(spool.space, SPACE_SHORT);
	ck_assert_int_eq(store_bodyfile_new(spool.store, &other), -1);
	/* Mail may use up what is open, but not the last spare; states may. */
	do {
		other = spool_add(250000);
		spool_commit();
	} while (spool.seen[other].ok);
	for (uint32_t i = 1; i < 400; i++) {
		spool_state(seq, i);
		spool_commit();
	}
	ck_assert_uint_eq(store_space(spool.store, NULL), SPACE_SHORT);
	spool_reopen();
	ck_assert_uint_eq(spool.seen[seq].attempts, 399);
	ck_assert_uint_eq(spool.seen[other].seq, 0);
}

END_TEST

START_TEST(too_long_for_a_segment)
{
	static char huge[5000000];
	struct mail_record m = { .seq = store_next_seq(spool.store),
		.content = { huge, sizeof(huge) } };

	ck_assert_int_eq(store_add_mail(spool.store, &m, spool_on_committed,
			     &spool.seen[m.seq]),
	    -1);
	ck_assert(!spool.seen[m.seq].committed);
	spool_commit();
	ck_assert(spool.seen[m.seq].committed && !spool.seen[m.seq].ok);
	ck_assert_uint_eq(store_space(spool.store, NULL), SPACE_OK);
}

END_TEST

START_TEST(largest_header_and_body)
{
	uint64_t seq = spool_add(1 << 20);

	spool_commit();
	ck_assert(spool.seen[seq].ok);
	spool_reopen();
	ck_assert_uint_eq(spool.seen[seq].content, 1 << 20);
}

END_TEST

START_TEST(a_segment_just_left_gets_what_gathered_for_it)
{
	uint64_t seq[20];

	/* More than a segment, in one commit. */
	for (int i = 0; i < 20; i++)
		seq[i] = spool_add(250000);
	/* Housekeeping ended something in the same round. */
	reuse_tend(spool.store);
	spool_commit();
	ck_assert_uint_eq(store_space(spool.store, NULL), SPACE_OK);
	for (int i = 0; i < 20; i++)
		ck_assert(spool.seen[seq[i]].ok);
	/* Later it is sealed after all. */
	spool_add(250000);
	spool_commit();
	for (uint32_t i = 0; i < spool.store->journal.nsegments; i++)
		ck_assert_int_ne(
		    spool.store->journal.segments[i].state, SEGMENT_FULL);
	spool_reopen();
	ck_assert_uint_eq(spool.mails, 21);
}

END_TEST

static void
let_open(rlim_t more)
{
	static struct rlimit before;
	struct rlimit none;

	if (more > 0) {
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
		return;
	}
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

/* No new segment can be made, and none is empty. */
START_TEST(no_place_even_for_a_state)
{
	uint64_t seq = spool_add(1000), last;
	uint32_t n = 0;

	spool_commit();
	let_open(0);
	do {
		(void)spool_add(1000);
		spool_state(seq, ++n);
		spool_commit();
	} while (!spool.store->no_room && n < SEEN_MAX - 10);
	while (!spool.store->no_room) {
		spool_state(seq, ++n);
		spool_commit();
	}
	ck_assert_uint_eq(store_space(spool.store, NULL), SPACE_SHORT);
	ck_assert_uint_eq(spool.space, SPACE_SHORT);
	/* Nobody runs in circles meanwhile. */
	spool.restated = 0;
	for (int i = 0; i < 3; i++)
		spool_round();
	ck_assert_uint_eq(spool.restated, 0);
	last = spool_add(1000);
	spool_commit();
	ck_assert(spool.seen[last].committed && !spool.seen[last].ok);
	spool_state(seq, 77777);
	spool_commit();
	let_open(1);
	while (spool.store->no_room)
		spool_round();
	ck_assert_uint_ge(spool.restated, 1);
	ck_assert_uint_eq(store_space(spool.store, NULL), SPACE_OK);
	spool_commit();
	spool_reopen();
	ck_assert_uint_eq(spool.seen[seq].attempts, 77777);
	ck_assert_uint_eq(spool.seen[last].seq, 0);
}

END_TEST

static void
with_thread(void)
{
	spool.thread = true;
	spool_start();
}

static void
without_thread(void)
{
	spool.thread = false;
	spool_start();
}

static TCase *
make_case(const char *name, void (*start)(void))
{
	const TTest *const tests[] = { kept_over_a_restart, one_sync_for_all,
		second_queue_is_refused, unknown_version_is_left_alone,
		log_without_format_is_refused, segments_are_used_again,
		an_end_outlives_its_message, read_back, large_bodies,
		large_body_of_another_size, large_body_gone, disk_short,
		too_long_for_a_segment, largest_header_and_body,
		a_segment_just_left_gets_what_gathered_for_it,
		no_place_even_for_a_state };

	return TESTS_NEW(name, tests, start, spool_stop, 120);
}

int
main(void)
{
	Suite *s = suite_create("store");

	suite_add_tcase(s, make_case("inline", without_thread));
	suite_add_tcase(s, make_case("thread", with_thread));
	return tests_run_suite(s);
}
