/* Connections: side by side, from which address, and to Unix sockets. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/fake_resolver.c"

#include "delivery/from_dialer.h"
#include "edges/delivery_dialer.h"

/* One host, two hosts as good, and two of which one is better. */
static const struct zone zone[] = {
	{ "one.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.test", 10, "127.0.0.1" }, { "a.test", 10, "127.0.0.2" } } },
	{ "alike.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.test", 10, "127.0.0.1" }, { "b.test", 10, "127.0.0.2" } } },
	{ "order.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.test", 10, "127.0.0.1" }, { "b.test", 20, "127.0.0.2" } } },
	{ "six.test", WAY_MX, WAY_FOUND, 300, "",
	    { { "a.test", 10, "192.0.2.1" }, { "a.test", 10, "::1" } } },
};

static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT_LOOP };

/* --- a place that does not answer --- */

enum { FILLERS = 64 };

static int hole_fd = -1, fillers[FILLERS];
static size_t nfillers;

/* At 127.0.0.HOST and servers[0]'s port: its listener takes nobody, and has
 * as many waiting as may. */
static void
dig_hole(uint32_t host, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK - 1 + host) } };
	struct sockaddr_storage peer;
	socklen_t len;

	hole_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(
	    bind(hole_fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(hole_fd, 0), 0);
	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		ck_assert_uint_lt(nfillers, FILLERS);
		fillers[nfillers++] = fd;
		(void)connect(fd, (struct sockaddr *)&sin, sizeof(sin));
		len = sizeof(peer);
		if (getpeername(fd, (struct sockaddr *)&peer, &len) == -1)
			return; /* this one waits */
	}
}

static void
fill_hole(void)
{
	channel_free(&names);
	if (hole_fd != -1)
		close(hole_fd);
	while (nfillers > 0)
		close(fillers[--nfillers]);
	hole_fd = -1;
}

/* One of the two at one port is good, the other does not answer. */
static void
start(uint32_t silent_host, const struct step *script)
{
	use_zones(zone, sizeof(zone) / sizeof(zone[0]));
	server_start_at(&servers[0], script, 3 - silent_host, 0);
	dig_hole(silent_host, servers[0].port);
	at_end = fill_hole;
}

static void
deliver(const char *url)
{
	char hop[64];
	struct mail m = to_one;

	snprintf(hop, sizeof(hop), "%s:%u", url, servers[0].port);
	m.hops = hop;
	give(&m);
	run(1);
}

static bool
is_dead(uint32_t host)
{
	struct hop_addr at = { .port = servers[0].port };
	char text[32];

	snprintf(text, sizeof(text), "127.0.0.%u", host);
	ck_assert_int_eq(addr_parse(str_of(text), &at.addr), 0);
	return hop_is_dead(&at, loop_now_ms(loop));
}

/* Whoever was first, the one that answers gets it, and nobody waits for the
 * other, which comes last for a while when it had its time. */
START_TEST(test_who_answers_wins)
{
	static const char *const urls[] = { "mx://one.test",
		"mx://alike.test" };
	uint64_t before = race_total();
	uint32_t silent_host = 1 + (uint32_t)_i % 2;

	start(silent_host, good);
	deliver(urls[_i / 2]);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 1);
	ck_assert_uint_le(race_total() - before, 2);
	ck_assert(is_dead(silent_host) == (race_total() - before == 2));
	ck_assert(!is_dead(3 - silent_host));
	ck_assert_uint_eq(conn_count(), 1);
}

END_TEST

