/* Recovery from damage, torn tails and files that do not belong there. */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "queue/record.h"
#include "tests/unit/queue/running.h"
#include "tests/unit/queue/spool.h"

enum { FIRST = 8192 + 64 }; /* the first record of a segment */

/* Three mails in three batches of 4096 bytes. */
static void
three(uint64_t seq[static 3])
{
	for (int i = 0; i < 3; i++) {
		seq[i] = spool_add(1000);
		spool_commit();
	}
}

static void
only(const uint64_t seq[static 3], bool first, bool second, bool third)
{
	ck_assert_uint_eq(spool.mails, (unsigned int)(first + second + third));
	ck_assert_int_eq(spool.seen[seq[0]].seq != 0, first);
	ck_assert_int_eq(spool.seen[seq[1]].seq != 0, second);
	ck_assert_int_eq(spool.seen[seq[2]].seq != 0, third);
}

START_TEST(damage_costs_one_message)
{
	uint64_t seq[3];

	three(seq);
	spool_close();
	spool_flip("log/00000001", FIRST + 4096 + 500);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, false, true);
	ck_assert_uint_eq(spool_files("corrupt"), 2);
	/* Known, and not counted twice. */
	spool_reopen();
	only(seq, true, false, true);
	ck_assert_uint_eq(spool_files("corrupt"), 2);
}

END_TEST

START_TEST(damaged_record_header)
{
	uint64_t seq[3];

	for (int i = 0; i < 3; i++)
		seq[i] = spool_add(1000);
	spool_commit();
	spool_close();
	spool_flip("log/00000001", FIRST + 5);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, false, true, true);
	ck_assert_uint_eq(spool_files("corrupt"), 2);
}

END_TEST

START_TEST(damaged_batch_header_costs_nothing)
{
	uint64_t seq[3];

	three(seq);
	spool_close();
	spool_flip("log/00000001", 8192 + 4096 + 5);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, true);
}

END_TEST

START_TEST(the_last_batch_is_protected_by_the_mark)
{
	uint64_t seq[3];

	three(seq);
	spool_close();
	spool_flip("log/00000001", FIRST + 2 * 4096 + 500);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, false);
	ck_assert_uint_eq(spool_files("corrupt"), 2);
}

END_TEST

static void
copy_spool(void)
{
	char from[64], command[256];

	/* A dead process's spool: no mark was written at its end. */
	strcpy(from, spool.dir);
	strcpy(spool.dir, "/tmp/postern-spool.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(spool.dir));
	snprintf(
	    command, sizeof(command), "cp -r '%s'/. '%s'", from, spool.dir);
	ck_assert_int_eq(system(command), 0);
	spool_close();
	snprintf(command, sizeof(command), "rm -rf '%s'", from);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(a_torn_tail_is_cut_for_good)
{
	uint64_t seq[3], next;

	three(seq);
	copy_spool();
	spool_flip("log/00000001", FIRST + 2 * 4096 + 500);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, false);
	ck_assert_uint_eq(spool_files("corrupt"), 0);
	next = spool_add(1000);
	spool_commit();
	/* Even when the missing page turns up after all. */
	spool_close();
	spool_flip("log/00000001", FIRST + 2 * 4096 + 500);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, next == seq[2]);
	ck_assert_uint_eq(spool.seen[next].seq, next);
	ck_assert_uint_eq(spool_files("corrupt"), 0);
}

END_TEST

START_TEST(behind_a_tear_nothing_counts)
{
	uint64_t seq[3];

	for (int i = 0; i < 3; i++)
		seq[i] = spool_add(1000);
	spool_commit();
	copy_spool();
	spool_flip("log/00000001", FIRST + 500);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, false, false, false);
	ck_assert_uint_eq(spool_files("corrupt"), 0);
}

END_TEST

START_TEST(one_header_copy_is_enough)
{
	uint64_t seq[3];

	three(seq);
	spool_close();
	spool_flip("log/00000001", 30);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, true);
	spool_close();
	spool_flip("log/00000001", 30);
	spool_flip("log/00000001", 4096 + 30);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, true);
	spool_close();
	spool_flip("log/00000001", 30);
	ck_assert_int_eq(spool_open(), 0);
	only(seq, false, false, false);
	ck_assert_uint_eq(spool_files("corrupt"), 2);
}

END_TEST

static void
in_spool(const char *command)
{
	char all[512];

	snprintf(all, sizeof(all), "cd '%s' && %s", spool.dir, command);
	ck_assert_int_eq(system(all), 0);
}

START_TEST(what_does_not_belong_there)
{
	uint64_t seq[3];

	three(seq);
	spool_close();
	in_spool("echo x >log/readme && mkdir -p log/deep/er large/00 && "
		 "cp log/00000001 log/000000aa && ln -s /etc/passwd log/l && "
		 "echo y >large/0x12 && mkfifo log/00000bbb && "
		 ": >log/00000ccc && echo z >large/999");
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, true);
	/* readme, deep, the copy, the link, 00, 0x12, the pipe */
	ck_assert_uint_eq(spool_files("corrupt"), 14);
	ck_assert_uint_eq(spool_files("large"), 0);
	ck_assert_uint_gt(store_next_seq(spool.store), 999);
}

END_TEST

START_TEST(a_truncated_segment)
{
	uint64_t seq[3];

	three(seq);
	spool_close();
	in_spool("truncate -s 12500 log/00000001");
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, false, false);
	ck_assert_uint_gt(spool_files("corrupt"), 0);
	spool_reopen();
	only(seq, true, false, false);
}

