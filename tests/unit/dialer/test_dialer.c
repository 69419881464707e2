/*
 * The dialer between its peers: the test is a session that asks for
 * connections, the filter that listens, and the resolver.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "edges/dialer_resolver.h"
#include "edges/smtpd_dialer.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/ipc/channel.h"
#include "milters/dialer/addresses.h"
#include "milters/dialer/crowd.h"
#include "milters/dialer/from_smtpd.h"
#include "milters/dialer/reach.h"

enum { UNPRIVILEGED = 65534, ANSWERS_MAX = 64 };

static struct loop *loop;
static struct config *config;
static struct channel *session, *resolver;
static char dir[40];
static char path[64], text[80];

/* What the session got. */
static struct {
	size_t n, nfaults;
	int fds[ANSWERS_MAX]; /* -1: why */
	char why[256];
} got;

/* What the resolver was asked last. */
static struct {
	size_t n;
	uint64_t id;
	char name[256];
	bool ipv6;
} asked;

/* --- the session --- */

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	loop_stop(loop);
	if (fault != NULL) {
		got.nfaults++;
		return;
	}
	ck_assert_uint_lt(got.n, ANSWERS_MAX);
	got.fds[got.n] = -1;
	if (type == TYPE_answer_dialed) {
		const struct answer_dialed *m = msg;
		got.fds[got.n] = m->socket;
	} else {
		const struct answer_not_dialed *m = msg;
		snprintf(got.why, sizeof(got.why), "%.*s", (int)m->why.len,
		    m->why.p);
	}
	got.n++;
}

static void
send_dial(const char *milter, unsigned int socket, const char *address)
{
	struct ask_dial m = { .milter = str_of(milter),
		.socket = (uint8_t)socket,
		.address = str_of(address) };

	channel_ask(session, TYPE_ask_dial, &m, on_answer, NULL);
}

/* The next answer: a connection, or -1 and got.why. */
static int
answer(void)
{
	size_t n = got.n;

	while (got.n == n)
		loop_run(loop);
	return got.fds[n];
}

/* Of the filter's only socket. */
static int
dial(const char *milter)
{
	struct str name = str_of(milter);
	const struct milter *m = config_find_milter(config, name);

	send_dial(milter, 0, m->sockets[0].text);
	return answer();
}

static void
connect_session(uint16_t instance)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_smtpd_add(instance, sv[0]);
	session = channel_new(
	    loop, sv[1], &smtpd_dialer_edge, EDGE_A, NULL, NULL, NULL);
}

/* --- the resolver --- */

static void
on_ask_host(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_host *m = msg;

	(void)ctx;
	(void)ch;
	asked.n++;
	asked.id = id;
	asked.ipv6 = m->ipv6 != 0;
	snprintf(asked.name, sizeof(asked.name), "%.*s", (int)m->name.len,
	    m->name.p);
	loop_stop(loop);
}

static const struct handler resolver_handlers[] = {
	{ TYPE_ask_host, on_ask_host },
	{ 0, NULL },
};

static void
connect_resolver(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	channel_free(&resolver);
	resolver = channel_new(loop, sv[1], &dialer_resolver_edge, EDGE_B,
	    resolver_handlers, NULL, NULL);
	addresses_open(sv[0]);
}

static void
wait_asked(size_t n)
{
	while (asked.n < n)
		loop_run(loop);
}

static void
say_host(const char *address)
{
	struct tell_host_addr m = { .address = str_of(address) };

	ck_assert_int_eq(
	    channel_tell(resolver, TYPE_tell_host_addr, &m, asked.id), 0);
}

static void
end_host(bool found, uint32_t ttl_s, const char *why)
{
	struct answer_host m = {
		.found = found, .ttl_s = ttl_s, .text = str_of(why)
	};

	ck_assert_int_eq(
	    channel_tell(resolver, TYPE_answer_host, &m, asked.id), 0);
}

/* --- the configuration --- */

