/* Stress: what it comes from, what holds meanwhile, and when it is over. */
#include <sys/resource.h>

#include "lib/net/sources.h"
#include "smtpd/blocks.h"
#include "smtpd/entrance.h"
#include "smtpd/limits.h"
#include "smtpd/stress.h"
#include "tests/unit/smtpd/talk.h"

enum { CONNECTIONS = 100, MINUTE = 60000 };

static uint64_t now = 1000000;
static uint32_t tickets[CONNECTIONS];
static size_t nopen;

/* So many are open. */
static void
open_connections(size_t n)
{
	struct addr a = { .family = ADDR_V4, .bytes = { 192, 0, 2, 1 } };
	const char *why;

	for (; nopen > n; nopen--)
		limits_leave(0, tickets[nopen - 1]);
	for (; nopen < n; nopen++)
		ck_assert_ptr_null(
		    limits_enter(h.config, &a, 0, true, &tickets[nopen], &why));
}

static void
look(uint64_t later_ms)
{
	now += later_ms;
	stress_look_at(h.config, now);
	ck_assert_uint_eq(
	    stats_all()[STAT_STRESS].value, stress_is_on() ? 1 : 0);
}

static void
setup_stress(void)
{
	struct fault why;

	setup();
	h.config->limits.connections = CONNECTIONS;
	h.config->limits.stress = 80;
	ck_assert_int_eq(limits_set_sources(0, sources_create(1, &why)), 0);
	nopen = 0;
	look(0);
	look(2 * MINUTE);
	ck_assert(!stress_is_on());
}

static void
teardown_stress(void)
{
	open_connections(0);
	look(0);
	look(2 * MINUTE);
	teardown();
}

START_TEST(patience)
{
	struct limits *l = &h.config->limits;

	ck_assert_uint_eq(stress_command_timeout(l), l->command_timeout);
	ck_assert_uint_eq(stress_handshake_timeout(l), l->handshake_timeout);
	ck_assert_uint_eq(stress_write_timeout(l), l->write_timeout);
	ck_assert_uint_eq(stress_errors(l), l->errors);
	ck_assert_uint_eq(stress_junk(l), l->junk_commands);
	open_connections(80);
	look(0);
	ck_assert(stress_is_on());
	ck_assert_uint_eq(stress_command_timeout(l), l->stress_timeout);
	ck_assert_uint_lt(stress_handshake_timeout(l), l->handshake_timeout);
	ck_assert_uint_eq(stress_write_timeout(l), l->stress_timeout);
	ck_assert_uint_eq(stress_errors(l), l->stress_errors);
	ck_assert_uint_eq(stress_junk(l), l->stress_junk_commands);
	/* Never longer than without. */
	l->command_timeout = l->handshake_timeout = l->write_timeout = 100;
	l->errors = l->junk_commands = 1;
	ck_assert_uint_eq(stress_command_timeout(l), 100);
	ck_assert_uint_eq(stress_handshake_timeout(l), 100);
	ck_assert_uint_eq(stress_write_timeout(l), 100);
	ck_assert_uint_eq(stress_errors(l), 1);
	ck_assert_uint_eq(stress_junk(l), 1);
}

END_TEST

START_TEST(on_and_off)
{
	open_connections(79);
	look(0);
	ck_assert(!stress_is_on());
	open_connections(80);
	look(1000);
	ck_assert(stress_is_on());
	/* It lasts until it is well below, for a minute. */
	open_connections(60);
	look(10 * MINUTE);
	look(10 * MINUTE);
	ck_assert(stress_is_on());
	open_connections(59);
	look(1000);
	look(MINUTE - 1);
	ck_assert(stress_is_on());
	open_connections(70);
	look(1);
	open_connections(10);
	look(1000);
	look(MINUTE - 1);
	ck_assert(stress_is_on());
	look(1);
	ck_assert(!stress_is_on());
}

END_TEST

/* The limit itself says when there is no place; here there still is one. */
START_TEST(sessions_are_never_full)
{
	open_connections(CONNECTIONS);
	look(0);
	ck_assert(stress_is_on());
	ck_assert(!stress_is_full());
}

END_TEST

START_TEST(descriptors)
{
	struct rlimit had, rl;
	int fds[64], n = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &had), 0);
	rl = had;
	rl.rlim_cur = 80; /* 16 of them for the process */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	look(0);
	ck_assert(!stress_is_on());
	while (n < 64 && (fds[n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) != -1) {
		if (fds[n++] == 55)
			break;
	}
	look(1000);
	ck_assert(stress_is_on());
	ck_assert(!stress_is_full());
	while (n < 64 && (fds[n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) != -1)
		n++;
	look(1000);
	ck_assert(stress_is_full());
	while (n > 0)
		close(fds[--n]);
	look(1000);
	ck_assert(!stress_is_full());
	ck_assert(stress_is_on());
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
}

END_TEST

static const char *
entrance_reply(const char *client)
{
	struct entrance e;
	struct addr a = { .family = ADDR_LOCAL };

	if (client != NULL)
		ck_assert_int_eq(addr_parse(str_of(client), &a), 0);
	entrance_ask(&e, h.config, &h.config->listeners[0], &a);
	if (e.reply != NULL)
		return e.reply;
	limits_leave(h.config->listeners[0].id, e.ticket);
	return "";
}

/* Newcomers hear 421; who is trusted comes in, and who is there goes on; and
 * so does everybody when there is room again. */
START_TEST(full)
{
	struct tell_block ours = { .kind = BLOCK_ALLOW,
		.network = STR("192.0.2.7") };
	uint64_t refused = stats_all()[STAT_STRESS_REFUSED].value;
	struct rlimit had, rl;
	int fd;

	blocks_clear();
	blocks_add(&ours);
	accept_all();
	begin();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &had), 0);
	rl = had;
	fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
	rl.rlim_cur = (rlim_t)fd + 16;
	close(fd);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	look(1000);
	ck_assert_str_eq(
	    entrance_reply("192.0.2.1"), "421 4.3.2 Too busy, try again later");
	ck_assert_str_eq(entrance_reply("192.0.2.7"), "");
	ck_assert_str_eq(entrance_reply(NULL), "");
	ck_assert_uint_eq(stats_all()[STAT_STRESS_REFUSED].value, refused + 1);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
	look(1000);
	ck_assert_str_eq(entrance_reply("192.0.2.1"), "");
	blocks_clear();
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { patience, on_and_off,
		sessions_are_never_full, descriptors, full };

	return run_tests_in("stress", tests, sizeof(tests) / sizeof(tests[0]),
	    setup_stress, teardown_stress);
}
