/* Log lines: format, escaping, JSON, and a descriptor that takes no more. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

static int in, out;

static void
setup(void)
{
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	in = p[0];
	out = p[1];
	ck_assert_int_eq(fcntl(in, F_SETFL, O_NONBLOCK), 0);
	log_init("smtpd", 42, "mx1");
	log_set_fd(out, LOG_SINK_STREAM);
	log_set_level(LOG_LEVEL_INFO);
}

static const char *
lines(void)
{
	static char room[65536];

	log_flush();
	ssize_t n = read(in, room, sizeof(room) - 1);
	room[n > 0 ? n : 0] = '\0';
	return room;
}

static const char *
behind_time(const char *line)
{
	const char *p = strchr(line, ' ');

	ck_assert_ptr_nonnull(p);
	return p + 1;
}

START_TEST(text)
{
	struct log_ctx session = { NULL, "session", "S1" };
	struct log_ctx msg = { &session, "msg", "M1" };

	log_info(&msg, "accepted", "from=%s nrcpt=%d why=%s empty=%s",
	    log_cstr("a@b"), 2, log_cstr("x \"y\"\\\r\nz"), log_cstr(""));
	ck_assert_str_eq(behind_time(lines()),
	    "mx1 posternd[42]: smtpd accepted session=S1 msg=M1 from=a@b "
	    "nrcpt=2 why=\"x \\\"y\\\"\\\\\\x0d\\x0az\" empty=\"\"\n");
	log_debug(NULL, "quiet", NULL);
	log_warn(NULL, "bare", NULL);
	ck_assert_str_eq(
	    behind_time(lines()), "mx1 posternd[42]: smtpd bare\n");
}

END_TEST

/* Who reads adds time, host and program by itself. */
START_TEST(journal)
{
	log_set_fd(out, LOG_SINK_JOURNAL);
	log_info(NULL, "connect", "client=%s", log_cstr("x"));
	log_warn(NULL, "bare", NULL);
	ck_assert_str_eq(lines(), "<6>smtpd connect client=x\n<4>smtpd bare\n");
	log_set_format(LOG_FORMAT_JSON);
	log_warn(NULL, "bare", NULL);
	ck_assert_int_eq(strncmp(lines(), "<4>{\"time\":", 11), 0);
	log_set_format(LOG_FORMAT_TEXT);
}

END_TEST

START_TEST(nobody_forges)
{
	/* Nothing in a value ends the line, the value or moves a terminal. */
	log_info(NULL, "e", "v=%s",
	    log_str(STR("a\nb\x1b[2J\x01\x7f\xc2\x9b\xff k=v")));
	ck_assert_str_eq(behind_time(lines()),
	    "mx1 posternd[42]: smtpd e v=\"a\\x0ab\\x1b[2J\\x01\\x7f\\xc2"
	    "\\x9b\\xff k=v\"\n");
}

END_TEST

START_TEST(json)
{
	struct log_ctx session = { NULL, "session", "0123" };

	log_set_format(LOG_FORMAT_JSON);
	log_info(&session, "reject", "code=%d why=%s to=%s", 550,
	    log_cstr("no \"x\"\n"), log_cstr("123"));
	const char *line = lines();
	const char *from = strstr(line, "\"host\"");
	ck_assert_ptr_nonnull(from);
	ck_assert_str_eq(from,
	    "\"host\":\"mx1\",\"pid\":42,\"role\":\"smtpd\",\"level\":\"info\","
	    "\"event\":\"reject\",\"session\":\"0123\",\"code\":550,"
	    "\"why\":\"no \\\"x\\\"\\n\",\"to\":\"123\"}\n");
	log_set_format(LOG_FORMAT_TEXT);
}

END_TEST

START_TEST(long_values)
{
	char big[5000];

	memset(big, 'x', sizeof(big));
	log_info(NULL, "e", "v=%s", log_str((struct str){ big, sizeof(big) }));
	size_t n = strlen(lines());
	ck_assert_uint_gt(n, 1000);
	ck_assert_uint_lt(n, 1200);
}

END_TEST

START_TEST(full_pipe)
{
	/* Nobody reads: lines are lost and counted, nothing blocks. */
	for (int i = 0; i < 100000; i++) {
		log_info(NULL, "flood", "n=%d", i);
		if (i % 100 == 0)
			log_flush();
	}
	uint64_t lost = log_lost();
	ck_assert_uint_gt(lost, 0);
	bool told = false;
	for (int i = 0; i < 1000 && !told; i++)
		told = strstr(lines(), "log-lost lines=") != NULL;
	ck_assert(told);
}

END_TEST

START_TEST(broken_pipe)
{
	close(in);
	log_info(NULL, "gone", NULL);
	log_flush();
	ck_assert_uint_gt(log_lost(), 0);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("log");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, text);
	tcase_add_test(c, journal);
	tcase_add_test(c, nobody_forges);
	tcase_add_test(c, json);
	tcase_add_test(c, long_values);
	tcase_add_test(c, full_pipe);
	tcase_add_test(c, broken_pipe);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	signal(SIGPIPE, SIG_IGN);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
