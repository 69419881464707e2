/* Commits put together from their parts, and parts that make no sense. */
#include <string.h>

#include "queue/intake.h"
#include "tests/unit/queue/parts.h"

static const struct ask_commit good = {
	.msgid = { "0123456789abcdef", 16 },
	.from = { "a@x", 3 },
	.client = { "local", 5 },
	.nrcpt = 2,
	.header_size = 4,
	.inline_size = 10,
};
static const struct tell_rcpt rcpt = {
	.to = { "b@y", 3 },
	.action = { "act", 3 },
};
static const struct tell_content half = { .bytes = { "01234", 5 } };

START_TEST(parts_make_a_whole)
{
	struct intakes all;
	struct intake_mail m;

	intakes_init(&all);
	ck_assert_int_eq(intake_begin(&all, 1, &good, &m), INTAKE_MORE);
	ck_assert_int_eq(intake_begin(&all, 2, &good, &m), INTAKE_MORE);
	ck_assert_int_eq(intake_add_rcpt(&all, 1, &rcpt, &m), INTAKE_MORE);
	ck_assert_int_eq(intake_add_rcpt(&all, 2, &rcpt, &m), INTAKE_MORE);
	ck_assert_int_eq(intake_add_rcpt(&all, 1, &rcpt, &m), INTAKE_MORE);
	ck_assert_int_eq(intake_add_content(&all, 1, &half, &m), INTAKE_MORE);
	ck_assert_int_eq(intake_add_content(&all, 1, &half, &m), INTAKE_WHOLE);
	ck_assert_uint_eq(m.record.nrcpt, 2);
	ck_assert(str_eq(m.record.rcpts[1].to, STR("b@y")));
	ck_assert(str_eq(m.record.rcpts[1].orig, STR("")));
	ck_assert(str_eq(m.record.from, STR("a@x")));
	ck_assert(str_eq(m.record.content, STR("0123401234")));
	ck_assert_uint_eq(m.record.body_size, 6);
	ck_assert_uint_eq(all.count, 1);
	intake_mail_clear(&m);
	ck_assert_int_eq(
	    intake_add_content(&all, 1, &half, &m), INTAKE_UNKNOWN);
	intakes_clear(&all);
	ck_assert_uint_eq(all.count, 0);
	ck_assert_uint_eq(all.bytes, 0);
}

END_TEST

START_TEST(what_breaks_the_contract_is_refused)
{
	struct intakes all;
	struct intake_mail m;
	struct ask_commit bad = good;

	intakes_init(&all);
	bad.msgid = STR("0123456789abcde-");
	ck_assert_int_eq(intake_begin(&all, 1, &bad, &m), INTAKE_MALFORMED);
	bad = good;
	bad.nrcpt = 0;
	ck_assert_int_eq(intake_begin(&all, 1, &bad, &m), INTAKE_MALFORMED);
	bad = good;
	bad.header_size = 11;
	ck_assert_int_eq(intake_begin(&all, 1, &bad, &m), INTAKE_MALFORMED);
	bad = good;
	bad.bodyfile = 7;
	ck_assert_int_eq(intake_begin(&all, 1, &bad, &m), INTAKE_MALFORMED);
	/* One recipient, one byte, one question too many. */
	for (uint64_t id = 2; id <= 4; id++)
		intake_begin(&all, id, &good, &m);
	intake_add_rcpt(&all, 2, &rcpt, &m);
	intake_add_rcpt(&all, 2, &rcpt, &m);
	ck_assert_int_eq(intake_add_rcpt(&all, 2, &rcpt, &m), INTAKE_MALFORMED);
	intake_add_content(&all, 3, &half, &m);
	intake_add_content(&all, 3, &half, &m);
	ck_assert_int_eq(
	    intake_add_content(&all, 3, &half, &m), INTAKE_MALFORMED);
	ck_assert_int_eq(intake_begin(&all, 4, &good, &m), INTAKE_MALFORMED);
	ck_assert_uint_eq(all.count, 0);
	ck_assert_uint_eq(all.bytes, 0);
}

END_TEST

START_TEST(unfinished_mail_is_bounded)
{
	struct intakes all;
	struct intake_mail m;
	struct ask_commit big = good;
	uint64_t id = 0;

	intakes_init(&all);
	big.inline_size = 2359296;
	while (intake_begin(&all, ++id, &big, &m) == INTAKE_MORE)
		ck_assert_uint_lt(id, 100);
	ck_assert_int_eq(intake_begin(&all, id, &big, &m), INTAKE_BUSY);
	ck_assert_int_eq(intake_begin(&all, id, &good, &m), INTAKE_MORE);
	intakes_clear(&all);
	ck_assert_uint_eq(all.bytes, 0);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { parts_make_a_whole,
		what_breaks_the_contract_is_refused,
		unfinished_mail_is_bounded };

	return PART_RUN("intake", tests);
}
