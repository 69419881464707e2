/* Questions to the vault about passwords: answers, cancelled ones, and a
 * vault that dies, or is replaced, with questions open. */
#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ipc/channel.h"
#include "lib/net/tls.h"
#include "smtpd/from_vault.h"

static struct loop *loop;
static struct channel *vault;
static uint64_t asked[4]; /* ids of what the vault was asked */
static size_t nasked, ncalled;
static enum vault_verdict verdict;
static uint8_t first_salt;

static void
on_ask(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	asked[nasked++] = id;
	loop_stop(loop);
}

static const struct handler handlers[] = {
	{ TYPE_ask_password, on_ask },
	{ TYPE_ask_scram, on_ask },
	{ TYPE_ask_scram_proof, on_ask },
	{ TYPE_ask_sign, on_ask },
	{ 0, NULL },
};

static void
connect_to(uint16_t instance)
{
	int pair[2];
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	vault = channel_new(
	    loop, pair[1], &smtpd_vault_edge, EDGE_B, handlers, NULL, NULL);
	from_vault_start(loop, instance, pair[0]);
}

static void
connect_vault(void)
{
	connect_to(VAULT_PASSWORDS);
}

static void
setup(void)
{
	loop = loop_new();
	nasked = ncalled = 0;
	connect_vault();
}

static void
teardown(void)
{
	from_vault_stop();
	channel_free(&vault);
	loop_settle(loop);
	loop_free(&loop);
}

static void
on_answer(void *ctx, const struct vault_answer *a)
{
	ck_assert_ptr_eq(ctx, &verdict);
	ncalled++;
	verdict = a->verdict;
	first_salt = a->salt.len > 0 ? (uint8_t)a->salt.p[0] : 0;
	loop_stop(loop);
}

static uint64_t
ask(void)
{
	struct ask_password m = {
		.table = STR("t"), .user = STR("luke"), .password = STR("force")
	};
	uint64_t id = 0;
	ck_assert_int_eq(from_vault_password(&m, on_answer, &verdict, &id), 0);
	ck_assert_uint_eq(ncalled, 0);
	return id;
}

static void
answer(size_t i, enum vault_verdict v)
{
	struct answer_password m = { .verdict = (uint8_t)v };
	channel_tell(vault, TYPE_answer_password, &m, asked[i]);
}

static void
on_tick(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

START_TEST(answered)
{
	(void)ask();
	loop_run(loop);
	answer(0, VAULT_RIGHT);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert_int_eq(verdict, VAULT_RIGHT);
}

END_TEST

START_TEST(salt)
{
	struct ask_scram m = { .table = STR("t"), .user = STR("luke") };
	struct answer_scram a = {
		.verdict = VAULT_RIGHT, .salt = STR("salt"), .iterations = 4096
	};
	uint64_t id;
	ck_assert_int_eq(from_vault_scram(&m, on_answer, &verdict, &id), 0);
	loop_run(loop);
	channel_tell(vault, TYPE_answer_scram, &a, asked[0]);
	loop_run(loop);
	ck_assert_int_eq(verdict, VAULT_RIGHT);
	ck_assert_uint_eq(first_salt, 's');
}

END_TEST

/* What is not an answer to this question is none. */
START_TEST(other_answer)
{
	struct answer_signed a = { .output = STR("x") };
	(void)ask();
	loop_run(loop);
	channel_tell(vault, TYPE_answer_signed, &a, asked[0]);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert_int_eq(verdict, VAULT_FAULT);
}

END_TEST

START_TEST(cancelled)
{
	uint64_t id = ask();
	(void)ask();
	while (nasked < 2)
		loop_run(loop);
	from_vault_cancel(id);
	answer(0, VAULT_RIGHT);
	answer(1, VAULT_WRONG);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert_int_eq(verdict, VAULT_WRONG);
	/* Again, and one that never was. */
	from_vault_cancel(id);
	from_vault_cancel(12345);
}

END_TEST

START_TEST(vault_dies)
{
	struct ask_password m = { .table = STR("t") };
	uint64_t id = ask();
	(void)ask();
	while (nasked < 2)
		loop_run(loop);
	from_vault_cancel(id);
	channel_free(&vault);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert_int_eq(verdict, VAULT_FAULT);
	loop_settle(loop);
	ck_assert_int_eq(from_vault_password(&m, on_answer, &verdict, &id), -1);
}

END_TEST

/* Who has the keys is TLS' signer for as long as it lives; the other never. */
START_TEST(signer_dies)
{
	struct channel *passwords = vault;
	ck_assert(!tls_has_signer());
	connect_to(VAULT_KEYS);
	ck_assert(tls_has_signer());
	channel_free(&passwords);
	while (from_vault_password(&(struct ask_password){ .table = STR("t") },
		   on_answer, &verdict, &(uint64_t){ 0 }) == 0)
		loop_run(loop);
	ck_assert(tls_has_signer());
	channel_free(&vault);
	struct timer *tick = timer_new(loop, on_tick, NULL);
	while (tls_has_signer()) {
		timer_set(tick, 0);
		loop_run(loop);
	}
	timer_free(&tick);
	connect_to(VAULT_KEYS);
	ck_assert(tls_has_signer());
}

END_TEST

/* The new channel comes before the old one's end is seen: ids of the two do
 * not mix. */
START_TEST(vault_is_replaced)
{
	uint64_t old = ask(), id;
	loop_run(loop);
	channel_free(&vault);
	connect_vault();
	nasked = 0;
	id = ask();
	ck_assert_uint_ne(old, id);
	from_vault_cancel(old);
	loop_run(loop);
	answer(0, VAULT_RIGHT);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert_int_eq(verdict, VAULT_RIGHT);
}

END_TEST

/* More than it may have open are refused here. */
START_TEST(bounded)
{
	struct ask_password m = { .table = STR("t") };
	uint64_t id;
	size_t n = 0;
	while (n < 10000 &&
	       from_vault_password(&m, on_answer, &verdict, &id) == 0) {
		from_vault_cancel(id);
		n++;
	}
	ck_assert_uint_eq(n, 256);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("from_vault");
	TCase *t = tcase_create("from_vault");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, answered);
	tcase_add_test(t, salt);
	tcase_add_test(t, other_answer);
	tcase_add_test(t, cancelled);
	tcase_add_test(t, vault_dies);
	tcase_add_test(t, signer_dies);
	tcase_add_test(t, vault_is_replaced);
	tcase_add_test(t, bounded);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
