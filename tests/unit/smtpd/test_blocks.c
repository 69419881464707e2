/* Who may not come in: the list as the queue tells it, the configuration's
 * tables, and which of them decides. */
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "smtpd/blocks.h"
#include "tests/unit/smtpd/sources_table.h"
#include "tests/unit/smtpd/talk.h"

static void
add(enum block_kind kind, const char *net, uint64_t until_ms,
    const char *reason)
{
	struct tell_block m = { .kind = (uint8_t)kind,
		.network = str_of(net),
		.until_ms = until_ms,
		.reason = str_of(reason) };

	blocks_add(&m);
}

/* '-', 'a', 'd'; the reply and why of the last one. */
static const char *reply, *why;

static char
find(const char *client)
{
	static const char letters[] = { [BLOCKS_NOTHING] = '-',
		[BLOCKS_ALLOW] = 'a',
		[BLOCKS_DENY] = 'd' };
	struct addr a;

	ck_assert_int_eq(addr_parse(str_of(client), &a), 0);
	enum blocks_verdict v = blocks_find(h.config, &a, &reply, &why);
	ck_assert_int_eq(v == BLOCKS_DENY, reply != NULL);
	ck_assert_int_eq(v == BLOCKS_NOTHING, why == NULL);
	return letters[v];
}

