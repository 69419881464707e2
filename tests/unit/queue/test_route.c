/* From a recipient to where its mail goes. */
#include <string.h>

#include "queue/route.h"
#include "tests/unit/queue/parts.h"

static char relay_name[] = "out", relay_hops[] = "smtp://127.0.0.1:2";
static char mx_name[] = "mx";
static struct action actions[] = {
	{ .name = relay_name, .kind = ACTION_RELAY, .hops = relay_hops },
	{ .id = 1, .name = mx_name, .kind = ACTION_RELAY, .mx_port = 2525 },
};

static struct cond null_sender, local = { .kind = COND_FROM_LOCAL };
static struct rule rules[2];
static struct config config;
static struct router router;
static struct index ix;

static void
clear(void)
{
	if (ix.buckets != NULL)
		index_clear(&ix);
	buf_clear(&router.hops);
}

/* Anew, whatever there was before. */
static void
setup(void)
{
	static char host[] = "mx.test.example";

	clear();

	memset(&config, 0, sizeof(config));
	memset(rules, 0, sizeof(rules));
	memset(&router, 0, sizeof(router));
	config.hostname = host;
	config.actions = actions;
	config.nactions = 2;
	config.rules = rules;
	config.queue.ttl = 400000;
	config.queue.report_ttl = 100000;
	index_init(&ix);
	buf_init(&router.hops, 512);
	router_set_config(&router, &config);
}

static struct rcpt *
rcpt(const char *domain, const char *action)
{
	static uint64_t seq;

	return &part_entry(&ix, ++seq, 1, domain, action)->rcpts[0];
}

/* A message of ours, or one of a local client with that sender. */
static struct rcpt *
rcpt_from(const char *from, const char *listener)
{
	struct mail_rcpt to = { .to = STR("r@y.example"),
		.action = STR("gone") };
	struct mail_record m = { .seq = 99,
		.msgid = STR("0123456789abcdef"),
		.from = str_of(from),
		.client = STR("local"),
		.listener = str_of(listener),
		.rcpts = &to,
		.nrcpt = 1 };

	return &index_add(&ix, &m, 0)->rcpts[0];
}

START_TEST(by_mx_each_domain_is_a_destination)
{
	struct route to;

	setup();
	ck_assert_int_eq(
	    route_rcpt(&router, &ix, rcpt("X.example", "mx"), &to), ROUTE_TO);
	ck_assert(str_eq(to.hops, STR("mx://x.example:2525")));
	ck_assert_int_eq(
	    route_rcpt(&router, &ix, rcpt("y.example", CONFIG_MX_ACTION), &to),
	    ROUTE_TO);
	ck_assert(str_eq(to.hops, STR("mx://y.example:25")));
	ck_assert_int_eq(
	    route_rcpt(&router, &ix, rcpt("x.example", "out"), &to), ROUTE_TO);
	ck_assert(str_eq(to.hops, STR("smtp://127.0.0.1:2")));
}

END_TEST

START_TEST(an_address_literal_is_a_next_hop)
{
	struct route to;

	setup();
	ck_assert_int_eq(
	    route_rcpt(&router, &ix, rcpt("[192.0.2.7]", "mx"), &to), ROUTE_TO);
	ck_assert(str_eq(to.hops, STR("smtp://192.0.2.7:2525")));
	ck_assert_int_eq(
	    route_rcpt(&router, &ix, rcpt("[IPv6:2001:db8::7]", "mx"), &to),
	    ROUTE_TO);
	ck_assert(str_eq(to.hops, STR("smtp://[2001:db8::7]:2525")));
}

END_TEST

START_TEST(an_action_that_is_gone)
{
	struct rcpt *r;
	struct route to;

	setup();
	r = rcpt("x.example", "gone");
	ck_assert_int_eq(route_rcpt(&router, &ix, r, &to), ROUTE_HOLD);
	rules[0] = (struct rule){ .action = &actions[0] };
	config.nrules = 1;
	ck_assert_int_eq(route_rcpt(&router, &ix, r, &to), ROUTE_TO);
	ck_assert(str_eq(word_str(r->action), STR("out")));
	ck_assert((r->marks & MARK_REROUTED) != 0);
}

END_TEST

static const struct action *
report_action(const char *to)
{
	return route_report(&router, str_of(to)).action;
}

START_TEST(reports_go_by_rule_or_by_mx)
{
	const struct action *a;
	struct rcpt *r;

	setup();
	ck_assert_str_eq(report_action("a@x.example")->name, CONFIG_MX_ACTION);
	/* From local, with the empty sender: what is not for such is passed
	 * over. */
	null_sender = local;
	null_sender.negate = true;
	rules[0] = (struct rule){
		.conds = &null_sender, .nconds = 1, .verdict = VERDICT_REJECT
	};
	rules[1] = (struct rule){
		.conds = &local, .nconds = 1, .action = &actions[0]
	};
	config.nrules = 2;
	ck_assert_ptr_eq(report_action("a@x.example"), &actions[0]);
	ck_assert(!route_report(&router, STR("a@x.example")).quarantine);
	rules[1].verdict = VERDICT_QUARANTINE;
	ck_assert_ptr_eq(report_action("a@x.example"), &actions[0]);
	ck_assert(route_report(&router, STR("a@x.example")).quarantine);
	rules[1].verdict = VERDICT_REJECT;
	ck_assert_ptr_null(report_action("a@x.example"));
	config.nrules = 0;
	ck_assert_ptr_null(report_action("no address"));
	/* The same when it is a stored one's turn again. */
	r = rcpt_from("", ROUTE_REPORT_LISTENER);
	a = route_decide(&router, r).action;
	ck_assert_ptr_nonnull(a);
	ck_assert_str_eq(a->name, CONFIG_MX_ACTION);
}

END_TEST

START_TEST(only_ours_are_reports)
{
	setup();
	ck_assert_ptr_null(
	    route_decide(&router, rcpt_from("", "submit")).action);
	index_clear(&ix);
	setup();
	ck_assert_ptr_null(route_decide(
	    &router, rcpt_from("a@x.example", ROUTE_REPORT_LISTENER))
			       .action);
}

END_TEST

START_TEST(times_to_live)
{
	struct rcpt *r;

	setup();
	r = rcpt("x.example", "out");
	ck_assert_uint_eq(route_ttl_ms(&router, r), 400000);
	actions[0].ttl_ms = 50000;
	ck_assert_uint_eq(route_ttl_ms(&router, r), 50000);
	actions[0].ttl_ms = 0;
	r = rcpt_from("", "submit");
	ck_assert_uint_eq(route_ttl_ms(&router, r), 100000);
	config.queue.report_ttl = 500000;
	ck_assert_uint_eq(route_ttl_ms(&router, r), 400000);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { by_mx_each_domain_is_a_destination,
		an_address_literal_is_a_next_hop, an_action_that_is_gone,
		reports_go_by_rule_or_by_mx, only_ours_are_reports,
		times_to_live };

	int result = PART_RUN("route", tests);

	clear();
	return result;
}
