/* AUTH: each mechanism, every message that is none, and a vault that is
 * slow, busy or gone. */
#include "lib/net/sources.h"
#include "smtpd/limits.h"
#include "tests/unit/smtpd/auth_talk.h"

START_TEST(plain)
{
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "235");
	ck_assert_str_eq(h.got.p, "235 2.7.0 Authentication succeeded\r\n");
	ck_assert_str_eq(vault.table, "accounts");
	ck_assert_str_eq(vault.user, "alice");
	ck_assert_str_eq(vault.password, "secret");
	authenticated(true);
	harness_hang_up(&h);
	begin();
	TALK("auth plain\r\n", "334");
	ck_assert_str_eq(h.got.p, "334 \r\n");
	TALK64("", "\0alice\0secret", "235");
	harness_hang_up(&h);
	/* Acting as oneself. */
	begin();
	TALK64("AUTH PLAIN ", "alice\0alice\0secret", "235");
	authenticated(true);
}

END_TEST

START_TEST(plain_is_wrong)
{
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0Secret", "535");
	ck_assert_str_eq(
	    h.got.p, "535 5.7.8 Authentication credentials invalid\r\n");
	TALK64("AUTH PLAIN ", "\0mallory\0secret", "535");
	ck_assert_uint_eq(vault.nasked, 2);
	/* Who wants to be somebody else is not even asked about. */
	TALK64("AUTH PLAIN ", "bob\0alice\0secret", "535");
	ck_assert_uint_eq(vault.nasked, 2);
	authenticated(false);
}

END_TEST

START_TEST(plain_is_malformed)
{
	begin();
	TALK64("AUTH PLAIN ", "alice", "501");
	TALK64("AUTH PLAIN ", "\0alice", "501");
	TALK64("AUTH PLAIN ", "\0\0secret", "501");
	TALK64("AUTH PLAIN ", "\0alice\0", "501");
	TALK64("AUTH PLAIN ", "\0alice\0secret\0", "501");
	TALK64("AUTH PLAIN ", "\0al\xff\0secret", "501");
	TALK("AUTH PLAIN =\r\n", "501");
	TALK("AUTH PLAIN AGFsaWNlAHNlY3JldA\r\n", "501");
	TALK("AUTH PLAIN AGFsaWNlAHNlY3Jld===\r\n", "501");
	TALK("AUTH PLAIN AGFsaWNl*\r\n", "501");
	TALK("AUTH PLAIN ====\r\n", "501");
	TALK("AUTH PLAIN a b\r\n", "501");
	TALK("AUTH\r\n", "501");
	TALK("AUTH CRAM-MD5\r\n", "504");
	TALK("AUTH PLAINx\r\n", "504");
	ck_assert_uint_eq(vault.nasked, 0);
	authenticated(false);
}

END_TEST

START_TEST(login)
{
	begin();
	TALK("AUTH LOGIN\r\n", "334");
	CHALLENGE("Username:");
	TALK64("", "Alice", "334");
	CHALLENGE("Password:");
	TALK64("", "secret", "235");
	ck_assert_str_eq(vault.user, "Alice");
	authenticated(true);
	harness_hang_up(&h);
	begin();
	TALK64("AUTH LOGIN ", "alice", "334");
	CHALLENGE("Password:");
	TALK64("", "secrets", "535");
	TALK("AUTH LOGIN\r\n", "334");
	TALK("\r\n", "501");
	TALK64("AUTH LOGIN ", "alice", "334");
	TALK("\r\n", "501");
	TALK64("AUTH LOGIN ", "alice", "334");
	TALK64("", "sec\0ret", "501");
	authenticated(false);
}

END_TEST

START_TEST(cancelled)
{
	begin();
	TALK("AUTH LOGIN\r\n", "334");
	TALK("*\r\n", "501");
	ck_assert_str_eq(h.got.p, "501 5.7.0 Authentication cancelled\r\n");
	TALK64("AUTH LOGIN ", "alice", "334");
	TALK("*\r\n", "501");
	TALK("AUTH SCRAM-SHA-256\r\n", "334");
	TALK("*\r\n", "501");
	TALK("AUTH PLAIN *\r\n", "501");
	TALK("NOOP\r\n", "250");
	authenticated(false);
}

END_TEST

