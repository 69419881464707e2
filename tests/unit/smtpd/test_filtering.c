/* Sessions with filters: what filters hear of a mail, what clients hear of
 * them, and which are asked. */
#include "tests/unit/smtpd/one_filter.h"
#include "tests/unit/smtpd/sources_table.h"

/* --- the way of a mail --- */

START_TEST(passes)
{
	one_filter();
	begin();
	TALK("MAIL FROM:<A@B.Example> SIZE=10 BODY=8BITMIME\r\n", "250");
	TALK("RCPT TO:<X@Y.EXAMPLE>\r\n", "250");
	TALK("DATA\r\n", "354");
	TALK(
	    "Subject: hi\r\nMessage-ID:\r\n <1@b>\r\n\r\nbody\r\n.\r\n", "250");
	ck_assert_uint_eq(h.fake.ncommits, 1);
	ck_assert_str_eq(h.fake.starts, "0");
	ck_assert_uint_eq(h.fake.context_len, 0);
	ck_assert_str_eq(filter_heard(f),
	    "C Hclient.example M<A@B.Example> R<X@Y.EXAMPLE> T L L N B E ");
	ck_assert_int_eq((int)f->body.len, 6);
	ck_assert(str_eq(
	    buf_str(&f->header), STR("Subject:hi\nMessage-ID:\n <1@b>\n")));
	ck_assert_ptr_nonnull(strstr(content(), "Received: from client"));
	ck_assert_ptr_nonnull(strstr(content(),
	    "\r\nSubject: hi\r\nMessage-ID:\r\n <1@b>\r\n\r\nbody\r\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "j=mx.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "_=unknown [192.0.2.1]\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{client_name}=[192.0.2.1]\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{client_port}=4242\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{daemon_port}=25\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{mail_addr}=A@b.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{mail_host}=b.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_addr}=X@y.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_mailer}=discard\n"));
	ck_assert_ptr_nonnull(strstr(macros(), h.fake.msgid));
	TALK("QUIT\r\n", "221 EOF");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "Q ");
}

END_TEST

/* Each mail of a session anew, on the same connection. */
START_TEST(two_mails)
{
	one_filter();
	whole_mail("250");
	filter_heard(f);
	TALK("MAIL FROM:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n", "250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(filter_heard(f), "M<c@d> R<e@f> T N B E ");
	ck_assert_uint_eq(h.fake.ncommits, 2);
	ck_assert_uint_eq(f->nconns, 1);
}

END_TEST

START_TEST(aborts)
{
	one_filter();
	begin();
	filter_heard(f);
	TALK("RSET\r\n", "250");
	ck_assert_str_eq(filter_heard(f), "");
	TALK("MAIL FROM:<a@b>\r\nRSET\r\n", "250 250");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "M<a@b> A ");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nEHLO again\r\n",
	    "250 250 250");
	ck_assert_str_eq(filter_heard(f), "M<a@b> R<c@d> A Hagain ");
	TALK("MAIL FROM:<a@b>\r\n", "250");
	harness_hang_up(&h);
	ck_assert_ptr_nonnull(strstr(filter_heard(f), "Q "));
}

END_TEST

/* --- refusals --- */

START_TEST(greeting_waits)
{
	one_filter();
	f->hold['C'] = true;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0);
	ck_assert_str_eq(filter_heard(f), "C ");
	filter_release(f);
	harness_replies(&h, 1);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 mx.example ")));
	TALK("NOOP\r\n", "250");
}

END_TEST

START_TEST(early_talker)
{
	one_filter();
	f->hold['C'] = true;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	stream_write(h.client, "EHLO x\r\n", 8);
	harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0);
	filter_says(f, 'C', 'r', STR(""));
	filter_release(f);
	harness_replies(&h, 100);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("554 5.5.1 ")));
	ck_assert(h.eof);
}

END_TEST

/* Who is only flagged for it is refused by the filter all the same. */
START_TEST(early_and_refused)
{
	one_filter();
	h.config->listeners[0].flags |= LISTENER_GREET_FLAG;
	f->hold['C'] = true;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	stream_write(h.client, "EHLO x\r\nMAIL FROM:<a@b>\r\n", 25);
	harness_settle(&h);
	filter_says(f, 'C', 'r', STR(""));
	filter_release(f);
	harness_replies(&h, 3);
	ck_assert(
	    str_starts_nocase(buf_str(&h.got), STR("554 5.7.1 mx.example ")));
	TALK("MAIL FROM:<a@b>\r\n", "550");
	ck_assert_uint_eq(f->nconns, 1);
}

