/* The dialer and delivery: the test is an agent that asks for connections to
 * Unix sockets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "edges/delivery_dialer.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/rules/config.h"
#include "milters/dialer/crowd.h"
#include "milters/dialer/from_delivery.h"
#include "milters/dialer/reach.h"

static struct loop *loop;
static struct config *config;
static struct channel *agent;
static struct timer *watchdog;
static char dir[64], path[100], url[120];

/* The answer. */
static int got_fd;
static char got_why[201];
static unsigned int nanswers, awaited;

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_path_dialed *yes = msg;
	const struct answer_path_not_dialed *no = msg;

	(void)ctx;
	if (fault != NULL)
		return; /* of an agent that went */
	nanswers++;
	if (type == TYPE_answer_path_dialed)
		got_fd = yes->socket;
	else
		snprintf(got_why, sizeof(got_why), "%.*s", (int)no->why.len,
		    no->why.p);
	if (nanswers == awaited)
		loop_stop(loop);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&agent);
}

static void
connect_agent(uint16_t instance)
{
	static const struct handler handlers[] = {
		{ 0, NULL },
	};
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	channel_free(&agent);
	agent = channel_new(loop, sv[0], &delivery_dialer_edge, EDGE_A,
	    handlers, on_closed, NULL);
	from_delivery_add(instance, sv[1]);
}

static void
on_watchdog(void *ctx)
{
	(void)ctx;
	ck_abort_msg("nothing happens any more");
}

static struct action *
add_action(const char *name, enum action_kind kind)
{
	struct action *a = &config->actions[config->nactions++];

	a->name = xstrdup(name);
	a->kind = kind;
	return a;
}

static struct table *
table_of(const char *key, const char *value)
{
	struct table_builder *b = table_builder_new("routes");
	struct fault why;
	struct table *t;

	ck_assert_int_eq(
	    table_builder_add(b, STR("other.test"), "smtp://192.0.2.1", &why),
	    0);
	ck_assert_int_eq(table_builder_add(b, str_of(key), value, &why), 0);
	t = table_open(table_builder_seal(&b, &why), "routes", &why);
	ck_assert_ptr_nonnull(t);
	return t;
}

static void
setup(void)
{
	log_init("dialer", 1, "test");
	log_set_level(LOG_LEVEL_WARN);
	loop = loop_new();
	watchdog = timer_new(loop, on_watchdog, NULL);
	timer_set(watchdog, 60000);
	snprintf(dir, sizeof(dir), "/tmp/test-next-hops.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lmtp", dir);
	snprintf(url, sizeof(url), "lmtp+unix://%s", path);
	reach_init();
	crowd_init(loop);
	from_delivery_init(loop);
	config = config_new();
	config->actions = xcalloc(4, sizeof(*config->actions));
	config->tables = xcalloc(1, sizeof(struct table *));
	connect_agent(0);
	got_fd = -1;
	got_why[0] = '\0';
}

static void
teardown(void)
{
	if (got_fd != -1)
		close(got_fd);
	channel_free(&agent);
	config_unref(&config);
	config = config_new();
	from_delivery_set_config(config);
	config_unref(&config);
	loop_settle(loop);
	timer_free(&watchdog);
	unlink(path);
	rmdir(dir);
}

static int
listen_at(const char *where, int backlog)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", where);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

static void
ask(const char *action, const char *where)
{
	struct ask_dial_path m = { .action = str_of(action),
		.path = str_of(where) };

	channel_ask(agent, TYPE_ask_dial_path, &m, on_answer, NULL);
}

/* true: there is a connection. */
static bool
dial(const char *action, const char *where)
{
	got_fd = -1;
	got_why[0] = '\0';
	awaited = nanswers + 1;
	ask(action, where);
	loop_run(loop);
	return got_fd != -1;
}