/* A message that is as long as it may be, and one that is longer. */
START_TEST(sizes)
{
	static char big[40000];
	size_t n;

	begin();
	/* Name and password, each of the greatest length. */
	memset(big, 'u', sizeof(big));
	big[0] = big[256] = '\0';
	talk_bytes(encoded("AUTH PLAIN ", (struct str){ big, 257 + 1024 }),
	    "535", __LINE__);
	ck_assert_uint_eq(vault.nasked, 1);
	ck_assert_uint_eq(strlen(vault.password), 1024);
	ck_assert_uint_eq(strlen(vault.user), 255);
	/* Nobody has a longer one. */
	talk_bytes(encoded("AUTH PLAIN ", (struct str){ big, 257 + 1025 }),
	    "535", __LINE__);
	big[256] = 'u';
	big[257] = '\0';
	talk_bytes(encoded("AUTH PLAIN ", (struct str){ big, 257 + 1024 }),
	    "535", __LINE__);
	big[257] = 'u';
	ck_assert_uint_eq(vault.nasked, 1);
	memcpy(big, "n,,n=", 5);
	memcpy(big + 1000, ",r=abc", 6);
	talk_bytes(encoded("AUTH SCRAM-SHA-256 ", (struct str){ big, 1006 }),
	    "535", __LINE__);
	memset(big, 'u', sizeof(big));
	memcpy(big, "n,,n=alice,r=", 13);
	talk_bytes(encoded("AUTH SCRAM-SHA-256 ", (struct str){ big, 600 }),
	    "501", __LINE__);
	ck_assert_uint_eq(vault.nasked, 1);
	/* Lines: 12288 with their CRLF, of the command and in the exchange. */
	memset(big, 'A', sizeof(big));
	memcpy(big, "AUTH PLAIN ", 11);
	n = 12288;
	memcpy(big + n - 2, "\r\n", 3);
	talk_bytes((struct str){ big, n }, "501", __LINE__);
	memset(big, 'A', sizeof(big));
	memcpy(big, "AUTH PLAIN ", 11);
	memcpy(big + 30000, "\r\nNOOP\r\n", 8);
	talk_bytes((struct str){ big, 30008 }, "500 250", __LINE__);
	memset(big, 'A', n);
	memcpy(big + n - 2, "\r\n", 3);
	TALK("AUTH PLAIN\r\n", "334");
	talk_bytes((struct str){ big, n }, "501", __LINE__);
	memset(big, 'A', n);
	memcpy(big + n - 1, "\r\n", 3);
	TALK("AUTH PLAIN\r\n", "334");
	talk_bytes((struct str){ big, n + 1 }, "500 EOF", __LINE__);
	ck_assert_str_eq(h.got.p, "500 5.5.6 Line is too long\r\n");
}

END_TEST

START_TEST(lines_without_their_end)
{
	begin();
	TALK("AUTH PLAIN\r\n", "334");
	TALKN("AGFsaWNlAHNlY3JldA==\n", "500 EOF");
	harness_hang_up(&h);
	begin();
	TALK("AUTH PLAIN\r\n", "334");
	TALKN("AGFsaWNl\0\r\n", "500 EOF");
	harness_hang_up(&h);
	/* In pieces. */
	begin();
	TALK("AUTH PLAIN\r\n", "334");
	TALK("AGFsaWNlAHNl", "");
	TALK("Y3JldA==\r", "");
	TALK("\n", "235");
}

END_TEST

/* --- when --- */

START_TEST(only_when_offered)
{
	struct listener *l = &h.config->listeners[0];

	harness_connect(&h);
	TALK64("AUTH PLAIN ", "\0alice\0secret", "503"); /* EHLO first */
	TALK("HELO client.example\r\n", "250");
	TALK64("AUTH PLAIN ", "\0alice\0secret", "503");
	TALK("EHLO client.example\r\n", "250");
	ck_assert_ptr_nonnull(
	    strstr(h.got.p, "AUTH PLAIN LOGIN SCRAM-SHA-256\r\n"));
	harness_rule(h.config, VERDICT_ACTION, NULL);
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK64("AUTH PLAIN ", "\0alice\0secret", "503");
	TALK("RSET\r\n", "250");
	/* In the clear, where that is not for it. */
	l->flags &= ~(uint32_t)LISTENER_AUTH_CLEAR;
	TALK("EHLO client.example\r\n", "250");
	ck_assert_ptr_null(strstr(h.got.p, "AUTH"));
	TALK64("AUTH PLAIN ", "\0alice\0secret", "538");
	l->flags |= LISTENER_TLS_REQUIRE;
	TALK64("AUTH PLAIN ", "\0alice\0secret", "530");
	l->flags &= ~(uint32_t)LISTENER_TLS_REQUIRE;
	l->auth = NULL;
	TALK64("AUTH PLAIN ", "\0alice\0secret", "502");
	ck_assert_uint_eq(vault.nasked, 0);
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

/* What came behind a refused command may be what answers its challenges;
 * behind the last line nothing may come at all. */
START_TEST(pipelined)
{
	begin();
	TALK("AUTH CRAM-MD5\r\nc2VjcmV0\r\n", "504 EOF");
	harness_hang_up(&h);
	begin();
	TALK("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nNOOP\r\n", "503 EOF");
	ck_assert_uint_eq(vault.nasked, 0);
	harness_hang_up(&h);
	/* Read as the answers that they are. */
	begin();
	TALK("AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n", "334 334 235");
	harness_hang_up(&h);
	begin();
	TALK("AUTH LOGIN\r\nNOOP\r\n", "334 501");
	ck_assert_ptr_nonnull(strstr(h.got.p, "501 5.5.2"));
}

END_TEST

/* --- the vault --- */

START_TEST(vault_says)
{
	begin();
	vault.say = true;
	vault.verdict = VAULT_BUSY;
	TALK64("AUTH PLAIN ", "\0alice\0secret", "454");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "454");
	vault.verdict = VAULT_FAULT;
	TALK64("AUTH PLAIN ", "\0alice\0secret", "454");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "454");
	vault.say = false;
	authenticated(false);
}

