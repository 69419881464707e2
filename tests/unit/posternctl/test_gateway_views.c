/*
 * Commands about the gateway itself against one that always says the same:
 * its configuration, tables and rules, what is paused, its numbers as they
 * change, and posternctl's own list of commands.
 */
#include "tests/unit/posternctl/gateway.h"

/* --- the gateway --- */

static void
tell_diffs(struct channel *ch, uint64_t id)
{
	const struct row_diff rows[] = {
		{ DIFF_ADDED, STR("/etc/p.conf:3"),
		    STR("match for any action out"), 0 },
		{ DIFF_REMOVED, STR("/etc/p.conf:9"), STR("queue warn off"),
		    0 },
		{ DIFF_CHANGED, STR("/etc/t\033[2J:1"),
		    STR("table t: 2 entries more"), 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		channel_tell(ch, TYPE_row_diff, &rows[i], id);
}

static void
tell_error(struct channel *ch, uint64_t id)
{
	struct row_text row = { .text = STR("/etc/p.conf:3: no\033[2J") };

	channel_tell(ch, TYPE_row_text, &row, id);
	done(ch, id, ANSWER_REFUSED_IT, "not reloaded");
}

/* What it finds in its files. */
static enum { FINE, SAME, WRONG } mood;

static void
on_config_diff(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	if (mood == WRONG) {
		tell_error(ch, id);
		return;
	}
	if (mood == FINE)
		tell_diffs(ch, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_reload(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_reload *m = msg;

	(void)ctx;
	/* Whoever wants seven minutes and a bit gets an error. */
	if (m->confirm_ms == 421000) {
		tell_error(ch, id);
		return;
	}
	if (m->confirm_ms != 60000)
		tell_diffs(ch, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_confirm(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	done(ch, id, mood == FINE ? ANSWER_OK : ANSWER_NOT_FOUND, "");
}

static void
on_tables(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_table named = { .name = STR("domains"), .entries = 2 };
	struct row_table file = { .name = STR("users"),
		.entries = 1000000,
		.file = STR("/etc/postern/\033users") };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_table, &named, id);
	channel_tell(ch, TYPE_row_table, &file, id);
	done(ch, id, ANSWER_OK, "");
}

/* Says back what it was asked. */
static void
on_match(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_match *m = msg;
	struct row_rule row = { .line = 7,
		.action = STR("out"),
		.verdict = 3,
		.own_filters = 1,
		.milters = STR("one two"),
		.recipient = STR("admin@x") };
	struct buf text;

	(void)ctx;
	buf_init(&text, 4096);
	const struct str all[] = { m->client, m->client_name, m->helo, m->user,
		m->tag, m->from, m->to };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		buf_add_str(&text, all[i]);
		buf_add_char(&text, '|');
	}
	buf_addf(&text, "%u%u", m->tls, m->early_talker);
	row.text = buf_str(&text);
	channel_tell(ch, TYPE_row_rule, &row, id);
	done(ch, id, ANSWER_OK, "");
	buf_clear(&text);
}

static void
on_status(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_gateway g = { .version = STR("1"), .hostname = STR("mx") };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_gateway, &g, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_dnssec(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_dnssec row = { .on = 1 };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_dnssec, &row, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_pauses(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_pause rows[] = {
		{ PAUSE_SMTP, STR(""), 1000, STR("up\033grade"), 1000, 0 },
		{ PAUSE_DELIVERY, STR(""), UINT64_MAX, STR(""), 0, 0 },
		{ PAUSE_DOMAIN, STR("example.net"), UINT64_MAX, STR(""), 0, 0 },
	};

	(void)ctx;
	(void)msg;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		channel_tell(ch, TYPE_row_pause, &rows[i], id);
	done(ch, id, ANSWER_OK, "");
}

static void
tell_number(struct channel *ch, uint64_t id, const char *name, uint64_t value)
{
	struct row_stat row = { .name = str_of(name), .value = value };

	channel_tell(ch, TYPE_row_stat, &row, id);
}

/* Every question finds what stands still the same, and counts on: the
 * accepted by 50 a commit. The number of the question stands in a file, each
 * connection being a process. */
static void
on_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	char path[sizeof(address.sun_path) + 2];
	uint64_t n;

	(void)ctx;
	(void)msg;
	snprintf(path, sizeof(path), "%s.n", address.sun_path);
	FILE *f = fopen(path, "a+");
	ck_assert(f != NULL);
	fputc('.', f);
	n = (uint64_t)ftell(f);
	fclose(f);
	/* Its process is a new one each fourth time. */
	if (n % 4 == 0)
		n = 1;
	tell_number(ch, id, "queue.active", 3);
	tell_number(ch, id, "queue.commits", n * 1000);
	tell_number(ch, id, "smtpd.accept.le_64", 1);
	tell_number(ch, id, "smtpd.accept.count", 1);
	tell_number(ch, id, "smtpd.accepted", n * 50000);
	done(ch, id, ANSWER_OK, "");
}

static const struct handler handlers[] = {
	{ TYPE_ask_config_diff, on_config_diff },
	{ TYPE_ask_reload, on_reload },
	{ TYPE_ask_confirm, on_confirm },
	{ TYPE_ask_tables, on_tables },
	{ TYPE_ask_match, on_match },
	{ TYPE_ask_status, on_status },
	{ TYPE_ask_dnssec, on_dnssec },
	{ TYPE_ask_pauses, on_pauses },
	{ TYPE_ask_stats, on_stats },
	{ 0, NULL },
};

static void
setup(void)
{
	start_gateway(handlers);
}

static void
teardown(void)
{
	char path[sizeof(address.sun_path) + 2];

	snprintf(path, sizeof(path), "%s.n", address.sun_path);
	unlink(path);
	stop_gateway();
	snprintf(strrchr(dir, '.'), sizeof(".XXXXXX"), ".XXXXXX");
}

static void
setup_same(void)
{
	mood = SAME;
	setup();
}

static void
setup_wrong(void)
{
	mood = WRONG;
	setup();
}

/* --- the commands --- */

#define DIFFS                                                       \
	"{\"change\":\"added\",\"where\":\"/etc/p.conf:3\","        \
	"\"text\":\"match for any action out\"},"                   \
	"{\"change\":\"removed\",\"where\":\"/etc/p.conf:9\","      \
	"\"text\":\"queue warn off\"},"                             \
	"{\"change\":\"changed\",\"where\":\"/etc/t\\u001b[2J:1\"," \
	"\"text\":\"table t: 2 entries more\"}"
#define DIFF_LINES                                    \
	"+ /etc/p.conf:3: match for any action out\n" \
	"- /etc/p.conf:9: queue warn off\n"           \
	"~ /etc/t\\x1B[2J:1: table t: 2 entries more\n"

START_TEST(configuration)
{
	expect("config diff", true, CTL_DONE, "[" DIFFS "]\n");
	expect("config diff", false, CTL_DONE, DIFF_LINES);
	expect("reload", true, CTL_DONE,
	    "{\"changes\":[" DIFFS "],\"messages\":[],\"reloaded\":true}\n");
	expect("reload", false, CTL_DONE, DIFF_LINES "reloaded\n");
	expect("reload confirm 5m", true, CTL_DONE,
	    "{\"changes\":[" DIFFS "],\"messages\":[],\"reloaded\":true,"
	    "\"confirm\":300}\n");
	expect("reload confirm 1m", false, CTL_DONE,
	    "reloaded, nothing has changed: taken back in 60 s unless "
	    "`posternctl confirm' comes\n");
	expect("reload confirm 7m1s", true, CTL_REFUSED,
	    "{\"changes\":[],\"messages\":[\"/etc/p.conf:3: no\\u001b[2J\"],"
	    "\"reloaded\":false}\n");
	expect("reload confirm 7m1s", false, CTL_REFUSED, "");
	expect("reload confirm 0", false, CTL_USAGE, "");
	expect("reload confirm 8d", false, CTL_USAGE, "");
	expect("reload confirm soon", false, CTL_USAGE, "");
	expect("reload confirm", false, CTL_USAGE, "");
	expect("reload or 5m", false, CTL_USAGE, "");
	expect("confirm", true, CTL_DONE, "{\"confirmed\":true}\n");
	expect(
	    "confirm", false, CTL_DONE, "confirmed: the configuration stays\n");
}

END_TEST

START_TEST(configuration_same)
{
	expect("config diff", true, CTL_DONE, "[]\n");
	expect("config diff", false, CTL_DONE, "nothing would change\n");
	expect("confirm", false, CTL_REFUSED, "");
	expect("confirm", true, CTL_REFUSED, "");
}

END_TEST

START_TEST(configuration_wrong)
{
	expect("config diff", true, CTL_REFUSED, "");
	expect("config diff", false, CTL_REFUSED, "");
}

END_TEST

START_TEST(tables)
{
	expect("show tables", true, CTL_DONE,
	    "[{\"table\":\"domains\",\"entries\":2,\"file\":null},"
	    "{\"table\":\"users\",\"entries\":1000000,"
	    "\"file\":\"/etc/postern/\\u001busers\"}]\n");
	expect("show tables", false, CTL_DONE,
	    "ENTRIES   TABLE            FILE\n"
	    "2         domains\n"
	    "1000000   users            /etc/postern/\\x1Busers\n");
}

END_TEST

START_TEST(what_would_match)
{
	expect("test match from a@b to c@d", false, CTL_DONE,
	    "postmaster's mail goes to <admin@x>, from anybody\n"
	    "line 7: local|||||a@b|c@d|00\n"
	    "quarantine out\nmilters one two\n");
	expect("test match to <c@d> tls from <> client 192.0.2.1 name n helo h "
	       "user u tag t early-talker",
	    true, CTL_DONE,
	    "{\"rule\":{\"line\":7,\"text\":\"192.0.2.1|n|h|u|t||c@d|11\"},"
	    "\"verdict\":\"quarantine\",\"action\":\"out\","
	    "\"recipient\":\"admin@x\",\"milters\":[\"one\",\"two\"],"
	    "\"passed_over\":[],\"hops\":[]}\n");
	expect("test match from a@b client local tls", false, CTL_USAGE, "");
	expect("test match to a@b client local tls", false, CTL_USAGE, "");
	expect("test match from a@b to", false, CTL_USAGE, "");
	expect("test match from a@b to c@d to e@f", false, CTL_USAGE, "");
	expect("test match from a@b to c@d tls tls", false, CTL_USAGE, "");
	expect("test match from a@b to c@d at home", false, CTL_USAGE, "");
	expect("test match from a@b to c@d client x", false, CTL_USAGE, "");
}

END_TEST

/* These are among those that it prints. */
static void
expect_lines(const char *line, const char *wanted)
{
	char *words[3], room[64];
	int n = 0, used;

	snprintf(room, sizeof(room), "%s", line);
	for (char *w = strtok(room, " "); w != NULL; w = strtok(NULL, " "))
		words[n++] = w;
	words[n] = NULL;
	const struct command *c = command_find(n, words, &used);
	struct call call = {
		.socket = address.sun_path, .argv = words + used, .command = c
	};
	ck_assert_int_eq(c->run(&call), CTL_DONE);
	buf_add_char(out_buf(), '\0');
	ck_assert_msg(strstr(out_buf()->p, wanted) != NULL, "%s", out_buf()->p);
	buf_reset(out_buf());
}

START_TEST(status)
{
	expect("show status", true, CTL_DONE,
	    "{\"version\":\"1\",\"pid\":0,\"uptime\":0,\"hostname\":\"mx\","
	    "\"processes\":[],\"listeners\":[],\"paused\":[\"smtp\","
	    "\"delivery\",\"domain example.net\"],\"dnssec\":true}\n");
	expect_lines("show status",
	    "paused delivery for 0s, by uid 0\n"
	    "paused domain example.net for 0s, by uid 0\n"
	    "dnssec on\n");
	expect_lines("show status", ", by uid 1000: up\\x1Bgrade\n");
}

END_TEST

/* Its lines leave at once: they are read back from a file. */
static void
expect_monitor(const char *line, bool is_json, const char *wanted)
{
	char path[] = "/tmp/test_monitor.XXXXXX", text[4096] = "";
	int fd = mkstemp(path), saved = dup(STDOUT_FILENO);

	ck_assert_int_ge(fd, 0);
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	expect(line, is_json, CTL_DONE, "");
	dup2(saved, STDOUT_FILENO);
	close(saved);
	ck_assert_int_ge((int)pread(fd, text, sizeof(text) - 1, 0), 0);
	close(fd);
	unlink(path);
	ck_assert_msg(strstr(text, wanted) != NULL, "%s", text);
}

START_TEST(monitor)
{
	/* The second question, compared with the first: 1000 commits. */
	expect_monitor("monitor 1 1", true,
	    "\"queue_active\":3,\"queue_deferred\":0,\"queue_held\":0,");
	/* A third and a fourth, of a process that counts anew. */
	expect_monitor("monitor 1 1", true, "\"batch\":50.0}\n");
	expect_monitor("monitor 1 1", false,
	    " conn  sess   acc   rej   tmp  dlvd  defr  bncd   actv   wait   "
	    "held  sync batch\n");
	expect_monitor("monitor 1 2", false, "     3      0      0 ");
	expect("monitor 0", false, CTL_USAGE, "");
	expect("monitor x", false, CTL_USAGE, "");
	expect("monitor 1 0", false, CTL_USAGE, "");
	expect("monitor 90000", false, CTL_USAGE, "");
}

END_TEST

/* The bars of histograms are for programs. */
START_TEST(numbers)
{
	expect_lines("show stats", "queue.commits");
	expect_lines("show stats", "smtpd.accept.count              1\n"
				   "smtpd.accepted");
	expect("show stats", true, CTL_DONE, NULL);
}

END_TEST

START_TEST(helps)
{
	expect("help show tables", false, CTL_DONE, "posternctl show tables\n");
	expect("help monitor", false, CTL_DONE,
	    "posternctl monitor [SECONDS [COUNT]]\n");
	expect("help monitor", true, CTL_DONE,
	    "[{\"command\":[\"monitor\"],\"usage\":\"[SECONDS [COUNT]]\"}]\n");
	expect("help banana", false, CTL_USAGE, "");
	expect("help show banana", false, CTL_USAGE, "");
	expect("help", true, CTL_DONE, NULL);
}

END_TEST

static void
add_case(Suite *s, const char *name, void (*before)(void), const TTest *test)
{
	TCase *c = tcase_create(name);

	tcase_add_unchecked_fixture(c, before, teardown);
	tcase_add_test(c, test);
	suite_add_tcase(s, c);
}

int
main(void)
{
	Suite *s = suite_create("gateway views");
	TCase *c = tcase_create("all");

	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, configuration);
	tcase_add_test(c, tables);
	tcase_add_test(c, what_would_match);
	tcase_add_test(c, status);
	tcase_add_test(c, monitor);
	tcase_add_test(c, numbers);
	tcase_add_test(c, helps);
	suite_add_tcase(s, c);
	add_case(s, "same", setup_same, configuration_same);
	add_case(s, "wrong", setup_wrong, configuration_wrong);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