START_TEST(test_dialed)
{
	int listener = listen_at(path, 4), conn;
	uint64_t before = from_delivery_dialed();
	char byte = 0;

	add_action("in", ACTION_RELAY)->hops = xstrdup(url);
	from_delivery_set_config(config);
	ck_assert_msg(dial("in", path), "%s", got_why);
	conn = accept(listener, NULL, NULL);
	ck_assert_int_ge(conn, 0);
	ck_assert_int_eq(write(conn, "x", 1), 1);
	ck_assert_int_eq(read(got_fd, &byte, 1), 1);
	/* the dialer kept no end of it */
	close(got_fd);
	got_fd = -1;
	ck_assert_int_eq(read(conn, &byte, 1), 0);
	ck_assert_uint_eq(from_delivery_dialed(), before + 1);
	close(conn);
	close(listener);
}

END_TEST

/* Among several, and in a table of routes. */
START_TEST(test_which_are_dialed)
{
	int listener = listen_at(path, 8);
	char many[300];

	snprintf(many, sizeof(many), "smtp://192.0.2.1:25 %s", url);
	add_action("several", ACTION_RELAY)->hops = xstrdup(many);
	config->tables[config->ntables++] = table_of("d.test", many);
	add_action("routed", ACTION_RELAY)->routes = config->tables[0];
	add_action("mx", ACTION_RELAY);
	add_action("box", ACTION_MAILDIR);
	from_delivery_set_config(config);
	ck_assert(dial("several", path));
	close(got_fd);
	ck_assert(dial("routed", path));
	close(got_fd);
	/* of another action, or of none */
	ck_assert(!dial("mx", path));
	ck_assert(!dial("box", path));
	ck_assert(!dial("nobody", path));
	ck_assert_str_eq(got_why, "the configuration has no such next hop");
	close(listener);
}

END_TEST

/* Almost is not enough. */
START_TEST(test_which_are_not)
{
	static const char *const words[] = { "/etc/passwd", "", "lmtp",
		"192.0.2.1" };
	int listener = listen_at(path, 8);
	char near[160];
	uint64_t before = from_delivery_refused();

	add_action("in", ACTION_RELAY)->hops = xstrdup(url);
	from_delivery_set_config(config);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert(!dial("in", words[i]));
	snprintf(near, sizeof(near), "%s/../lmtp", dir);
	ck_assert(!dial("in", near));
	snprintf(near, sizeof(near), "%sx", path);
	ck_assert(!dial("in", near));
	near[strlen(path) - 1] = '\0';
	ck_assert(!dial("in", near));
	ck_assert_uint_eq(from_delivery_refused(), before + 7);
	ck_assert(dial("in", path));
	close(listener);
}

END_TEST

START_TEST(test_why_not)
{
	char want[160];

	add_action("in", ACTION_RELAY)->hops = xstrdup(url);
	ck_assert(!dial("in", path)); /* no configuration yet */
	from_delivery_set_config(config);
	ck_assert(!dial("in", path));
	snprintf(want, sizeof(want), "there is no %s", path);
	ck_assert_str_eq(got_why, want);
	close(listen_at(path, 1));
	ck_assert(!dial("in", path));
	ck_assert_ptr_nonnull(strstr(got_why, "refused"));
}

END_TEST

/* Who asks and leaves costs nothing; the next one of it is served. */
START_TEST(test_agents_come_and_go)
{
	int listener = listen_at(path, 0);

	add_action("in", ACTION_RELAY)->hops = xstrdup(url);
	from_delivery_set_config(config);
	ck_assert(dial("in", path));
	close(got_fd);
	/* it is full: these wait, until they are gone */
	awaited = 0;
	for (int i = 0; i < 10; i++)
		ask("in", path);
	connect_agent(0);
	close(accept(listener, NULL, NULL));
	got_fd = -1;
	nanswers = 0;
	awaited = 1;
	ask("in", path);
	loop_run(loop);
	ck_assert_int_ne(got_fd, -1);
	close(listener);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("next_hops");
	TCase *tc = tcase_create("next_hops");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_dialed);
	tcase_add_test(tc, test_which_are_dialed);
	tcase_add_test(tc, test_which_are_not);
	tcase_add_test(tc, test_why_not);
	tcase_add_test(tc, test_agents_come_and_go);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