END_TEST

START_TEST(copied_elsewhere)
{
	uint64_t seq[3];

	three(seq);
	copy_spool();
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, true);
}

END_TEST

static void
spool_corrupt_name(char out[static 512])
{
	char path[128];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/corrupt", spool.dir);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	do {
		e = readdir(d);
		ck_assert_ptr_nonnull(e);
	} while (e->d_name[0] == '.' || strstr(e->d_name, ".reason") != NULL);
	snprintf(out, 512, "%s/%s", path, e->d_name);
	closedir(d);
}

static off_t
spool_size(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

/* --- a disk that does not give what it has --- */

static unsigned int preads, preads_bad; /* from the n-th on; 0: never */
static unsigned int preads_end;         /* and well again from this one on */

/* In the place of the library's. */
ssize_t
pread(int fd, void *p, size_t len, off_t offset)
{
	preads++;
	if (preads_bad != 0 && preads >= preads_bad && preads < preads_end) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, p, len, offset);
}

static uint64_t
add_large(void)
{
	uint64_t number, seq;
	int fd = store_bodyfile_new(spool.store, &number);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, spool_bytes, 5000), 5000);
	close(fd);
	seq = spool_add_body(300, number, 5000);
	while (!spool.seen[seq].committed)
		spool_round();
	return seq;
}

/* Trouble that goes away costs nothing, wherever it begins; the mails that
 * could not be read are there at the next start. */
static void
trouble(unsigned int calls)
{
	uint64_t held = spool_add(1000), over = spool_add(1000), large, last;
	uint64_t seen;
	unsigned int n;

	spool_commit();
	spool_state(held, 7);
	spool_finish(over);
	large = add_large();
	last = spool_add(100000);
	spool_commit();
	preads = 0;
	spool_reopen();
	n = preads;
	for (preads_bad = 1; preads_bad <= n; preads_bad++) {
		spool_close();
		preads = 0;
		preads_end = calls == 0 ? UINT_MAX : preads_bad + calls;
		(void)spool_open();
		spool_close();
		seen = preads_bad;
		preads_bad = 0;
		ck_assert_int_eq(spool_open(), 0);
		preads_bad = (unsigned int)seen;
		ck_assert_uint_eq(spool.seen[held].attempts, 7);
		ck_assert_uint_eq(spool.seen[over].seq, 0);
		ck_assert_uint_eq(spool.seen[large].seq, large);
		ck_assert_uint_eq(spool.seen[last].content, 100000);
		ck_assert_uint_eq(spool_files("large"), 1);
		ck_assert_uint_eq(spool.mails, 3);
	}
	preads_bad = 0;
}

START_TEST(a_disk_in_trouble_costs_nothing)
{
	trouble(0);
}

END_TEST

START_TEST(one_failed_read_costs_nothing)
{
	trouble(1);
}

END_TEST

START_TEST(a_damaged_record_keeps_its_body)
{
	uint64_t seq;

	spool_commit();
	seq = add_large();
	spool_add(10);
	spool_commit();
	spool_close();
	spool_flip("log/00000001", FIRST + 100);
	ck_assert_int_eq(spool_open(), 0);
	ck_assert_uint_eq(spool.seen[seq].seq, 0);
	ck_assert_uint_eq(spool_files("large"), 0);
	/* The record, the body, a reason each. */
	ck_assert_uint_eq(spool_files("corrupt"), 4);
}

END_TEST

START_TEST(half_a_copy_is_no_copy)
{
	uint64_t seq[3];
	char path[512];

	three(seq);
	spool_close();
	spool_flip("log/00000001", FIRST + 4096 + 500);
	ck_assert_int_eq(spool_open(), 0);
	ck_assert_uint_eq(spool_files("corrupt"), 2);
	spool_close();
	/* A crash may leave it so. */
	spool_corrupt_name(path);
	ck_assert_int_eq(truncate(path, 10), 0);
	ck_assert_int_eq(spool_open(), 0);
	ck_assert_int_eq(spool_size(path) > 1000, 1);
}

END_TEST

START_TEST(every_byte_of_a_batch)
{
	uint64_t seq[3];

	/* Whatever is flipped in the second batch, the others live. */
	three(seq);
	spool_close();
	for (off_t at = 8192 + 4096; at < 8192 + 2 * 4096; at += 61) {
		spool_flip("log/00000001", at);
		ck_assert_int_eq(spool_open(), 0);
		ck_assert_uint_eq(spool.seen[seq[0]].seq, seq[0]);
		ck_assert_uint_eq(spool.seen[seq[2]].seq, seq[2]);
		spool_close();
		spool_flip("log/00000001", at);
	}
	ck_assert_int_eq(spool_open(), 0);
	only(seq, true, true, true);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { damage_costs_one_message,
		damaged_record_header, damaged_batch_header_costs_nothing,
		the_last_batch_is_protected_by_the_mark,
		a_torn_tail_is_cut_for_good, behind_a_tear_nothing_counts,
		one_header_copy_is_enough, what_does_not_belong_there,
		a_truncated_segment, copied_elsewhere,
		a_disk_in_trouble_costs_nothing, one_failed_read_costs_nothing,
		a_damaged_record_keeps_its_body, half_a_copy_is_no_copy,
		every_byte_of_a_batch };

	return TESTS_RUN("recover", tests, spool_start, spool_stop, 120);
}
