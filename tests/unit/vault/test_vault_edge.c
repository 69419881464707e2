/* The edge to smtpd: turns among the workers, bounds, what the other instance
 * refuses, and workers that go. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/ipc/channel.h"
#include "vault/accounts.h"
#include "vault/askers.h"
#include "vault/from_smtpd.h"
#include "vault/keys.h"
#include "vault/passwords.h"
#include "vault/tally.h"

/* "force" */
#define SECRET \
	"$5$rounds=1000$saltsalt$WcsVUD7/HZIbDo2xsqbhM94cPblOgNx12npGwn.Qpp8"

enum { WORKERS = 2, ANSWERS_MAX = 1024 };

static struct loop *loop;
static struct config *conf;
static struct channel *workers[WORKERS];

/* In their order: who, and what he was told. */
static struct {
	size_t worker;
	int verdict;
} answers[ANSWERS_MAX];

static size_t nanswers, nwanted;

static const struct handler handlers[] = { { 0, NULL } };

static void
on_closed(void *ctx, struct channel *ch)
{
	struct channel **w = ctx;
	if (*w == ch)
		channel_free(w);
}

static void
connect_worker(uint16_t i)
{
	int pair[2];
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	channel_free(&workers[i]);
	workers[i] = channel_new(loop, pair[0], &smtpd_vault_edge, EDGE_A,
	    handlers, on_closed, &workers[i]);
	from_smtpd_add(i, pair[1]);
}

static void
start(enum vault_instance instance)
{
	struct fault why = { 0 };
	loop = loop_new();
	from_smtpd_init(loop, instance);
	struct table_builder *b = table_builder_new("accounts");
	ck_assert_int_eq(table_builder_add(b, STR("luke"), SECRET, &why), 0);
	int fd = table_builder_seal(&b, &why);
	conf = config_new();
	conf->tables = xcalloc(1, sizeof(*conf->tables));
	conf->tables[0] = table_open(fd, "accounts", &why);
	conf->ntables = 1;
	conf->listeners = xcalloc(1, sizeof(*conf->listeners));
	conf->nlisteners = 1;
	conf->listeners[0].auth = conf->tables[0];
	passwords_init();
	passwords_set_config(conf);
	nanswers = 0;
	for (size_t i = 0; i < WORKERS; i++)
		connect_worker((uint16_t)i);
}

static void
teardown(void)
{
	for (size_t i = 0; i < WORKERS; i++)
		channel_free(&workers[i]);
	askers_clear();
	accounts_clear();
	config_unref(&conf);
	loop_settle(loop);
	loop_free(&loop);
}

static void
note(size_t worker, int verdict)
{
	ck_assert_uint_lt(nanswers, ANSWERS_MAX);
	answers[nanswers].worker = worker;
	answers[nanswers++].verdict = verdict;
	if (nanswers == nwanted)
		loop_stop(loop);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	size_t worker = (size_t)((struct channel **)ctx - workers);
	if (fault != NULL) {
		note(worker, -1);
		return;
	}
	switch (type) {
	case TYPE_answer_password:
		note(worker, ((const struct answer_password *)msg)->verdict);
		break;
	case TYPE_answer_scram:
		note(worker, ((const struct answer_scram *)msg)->verdict);
		break;
	case TYPE_answer_scram_proof:
		note(worker, ((const struct answer_scram_proof *)msg)->verdict);
		break;
	case TYPE_answer_signed:
		note(worker,
		    (int)((const struct answer_signed *)msg)->output.len);
		break;
	default:
		ck_abort_msg("an answer of type %u", type);
	}
}

static void
ask_password(size_t worker, const char *password)
{
	struct ask_password m = { .table = STR("accounts"),
		.user = STR("luke"),
		.password = str_of(password) };
	channel_ask(workers[worker], TYPE_ask_password, &m, on_answer,
	    &workers[worker]);
}

