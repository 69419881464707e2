/* The file of operations: it grows by what changes, and is read whatever a
 * crash, an older queue or a full disk left of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/crc32c.h"
#include "queue/operations.h"
#include "tests/unit/queue/undoing.h"

enum {
	LINE_MAX_BYTES = 100
}; /* of an operation without a reason to speak of */

static const char *
path(void)
{
	static char name[200];

	snprintf(name, sizeof(name), "%s/operations", t.dir);
	return name;
}

static struct stat
now_is(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path(), &st), 0);
	return st;
}

/* Another queue starts, and this is the file. */
static void
restart_with(const void *bytes, size_t len)
{
	int fd;

	stop_queue(true);
	fd = open(path(), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	start_queue();
}

static size_t
read_file(char *out, size_t max)
{
	FILE *f = fopen(path(), "re");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(out, 1, max, f);
	ck_assert_uint_lt(n, max);
	fclose(f);
	out[n] = '\0';
	return n;
}

/* Held and let go, one operation each. */
static void
to_and_fro(int i)
{
	does(i % 2 == 0 ? CHANGE_HOLD : CHANGE_RELEASE);
}

/* Two lines an operation are added; not even the name is written. */
START_TEST(added_to)
{
	struct stat before, after;

	mail("a@x", "b@y");
	to_and_fro(0);
	before = now_is();
	for (int i = 1; i < 100; i++) {
		to_and_fro(i);
		after = now_is();
		ck_assert_uint_eq(after.st_ino, before.st_ino);
		ck_assert_int_le(
		    after.st_size, before.st_size + 2 * LINE_MAX_BYTES);
		before = after;
	}
	restart(false);
	operations();
	ck_assert_uint_eq(t.done.matched, 100);
	ck_assert_uint_eq(t.operation, last);
	/* It is undone, and who looks at it later knows. */
	ck_assert_str_eq(undo(last), "0 1/1");
	restart(false);
	ck_assert_uint_eq(operations_find(t.q, last)->undone, t.done.operation);
	ck_assert_uint_eq(operations_find(t.q, last)->changed, 1);
}

END_TEST

/* And written anew before it is much longer than what it says. */
START_TEST(made_anew)
{
	struct stat before;
	int i = 0;

	mail("a@x", "b@y");
	to_and_fro(i++);
	before = now_is();
	do {
		to_and_fro(i++);
		ck_assert_int_lt(i, 2 * OPERATIONS_MAX);
	} while (now_is().st_ino == before.st_ino);
	ck_assert_int_gt(i, OPERATIONS_MAX / 2);
	restart(false);
	operations();
	ck_assert_uint_eq(t.done.matched,
	    (uint64_t)(i < OPERATIONS_MAX ? i : OPERATIONS_MAX));
	ck_assert_uint_eq(t.operation, last);
}

END_TEST

/* As the first version had it: one sum for all. */
START_TEST(an_older_one)
{
	static const char lines[] = "7 remove 1700000000000 7 3 0 9 a reason\n"
				    "9 undo 1700000000001 8 3 7 0 sorry\n";
	char text[200];

	snprintf(text, sizeof(text), "postern operations 1 %08x\n%s",
	    crc32c(0, lines, strlen(lines)), lines);
	restart_with(text, strlen(text));
	ck_assert_str_eq(
	    operations(), "remove 3 7 a reason\nundo 7 3 8 sorry\n");
	/* What is added to it is not added to that file. */
	mail("a@x", "b@y");
	does(CHANGE_REMOVE);
	restart(false);
	ck_assert_str_eq(operations(),
	    "remove 3 7 a reason\nundo 7 3 8 sorry\nremove 1 7 t until\n");
}

END_TEST

/* A crash left a piece of the last line: all but that is there. */
START_TEST(torn)
{
	char bytes[2000];
	size_t n, end;

	mail("a@x", "b@y");
	does(CHANGE_HOLD);
	does(CHANGE_RELEASE);
	stop_queue(true);
	n = read_file(bytes, sizeof(bytes));
	start_queue();
	end = n - 1;
	while (bytes[end - 1] != '\n')
		end--;
	for (size_t len = end; len < n - 1; len++) {
		restart_with(bytes, len);
		ck_assert_str_eq(
		    operations(), "hold 1 7 t until\nrelease 0 7 t until\n");
	}
	/* The next one does not stand behind that piece. */
	mail("c@x", "d@y");
	does(CHANGE_REMOVE);
	restart(false);
	ck_assert_str_eq(operations(),
	    "hold 1 7 t until\nrelease 0 7 t until\nremove 2 7 t until\n");
}

END_TEST

static bool
is_set_aside(void)
{
	char command[300];

	snprintf(command, sizeof(command), "ls %s/corrupt | grep -q operations",
	    t.dir);
	return system(command) == 0; /* NOLINT(cert-env33-c): a test */
}

/* A line that is damaged is left out; anything else is no file of ours. */
START_TEST(damaged)
{
	char bytes[2000], *at = bytes;
	size_t n;

	mail("a@x", "b@y");
	does(CHANGE_HOLD);
	does(CHANGE_RELEASE);
	stop_queue(true);
	n = read_file(bytes, sizeof(bytes));
	start_queue();
	while ((at = strstr(at, "hold")) != NULL)
		*at = 'b';
	restart_with(bytes, n);
	ck_assert_str_eq(operations(), "release 1 7 t until\n");
	ck_assert(!is_set_aside());
	restart_with("postern operations 3\n", 21);
	ck_assert_str_eq(operations(), "");
	ck_assert(is_set_aside());
}

END_TEST

/* What could not be added comes with the next that can be written. */
START_TEST(it_fails_once)
{
	mail("a@x", "b@y");
	does(CHANGE_HOLD);
	ck_assert_int_eq(unlink(path()), 0);
	does(CHANGE_RELEASE);
	restart(false);
	ck_assert_str_eq(
	    operations(), "hold 1 7 t until\nrelease 1 7 t until\n");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { added_to, made_anew, an_older_one, torn,
		damaged, it_fails_once };

	return TESTS_RUN("operations", tests, undoing_setup, teardown, 120);
}
