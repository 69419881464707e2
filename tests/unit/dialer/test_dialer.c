/*
 * The dialer and a session: the test is the session that asks for connections,
 * and the filter that listens.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/unit/dialer/dialing.h"

enum { UNPRIVILEGED = 65534 };

static int
listen_unix(int backlog)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

static void
add_path(void)
{
	add_milter("local", text)->path = xstrdup(path);
	use();
}

/* --- Unix sockets --- */

START_TEST(hands_on_a_connection)
{
	int filter = listen_unix(4), fd, conn;
	char byte = 0;

	add_path();
	fd = dial("local");
	ck_assert_msg(fd >= 0, "%s", got.why);
	/* It reaches the filter, and nobody reads it here. */
	conn = accept(filter, NULL, NULL);
	ck_assert_int_ge(conn, 0);
	ck_assert_int_eq(write(conn, "x", 1), 1);
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	ck_assert_int_eq(byte, 'x');
	/* The dialer kept no end of it. */
	close(fd);
	got.fds[0] = -1;
	ck_assert_int_eq(read(conn, &byte, 1), 0);
	ck_assert_uint_eq(from_smtpd_counters()[0].value, 1);
	close(conn);
	close(filter);
}

END_TEST

START_TEST(says_what_is_missing)
{
	char want[128];

	add_path();
	ck_assert_int_eq(dial("local"), -1);
	snprintf(want, sizeof(want), "there is no %s", path);
	ck_assert_str_eq(got.why, want);
	close(listen_unix(1));
	ck_assert_int_eq(dial("local"), -1);
	ck_assert_str_eq(got.why, "nobody listens (connection refused)");
}

END_TEST

/* Until time is over. */
START_TEST(says_when_it_is_full)
{
	int filter = listen_unix(0), fd;

	add_path();
	config->milters[0].connect_timeout = 1;
	do {
		fd = dial("local");
	} while (fd != -1);
	ck_assert_str_eq(got.why, "it does not take the connections that wait");
	ck_assert_uint_ge(got.n, 2);
	ck_assert_uint_eq(from_smtpd_counters()[2].value, 0);
	close(filter);
}

END_TEST

/* All get their connection, in their order, as fast as the filter takes
 * them. */
START_TEST(waits_where_it_is_full)
{
	int filter = listen_unix(0);

	add_path();
	config->milters[0].connect_timeout = 3600000;
	for (int i = 0; i < 20; i++)
		send_dial("local", 0, text);
	/* The answer to this one says that all the others were asked. */
	send_dial("nobody", 0, "x");
	while (answer() != -1)
		continue;
	ck_assert_uint_gt(from_smtpd_counters()[2].value, 0);
	for (int i = 0; i < 20; i++) {
		int conn = accept(filter, NULL, NULL);
		ck_assert_int_ge(conn, 0);
		close(conn);
		while (got.n < 21 && got.n < (size_t)i + 3)
			answer();
	}
	ck_assert_uint_eq(got.n, 21);
	ck_assert_uint_eq(from_smtpd_counters()[2].value, 0);
	close(filter);
}

END_TEST

/* Nobody waits any more, of a session's process that is gone; and the filter,
 * too. */
START_TEST(leaves_where_it_is_full)
{
	int filter = listen_unix(0);

	add_path();
	config->milters[0].connect_timeout = 3600000;
	for (int i = 0; i < 8; i++)
		send_dial("local", 0, text);
	send_dial("nobody", 0, "x");
	while (answer() != -1)
		continue;
	ck_assert_uint_gt(from_smtpd_counters()[2].value, 0);
	channel_free(&session);
	connect_session(0);
	ck_assert_uint_eq(from_smtpd_counters()[2].value, 0);
	send_dial("local", 0, text);
	close(filter);
	ck_assert_int_eq(answer(), -1);
	ck_assert_str_eq(got.why, "nobody listens (connection refused)");
}

END_TEST

/* As somebody without the rights of root. */
static void
dial_denied(void)
{
	bool root = geteuid() == 0;

	if (root)
		ck_assert_int_eq(seteuid(UNPRIVILEGED), 0);
	ck_assert_int_eq(dial("local"), -1);
	if (root)
		ck_assert_int_eq(seteuid(0), 0);
}