/* Not one mail after the other waits for it. */
START_TEST(test_silent_one_is_remembered)
{
	uint64_t before = race_total();

	start(1, good);
	for (size_t i = 0; i < 20; i++) {
		deliver("mx://alike.test");
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
	}
	/* begun once at most, and the other one is kept */
	ck_assert_uint_le(race_total() - before, 2);
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

START_TEST(test_idle_beside)
{
	struct hop_addr at = { .port = 0 };
	uint64_t before;

	/* a connection to the good one is kept */
	start(1, good);
	at.port = servers[0].port;
	ck_assert_int_eq(addr_parse(STR("127.0.0.1"), &at.addr), 0);
	hop_mark_dead(&at, loop_now_ms(loop));
	deliver("mx://one.test");
	ck_assert_uint_eq(servers[0].npeers, 1);
	/* and taken as soon as the silent one was slow */
	for (unsigned int i = 0; i < 20; i++) {
		struct hop *h = hop_take(&at, loop_now_ms(loop));

		hop_set_alive(h);
		hop_release(h, loop_now_ms(loop));
		before = race_total();
		deliver("mx://one.test");
		ck_assert_uint_le(race_total() - before, 1);
	}
	ck_assert_uint_eq(servers[0].npeers, 1);
	ck_assert_uint_eq(conn_count(), 1);
}

END_TEST

/* A host that is no better has to wait until the other has failed. */
START_TEST(test_in_order_of_preference)
{
	numbers.connect_timeout = 3 * RACE_DELAY_MS;
	use_numbers();
	start(1, good);
	deliver("mx://order.test");
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(is_dead(1));
	ck_assert(!is_dead(2));
}

END_TEST

/* The winner turns us away: the one that was left has its turn again. */
START_TEST(test_who_was_left_comes_again)
{
	static const struct step busy[] = { { "", "421 4.3.2 busy\r\n", 0 },
		NOTHING };
	uint64_t before = race_total();

	numbers.connect_timeout = 3 * RACE_DELAY_MS;
	use_numbers();
	start(1 + (uint32_t)_i, busy);
	deliver("mx://alike.test");
	ck_assert_int_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(servers[0].npeers, 1);
	ck_assert(is_dead(1) && is_dead(2));
	/* the silent one first: begun, left, begun again */
	ck_assert_uint_le(race_total() - before, 3);
	ck_assert_uint_ge(race_total() - before, 2);
}

END_TEST

/* The work ends while both are on their way. */
START_TEST(test_dropped_in_the_middle)
{
	struct mail m = to_one;
	char hop[64];

	start(1, good);
	snprintf(hop, sizeof(hop), "smtp://127.0.0.1:%u", servers[0].port);
	m.hops = hop;
	give(&m);
	agent_drop_all();
	ck_assert_uint_eq(agent_count(), 0);
}

END_TEST

/* --- our end --- */

static void
use_sources(const char *one, const char *two)
{
	const char *const texts[] = { one, two };

	config->actions[0].nsources = 0;
	for (size_t i = 0; i < 2 && texts[i] != NULL; i++)
		ck_assert_int_eq(addr_parse(str_of(texts[i]),
				     &config->actions[0].sources[i]),
		    0);
	config->actions[0].nsources = two == NULL ? 1 : 2;
}

static void
expect_from(size_t peer, const char *address)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char text[ADDR_TEXT_MAX];
	struct addr a;

	ck_assert_int_eq(getpeername(stream_fd(servers[0].peers[peer]->stream),
			     (struct sockaddr *)&ss, &len),
	    0);
	addr_from_sockaddr((struct sockaddr *)&ss, len, &a, NULL);
	ck_assert_str_eq(addr_format(&a, text), address);
}

START_TEST(test_sources_take_turns)
{
	server_start(&servers[0], good);
	use_sources("127.0.0.5", "127.0.0.6");
	deliver_one(1);
	deliver_one(1);
	ck_assert_uint_eq(servers[0].npeers, 2);
	expect_from(0, "127.0.0.5");
	expect_from(1, "127.0.0.6");
	/* and so do the connections that are kept */
	deliver_one(1);
	deliver_one(1);
	ck_assert_uint_eq(servers[0].npeers, 2);
}

END_TEST

START_TEST(test_source_of_the_family)
{
	server_start(&servers[0], good);
	use_sources("::1", "127.0.0.7");
	deliver_one(1);
	deliver_one(1);
	ck_assert_uint_eq(servers[0].npeers, 1);
	expect_from(0, "127.0.0.7");
	/* none: not from anywhere else */
	use_sources("::1", NULL);
	deliver_one(1);
	expect(2, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_ptr_nonnull(strstr(told[2].reply, "family"));
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

/* That one address cannot be reached from here keeps no "never" from the
 * other one back. */
START_TEST(test_source_and_a_no)
{
	static const struct step never[] = { { "", "554 5.7.1 no\r\n", 0 },
		NOTHING };
	char hop[64];
	struct mail m = to_one;

	server_start(&servers[0], never);
	use_sources("127.0.0.7", NULL);
	snprintf(hop, sizeof(hop), "smtp://[::1]:%u smtp://127.0.0.1:%u",
	    servers[0].port, servers[0].port);
	m.hops = hop;
	give(&m);
	run(1);
	expect(0, OUTCOME_FAILED, 554, "5.7.1");
}

END_TEST

START_TEST(test_source_is_not_ours)
{
	server_start(&servers[0], good);
	use_sources("192.0.2.77", NULL);
	deliver_one(1);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_ptr_nonnull(strstr(told[0].reply,
	    "cannot connect from the source address 192.0.2.77"));
	ck_assert_uint_eq(servers[0].npeers, 0);
}

END_TEST

/* --- Unix sockets --- */

enum dialer_manner { DIALS, REFUSES, SAYS_NOTHING };

static struct channel *dialer;
static enum dialer_manner dialing;
static char dialed_action[65], dialed_path[108];
static unsigned int ndialed;

/* Its other end is a connection to servers[0]. */
static int
socket_to_server(void)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	int sv[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	p->server = &servers[0];
	p->script = servers[0].scripts[0];
	p->stream = stream_new(loop, sv[0], false, &peer_ops, p);
	servers[0].peers[servers[0].npeers++] = p;
	play(p);
	return sv[1];
}

static void
on_ask_dial_path(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_dial_path *m = msg;
	struct answer_path_dialed yes = { .socket = -1 };
	struct answer_path_not_dialed no = { .why = STR("nobody listens") };

	(void)ctx;
	ndialed++;
	copy(dialed_action, sizeof(dialed_action), m->action);
	copy(dialed_path, sizeof(dialed_path), m->path);
	if (dialing == DIALS) {
		yes.socket = socket_to_server();
		channel_tell(ch, TYPE_answer_path_dialed, &yes, id);
		close(yes.socket);
	} else if (dialing == REFUSES) {
		channel_tell(ch, TYPE_answer_path_not_dialed, &no, id);
	}
	check_until();
}

static void
on_dialer_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&dialer);
}

