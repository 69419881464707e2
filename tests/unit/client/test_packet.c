/* Framing: whole, cut, of no length, too long. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "milters/client/packet.h"

static struct packet p;
static uint32_t length;

START_TEST(test_bytes_on_the_wire)
{
	struct buf b;

	buf_init(&b, 1000);
	size_t start = packet_start(&b, 'C');
	packet_add_string(&b, STR("host"));
	buf_add_char(&b, '4');
	packet_add_u16(&b, 4321);
	packet_add_string(&b, STR("192.0.2.1"));
	ck_assert_int_eq(packet_finish(&b, start), 0);
	ck_assert_uint_eq(b.len, 4 + 1 + 5 + 1 + 2 + 10);
	ck_assert_mem_eq(b.p,
	    "\0\0\0\x13"
	    "Chost\0"
	    "4\x10\xe1"
	    "192.0.2.1",
	    b.len);
	buf_clear(&b);
}

END_TEST

START_TEST(test_cut_at_every_byte)
{
	static const char wire[] = "\0\0\0\4cabc";

	for (size_t n = 0; n < 8; n++)
		ck_assert_int_eq(
		    packet_decode((struct str){ wire, n }, &p, &length),
		    PACKET_MORE);
	/* What stands behind it is not looked at. */
	ck_assert_int_eq(
	    packet_decode((struct str){ wire, 9 }, &p, &length), PACKET_WHOLE);
	ck_assert_int_eq(p.code, 'c');
	ck_assert(str_eq(p.payload, STR("abc")));
	ck_assert_uint_eq(packet_size(&p), 8);
}

END_TEST

static enum packet_state
head(uint32_t n)
{
	struct buf b;

	buf_init(&b, 8);
	packet_add_u32(&b, n);
	length = 0;
	enum packet_state s = packet_decode(buf_str(&b), &p, &length);
	buf_clear(&b);
	return s;
}

START_TEST(test_lengths)
{
	static const uint32_t bad[] = { 0, PACKET_TAKE_MAX + 2, 0x7fffffff,
		0x80000000, 0xffffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(head(bad[i]), PACKET_BAD);
		ck_assert_uint_eq(length, bad[i]);
	}
	ck_assert_int_eq(head(PACKET_TAKE_MAX + 1), PACKET_MORE);
	ck_assert_int_eq(head(1), PACKET_MORE);
}

END_TEST

START_TEST(test_longest_sent)
{
	struct buf b;
	char *bytes = malloc(PACKET_SEND_MAX + 1);

	ck_assert_ptr_nonnull(bytes);
	memset(bytes, 'x', PACKET_SEND_MAX + 1);
	buf_init(&b, 1 << 20);
	buf_add_str(&b, STR("before"));
	size_t start = packet_start(&b, 'B');
	buf_add(&b, bytes, PACKET_SEND_MAX);
	ck_assert_int_eq(packet_finish(&b, start), 0);
	ck_assert_mem_eq(b.p + 6, "\0\1\0\0B", 5);
	size_t len = b.len;
	start = packet_start(&b, 'B');
	buf_add(&b, bytes, PACKET_SEND_MAX + 1);
	ck_assert_int_eq(packet_finish(&b, start), -1);
	ck_assert_uint_eq(b.len, len);
	buf_clear(&b);
	/* A full buffer. */
	buf_init(&b, 8);
	start = packet_start(&b, 'B');
	buf_add(&b, bytes, 100);
	ck_assert_int_eq(packet_finish(&b, start), -1);
	ck_assert_uint_eq(b.len, 0);
	buf_clear(&b);
	free(bytes);
}

END_TEST

START_TEST(test_taking_apart)
{
	struct str in = { "\0\0\1\2ab\0\0rest", 12 }, out;
	uint32_t v;

	ck_assert_int_eq(packet_take_u32(&in, &v), 0);
	ck_assert_uint_eq(v, 258);
	ck_assert_int_eq(packet_take_string(&in, &out), 0);
	ck_assert(str_eq(out, STR("ab")));
	ck_assert_int_eq(packet_take_string(&in, &out), 0);
	ck_assert_uint_eq(out.len, 0);
	ck_assert_int_eq(packet_take_string(&in, &out), -1);
	ck_assert_uint_eq(in.len, 4);
	in = str_head(in, 3);
	ck_assert_int_eq(packet_take_u32(&in, &v), -1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("packet");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, test_bytes_on_the_wire);
	tcase_add_test(tc, test_cut_at_every_byte);
	tcase_add_test(tc, test_lengths);
	tcase_add_test(tc, test_longest_sent);
	tcase_add_test(tc, test_taking_apart);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