END_TEST

/* A gateway may send what its client said behind XCLIENT at once. */
START_TEST(behind_xclient)
{
	struct table *t = sources_table("192.0.2.0/24");

	one_filter();
	h.config->listeners[0].xclient_from = t;
	begin();
	TALK("XCLIENT ADDR=198.51.100.7\r\nEHLO y\r\nMAIL FROM:<a@b>\r\n",
	    "220 250 250");
	h.config->listeners[0].xclient_from = NULL;
	table_free(&t);
}

END_TEST

START_TEST(connect_refused)
{
	one_filter();
	SAYS(f, 'C', 'y', "550-5.7.1 first\r\n550 5.7.1 second");
	harness_connect(&h);
	buf_add_char(&h.got, '\0');
	ck_assert_str_eq(h.got.p, "554 5.7.1 mx.example first\r\n");
	TALK("EHLO x\r\n", "250");
	TALK("MAIL FROM:<a@b>\r\n", "550");
	ck_assert_str_eq(h.got.p, "550-5.7.1 first\r\n550 5.7.1 second\r\n");
	TALK("VRFY <a@b>\r\n", "550");
	TALK("BANANA\r\nRSET\r\nQUIT\r\n", "500 250 221 EOF");
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

START_TEST(connect_tempfailed)
{
	one_filter();
	filter_says(f, 'C', 't', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "451");
	TALK("MAIL FROM:<a@b>\r\n", "451");
}

END_TEST

START_TEST(connect_shut)
{
	one_filter();
	SAYS(f, 'C', 'y', "421 4.7.1 Not today");
	harness_connect_to(&h, 0, NULL);
	harness_replies(&h, 100);
	ck_assert(
	    str_starts_nocase(buf_str(&h.got), STR("421 4.7.1 Not today\r\n")));
	ck_assert(h.eof);
}

END_TEST

START_TEST(helo_refused)
{
	one_filter();
	SAYS(f, 'H', 'y', "550 5.7.1 No such name");
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "550");
	ck_assert_ptr_nonnull(strstr(h.got.p, "No such name"));
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

START_TEST(mail_refused)
{
	one_filter();
	filter_says(f, 'M', 'r', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "550 503");
	filter_forget(f, 'M');
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	ck_assert_uint_eq(admission()->now, 1);
	TALK("RSET\r\n", "250");
	ck_assert_uint_eq(admission()->now, 0);
}

END_TEST

START_TEST(rcpt_refused_alone)
{
	one_filter();
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	SAYS(f, 'R', 'y', "450 4.2.2 Full");
	TALK("RCPT TO:<e@f>\r\n", "450");
	filter_forget(f, 'R');
	TALK("DATA\r\n", "354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.to, "c@d");
}

END_TEST

START_TEST(data_refused)
{
	one_filter();
	filter_says(f, 'T', 't', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	TALK("DATA\r\n", "451");
	/* The message was refused, not the command alone. */
	TALK("RCPT TO:<c@d>\r\n", "503");
	filter_forget(f, 'T');
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

START_TEST(data_refused_with_content_behind)
{
	one_filter();
	filter_says(f, 'T', 'r', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	TALK("DATA\r\nQUIT\r\n.\r\n", "550 EOF");
}

END_TEST

START_TEST(unknown_command)
{
	one_filter();
	begin();
	filter_heard(f);
	SAYS(f, 'U', 'y', "450 4.7.1 What?");
	TALK("BANANA split\r\n", "450");
	ck_assert_str_eq(filter_heard(f), "UBANANA split ");
	filter_forget(f, 'U');
	TALK("BANANA split\r\nNOOP x\r\nSTARTTLS\r\n", "500 250 502");
	ck_assert_str_eq(filter_heard(f), "UBANANA split ");
	TALK("MAIL FROM:<a@b>\r\nBANANA\r\n", "250 500");
	ck_assert_ptr_null(strstr(filter_heard(f), "U"));
}

END_TEST

/* Refused by ourselves: told to those that want to know, obeyed in no case. */
START_TEST(refused_are_told)
{
	one_filter();
	f->steps = 0x800; /* RCPT_REJ */
	h.config->nrules = 0;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<>\r\n",
	    "250 550 501");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "C Hclient.example M<a@b> R<c@d> ");
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_mailer}=error\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_host}=5.7.1\n"));
	ck_assert_ptr_nonnull(
	    strstr(macros(), "{rcpt_addr}=Relaying denied\n"));
	h.config->nrules = 1;
	TALK("RCPT TO:<c@d>\r\n", "250");
}

END_TEST

START_TEST(filter_fails)
{
	one_filter();
	f->refuse = true;
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "451");
	f->refuse = false;
	TALK("MAIL FROM:<a@b>\r\n", "250");
	ck_assert_str_eq(filter_heard(f), "C Hclient.example M<a@b> ");
}

