/* The dialer where filters are named by host: the test is the session, the
 * filter and the resolver. */
#include "edges/dialer_resolver.h"
#include "tests/unit/dialer/dialing.h"

static struct channel *resolver;

/* What the resolver was asked last. */
static struct {
	size_t n;
	uint64_t id;
	char name[256];
	bool ipv6;
} asked;

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

static void
add_host(uint16_t port)
{
	struct milter_socket *s = add_milter("named", "inet:x@f.example");

	s->host = xstrdup("f.example");
	s->port = port;
	use();
}

/* The resolver is there, and asked for the host of a filter. */
static void
ask_for_host(uint16_t port)
{
	connect_resolver();
	add_host(port);
	wait_asked(1);
}

/* The same of a filter that listens. */
static int
ask_for_filter(void)
{
	int filter = listen_inet();

	ask_for_host(port_of(filter));
	return filter;
}

static void
close_all(void)
{
	channel_free(&resolver);
	close_session();
}

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
	int filter = ask_for_filter();

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
	int filter = ask_for_filter();

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
	int filter = ask_for_filter();

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
	int filter = ask_for_filter();

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

	ask_for_host(1);
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
	ask_for_host(1);
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
	Suite *suite = suite_create("dialer_hosts");
	TCase *tc = tcase_create("dialer_hosts");
	tcase_add_checked_fixture(tc, open_session, close_all);
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