static void
disconnect_dialer(void)
{
	channel_free(&dialer);
	from_dialer_close();
}

static void
use_dialer(enum dialer_manner how)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_dial_path, on_ask_dial_path },
		{ 0, NULL },
	};
	int sv[2];

	dialing = how;
	ndialed = 0;
	server_start(&servers[0], good);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	dialer = channel_new(loop, sv[0], &delivery_dialer_edge, EDGE_B,
	    handlers, on_dialer_closed, NULL);
	from_dialer_open(sv[1]);
	at_end = disconnect_dialer;
}

static void
deliver_to_path(const char *url, unsigned int n)
{
	struct mail m = to_one;

	m.hops = url;
	for (unsigned int i = 0; i < n; i++) {
		give(&m);
		run(1);
	}
}

START_TEST(test_path)
{
	use_dialer(DIALS);
	deliver_to_path("smtp+unix:///run/x/mta", 2);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_str_eq(told[0].relay, "/run/x/mta");
	ck_assert_str_eq(dialed_path, "/run/x/mta");
	ck_assert_str_eq(dialed_action, "out");
	/* kept, as any other; another path is another place */
	ck_assert_uint_eq(ndialed, 1);
	deliver_to_path("smtp+unix:///run/x/other", 1);
	expect(2, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(ndialed, 2);
	ck_assert_str_eq(told[2].relay, "/run/x/other");
}

END_TEST

START_TEST(test_path_is_refused)
{
	use_dialer(REFUSES);
	deliver_to_path("smtp+unix:///run/x", 1);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_str_eq(told[0].reply, "connect: nobody listens");
	ck_assert_str_eq(told[0].relay, "/run/x");
	ck_assert_uint_eq(nunreachable, 1);
}

END_TEST

START_TEST(test_path_without_a_dialer)
{
	server_start(&servers[0], good);
	deliver_to_path("smtp+unix:///run/x", 1);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_ptr_nonnull(strstr(told[0].reply, "dialer"));
}

END_TEST

static bool
was_dialed(void)
{
	return ndialed > 0;
}

/* It dies while it is asked, the work is dropped, or its time is over. */
START_TEST(test_path_and_no_answer)
{
	struct mail m = to_one;

	numbers.connect_timeout = 300;
	use_numbers();
	use_dialer(SAYS_NOTHING);
	m.hops = "smtp+unix:///run/x";
	give(&m);
	until = was_dialed;
	loop_run(loop);
	until = NULL;
	if (_i == 0) {
		agent_drop_all();
		ck_assert_uint_eq(agent_count(), 0);
		return;
	}
	if (_i == 1)
		channel_free(&dialer);
	run(1);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
}

END_TEST

/* A new one comes in the round in which a work ends that asked the old one. */
START_TEST(test_path_and_another_dialer)
{
	struct mail m = to_one;
	int sv[2];

	use_dialer(SAYS_NOTHING);
	m.hops = "smtp+unix:///run/x";
	give(&m);
	until = was_dialed;
	loop_run(loop);
	until = NULL;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_dialer_open(sv[1]);
	if (_i == 0) {
		agent_drop_all();
	} else {
		run(1);
		expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
	}
	ck_assert_uint_eq(agent_count(), 0);
	close(sv[0]);
}

END_TEST

START_TEST(test_path_is_ours)
{
	use_dialer(DIALS);
	free(config->submit_path);
	config->submit_path = xstrdup("/run/postern/submit");
	deliver_to_path("smtp+unix:///run/postern/submit", 1);
	expect(0, OUTCOME_FAILED, 0, "5.4.6");
	ck_assert_uint_eq(ndialed, 0);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "wins", test_who_answers_wins, 4 },
		{ "remembered", test_silent_one_is_remembered, 1 },
		{ "idle beside", test_idle_beside, 1 },
		{ "order", test_in_order_of_preference, 1 },
		{ "again", test_who_was_left_comes_again, 2 },
		{ "dropped", test_dropped_in_the_middle, 1 },
		{ "sources", test_sources_take_turns, 1 },
		{ "family", test_source_of_the_family, 1 },
		{ "source and no", test_source_and_a_no, 1 },
		{ "not ours", test_source_is_not_ours, 1 },
		{ "path", test_path, 1 },
		{ "refused", test_path_is_refused, 1 },
		{ "no dialer", test_path_without_a_dialer, 1 },
		{ "no answer", test_path_and_no_answer, 3 },
		{ "another dialer", test_path_and_another_dialer, 2 },
		{ "ours", test_path_is_ours, 1 },
	};

	return run_tests("race", tests, sizeof(tests) / sizeof(tests[0]));
}
