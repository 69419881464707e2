/* A whole conversation with a filter: every event, and what was agreed about
 * each. */
#include "tests/unit/client/talk_owner.h"

/* --- the way of a mail --- */

START_TEST(test_whole_conversation)
{
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_UNKNOWN), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	facts.rcpt = STR("<e@f.test>");
	facts.rcpt_args = STR("NOTIFY=NEVER");
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_DATA), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(),
	    "O C(a.test|4\x10\xe1"
	    "192.0.2.1) H(helo.test) U(XYZZY now) "
	    "M(<a@b.test>|SIZE=100|BODY=8BITMIME) R(<c@d.test>) "
	    "R(<e@f.test>|NOTIFY=NEVER) T L(Subject|probe) "
	    "L(X-Tab|\tv\n folded) L(X-Empty|) N B(hello\r\n) E");
	/* Another, without more ado. */
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	talk_free(&talk);
	settle();
	ck_assert_str_eq(heard(), "M(<a@b.test>|SIZE=100|BODY=8BITMIME) "
				  "R(<e@f.test>|NOTIFY=NEVER) A Q");
	ck_assert(peer.ended);
}

END_TEST

START_TEST(test_macros_before_events)
{
	peer.macros = true;
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(),
	    "O D(Cj|mx.test|{client_name}|a.test) C(a.test|4\x10\xe1"
	    "192.0.2.1)");
	ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "H(helo.test)");
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_ptr_nonnull(strstr(heard(), "D(M{client_name}|a.test|i|id1"));
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_str_eq(
	    heard(), "D(Ri|id1|{rcpt_addr}|c@d.test) R(<c@d.test>)");
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(),
	    "L(Subject|probe) L(X-Tab|\tv\n folded) L(X-Empty|) D(Ni|id1) N "
	    "B(hello\r\n) D(Ei|id1) E");
}

END_TEST

START_TEST(test_clients)
{
	static const struct {
		const char *addr, *heard;
	} rows[] = {
		{ "2001:db8::1", "O C(a.test|6\x10\xe1"
				 "2001:db8::1)" },
		{ "fe80::1%2", "O C(a.test|6\x10\xe1"
			       "fe80::1)" },
		{ "::ffff:192.0.2.7", "O C(a.test|4\x10\xe1"
				      "192.0.2.7)" },
		{ "local", "O C(localhost|4||127.0.0.1)" },
		{ "none", "O C(a.test|U)" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		end();
		begin();
		memset(&facts.client, 0, sizeof(facts.client));
		if (strcmp(rows[i].addr, "local") == 0)
			facts.client.family = ADDR_LOCAL;
		else if (strcmp(rows[i].addr, "none") != 0)
			ck_assert_int_eq(
			    addr_parse(str_of(rows[i].addr), &facts.client), 0);
		ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
		ck_assert_str_eq(heard(), rows[i].heard);
	}
}

END_TEST

/* --- what was agreed --- */

START_TEST(test_nothing_wanted)
{
	offers(6, 0, 0x37f);
	peer.macros = true;
	upto(MILTER_DATA);
	ck_assert_int_eq(ask(MILTER_UNKNOWN), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "D(Ei|id1) E");
}

END_TEST

START_TEST(test_macros_of_omitted_events)
{
	offers(6, 0, 0x37f);
	peer.macros = peer.brief = true;
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert(ask_at_once(MILTER_HELO));
	ck_assert(ask_at_once(MILTER_MAIL));
	ck_assert(ask_at_once(MILTER_RCPT));
	ck_assert(ask_at_once(MILTER_DATA));
	settle();
	ck_assert_str_eq(heard(), "O D D D D");
	/* Nothing of the message was sent: nothing to abort. */
	talk_abort(talk);
	settle();
	ck_assert_str_eq(heard(), "");
}

END_TEST

START_TEST(test_old_versions)
{
	static const struct {
		uint32_t version;
		const char *heard;
	} rows[] = { { 2, "O C H M R L L L N B E" },
		{ 3, "O C H U M R L L L N B E" },
		{ 4, "O C H U M R T L L L N B E" } };

	for (size_t i = 0; i < 3; i++) {
		end();
		begin();
		offers(rows[i].version, 0x1f, 0);
		peer.brief = true;
		ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_UNKNOWN), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_DATA), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
		ck_assert_str_eq(heard(), rows[i].heard);
	}
}