END_TEST

START_TEST(vault_is_gone)
{
	vault_stop(&h);
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "454");
	TALK64("AUTH LOGIN ", "alice", "334");
	TALK64("", "secret", "454");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "454");
	vault_connect(&h);
	authenticated(false);
}

END_TEST

START_TEST(vault_dies_while_asked)
{
	vault.hold = true;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "");
	ck_assert_uint_eq(vault.nasked, 1);
	h.nwant = 1;
	channel_free(&vault.ch);
	TALK("", "454");
	vault.hold = false;
	vault_connect(&h);
	authenticated(false);
}

END_TEST

/* Whoever waits says nothing: what it says is read when its answer is there.
 */
START_TEST(talks_while_asked)
{
	struct answer_password right = { .verdict = VAULT_RIGHT };

	vault.hold = true;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "");
	TALK("NOOP\r\n", "");
	channel_tell(vault.ch, TYPE_answer_password, &right, vault.held);
	TALK("", "235 250");
}

END_TEST

START_TEST(client_goes_while_asked)
{
	struct answer_password right = { .verdict = VAULT_RIGHT };

	vault.hold = true;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "");
	stream_reset(&h.client);
	harness_settle(&h);
	channel_tell(vault.ch, TYPE_answer_password, &right, vault.held);
	harness_settle(&h);
	ck_assert_uint_eq(sessions_count(), 0);
	/* One that only ended its side still hears of it. */
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "");
	shutdown(stream_fd(h.client), SHUT_WR);
	harness_settle(&h);
	channel_tell(vault.ch, TYPE_answer_password, &right, vault.held);
	TALK("", "235 EOF");
	harness_hang_up(&h);
	ck_assert_uint_eq(sessions_count(), 0);
	/* It cannot answer any more. */
	begin();
	TALK("AUTH LOGIN\r\n", "334");
	shutdown(stream_fd(h.client), SHUT_WR);
	harness_settle(&h);
	ck_assert_uint_eq(sessions_count(), 0);
}

END_TEST

START_TEST(times_out)
{
	begin();
	h.config->limits.command_timeout = 1;
	TALK("AUTH LOGIN\r\n", "334 421 EOF");
}

END_TEST

/* --- failures --- */

START_TEST(failures_are_delayed)
{
	h.config->limits.auth_delay = 2;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "535");
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "535");
	/* Over while it is held back. */
	h.config->limits.auth_delay = 60000;
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "");
	ck_assert_uint_eq(vault.nasked, 3);
	sessions_abandon();
	harness_settle(&h);
	ck_assert_uint_eq(sessions_count(), 0);
}

END_TEST

START_TEST(failures_of_a_source)
{
	uint64_t limited = stats_all()[STAT_AUTH_LIMITED].value;
	int fd = sources_create(1, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(limits_set_sources(0, fd), 0);
	h.config->limits.auth_failures = 3;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "535");
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "535");
	/* These are none. */
	TALK64("AUTH PLAIN ", "alice", "501");
	TALK64("AUTH LOGIN ", "alice", "334");
	TALK("*\r\n", "501");
	harness_hang_up(&h);
	/* On other connections, and whatever goes well between. */
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "235");
	harness_hang_up(&h);
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "535");
	ck_assert_uint_eq(vault.nasked, 4);
	TALK64("AUTH PLAIN ", "\0alice\0secret", "454");
	ck_assert_str_eq(
	    h.got.p, "454 4.7.0 Too many failures, try again later\r\n");
	ck_assert_uint_eq(vault.nasked, 4);
	ck_assert_uint_eq(stats_all()[STAT_AUTH_LIMITED].value, limited + 1);
	harness_hang_up(&h);
	/* Others are not to blame. */
	h.from = "192.0.2.2";
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "235");
}