START_TEST(names_the_group)
{
	int filter = listen_unix(4);
	char want[256];
	const char *group = "daemon";
	struct stat st;

	add_path();
	ck_assert_int_eq(chmod(dir, 0711), 0);
	ck_assert_int_eq(chmod(path, 0060), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 0, 1), 0);
		dial_denied();
		snprintf(want, sizeof(want),
		    "permission denied: %s wants `dial-group %s'", path, group);
		ck_assert_str_eq(got.why, want);
	} else {
		dial_denied();
		ck_assert_ptr_nonnull(strstr(got.why, "dial-group"));
	}
	/* Open to no group. */
	ck_assert_int_eq(chmod(path, 0), 0);
	dial_denied();
	snprintf(want, sizeof(want),
	    "permission denied: %s is open to no group (mode 0000)", path);
	ck_assert_str_eq(got.why, want);
	/* The folder is what is closed. */
	ck_assert_int_eq(chmod(dir, geteuid() == 0 ? 0700 : 0), 0);
	dial_denied();
	ck_assert_int_eq(stat(dir, &st), 0);
	snprintf(want, sizeof(want),
	    "permission denied: %s is open to no group (mode %04o)", dir,
	    st.st_mode & 07777);
	ck_assert_str_eq(got.why, want);
	ck_assert_int_eq(chmod(dir, 0700), 0);
	close(filter);
}

END_TEST

/* --- who may ask for what --- */

START_TEST(only_what_is_configured)
{
	static const char gone[] =
	    "the configuration has no such socket any more";
	int filter = listen_unix(4);

	send_dial("local", 0, text);
	ck_assert_int_eq(answer(), -1);
	ck_assert_str_eq(got.why, gone);
	add_path();
	send_dial("locals", 0, text);
	ck_assert_int_eq(answer(), -1);
	send_dial("local", 1, text);
	ck_assert_int_eq(answer(), -1);
	send_dial("local", 255, text);
	ck_assert_int_eq(answer(), -1);
	send_dial("local", 0, "unix:/etc/passwd");
	ck_assert_int_eq(answer(), -1);
	ck_assert_str_eq(got.why, gone);
	ck_assert_int_ge(dial("local"), 0);
	close(filter);
}

END_TEST

/* --- by address --- */

START_TEST(connects_by_tcp)
{
	int filter = listen_inet(), fd, conn, on = 0;
	struct milter_socket *s = add_milter("tcp", "inet:x@127.0.0.1");
	socklen_t len = sizeof(on);

	ck_assert_int_eq(addr_parse(STR("127.0.0.1"), &s->addr), 0);
	s->port = port_of(filter);
	use();
	fd = dial("tcp");
	ck_assert_msg(fd >= 0, "%s", got.why);
	conn = accept(filter, NULL, NULL);
	ck_assert_int_ge(conn, 0);
	ck_assert_int_eq(
	    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	ck_assert_int_ne(on, 0);
	close(conn);
	close(filter);
	/* Nobody is there: said at once, or by the connection. */
	fd = dial("tcp");
	if (fd == -1) {
		ck_assert_str_eq(
		    got.why, "nobody listens (connection refused)");
		return;
	}
	len = sizeof(on);
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &on, &len), 0);
	ck_assert_int_eq(on, ECONNREFUSED);
}

END_TEST

START_TEST(not_where_nobody_can_be)
{
	struct milter_socket *s = add_milter("tcp", "inet:x@224.0.0.1");

	ck_assert_int_eq(addr_parse(STR("224.0.0.1"), &s->addr), 0);
	s->port = 25;
	use();
	ck_assert_int_eq(dial("tcp"), -1);
	ck_assert_str_eq(got.why, "nobody can have that address");
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("dialer");
	TCase *tc = tcase_create("dialer");
	tcase_add_checked_fixture(tc, open_session, close_session);
	tcase_add_test(tc, hands_on_a_connection);
	tcase_add_test(tc, says_what_is_missing);
	tcase_add_test(tc, says_when_it_is_full);
	tcase_add_test(tc, waits_where_it_is_full);
	tcase_add_test(tc, leaves_where_it_is_full);
	tcase_add_test(tc, names_the_group);
	tcase_add_test(tc, only_what_is_configured);
	tcase_add_test(tc, connects_by_tcp);
	tcase_add_test(tc, not_where_nobody_can_be);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
