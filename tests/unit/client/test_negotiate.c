/* What is agreed, and what is refused. */
#include <check.h>
#include <string.h>

#include "milters/client/negotiate.h"
#include "milters/client/packet.h"

static struct negotiated n;
static struct buf fault, payload;

static void
setup(void)
{
	memset(&n, 0, sizeof(n));
	buf_init(&fault, 200);
	buf_init(&payload, 100000);
}

static void
teardown(void)
{
	buf_clear(&fault);
	buf_clear(&payload);
}

static int
take(uint32_t version, uint32_t actions, uint32_t steps)
{
	buf_reset(&payload);
	buf_reset(&fault);
	packet_add_u32(&payload, version);
	packet_add_u32(&payload, actions);
	packet_add_u32(&payload, steps);
	return negotiate_take(&n, buf_str(&payload), &fault);
}

START_TEST(test_offer)
{
	struct buf out;

	buf_init(&out, 100);
	negotiate_offer(&out);
	ck_assert_uint_eq(out.len, 17);
	ck_assert_mem_eq(
	    out.p, "\0\0\0\rO\0\0\0\6\0\0\1\xff\0\x1f\xff\xff", 17);
	buf_clear(&out);
}

END_TEST

START_TEST(test_versions)
{
	for (uint32_t v = 2; v <= 6; v++) {
		ck_assert_int_eq(take(v, 0x11, 0), 0);
		ck_assert_uint_eq(n.version, v);
		ck_assert_uint_eq(n.actions, 0x11);
		ck_assert_uint_eq(
		    n.steps, (v < 3 ? 0x100U : 0U) | (v < 4 ? 0x200U : 0U));
	}
	ck_assert_int_eq(take(1, 0, 0), -1);
	ck_assert_int_eq(take(7, 0, 0), -1);
	ck_assert_int_eq(take(0, 0, 0), -1);
	ck_assert_int_eq(take(0xffffffff, 0, 0), -1);
	ck_assert_ptr_nonnull(memmem(fault.p, fault.len, "4294967295", 10));
	/* What was agreed before is not touched. */
	ck_assert_uint_eq(n.version, 6);
}

END_TEST

START_TEST(test_bits)
{
	ck_assert_int_eq(take(6, 0x1ff, 0x1fffff), 0);
	ck_assert_int_eq(take(6, 0x200, 0), -1);
	ck_assert_ptr_nonnull(memmem(fault.p, fault.len, "0x200", 5));
	ck_assert_int_eq(take(6, 0x80000000, 0), -1);
	ck_assert_int_eq(take(6, 0, 0x200000), -1);
	ck_assert_int_eq(take(6, 0, 0x80000000), -1);
	/* libmilter's own. */
	ck_assert_int_eq(take(6, 0, 0x70000001), 0);
	ck_assert_uint_eq(n.steps, 1);
}

END_TEST

START_TEST(test_too_short)
{
	take(6, 1, 1);
	for (size_t len = 0; len < 12; len++) {
		buf_reset(&fault);
		ck_assert_int_eq(negotiate_take(&n,
				     str_head(buf_str(&payload), len), &fault),
		    -1);
		ck_assert_uint_gt(fault.len, 0);
	}
}

END_TEST

START_TEST(test_lists)
{
	take(6, 0x101, 0);
	for (int i = 0; i < MACRO_STAGES; i++)
		ck_assert_uint_eq(
		    n.macros[i], macros_default((enum macro_stage)i));
	packet_add_u32(&payload, 3);
	packet_add_string(&payload, STR("{rcpt_addr}, i"));
	packet_add_u32(&payload, 77); /* unknown: passed over */
	packet_add_string(&payload, STR("j"));
	packet_add_u32(&payload, 5);
	packet_add_string(&payload, STR(""));
	packet_add_u32(&payload, 6);
	packet_add_string(&payload, STR("j"));
	ck_assert_int_eq(negotiate_take(&n, buf_str(&payload), &fault), 0);
	ck_assert_uint_eq(
	    n.macros[MACROS_RCPT], macros_parse(STR("i {rcpt_addr}")));
	ck_assert_uint_eq(n.macros[MACROS_END], 0);
	ck_assert_uint_eq(n.macros[MACROS_EOH], macros_parse(STR("j")));
	ck_assert_uint_eq(n.macros[MACROS_MAIL], macros_default(MACROS_MAIL));
	/* Cut in the middle of a list, or garbage behind them. */
	for (size_t len = 13; len < payload.len; len++) {
		bool whole = len == 12 + 19 || len == 12 + 19 + 6 ||
			     len == 12 + 19 + 6 + 5;
		buf_reset(&fault);
		ck_assert_int_eq(negotiate_take(&n,
				     str_head(buf_str(&payload), len), &fault),
		    whole ? 0 : -1);
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("negotiate");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_offer);
	tcase_add_test(tc, test_versions);
	tcase_add_test(tc, test_bits);
	tcase_add_test(tc, test_too_short);
	tcase_add_test(tc, test_lists);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