END_TEST

/* Nor does it help to go before the answer comes. */
START_TEST(failures_of_who_goes)
{
	int fd = sources_create(1, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(limits_set_sources(0, fd), 0);
	h.config->limits.auth_failures = 1;
	vault.hold = true;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "");
	sessions_abandon();
	harness_hang_up(&h);
	ck_assert_uint_eq(sessions_count(), 0);
	vault.hold = false;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "454");
	ck_assert_uint_eq(vault.nasked, 1);
}

END_TEST

/* Whoever had begun before it came to that is not heard either. */
START_TEST(failures_meanwhile)
{
	struct stream *waiting;
	int fd = sources_create(1, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(limits_set_sources(0, fd), 0);
	h.config->limits.auth_failures = 1;
	begin();
	TALK64("AUTH LOGIN ", "alice", "334");
	waiting = h.client;
	h.client = NULL;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "535");
	harness_hang_up(&h);
	h.client = waiting;
	TALK64("", "secret", "454");
	ck_assert_uint_eq(vault.nasked, 1);
	ck_assert_str_eq(
	    h.got.p, "454 4.7.0 Too many failures, try again later\r\n");
}

END_TEST

START_TEST(counted)
{
	uint64_t ok = stats_all()[STAT_AUTH_OK].value;
	uint64_t failed = stats_all()[STAT_AUTH_FAILED].value;
	uint64_t busy = stats_all()[STAT_AUTH_BUSY].value;

	begin();
	TALK64("AUTH PLAIN ", "\0alice\0wrong", "535");
	TALK64("AUTH PLAIN ", "alice", "501");
	TALK64("AUTH PLAIN ", "\0alice\0secret", "235");
	ck_assert_uint_eq(stats_all()[STAT_AUTH_OK].value, ok + 1);
	ck_assert_uint_eq(stats_all()[STAT_AUTH_FAILED].value, failed + 2);
	harness_hang_up(&h);
	vault.say = true;
	vault.verdict = VAULT_BUSY;
	begin();
	TALK64("AUTH PLAIN ", "\0alice\0secret", "454");
	ck_assert_uint_eq(stats_all()[STAT_AUTH_BUSY].value, busy + 1);
}

END_TEST

/* --- the log --- */

static char text[65536];

static void
log_to_file(int *fd)
{
	*fd = memfd_create("log", MFD_CLOEXEC);
	log_flush();
	log_set_fd(dup(*fd), LOG_SINK_STREAM);
}

static void
read_log(int fd)
{
	ssize_t n;

	log_flush();
	n = pread(fd, text, sizeof(text) - 1, 0);
	ck_assert_int_ge((int)n, 0);
	text[n] = '\0';
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	close(fd);
}

/* Who, how and with which success; the password nowhere, whatever went
 * wrong. */
START_TEST(logged)
{
	int fd;

	log_to_file(&fd);
	harness_connect(&h);
	TALK64("AUTH PLAIN ", "\0alice\0secret", "503");
	TALK("EHLO client.example\r\n", "250");
	TALK64("AUTH NONE ", "\0alice\0secret", "504");
	TALK64("AUTH PLAIN x ", "\0alice\0secret", "501");
	TALK64("AUTH PLAIN\t", "\0alice\0secret", "504");
	TALK64("AUTH PLAIN ", "\0al ice\nx=\"\0secret", "535");
	TALK64("AUTH PLAIN ", "\0alice\0secret", "235");
	read_log(fd);
	ck_assert_ptr_nonnull(strstr(text, " auth session="));
	ck_assert_ptr_nonnull(strstr(text,
	    "client=192.0.2.1 rdns=unknown user=alice mech=PLAIN result=ok"));
	ck_assert_ptr_nonnull(
	    strstr(text, "user=\"al ice\\x0ax=\\\"\" mech=PLAIN result=wrong "
			 "why=credentials"));
	ck_assert_ptr_null(strstr(text, "secret"));
	ck_assert_ptr_null(strstr(text, "AGFsaWNl"));
	ck_assert_ptr_null(strstr(text, "c2VjcmV0"));
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { plain, plain_is_wrong,
		plain_is_malformed, login, cancelled, sizes,
		lines_without_their_end, only_when_offered, pipelined,
		vault_says, vault_is_gone, vault_dies_while_asked,
		talks_while_asked, client_goes_while_asked, times_out,
		failures_are_delayed, failures_of_a_source,
		failures_of_who_goes, failures_meanwhile, counted, logged };

	return run_tests_in("auth", tests, sizeof(tests) / sizeof(tests[0]),
	    open_vault, close_vault);
}