static void
ask_others(size_t worker)
{
	struct ask_scram scram = { .table = STR("accounts"),
		.user = STR("luke") };
	struct ask_scram_proof proof = { .table = STR("accounts"),
		.user = STR("luke") };
	channel_ask(workers[worker], TYPE_ask_scram, &scram, on_answer,
	    &workers[worker]);
	channel_ask(workers[worker], TYPE_ask_scram_proof, &proof, on_answer,
	    &workers[worker]);
}

static void
ask_sign(size_t worker)
{
	static const char zeros[64];
	struct ask_sign m = { .key = { zeros, VAULT_KEY_ID },
		.scheme = VAULT_ECDSA,
		.input = { zeros, 32 } };
	channel_ask(
	    workers[worker], TYPE_ask_sign, &m, on_answer, &workers[worker]);
}

static void
run_until(size_t n)
{
	nwanted = n;
	loop_run(loop);
	ck_assert_uint_eq(nanswers, n);
}

static uint64_t
tally(enum tally what)
{
	return tally_counters()[what].value;
}

START_TEST(answers_passwords)
{
	start(VAULT_PASSWORDS);
	ask_password(0, "force");
	ask_password(0, "fork");
	run_until(2);
	ck_assert_int_eq(answers[0].verdict, VAULT_RIGHT);
	ck_assert_int_eq(answers[1].verdict, VAULT_WRONG);
	ck_assert_uint_eq(tally(TALLY_PASSWORDS), 2);
}

END_TEST

/* 64 in all: 32 for each of two; what is beyond hears so at once. */
START_TEST(bounded_and_fair)
{
	enum { ASKED = 100, WAIT = 32 };

	size_t busy = 0, before = 0;
	start(VAULT_PASSWORDS);
	for (size_t i = 0; i < ASKED; i++)
		ask_password(0, "force");
	ask_password(1, "force");
	run_until(ASKED + 1);
	for (size_t i = 0; i < nanswers; i++) {
		busy += answers[i].verdict == VAULT_BUSY;
		ck_assert(answers[i].verdict == VAULT_BUSY ||
			  answers[i].verdict == VAULT_RIGHT);
	}
	ck_assert_uint_eq(busy, ASKED - WAIT);
	ck_assert_uint_eq(tally(TALLY_BUSY), busy);
	/* The second worker did not wait for all of the first one's. */
	for (size_t i = 0; answers[i].worker == 0; i++)
		before += answers[i].verdict == VAULT_RIGHT;
	ck_assert_uint_le(before, 4);
}

END_TEST

START_TEST(passwords_refuse_keys)
{
	start(VAULT_PASSWORDS);
	ask_sign(0);
	run_until(1);
	ck_assert_int_eq(answers[0].verdict, 0);
	ck_assert_uint_eq(tally(TALLY_FAILURES), 1);
}

END_TEST

START_TEST(keys_refuse_passwords)
{
	start(VAULT_KEYS);
	ask_password(0, "force");
	ask_others(0);
	/* A key that is not there. */
	ask_sign(0);
	run_until(4);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(answers[i].verdict, VAULT_FAULT);
	ck_assert_int_eq(answers[3].verdict, 0);
	ck_assert_uint_eq(tally(TALLY_FAILURES), 4);
	ck_assert_uint_eq(tally(TALLY_SIGNATURES), 0);
}

END_TEST

/* A worker goes with its questions; the successor is answered. */
START_TEST(worker_dies)
{
	start(VAULT_PASSWORDS);
	for (size_t i = 0; i < 20; i++)
		ask_password(0, "force");
	run_until(1);
	channel_free(&workers[0]);
	loop_settle(loop);
	connect_worker(0);
	nanswers = 0;
	ask_password(0, "force");
	run_until(1);
	ck_assert_uint_eq(answers[0].worker, 0);
	ck_assert_int_eq(answers[0].verdict, VAULT_RIGHT);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("vault_edge");
	TCase *t = tcase_create("vault_edge");
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, answers_passwords);
	tcase_add_test(t, bounded_and_fair);
	tcase_add_test(t, passwords_refuse_keys);
	tcase_add_test(t, keys_refuse_passwords);
	tcase_add_test(t, worker_dies);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