static struct milter_socket *
add_milter(const char *name, const char *socket)
{
	struct milter *m;

	config->milters = xreallocarray(
	    config->milters, config->nmilters + 1, sizeof(*config->milters));
	m = &config->milters[config->nmilters];
	*m = (struct milter){ .id = (uint32_t)config->nmilters,
		.name = xstrdup(name),
		.nsockets = 1 };
	m->sockets[0].text = xstrdup(socket);
	config->nmilters++;
	return &m->sockets[0];
}

/* The port of a socket that listens on all of the machine's addresses. */
static uint16_t
port_of(int fd)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

static int
listen_inet(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

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
setup(void)
{
	log_init("dialer", 1, "test");
	log_set_level(LOG_LEVEL_WARN);
	loop = loop_new();
	snprintf(dir, sizeof(dir), "/tmp/test-dialer.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/filter.sock", dir);
	snprintf(text, sizeof(text), "unix:%s", path);
	reach_init();
	addresses_init(loop);
	crowd_init(loop);
	from_smtpd_init(loop);
	config = config_new();
	connect_session(0);
}

/* The configuration holds from now on. */
static void
use(void)
{
	addresses_set_config(config);
	from_smtpd_set_config(config);
}

static void
add_path(void)
{
	add_milter("local", text)->path = xstrdup(path);
	use();
}

static void
add_host(uint16_t port)
{
	struct milter_socket *s = add_milter("named", "inet:x@f.example");

	s->host = xstrdup("f.example");
	s->port = port;
	use();
}

/* The program ends with each test: check runs them in processes of their
 * own. */
static void
teardown(void)
{
	for (size_t i = 0; i < got.n; i++)
		if (got.fds[i] != -1)
			close(got.fds[i]);
	channel_free(&session);
	channel_free(&resolver);
	/* The dialer forgets the filters, and with them the hosts. */
	config_unref(&config);
	config = config_new();
	use();
	config_unref(&config);
	loop_settle(loop);
	unlink(path);
	rmdir(dir);
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

/* --- by name --- */

static void
expect_peer(int fd, const char *address)
{
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	char is[ADDR_TEXT_MAX];
	struct addr a;

	ck_assert_msg(fd >= 0, "%s", got.why);
	ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&to, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&to, len, &a, NULL);
	ck_assert_str_eq(addr_format(&a, is), address);
}

START_TEST(waits_for_addresses_and_takes_turns)
{
	int filter = listen_inet();

	connect_resolver();
	add_host(port_of(filter));
	wait_asked(1);
	ck_assert_str_eq(asked.name, "f.example");
	ck_assert(!asked.ipv6);
	send_dial("named", 0, "inet:x@f.example");
	say_host("127.0.0.1");
	say_host("127.0.0.2");
	end_host(true, 3600, "");
	expect_peer(answer(), "127.0.0.1");
	expect_peer(dial("named"), "127.0.0.2");
	expect_peer(dial("named"), "127.0.0.1");
	ck_assert_uint_eq(asked.n, 1);
	close(filter);
}

END_TEST

START_TEST(passes_over_addresses_that_cannot_be)
{
	int filter = listen_inet();

	connect_resolver();
	add_host(port_of(filter));
	wait_asked(1);
	say_host("0.0.0.0");
	say_host("no address");
	say_host("127.0.0.3");
	end_host(true, 3600, "");
	expect_peer(dial("named"), "127.0.0.3");
	expect_peer(dial("named"), "127.0.0.3");
	close(filter);
}

END_TEST

START_TEST(keeps_what_was_good)
{
	int filter = listen_inet();

	connect_resolver();
	add_host(port_of(filter));
	wait_asked(1);
	say_host("127.0.0.1");
	end_host(true, 0, "");
	/* Its time is over at once; the resolver knows nothing new. */
	wait_asked(2);
	end_host(false, 0, "servfail");
	expect_peer(dial("named"), "127.0.0.1");
	/* Another configuration asks again: there is no such host. */
	use();
	wait_asked(3);
	end_host(false, 60, "nxdomain");
	ck_assert_int_eq(dial("named"), -1);
	ck_assert_str_eq(got.why, "no address: nxdomain");
	/* And there it is again. */
	use();
	wait_asked(4);
	say_host("127.0.0.4");
	end_host(true, 60, "");
	expect_peer(dial("named"), "127.0.0.4");
	close(filter);
}

END_TEST

START_TEST(without_a_resolver)
{
	int filter = listen_inet();

	add_host(port_of(filter));
	ck_assert_int_eq(dial("named"), -1);
	ck_assert_str_eq(got.why, "no address: the resolver is not there");
	connect_resolver();
	wait_asked(1);
	/* It dies over the question, and is back. */
	send_dial("named", 0, "inet:x@f.example");
	channel_free(&resolver);
	ck_assert_int_eq(answer(), -1);
	ck_assert_str_eq(got.why, "no address: the resolver is not there");
	connect_resolver();
	wait_asked(2);
	say_host("127.0.0.1");
	end_host(true, 60, "");
	expect_peer(dial("named"), "127.0.0.1");
	/* What is known stays without it. */
	channel_free(&resolver);
	expect_peer(dial("named"), "127.0.0.1");
	close(filter);
}

END_TEST

/* Another resolver is there before the end of the former one was seen: it is
 * asked the same, and nobody notices. */
START_TEST(another_resolver)
{
	int filter = listen_inet();

	connect_resolver();
	add_host(port_of(filter));
	wait_asked(1);
	send_dial("named", 0, "inet:x@f.example");
	send_dial("nobody", 0, "x");
	ck_assert_int_eq(answer(), -1);
	connect_resolver();
	wait_asked(2);
	say_host("127.0.0.1");
	end_host(true, 60, "");
	expect_peer(answer(), "127.0.0.1");
	/* And when the host goes with it. */
	use();
	wait_asked(3);
	connect_resolver();
	config_unref(&config);
	config = config_new();
	use();
	send_dial("nobody", 0, "x");
	ck_assert_int_eq(answer(), -1);
	close(filter);
}

END_TEST

START_TEST(a_host_that_leaves_the_configuration)
{
	struct config *old = config;

	connect_resolver();
	add_host(1);
	wait_asked(1);
	send_dial("named", 0, "inet:x@f.example");
	send_dial("nobody", 0, "x");
	/* The answer to the second says that the first one waits. */
	ck_assert_int_eq(answer(), -1);
	config = config_new();
	use();
	ck_assert_int_eq(answer(), -1);
	ck_assert_str_eq(
	    got.why, "no address: it is not in the configuration any more");
	config_unref(&config);
	config = old;
}

END_TEST

START_TEST(a_session_that_leaves)
{
	connect_resolver();
	add_host(1);
	wait_asked(1);
	send_dial("named", 0, "inet:x@f.example");
	send_dial("nobody", 0, "x");
	ck_assert_int_eq(answer(), -1);
	ck_assert_uint_eq(from_smtpd_counters()[2].value, 1);
	/* The same instance is there anew: nobody waits any more. */
	channel_free(&session);
	connect_session(0);
	ck_assert_uint_eq(from_smtpd_counters()[2].value, 0);
	say_host("127.0.0.1");
	end_host(true, 60, "");
	send_dial("nobody", 0, "x");
	ck_assert_int_eq(answer(), -1);
	ck_assert_uint_eq(got.nfaults, 1);
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("dialer");
	TCase *tc = tcase_create("dialer");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, hands_on_a_connection);
	tcase_add_test(tc, says_what_is_missing);
	tcase_add_test(tc, says_when_it_is_full);
	tcase_add_test(tc, waits_where_it_is_full);
	tcase_add_test(tc, leaves_where_it_is_full);
	tcase_add_test(tc, names_the_group);
	tcase_add_test(tc, only_what_is_configured);
	tcase_add_test(tc, connects_by_tcp);
	tcase_add_test(tc, not_where_nobody_can_be);
	tcase_add_test(tc, waits_for_addresses_and_takes_turns);
	tcase_add_test(tc, passes_over_addresses_that_cannot_be);
	tcase_add_test(tc, keeps_what_was_good);
	tcase_add_test(tc, without_a_resolver);
	tcase_add_test(tc, another_resolver);
	tcase_add_test(tc, a_host_that_leaves_the_configuration);
	tcase_add_test(tc, a_session_that_leaves);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
