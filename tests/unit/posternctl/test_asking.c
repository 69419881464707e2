/*
 * What is said on stderr, to whom nothing else is told: a gateway that goes
 * away in the middle of its answer, one of another version, one that is not
 * there; a message that is not, words that make no sense. Half a listing is
 * JSON all the same.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/ipc/frame.h"
#include "tests/unit/posternctl/gateway.h"

/* --- the gateway --- */

static void
tell_one(struct channel *ch, uint64_t id)
{
	struct row_message m = { .msgid = STR(ID),
		.received_ms = clock_wall_ms(),
		.from = STR("a@b") };
	struct row_rcpt r = { .to = STR("c@d") };

	channel_tell(ch, TYPE_row_message, &m, id);
	channel_tell(ch, TYPE_row_rcpt, &r, id);
}

/* It dies when it has said half. */
static void
on_queue(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	tell_one(ch, id);
	channel_drain(ch, 1000);
	_exit(0);
}

static void
on_other(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	done(ch, id, ANSWER_NOT_FOUND, "no such message");
}

static void
on_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

static const struct handler handlers[] = { { TYPE_tell_term, on_term },
	{ TYPE_ask_queue, on_queue }, { TYPE_ask_change, on_other },
	{ TYPE_ask_content, on_other }, { TYPE_ask_trace, on_other },
	{ TYPE_ask_session, on_other }, { TYPE_ask_undo, on_other },
	{ 0, NULL } };

static int said; /* what stands on stderr */

static void
setup(void)
{
	char name[] = "/tmp/test_asking.XXXXXX";

	said = mkstemp(name);
	ck_assert_int_ne(said, -1);
	unlink(name);
	fflush(stderr);
	ck_assert_int_eq(dup2(said, STDERR_FILENO), STDERR_FILENO);
	start_gateway(handlers);
}

/* Since it was looked at last. */
static void
expect_said(const char *part)
{
	char text[4096];
	ssize_t n;

	fflush(stderr);
	log_flush();
	n = pread(said, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	ck_assert_int_eq(ftruncate(said, 0), 0);
	ck_assert_int_eq(lseek(said, 0, SEEK_SET), 0);
	ck_assert_msg(strstr(text, part) != NULL, "no %s in %s", part, text);
}

START_TEST(gone_in_the_middle)
{
	expect("show queue", true, CTL_SILENT, NULL);
	expect_said("the gateway closed the connection");
	expect("show queue", false, CTL_SILENT,
	    "ID               AGE   SIZE   STATE       FROM\n" ID
	    " 0s    0      active      <a@b>\n"
	    "    to <c@d> active\n");
	expect_said("the gateway closed the connection");
}

END_TEST

START_TEST(what_is_not_there)
{
	static const char *const lines[] = { "hold " ID, "remove id " ID,
		"show message " ID, "trace " ID, "show session " ID };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect(lines[i], true, CTL_REFUSED, NULL);
		expect_said("no such message: " ID);
	}
	expect("undo 12", false, CTL_REFUSED, "");
	expect_said(": 12");
}

END_TEST

START_TEST(what_would_be_right)
{
	static const char *const cases[][2] = {
		{ "show queue older soon", "TIME is to be 30s, 5m" },
		{ "show queue larger big", "SIZE is to be 512, 64K" },
		{ "show queue state new", "active, deferred, held" },
		{ "show queue client x.y", "192.0.2.0/24" },
		{ "show queue tries", "NUMBER is missing, as 3" },
		{ "show queue frmo a@b", "there are: id, state, from" },
		{ "hold not", "`not' of what?" },
		{ "hold " ID " 0123456789abcdef", "no message has two ids" },
		{ "help banana", "no such command: banana" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(cases[i][0], true, CTL_USAGE, "");
		expect_said(cases[i][1]);
	}
}

END_TEST

/* Whose messages are made otherwise. */
START_TEST(another_version)
{
	struct frame f = { .len = 8 };
	uint8_t hello[FRAME_HEADER + 8];
	struct sockaddr_un other = address;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	frame_encode(&f, hello);
	put_le64(hello + FRAME_HEADER, edge_hash(&control_all_edge) + 1);
	unlink(address.sun_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&other, sizeof(other)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	pid_t pid = fork();
	if (pid != 0)
		ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		char c;
		int conn = accept(fd, NULL, NULL);
		(void)!write(conn, hello, sizeof(hello));
		while (read(conn, &c, 1) > 0)
			continue;
		_exit(0);
	}
	close(fd);
	expect("show stats", true, CTL_SILENT, "");
	expect_said("of another version");
	waitpid(pid, NULL, 0);
	expect("show stats", true, CTL_SILENT, "");
	expect_said("is posternd running?");
	unlink(address.sun_path);
	expect("show stats", true, CTL_SILENT, "");
	expect_said("is posternd running?");
}

END_TEST

/* Whoever reads is told no more than he takes. */
START_TEST(nobody_reads)
{
	int out = dup(STDOUT_FILENO), full = open("/dev/full", O_WRONLY);

	ck_assert_int_ne(full, -1);
	fflush(stdout);
	ck_assert_int_eq(dup2(full, STDOUT_FILENO), STDOUT_FILENO);
	ck_assert_int_eq(out_turn(), 0);
	for (int i = 0; i < 10000; i++)
		buf_add_str(out_buf(), STR("some text that nobody reads "));
	int turned = out_turn(), ended = out_end();
	ck_assert_int_eq(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
	close(out);
	close(full);
	ck_assert_int_eq(turned, -1);
	ck_assert_int_eq(ended, -1);
	expect_said("standard output: No space left");
	/* That is over once and for all: it is the last one. */
	buf_clear(out_buf());
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("asking");
	TCase *c = tcase_create("all");

	tcase_add_unchecked_fixture(c, setup, stop_gateway);
	tcase_add_test(c, gone_in_the_middle);
	tcase_add_test(c, what_is_not_there);
	tcase_add_test(c, what_would_be_right);
	tcase_add_test(c, another_version);
	tcase_add_test(c, nobody_reads);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
