/* A configuration goes through a channel and comes out the same. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"
#include "lib/proc/conf_wire.h"
#include "lib/rules/instance.h"
#include "tests/unit/lib/conf_same.h"
#include "tests/unit/lib/conf_whole.h"

static struct loop *loop;
static struct config *got, *building;
static int result;

static void
take(uint16_t type, const void *msg)
{
	if (result == 0)
		result = conf_receive(&building, type, msg);
	if (result == 1) {
		got = building;
		building = NULL;
		loop_stop(loop);
	}
}

#define PARTS(C)                   \
	C(tell_conf)               \
	C(tell_conf_numbers)       \
	C(tell_conf_retry)         \
	C(tell_conf_server)        \
	C(tell_conf_table)         \
	C(tell_conf_milter)        \
	C(tell_conf_milter_socket) \
	C(tell_conf_milter_set)    \
	C(tell_conf_pki)           \
	C(tell_conf_cert)          \
	C(tell_conf_dnsbl)         \
	C(tell_conf_listener)      \
	C(tell_conf_client_ca)     \
	C(tell_conf_action)        \
	C(tell_conf_rule)          \
	C(tell_conf_cond)          \
	C(tell_conf_tls_reports)   \
	C(tell_conf_end)
#define HANDLER(name)                                                    \
	static void on_##name(                                           \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		(void)ctx;                                               \
		(void)ch;                                                \
		(void)id;                                                \
		take(TYPE_##name, msg);                                  \
	}
PARTS(HANDLER)
#define ROW(name) { TYPE_##name, on_##name },

static unsigned int nkeys;
static int key_fd = -1;

static void
on_key(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_conf_key *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	ck_assert(str_eq(m->name, STR("/ec.key")));
	/* Behind its certificate. */
	ck_assert_uint_eq(building->npkis, 1);
	ck_assert_uint_eq(building->pkis[0].ncerts, 1);
	nkeys++;
	key_fd = m->key;
}

static const struct handler handlers[] = {
	PARTS(ROW){ TYPE_tell_conf_key, on_key }, { 0, NULL }
};

static void
send_over(const struct config *c, enum conf_secrets secrets)
{
	int pair[2];
	loop = loop_new();
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct channel *parent = channel_new(
	    loop, pair[0], &all_parent_edge, EDGE_B, NULL, NULL, NULL);
	struct channel *child = channel_new(
	    loop, pair[1], &all_parent_edge, EDGE_A, handlers, NULL, NULL);
	ck_assert_int_eq(conf_send(parent, c, secrets), 0);
	loop_run(loop);
	channel_free(&parent);
	channel_free(&child);
	loop_settle(loop);
	loop_free(&loop);
}

START_TEST(round_trip)
{
	struct config *c = make_config();
	result = 0;
	send_over(c, CONF_NO_SECRETS);
	ck_assert_int_eq(result, 1);
	ck_assert_str_eq(c->hostname, got->hostname);
	same_text(c->domain, got->domain);
	same_text(c->postmaster, got->postmaster);
	same_text(c->submit_path, got->submit_path);
	same_text(c->dnssec_signed, got->dnssec_signed);
	same_text(c->dnssec_bogus, got->dnssec_bogus);
	same_tls_reports(c->tls_reports, got->tls_reports);
	same_numbers(c, got);
	same_servers(c, got);
	ck_assert_uint_eq(c->ntables, got->ntables);
	for (size_t i = 0; i < c->ntables; i++)
		same_table(c->tables[i], got->tables[i]);
	ck_assert(table_find(got->tables[0], STR("example.com"), NULL));
	same_front(c, got);
	same_listeners(c, got);
	same_actions(c, got);
	same_rules(c, got);
	same_milters(c, got);
	same_sets(c, got);
	same_table(c->bare_newline_except, got->bare_newline_except);
	config_unref(&c);
	config_unref(&got);
}

END_TEST

/* Who gets what of a configuration with a key and a password. */
START_TEST(secrets)
{
	static const struct {
		enum conf_secrets secrets;
		unsigned int nkeys;
		const char *value;
	} cases[] = {
		{ CONF_NO_SECRETS, 0, "" },
		{ CONF_KEYS, 1, "" },
		{ CONF_PASSWORDS, 0, "secret" },
	};
	struct config *c = make_config();
	struct str value;
	char text[4] = "";
	int pair[2];

	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_eq(write(pair[1], "key", 3), 3);
	close(pair[1]);
	c->pkis[0].certs[0].key_fd = pair[0];
	c->secret_fds = xcalloc(c->ntables + 2, sizeof(int));
	for (size_t i = 0; i < c->ntables; i++)
		c->secret_fds[i] = -1;
	/* Only the memfd of the second has a value. */
	add_table(c, "accounts", "luke", NULL);
	add_table(c, "full", "luke", "secret");
	c->ntables--;
	c->secret_fds[c->ntables - 1] = c->table_fds[c->ntables];
	table_free(&c->tables[c->ntables]);
	for (size_t i = 0; i < 3; i++) {
		result = 0;
		nkeys = 0;
		send_over(c, cases[i].secrets);
		ck_assert_int_eq(result, 1);
		ck_assert_uint_eq(nkeys, cases[i].nkeys);
		ck_assert(table_find(
		    got->tables[c->ntables - 1], STR("luke"), &value));
		ck_assert(str_eq(value, str_of(cases[i].value)));
		config_unref(&got);
	}
	ck_assert_int_eq(read(key_fd, text, sizeof(text)), 3);
	ck_assert_str_eq(text, "key");
	close(key_fd);
	config_unref(&c);
}

END_TEST

START_TEST(defaults_round_trip)
{
	struct config *c = config_new();
	result = 0;
	send_over(c, CONF_NO_SECRETS);
	ck_assert_int_eq(result, 1);
	same_numbers(c, got);
	ck_assert_ptr_null(got->domain);
	ck_assert_ptr_null(got->bare_newline_except);
	ck_assert_ptr_null(got->tls_reports);
	ck_assert_ptr_null(got->dnssec_signed);
	ck_assert_uint_eq(got->nrules, 0);
	config_unref(&c);
	config_unref(&got);
}

END_TEST

START_TEST(maildir_instances)
{
	struct config *c = config_new();
	static const char *const users[] = { "a", NULL, "b", "a", NULL };
	static const uint16_t expected[] = { 0, 1, 2, 0, 1 };
	c->nactions = 5;
	c->actions = xcalloc(c->nactions, sizeof(*c->actions));
	for (size_t i = 0; i < c->nactions; i++) {
		c->actions[i].kind = ACTION_MAILDIR;
		if (users[i] != NULL)
			c->actions[i].user = xstrdup(users[i]);
	}
	ck_assert_uint_eq(config_agent_count(c, ACTION_MAILDIR), 3);
	for (size_t i = 0; i < c->nactions; i++)
		ck_assert_uint_eq(
		    config_agent_instance(c, &c->actions[i]), expected[i]);
	c->actions[2].name = xstrdup("box");
	ck_assert_ptr_eq(config_agent_action(c, STR("box"), ACTION_MAILDIR, 2),
	    &c->actions[2]);
	ck_assert_ptr_null(
	    config_agent_action(c, STR("box"), ACTION_MAILDIR, 0));
	ck_assert_ptr_null(config_agent_action(c, STR("box"), ACTION_MDA, 2));
	config_unref(&c);
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_wire");
	TCase *tc = tcase_create("conf_wire");
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, secrets);
	tcase_add_test(tc, defaults_round_trip);
	tcase_add_test(tc, maildir_instances);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
