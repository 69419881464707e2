/* Macros: which, how they are written, what is left out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milters/client/macros.h"
#include "milters/client/packet.h"

static struct milter_facts facts;
static char text[3 * MACRO_PACKET_MAX];

/* "D C j=host {client_addr}=192.0.2.1": as it lies on the wire. */
static const char *
encoded(char event, enum macro_stage stage, macro_set wanted)
{
	struct buf out;
	struct packet p = { 0 };
	struct str name, value;
	uint32_t length;
	size_t n = 0;

	text[0] = '\0';
	buf_init(&out, 1 << 20);
	macros_encode(&out, event, stage, wanted, &facts);
	if (out.len == 0) {
		buf_clear(&out);
		return text;
	}
	ck_assert_int_eq(
	    packet_decode(buf_str(&out), &p, &length), PACKET_WHOLE);
	ck_assert_uint_eq(packet_size(&p), out.len);
	ck_assert_uint_le(p.payload.len, MACRO_PACKET_MAX);
	n += (size_t)snprintf(
	    text, sizeof(text), "%c%c", p.code, p.payload.p[0]);
	p.payload = str_skip(p.payload, 1);
	while (p.payload.len > 0) {
		ck_assert_int_eq(packet_take_string(&p.payload, &name), 0);
		ck_assert_int_eq(packet_take_string(&p.payload, &value), 0);
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %.*s=%.*s",
		    (int)name.len, name.p, (int)value.len,
		    value.len > 0 ? value.p : "");
	}
	buf_clear(&out);
	return text;
}

static void
setup(void)
{
	memset(&facts, 0, sizeof(facts));
	facts.hostname = STR("mx.test");
	facts.trace = STR("a.test [192.0.2.1]");
	facts.client_addr = STR("192.0.2.1");
	facts.msgid = STR("id1");
	facts.rcpt_addr = STR("b@c.test");
	facts.rcpt_mailer = STR("smtp");
}

START_TEST(test_defaults)
{
	ck_assert_str_eq(
	    encoded('C', MACROS_CONNECT, macros_default(MACROS_CONNECT)),
	    "DC j=mx.test _=a.test [192.0.2.1] {client_addr}=192.0.2.1");
	/* Without TLS there is nothing to say. */
	ck_assert_str_eq(
	    encoded('H', MACROS_HELO, macros_default(MACROS_HELO)), "");
	ck_assert_str_eq(encoded('R', MACROS_RCPT, macros_default(MACROS_RCPT)),
	    "DR i=id1 {rcpt_addr}=b@c.test {rcpt_mailer}=smtp");
	ck_assert_str_eq(
	    encoded('T', MACROS_DATA, macros_default(MACROS_DATA)), "DT i=id1");
	ck_assert_str_eq(
	    encoded('N', MACROS_EOH, macros_default(MACROS_EOH)), "DN i=id1");
	facts.msg_id = STR("<x@y>");
	ck_assert_str_eq(encoded('E', MACROS_END, macros_default(MACROS_END)),
	    "DE i=id1 {msg_id}=<x@y>");
}

END_TEST

START_TEST(test_mail)
{
	const char *got =
	    encoded('M', MACROS_MAIL, macros_default(MACROS_MAIL));

	ck_assert_ptr_nonnull(strstr(got, " i=id1 b="));
	/* The null sender has an address, an empty one. */
	ck_assert_ptr_nonnull(strstr(got, " {mail_addr}="));
	/* Whether he authenticated, filters read from its being there. */
	ck_assert_ptr_null(strstr(got, "auth"));
	facts.auth_authen = STR("joe");
	got = encoded('M', MACROS_MAIL, macros_default(MACROS_MAIL));
	ck_assert_ptr_nonnull(strstr(got, " {auth_authen}=joe"));
}

END_TEST

START_TEST(test_asked_for)
{
	macro_set set =
	    macros_parse(STR("{rcpt_addr},i  j\t{nonsense} client_addr,,{_}"));

	ck_assert_str_eq(encoded('R', MACROS_RCPT, set),
	    "DR j=mx.test _=a.test [192.0.2.1] {client_addr}=192.0.2.1 "
	    "i=id1 {rcpt_addr}=b@c.test");
	ck_assert_uint_eq(macros_parse(STR("")), 0);
	ck_assert_uint_eq(macros_parse(STR("{} { } {i j} rcpt {")), 0);
	ck_assert_uint_eq(macros_parse(STR("{i}")), macros_parse(STR("i")));
	/* The whole list is nothing: no packet at all. */
	ck_assert_str_eq(encoded('R', MACROS_RCPT, 0), "");
}

END_TEST

START_TEST(test_nothing_stale)
{
	/* Wanted, but not defined this time: the slot has to be filled. */
	ck_assert_str_eq(
	    encoded('R', MACROS_RCPT, macros_parse(STR("{auth_type}"))),
	    "DR {rcpt_addr}=b@c.test");
	ck_assert_str_eq(
	    encoded('M', MACROS_MAIL, macros_parse(STR("{auth_type}"))),
	    "DM {mail_addr}=");
	ck_assert_str_eq(
	    encoded('T', MACROS_DATA, macros_parse(STR("{auth_type}"))), "");
}

END_TEST

START_TEST(test_values_are_cleaned)
{
	facts.rcpt_addr = (struct str){ "a\r\nb\0c{i}", 9 };
	facts.rcpt_mailer = STR("");
	ck_assert_str_eq(
	    encoded('R', MACROS_RCPT, macros_parse(STR("{rcpt_addr}"))),
	    "DR {rcpt_addr}=a  b c{i}");
}

END_TEST

START_TEST(test_long_values)
{
	static char big[3 * MACRO_VALUE_MAX];
	struct str big_str = { big, sizeof(big) };
	size_t n = strlen("DR {rcpt_addr}=");

	memset(big, 'x', sizeof(big));
	facts.rcpt_addr = big_str;
	ck_assert_uint_eq(
	    strlen(encoded('R', MACROS_RCPT, macros_parse(STR("{rcpt_addr}")))),
	    n + MACRO_VALUE_MAX);
	/* A character of two bytes is cut off whole. */
	big[MACRO_VALUE_MAX - 1] = '\303';
	big[MACRO_VALUE_MAX] = '\244';
	ck_assert_uint_eq(
	    strlen(encoded('R', MACROS_RCPT, macros_parse(STR("{rcpt_addr}")))),
	    n + MACRO_VALUE_MAX - 1);
	/* What is no UTF-8 at all is cut somewhere. */
	memset(big, 0xbf, sizeof(big));
	ck_assert_uint_ge(
	    strlen(encoded('R', MACROS_RCPT, macros_parse(STR("{rcpt_addr}")))),
	    n + MACRO_VALUE_MAX - 4);
	/* All of them long: the packet has its bound (see encoded). */
	facts.hostname = facts.version = facts.daemon_name = big_str;
	facts.daemon_addr = facts.daemon_port = facts.if_name = big_str;
	facts.if_addr = facts.client_addr = facts.client_port = big_str;
	facts.client_name = facts.client_ptr = facts.trace = big_str;
	ck_assert_uint_gt(strlen(encoded('C', MACROS_CONNECT,
			      macros_default(MACROS_CONNECT))),
	    6 * MACRO_VALUE_MAX);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("macros");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_mail);
	tcase_add_test(tc, test_asked_for);
	tcase_add_test(tc, test_nothing_stale);
	tcase_add_test(tc, test_values_are_cleaned);
	tcase_add_test(tc, test_long_values);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