END_TEST

START_TEST(test_never_replies)
{
	quiet();
	peer.brief = true;
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert(ask_at_once(MILTER_HELO));
	ck_assert(ask_at_once(MILTER_MAIL));
	ck_assert(ask_at_once(MILTER_RCPT));
	ck_assert(ask_at_once(MILTER_DATA));
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "O C H M R T L L L N B E");
}

END_TEST

START_TEST(test_replies_against_its_word)
{
	/* Only what it said it would never reply to was sent. */
	quiet();
	says('M', BYTES("\0\0\0\1r"));
	upto(MILTER_HELO);
	ck_assert(ask_at_once(MILTER_MAIL));
	while (nlost == 0)
		loop_run(loop);
	expect_fault("it spoke when nothing was asked");
	ck_assert(ask_at_once(MILTER_RCPT));
	expect_fault("it spoke when nothing was asked");
	ck_assert(!got.lost);
}

END_TEST

START_TEST(test_replies_against_its_word_before_the_end)
{
	/* Not read yet when the next question is asked. */
	quiet();
	upto(MILTER_HELO);
	ck_assert(ask_at_once(MILTER_MAIL));
	peer_put(BYTES("\0\0\0\1c"));
	loop_settle(loop);
	ck_assert(ask_at_once(MILTER_RCPT));
	expect_fault("it spoke when nothing was asked");
	ck_assert_uint_eq(nlost, 0);
}

END_TEST

START_TEST(test_skip)
{
	static char big[300000];

	memset(big, 'x', sizeof(big));
	mail.body = (struct str){ big, sizeof(big) };
	offers(6, 0, 0x400);
	peer.brief = true;
	says('B', BYTES("\0\0\0\1s"));
	upto(MILTER_DATA);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "L L L N B E");
	ck_assert_uint_eq(peer.bytes, 65535);
	/* In the next message it sees the body again. */
	says('B', BYTES("\0\0\0\1c"));
	settle();
	heard();
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "M R L L L N B B B B B E");
	ck_assert_uint_eq(peer.bytes, 65535 + sizeof(big));
}

END_TEST

START_TEST(test_leading_space)
{
	offers(6, 0x11, 0x100000);
	upto(MILTER_DATA);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(),
	    "L(Subject| probe) L(X-Tab|\tv\n folded) L(X-Empty|) N "
	    "B(hello\r\n) E");
}

END_TEST

START_TEST(test_no_header_no_body)
{
	headers_clear(&headers);
	headers_init(&headers, STR("Received: ours\r\n\r\n"), 16);
	mail.body = STR("");
	upto(MILTER_DATA);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "N E");
}

END_TEST

