/* Who may not come in: entries, their end, the file, what smtpds hear. */
#include "tests/unit/queue/house.h"

static void
block(const char *net, bool allow, uint64_t duration_ms, const char *reason)
{
	struct ask_block m = { .network = str_of(net),
		.allow = allow,
		.duration_ms = duration_ms,
		.reason = str_of(reason),
		.uid = 7 };

	ask(TYPE_ask_block, &m);
}

static void
unblock(const char *net)
{
	struct ask_unblock m = { .network = str_of(net), .uid = 7 };

	ask(TYPE_ask_unblock, &m);
}

static const char *
list(void)
{
	struct ask_blocks m = { 0 };

	t.nblocks = 0;
	ask(TYPE_ask_blocks, &m);
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	ck_assert_uint_eq(t.done.matched, t.nblocks);
	return t.rows;
}

static void
restart(void)
{
	stop_queue(true);
	t.told[0] = '\0';
	start_queue();
}

static void
path(const char *name, char out[static 200])
{
	snprintf(out, 200, "%s/%s", t.dir, name);
}

START_TEST(entries)
{
	ck_assert_str_eq(list(), "");
	block("192.0.2.0/24", false, 0, "they hammer");
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	ck_assert_uint_eq(t.done.changed, 1);
	block("192.0.2.7", true, 3600000, "");
	block("2001:db8::/32", false, 0, "six");
	/* In the place of the one there was. */
	block("192.0.2.0/24", true, 0, "not any more");
	ck_assert_str_eq(list(), "allow 192.0.2.0/24 7 not any more\n"
				 "allow 192.0.2.7/32 7 ends \n"
				 "deny 2001:db8::/32 7 six\n");
	wait_for(&t.ntold, 4);
	ck_assert_str_eq(t.told,
	    "all 0: deny 192.0.2.0/24 they hammer allow 192.0.2.7/32"
	    " deny 2001:db8::/32 six allow 192.0.2.0/24 not any more");
	unblock("192.0.2.7");
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	unblock("192.0.2.7");
	ck_assert_uint_eq(t.done.code, ANSWER_NOT_FOUND);
	wait_for(&t.ntold, 5);
	ck_assert_ptr_nonnull(strstr(t.told, " gone 192.0.2.7/32"));
	ck_assert_str_eq(list(), "allow 192.0.2.0/24 7 not any more\n"
				 "deny 2001:db8::/32 7 six\n");
}

END_TEST