START_TEST(the_longest)
{
	static const struct {
		const char *client;
		char verdict;
	} cases[] = { { "192.0.2.1", 'd' }, { "192.0.2.7", 'a' },
		{ "192.0.2.8", 'd' }, { "192.0.2.16", 'a' },
		{ "192.0.2.31", 'a' }, { "192.0.2.32", 'd' },
		{ "192.0.3.1", '-' }, { "2001:db8::1", 'd' },
		{ "2001:db8:0:1::1", 'd' }, { "2001:db8:1::1", 'a' },
		{ "2001:db9::1", '-' }, { "::ffff:192.0.2.1", 'd' },
		{ "::1", '-' }, { "fe80::1%2", 'd' } };

	blocks_begin(8);
	add(BLOCK_DENY, "192.0.2.0/24", 0, "they hammer");
	add(BLOCK_ALLOW, "2001:db8:1::/48", 0, "");
	add(BLOCK_ALLOW, "192.0.2.7", 0, "a good one");
	add(BLOCK_ALLOW, "192.0.2.16/28", 0, "");
	/* It does not hold before it is whole. */
	ck_assert_int_eq(find("192.0.2.1"), '-');
	add(BLOCK_DENY, "2001:db8::/32", 0, "");
	add(BLOCK_DENY, "192.0.2.8/29", 0, "");
	add(BLOCK_DENY, "fe80::/10", 0, "");
	add(BLOCK_DENY, "not a network", 0, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(find(cases[i].client) == cases[i].verdict, "%s",
		    cases[i].client);
	find("192.0.2.1");
	ck_assert_str_eq(reply, "554 5.7.1 Access denied");
	ck_assert_str_eq(why, "entry 192.0.2.0/24: they hammer");
	struct addr local = { .family = ADDR_LOCAL };
	ck_assert_int_eq(
	    blocks_find(h.config, &local, &reply, &why), BLOCKS_NOTHING);
	/* Another list takes its place, whole. */
	blocks_begin(1);
	ck_assert_int_eq(find("192.0.2.1"), 'd');
	add(BLOCK_DENY, "192.0.3.1", 0, "");
	ck_assert_int_eq(find("192.0.2.1"), '-');
	ck_assert_int_eq(find("192.0.3.1"), 'd');
	blocks_begin(0);
	ck_assert_int_eq(find("192.0.3.1"), '-');
}

END_TEST

START_TEST(changes)
{
	blocks_begin(0);
	add(BLOCK_DENY, "192.0.2.0/24", 0, "one");
	ck_assert_int_eq(find("192.0.2.1"), 'd');
	add(BLOCK_ALLOW, "192.0.2.0/24", 0, "two");
	ck_assert_int_eq(find("192.0.2.1"), 'a');
	ck_assert_str_eq(why, "entry 192.0.2.0/24: two");
	add(BLOCK_DENY, "192.0.2.1", 0, "three");
	add(BLOCK_DENY, "0.0.0.0/0", 0, "all");
	ck_assert_int_eq(find("192.0.2.1"), 'd');
	ck_assert_int_eq(find("192.0.2.2"), 'a');
	ck_assert_int_eq(find("8.8.8.8"), 'd');
	add(BLOCK_DENY, "192.0.2.1", 1, "");
	ck_assert_int_eq(find("192.0.2.1"), 'a');
	add(BLOCK_DENY, "192.0.2.9", 1, "was never there");
	add(BLOCK_DENY, "0.0.0.0/0", 1, "");
	add(BLOCK_DENY, "192.0.2.0/24", 1, "");
	ck_assert_int_eq(find("192.0.2.1"), '-');
}

END_TEST

/* An entry whose time is over does not hold, whether it was said or not; the
 * next longer one does. */
START_TEST(time_ends)
{
	uint64_t until = clock_wall_ms() + 30;

	blocks_begin(2);
	add(BLOCK_DENY, "192.0.2.1", until, "");
	add(BLOCK_ALLOW, "192.0.2.0/24", 0, "");
	ck_assert(find("192.0.2.1") == 'd' || clock_wall_ms() >= until);
	while (clock_wall_ms() < until)
		continue;
	ck_assert_int_eq(find("192.0.2.1"), 'a');
}

END_TEST

START_TEST(configured)
{
	h.config->allow_from = sources_table("192.0.2.0/28");
	h.config->deny_from = sources_table("192.0.2.0/24");
	ck_assert_int_eq(find("192.0.2.1"), 'a');
	ck_assert_int_eq(find("192.0.2.99"), 'd');
	ck_assert_str_eq(reply, "554 5.7.1 Access denied");
	ck_assert_str_eq(why, "configured 192.0.2.0/24");
	ck_assert_int_eq(find("192.0.3.1"), '-');
	h.config->deny_reply = xstrdup("550 5.7.1 not you");
	find("192.0.2.99");
	ck_assert_str_eq(reply, "550 5.7.1 not you");
	/* Of equal ones the administrator's. */
	blocks_begin(3);
	add(BLOCK_DENY, "192.0.2.0/28", 0, "");
	add(BLOCK_ALLOW, "192.0.0.0/16", 0, "");
	add(BLOCK_ALLOW, "192.0.2.99", 0, "");
	ck_assert_int_eq(find("192.0.2.1"), 'd');
	ck_assert_str_eq(reply, "550 5.7.1 not you");
	ck_assert_int_eq(find("192.0.2.98"), 'd');
	ck_assert_int_eq(find("192.0.2.99"), 'a');
	ck_assert_int_eq(find("192.0.3.1"), 'a');
	table_free(&h.config->allow_from);
	h.config->allow_from = sources_table("192.0.2.0/24");
	blocks_begin(0);
	ck_assert_int_eq(find("192.0.2.99"), 'a');
	table_free(&h.config->allow_from);
	table_free(&h.config->deny_from);
}

END_TEST

/* Against the plain way, with networks of every length. */
START_TEST(any_list)
{
	enum { N = 400 };

	static struct addr_net nets[N];
	char text[80], address[ADDR_TEXT_MAX];

	for (int round = 0; round < 20; round++) {
		blocks_begin(N);
		for (size_t i = 0; i < N; i++) {
			struct addr_net *n = &nets[i];

			memset(n, 0, sizeof(*n));
			n->addr.family = random() % 2 ? ADDR_V4 : ADDR_V6;
			n->bits =
			    (uint8_t)(random() %
				      (n->addr.family == ADDR_V4 ? 33 : 129));
			for (unsigned int k = 0; k < n->bits; k++)
				if (random() % 8 == 0)
					n->addr.bytes[k / 8] |=
					    (uint8_t)(0x80 >> k % 8);
			snprintf(text, sizeof(text), "%s/%u",
			    addr_format(&n->addr, address), n->bits);
			add(BLOCK_DENY, text, 0, "");
		}
		for (int look = 0; look < 500; look++) {
			struct addr a = nets[random() % N].addr;
			int best = -1;

			for (unsigned int k = 0; k < 4; k++)
				if (random() % 2 == 0)
					a.bytes[random() %
						(a.family == ADDR_V4 ? 4 :
								       16)] ^=
					    (uint8_t)(1 << random() % 8);
			for (size_t i = 0; i < N; i++)
				if (addr_net_has(&nets[i], &a) &&
				    nets[i].bits > best)
					best = nets[i].bits;
			enum blocks_verdict v =
			    blocks_find(h.config, &a, &reply, &why);
			ck_assert_int_eq(v == BLOCKS_DENY, best >= 0);
			if (best < 0)
				continue;
			snprintf(text, sizeof(text), "/%d", best);
			ck_assert_ptr_nonnull(strstr(why, text));
		}
	}
}

END_TEST

/* By the channel, and what a session hears that is blocked meanwhile. */
START_TEST(in_the_middle)
{
	struct tell_blocks none = { 0 };
	struct tell_block m = { .kind = BLOCK_DENY,
		.network = STR("192.0.2.1") };

	accept_all();
	begin();
	channel_tell(h.fake.ch, TYPE_tell_blocks, &none, 0);
	harness_settle(&h);
	TALK("MAIL FROM:<a@b>\r\nRSET\r\n", "250 250");
	channel_tell(h.fake.ch, TYPE_tell_block, &m, 0);
	harness_settle(&h);
	TALK("NOOP\r\n", "250");
	uint64_t before = stats_all()[STAT_BLOCKED].value;
	TALK("MAIL FROM:<a@b>\r\n", "421 EOF");
	ck_assert_uint_eq(stats_all()[STAT_BLOCKED].value, before + 1);
}

END_TEST

/* The end of a session that lingers is logged with its own reason, not with
 * that of whoever was looked for since. */
START_TEST(logged_late)
{
	struct tell_block m = { .kind = BLOCK_DENY,
		.network = STR("192.0.2.1"),
		.reason = STR("mine") };
	struct tell_blocks none = { 0 };
	char text[8192];
	int fd = memfd_create("log", MFD_CLOEXEC);
	ssize_t n;

	log_set_fd(fcntl(fd, F_DUPFD_CLOEXEC, 0), LOG_SINK_STREAM);
	blocks_begin(0);
	begin();
	channel_tell(h.fake.ch, TYPE_tell_blocks, &none, 0);
	channel_tell(h.fake.ch, TYPE_tell_block, &m, 0);
	m.network = STR("192.0.2.2");
	m.reason = STR("another");
	channel_tell(h.fake.ch, TYPE_tell_block, &m, 0);
	harness_settle(&h);
	harness_say(&h, STR("MAIL FROM:<a@b>\r\n"), 1);
	ck_assert_int_eq(find("192.0.2.2"), 'd');
	harness_hang_up(&h);
	log_flush();
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, " by=\"entry 192.0.2.1/32: mine\""));
	ck_assert_ptr_nonnull(strstr(text, " why=blocked "));
	ck_assert_ptr_nonnull(strstr(text, " reason=blocked "));
	ck_assert_ptr_null(strstr(text, "another"));
}

END_TEST

static void
setup_blocks(void)
{
	setup();
	blocks_clear();
}

static void
teardown_blocks(void)
{
	blocks_clear();
	teardown();
}

int
main(void)
{
	const TTest *const tests[] = { the_longest, changes, time_ends,
		configured, any_list, in_the_middle, logged_late };

	return run_tests_in("blocks", tests, sizeof(tests) / sizeof(tests[0]),
	    setup_blocks, teardown_blocks);
}