END_TEST

/* --- which filters --- */

/* a on the listener; for recipients at z.example: b; at none.example: none. */
static struct fake_filter *
two_sets(void)
{
	struct fake_filter *b;
	struct rule *r;

	f = filter_new("a");
	b = filter_new("b");
	h.config->listeners[0].milters = filter_set("a");
	harness_rule(h.config, VERDICT_ACTION, NULL);
	r = h.config->rules;
	r[0].conds = xcalloc(1, sizeof(*r[0].conds));
	r[0].nconds = 1;
	r[0].conds[0].kind = COND_MAIL_FROM;
	r[0].milters = filter_set("b");
	filters_start();
	return b;
}

/* Which rule is first, by an odd sender: tables need files. */
static void
use_set(const struct milter_set *set)
{
	h.config->rules[0].nconds = 0;
	h.config->rules[0].milters = set;
}

START_TEST(set_of_recipient)
{
	struct fake_filter *b = two_sets();

	use_set(&h.config->milter_sets[1]);
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "250");
	filter_heard(f);
	TALK("RCPT TO:<c@d>\r\n", "250");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "A ");
	ck_assert_str_eq(filter_heard(b), "C Hclient.example M<a@b> R<c@d> ");
	use_set(NULL);
	TALK("RCPT TO:<e@f>\r\n", "452");
	ck_assert_ptr_nonnull(strstr(h.got.p, "452 4.5.3 "));
	TALK("DATA\r\n", "354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.to, "c@d");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<e@f>\r\n", "250 250");
	ck_assert_str_eq(filter_heard(f), "M<a@b> R<e@f> ");
}

END_TEST

/* Whom nobody took decided nothing. */
START_TEST(choice_is_forgotten)
{
	struct fake_filter *b = two_sets();

	use_set(&h.config->milter_sets[1]);
	filter_says(b, 'R', 'r', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 550");
	use_set(NULL);
	TALK("RCPT TO:<e@f>\r\nDATA\r\n", "250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.to, "e@f");
	ck_assert_ptr_nonnull(strstr(filter_heard(f), "E "));
}

END_TEST

/* Only by rule: nothing is made before it is needed, all is told then. */
START_TEST(set_without_listener)
{
	struct fake_filter *b = two_sets();

	h.config->listeners[0].milters = NULL;
	use_set(&h.config->milter_sets[1]);
	begin();
	TALK("MAIL FROM:<a@b> SIZE=5\r\n", "250");
	ck_assert_uint_eq(fakes.nconns, 0);
	TALK("RCPT TO:<c@d>\r\nDATA\r\n", "250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(
	    filter_heard(b), "C Hclient.example M<a@b> R<c@d> T N B E ");
	ck_assert_uint_eq(f->nconns, 0);
	/* In the next transaction it is told what is new. */
	TALK("EHLO other.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    "250 250 250");
	ck_assert_str_eq(filter_heard(b), "Hother.example M<a@b> R<c@d> ");
	ck_assert_uint_eq(b->nconns, 1);
}

END_TEST

START_TEST(excepted)
{
	struct fake_filter *b = two_sets();

	h.config->listeners[0].flags |= LISTENER_NO_MILTERS;
	use_set(&h.config->milter_sets[1]);
	whole_mail("250");
	ck_assert_uint_eq(b->nconns + f->nconns, 0);
	ck_assert_str_eq(h.fake.starts, "0");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { passes, two_mails, aborts,
		greeting_waits, early_talker, early_and_refused, behind_xclient,
		connect_refused, connect_tempfailed, connect_shut, helo_refused,
		mail_refused, rcpt_refused_alone, data_refused,
		data_refused_with_content_behind, unknown_command,
		refused_are_told, filter_fails, set_of_recipient,
		choice_is_forgotten, set_without_listener, excepted };

	return run_tests_in("filtering", tests,
	    sizeof(tests) / sizeof(tests[0]), filters_setup, filters_teardown);
}