START_TEST(test_omitted_parts)
{
	static const struct {
		uint32_t steps;
		const char *heard;
	} rows[] = { { 0x10, "O C H M R T L L L N E" },
		{ 0x20, "O C H M R T N B E" },
		{ 0x40, "O C H M R T L L L B E" }, { 0x70, "O C H M R T E" },
		{ 0x30, "O C H M R T N E" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		end();
		begin();
		offers(6, 0, rows[i].steps);
		peer.brief = true;
		for (int s = MILTER_CONNECT; s <= MILTER_DATA; s++)
			ck_assert_int_eq(
			    ask((enum milter_stage)s), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
		ck_assert_str_eq(heard(), rows[i].heard);
	}
}

END_TEST

/* --- refused recipients --- */

START_TEST(test_refused_recipients)
{
	offers(6, 0, 0x800);
	peer.macros = true;
	upto(MILTER_MAIL);
	facts.rcpt_mailer = STR("error");
	facts.rcpt_host = STR("5.1.1");
	facts.rcpt_addr = STR("no such user");
	for (int i = 0; i < 3; i++)
		talk_tell_refused(talk);
	says('R', BYTES("\0\0\0\1r"));
	settle();
	/* Their replies are waited for, one by one, before the next event. */
	facts.rcpt_mailer = facts.rcpt_host = STR("");
	facts.rcpt_addr = STR("c@d.test");
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_REJECT);
	says('R', BYTES("\0\0\0\1c"));
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(),
	    "D(Ri|id1|{rcpt_addr}|no such user|{rcpt_host}|5.1.1|"
	    "{rcpt_mailer}|error) R(<c@d.test>) "
	    "D(Ri|id1|{rcpt_addr}|no such user|{rcpt_host}|5.1.1|"
	    "{rcpt_mailer}|error) R(<c@d.test>) "
	    "D(Ri|id1|{rcpt_addr}|no such user|{rcpt_host}|5.1.1|"
	    "{rcpt_mailer}|error) R(<c@d.test>) "
	    "D(Ri|id1|{rcpt_addr}|c@d.test) R(<c@d.test>) "
	    "D(Ri|id1|{rcpt_addr}|c@d.test) R(<c@d.test>)");
}

END_TEST

START_TEST(test_refused_and_asked_at_once)
{
	offers(6, 0, 0x800);
	peer.brief = true;
	upto(MILTER_MAIL);
	talk_tell_refused(talk);
	talk_tell_refused(talk);
	/* Waits for the replies before it. */
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "R R R");
	/* It has enough of the message: no more is sent, none is waited
	 * for. */
	says('R', BYTES("\0\0\0\1a"));
	talk_tell_refused(talk);
	talk_tell_refused(talk);
	ck_assert_int_eq(ask(MILTER_DATA), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "R");
	ck_assert_str_eq(second_message(), "M R T L L L N B E");
}

END_TEST

START_TEST(test_refused_then_abort)
{
	offers(6, 0, 0x800);
	peer.brief = true;
	upto(MILTER_MAIL);
	talk_tell_refused(talk);
	talk_tell_refused(talk);
	talk_abort(talk);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "R A M");
	/* Nonsense as reply about one of them. */
	says('R', BYTES("\0\0\0\1s"));
	talk_tell_refused(talk);
	ask(MILTER_RCPT);
	expect_fault("not legal");
}

END_TEST

START_TEST(test_refused_not_wanted)
{
	peer.brief = true;
	upto(MILTER_MAIL);
	talk_tell_refused(talk);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "R");
}

END_TEST

START_TEST(test_refused_without_reply)
{
	quiet();
	offers(6, 0, 0x0ff880);
	peer.brief = true;
	upto(MILTER_MAIL);
	talk_tell_refused(talk);
	talk_tell_refused(talk);
	ck_assert(ask_at_once(MILTER_RCPT));
	ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "R R R L L L N B E");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("talk");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_whole_conversation);
	tcase_add_test(c, test_macros_before_events);
	tcase_add_test(c, test_clients);
	tcase_add_test(c, test_nothing_wanted);
	tcase_add_test(c, test_macros_of_omitted_events);
	tcase_add_test(c, test_old_versions);
	tcase_add_test(c, test_never_replies);
	tcase_add_test(c, test_replies_against_its_word);
	tcase_add_test(c, test_replies_against_its_word_before_the_end);
	tcase_add_test(c, test_skip);
	tcase_add_test(c, test_leading_space);
	tcase_add_test(c, test_no_header_no_body);
	tcase_add_test(c, test_omitted_parts);
	tcase_add_test(c, test_refused_recipients);
	tcase_add_test(c, test_refused_and_asked_at_once);
	tcase_add_test(c, test_refused_then_abort);
	tcase_add_test(c, test_refused_not_wanted);
	tcase_add_test(c, test_refused_without_reply);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