START_TEST(nonsense)
{
	static const struct {
		const char *net, *reason;
	} cases[] = { { "", "" }, { "banana", "" }, { "192.0.2.1/24", "" },
		{ "192.0.2.0/33", "" }, { "local", "" },
		{ "192.0.2.1", "a\nb" }, { "192.0.2.1", "\033[2J" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		block(cases[i].net, false, 0, cases[i].reason);
		ck_assert_uint_eq(t.done.code, ANSWER_REFUSED_IT);
	}
	unblock("banana");
	ck_assert_uint_eq(t.done.code, ANSWER_REFUSED_IT);
	ck_assert_str_eq(list(), "");
}

END_TEST

START_TEST(a_restart_leaves_them)
{
	char reason[513];

	memset(reason, 'r', 512);
	reason[512] = '\0';
	block("192.0.2.0/24", false, 0, "a  reason ");
	block("2001:db8::1", true, 7200000, reason);
	for (int i = 0; i < 3; i++) {
		restart();
		wait_for(&t.ntold, t.ntold + 2);
		ck_assert_int_eq(
		    strncmp(t.told,
			"all 2: deny 192.0.2.0/24 a  reason  allow "
			"2001:db8::1/128 rrr",
			60),
		    0);
		ck_assert_ptr_nonnull(strstr(list(),
		    "deny 192.0.2.0/24 7 a  reason \nallow 2001:db8::1/128 7 "
		    "ends rrr"));
	}
	unblock("192.0.2.0/24");
	unblock("2001:db8::1");
	restart();
	ck_assert_str_eq(list(), "");
}

END_TEST

START_TEST(they_end)
{
	block("192.0.2.1", false, 30, "");
	block("192.0.2.2", false, 3600000, "");
	wait_for(&t.ntold, 3);
	ck_assert_ptr_nonnull(strstr(t.told, " gone 192.0.2.1/32"));
	ck_assert_str_eq(list(), "deny 192.0.2.2/32 7 ends \n");
	restart();
	ck_assert_str_eq(list(), "deny 192.0.2.2/32 7 ends \n");
}

END_TEST

/* Its end came while nobody was there. */
START_TEST(ended_meanwhile)
{
	uint64_t until;

	block("192.0.2.1", false, 20, "");
	block("192.0.2.2", false, 0, "");
	until = clock_wall_ms() + 20;
	stop_queue(true);
	while (clock_wall_ms() <= until)
		continue;
	start_queue();
	ck_assert_str_eq(list(), "deny 192.0.2.2/32 7 \n");
}

END_TEST

static void
spoil(const char *text, size_t len)
{
	char name[200];
	int fd;

	path("blocks", name);
	fd = open(name, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

START_TEST(damaged)
{
	static const char *const texts[] = { "", "x", "postern blocks 1 ",
		"postern blocks 1 00000000", "postern blocks 1 00000001\n",
		"postern blocks 2 00000000\n",
		/* The sum is right, the line is not. */
		"postern blocks 1 a736e347\nbanana\n" };
	char name[200];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		block("192.0.2.1", false, 0, "");
		stop_queue(true);
		spoil(texts[i], strlen(texts[i]));
		start_queue();
		/* No line at all is what it looks like. */
		ck_assert_str_eq(list(), "");
		path("blocks", name);
		ck_assert_int_eq(access(name, F_OK), i == 3 ? 0 : -1);
	}
}

END_TEST

/* What cannot be read is not written over. */
START_TEST(unreadable)
{
	char name[200], command[300];

	stop_queue(true);
	path("blocks", name);
	ck_assert_int_eq(mkdir(name, 0700), 0);
	start_queue();
	ck_assert_str_eq(list(), "");
	ck_assert_int_eq(access(name, F_OK), -1);
	block("192.0.2.1", false, 0, "");
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	snprintf(command, sizeof(command),
	    "test -f %s && rmdir %s/corrupt/blocks.*", name, t.dir);
	ck_assert_int_eq(system(command), 0);
}

END_TEST

/* Each bit of it counts. */
START_TEST(any_bit)
{
	char name[200], whole[500];
	ssize_t n;
	int fd;

	block("192.0.2.1", false, 0, "r");
	stop_queue(true);
	path("blocks", name);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = read(fd, whole, sizeof(whole));
	close(fd);
	ck_assert_int_gt(n, 40);
	for (ssize_t i = 0; i < n; i += 3) {
		whole[i] ^= 4;
		spoil(whole, (size_t)n);
		whole[i] ^= 4;
		start_queue();
		ck_assert_str_eq(list(), "");
		stop_queue(true);
	}
	spoil(whole, (size_t)n);
	start_queue();
	ck_assert_str_eq(list(), "deny 192.0.2.1/32 7 r\n");
}

END_TEST

START_TEST(too_many)
{
	struct block b = { .since_ms = 1 };
	size_t n = 0;

	ck_assert_int_eq(addr_net_parse(STR("10.0.0.0"), &b.net), 0);
	for (; n < BLOCKS_MAX; n++) {
		b.net.addr.bytes[2] = (uint8_t)(n >> 8);
		b.net.addr.bytes[3] = (uint8_t)n;
		ck_assert_int_eq(blocks_set(t.q, &b, STR("x")), 0);
	}
	block("192.0.2.1", false, 0, "");
	ck_assert_uint_eq(t.done.code, ANSWER_REFUSED_IT);
	/* In the place of another one there is room. */
	block("10.0.0.1", true, 0, "");
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	list();
	ck_assert_uint_eq(t.nblocks, BLOCKS_MAX);
	restart();
	list();
	ck_assert_uint_eq(t.nblocks, BLOCKS_MAX);
}

END_TEST

/* The disk takes nothing: it holds now, and that is what is said. */
START_TEST(unsaved)
{
	char name[200];

	path("blocks.new", name);
	ck_assert_int_eq(mkdir(name, 0700), 0);
	block("192.0.2.1", false, 0, "");
	ck_assert_uint_eq(t.done.code, ANSWER_UNAVAILABLE);
	ck_assert_str_eq(list(), "deny 192.0.2.1/32 7 \n");
	ck_assert(timer_is_set(t.q->blocks.list.again));
	ck_assert_int_eq(rmdir(name), 0);
	block("192.0.2.2", false, 0, "");
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	ck_assert(!timer_is_set(t.q->blocks.list.again));
	restart();
	ck_assert_str_eq(
	    list(), "deny 192.0.2.1/32 7 \ndeny 192.0.2.2/32 7 \n");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { entries, nonsense, a_restart_leaves_them,
		they_end, ended_meanwhile, damaged, unreadable, any_bit,
		too_many, unsaved };

	return HOUSE_RUN("block_list", tests);
}
