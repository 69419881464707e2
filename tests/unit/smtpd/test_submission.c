/* What authentication changes for mail: whose addresses may be used, which
 * fields are added and removed, what the rules, filters and the next reader
 * learn of it. */
#include "smtpd/filtering.h"
#include "tests/unit/smtpd/fake_vault.h"
#include "tests/unit/smtpd/talk.h"

static void
open_vault(void)
{
	setup();
	vault_start(&h);
	harness_rule(h.config, VERDICT_ACTION, NULL);
}

static void
close_vault(void)
{
	vault_stop(&h);
	teardown();
}

static void
begin_as_alice(void)
{
	begin();
	TALK("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "235");
}

/* The content that the queue was handed for this one. */
static const char *
mail(const char *content)
{
	TALK("MAIL FROM:<alice@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
	TALK(content, "250");
	buf_add_char(&h.fake.content, '\0');
	return h.fake.content.p;
}

static size_t
occurrences(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* The header block up to here, as a string. */
static const char *
header_of(const char *content, const char *end)
{
	static char text[4096];

	copy(text, sizeof(text),
	    (struct str){ content, (size_t)(end - content) + 2 });
	return text;
}

START_TEST(adds_what_is_missing)
{
	const char *c;
	char id[100];

	begin_as_alice();
	c = mail("Subject: hi\r\n\r\nbody\r\n.\r\n");
	snprintf(id, sizeof(id),
	    "\r\nMessage-ID: <%s@mx.example>\r\nSubject: hi\r\n\r\nbody\r\n",
	    h.fake.msgid);
	ck_assert_ptr_nonnull(strstr(c, id));
	ck_assert_uint_eq(occurrences(c, "\r\nDate: "), 1);
	ck_assert_ptr_nonnull(strstr(c, " +0000\r\nDate: "));
	/* Ours stands on top. */
	ck_assert_int_eq(strncmp(c, "Received: from ", 15), 0);
	ck_assert_uint_eq(
	    h.fake.header_size, (uint32_t)(strstr(c, "\r\n\r\n") + 4 - c));
}

END_TEST

START_TEST(leaves_what_is_there)
{
	const char *c;

	begin_as_alice();
	c = mail("message-id: <1@x>\r\nDATE:\r\n Mon, 1 Jan 2024 00:00:00 "
		 "+0000\r\n\r\nDate: no\r\nBcc: no\r\n.\r\n");
	ck_assert_uint_eq(occurrences(c, "Message-ID"), 0);
	ck_assert_uint_eq(occurrences(c, "Date:"), 1);
	ck_assert_ptr_nonnull(strstr(c,
	    "\r\nmessage-id: <1@x>\r\nDATE:\r\n Mon, 1 Jan 2024 00:00:00 "
	    "+0000\r\n\r\nDate: no\r\nBcc: no\r\n"));
}

END_TEST

START_TEST(removes_blind_copies)
{
	const char *c;

	begin_as_alice();
	c = mail("Bcc: a@b\r\nTo: t@b\r\nbCC: c@d,\r\n e@f,\r\n\tg@h\xff\r\n"
		 "Bccx: stays\r\nResent-Bcc: i@j\r\nDate: x\r\n"
		 "Message-ID: <y@z>\r\nBcc: k@l\r\n\r\nBcc: body\r\n.\r\n");
	ck_assert_ptr_nonnull(strstr(c,
	    "\r\nTo: t@b\r\nBccx: stays\r\nDate: x\r\nMessage-ID: <y@z>\r\n"
	    "\r\nBcc: body\r\n"));
	ck_assert_ptr_null(strchr(c, '\xff'));
	ck_assert_uint_eq(h.fake.header_size + strlen("Bcc: body\r\n"),
	    (uint32_t)h.fake.content.len - 1);
}

END_TEST

/* The whole mail is a header block, or has none. What we took for the body
 * stays that for everybody: none of it becomes a part of our fields. */
START_TEST(odd_contents)
{
	static const struct {
		const char *content, *body;
	} cases[] = {
		{ "Bcc: a@b\r\n.\r\n", "" },
		{ ".\r\n", "" },
		{ "\r\n.\r\n", "" },
		{ "\r\nBcc: a@b\r\n.\r\n", "Bcc: a@b\r\n" },
		{ "no header\r\nBcc: a@b\r\n.\r\n",
		    "no header\r\nBcc: a@b\r\n" },
		{ " folded\r\nBcc: a@b\r\n\r\nx\r\n.\r\n",
		    " folded\r\nBcc: a@b\r\n\r\nx\r\n" },
		{ "Date: x\r\nBcc: c@d\r\nbroken\r\nDate: y\r\n.\r\n",
		    "broken\r\nDate: y\r\n" },
	};

	begin_as_alice();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *c = mail(cases[i].content), *end;

		end = strstr(c, "\r\n\r\n");
		ck_assert_msg(end != NULL, "%zu: %s", i, c);
		ck_assert_str_eq(end + 4, cases[i].body);
		ck_assert_uint_eq(h.fake.header_size, (size_t)(end + 4 - c));
		ck_assert_ptr_null(strstr(header_of(c, end), "Bcc"));
		ck_assert_uint_eq(
		    occurrences(header_of(c, end), "\r\nDate: "), 1);
		ck_assert_uint_eq(
		    occurrences(header_of(c, end), "\r\nMessage-ID: "), 1);
	}
}

END_TEST

/* As they may be written still, and have to be read (RFC 5322 4.5). */
START_TEST(obsolete_fields)
{
	const char *c;

	begin_as_alice();
	c = mail(
	    "Subject : a : b\r\n\tc :\r\nBcc\t : d@e,\r\n f@g\r\nDATE :x\r\n"
	    "bcc :\r\nMessage-Id\t: <y@z>\r\nTo:\r\n\r\nBcc : body\r\n.\r\n");
	ck_assert_ptr_nonnull(strstr(c,
	    "\r\nSubject: a : b\r\n\tc :\r\nDATE:x\r\nMessage-Id: <y@z>\r\n"
	    "To:\r\n\r\nBcc : body\r\n"));
	c = mail("Bcc : d@e\r\n.\r\n");
	ck_assert_ptr_null(strstr(c, "d@e"));
	c = mail(" : d@e\r\nBcc : f\r\n.\r\n");
	ck_assert_ptr_nonnull(strstr(c, "\r\n\r\n : d@e\r\nBcc : f\r\n"));
	c = mail("X \x01: d@e\r\nBcc : f\r\n.\r\n");
	ck_assert_ptr_nonnull(strstr(c, "\r\n\r\nX \x01: d@e\r\n"));
	/* What is too long is so with its blanks. */
	h.config->limits.header_field = 100;
	TALK("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
	    "250 250 354");
	TALK("X                                                            "
	     "                                        : y\r\n.\r\n",
	    "552");
	harness_hang_up(&h);
	/* Of others they are none. */
	begin();
	c = mail("Subject : a\r\nBcc : b\r\n.\r\n");
	ck_assert_ptr_nonnull(strstr(c, "\r\nSubject : a\r\nBcc : b\r\n"));
}

END_TEST

/* However it comes. */
START_TEST(blind_copies_by_chunks)
{
	static const char text[] =
	    "To: x\r\nBcc: d@e\r\nBcc : f\r\n\r\nBcc: y\r\n";
	const char *c;

	begin_as_alice();
	for (size_t n = 1; n < sizeof(text); n++) {
		char line[200];

		TALK("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
		    "250 250");
		snprintf(line, sizeof(line),
		    "BDAT %zu\r\n%.*sBDAT %zu LAST\r\n%s", n, (int)n, text,
		    sizeof(text) - 1 - n, text + n);
		TALK(line, "250 250");
		buf_add_char(&h.fake.content, '\0');
		c = h.fake.content.p;
		ck_assert_uint_eq(occurrences(c, "Bcc"), 1);
		ck_assert_ptr_nonnull(strstr(c, "\r\nTo: x\r\n\r\nBcc: y\r\n"));
	}
}

END_TEST

/* Its body lies in a file of the queue's by then. */
START_TEST(large)
{
	static const struct {
		const char *begin, *end;
	} cases[] = {
		{ "Bcc: a@b\r\nTo: x\r\nbcc: c@d\r\n\r\nBcc: y\r\n",
		    "\r\nTo: x\r\n\r\nBcc: y\r\n" },
		{ "Bcc: a@b\r\nno field\r\n", "\r\n\r\nno field\r\n" },
		{ " x\r\n", "\r\n\r\n x\r\n" },
	};

	static char text[600000];

	begin_as_alice();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].begin), size;
		const char *c, *from;

		memcpy(text, cases[i].begin, n);
		for (size = n; size + 70 < sizeof(text); size += 64)
			memcpy(text + size,
			    "0123456789012345678901234567890"
			    "123456789012345678901234567890x\r\n",
			    65);
		memcpy(text + size, ".\r\n", 4);
		c = mail(text);
		ck_assert_uint_ne(h.fake.bodyfile, 0);
		from = strstr(c, cases[i].end);
		ck_assert_ptr_nonnull(from);
		ck_assert_uint_eq(occurrences(c, "Bcc"), i == 0);
		/* All the rest is there. */
		ck_assert_str_eq(from + strlen(cases[i].end) + size - n, "");
	}
}

END_TEST

START_TEST(not_for_others)
{
	const char *c;

	begin();
	c = mail("Bcc: a@b\r\n\r\nbody\r\n.\r\n");
	ck_assert_ptr_nonnull(strstr(c, "\r\nBcc: a@b\r\n\r\nbody\r\n"));
	ck_assert_uint_eq(occurrences(c, "\r\nDate: "), 0);
	ck_assert_ptr_nonnull(strstr(c, " with ESMTP "));
}

END_TEST

START_TEST(received_says_how_not_who)
{
	const char *c;

	begin_as_alice();
	c = mail("Subject: hi\r\n\r\n.\r\n");
	ck_assert_ptr_nonnull(strstr(c, "by mx.example with ESMTPA "));
	ck_assert_uint_eq(occurrences(c, "alice"), 0);
	TALK("MAIL FROM:<a@b.example> SMTPUTF8\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
	TALK(".\r\n", "250");
	buf_add_char(&h.fake.content, '\0');
	ck_assert_ptr_nonnull(strstr(h.fake.content.p, " with UTF8SMTPA "));
}

END_TEST

/* --- senders --- */

static void
use_senders(void)
{
	static const char *const lists[][2] = {
		{ "alice", "alice@b.example, @c.example\tsales@d.example,,"
			   "\"a..b\"@e.example postmaster" },
		{ "carol", "" }, { NULL, NULL }
	};

	h.config->listeners[0].senders =
	    harness_table(h.config, "senders", lists);
}

static void
from(const char *address, const char *want, int at)
{
	char line[400];

	snprintf(line, sizeof(line), "MAIL FROM:<%s> SMTPUTF8\r\n", address);
	talk_bytes(str_of(line), want, at);
	TALK("RSET\r\n", "250");
}

#define FROM(address, want) from((address), (want), __LINE__)

START_TEST(senders)
{
	use_senders();
	begin();
	FROM("whoever@x.example", "250"); /* nobody has said who he is */
	TALK("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "235");
	FROM("alice@b.example", "250");
	FROM("Alice@B.EXAMPLE", "250");
	FROM("anybody@c.example", "250");
	FROM("sales@d.example", "250");
	FROM("\"a..b\"@e.example", "250");
	FROM("", "250");
	TALK("MAIL FROM:<bob@b.example>\r\n", "553");
	ck_assert_str_eq(h.got.p, "553 5.7.1 Sender address is not yours\r\n");
	FROM("alice@x.b.example", "553");
	FROM("x@sub.c.example", "553");
	FROM("alice@b.example.c.examples", "553");
	FROM("@c.example:alice@z.example", "553");
	FROM("\"alice@b.example\"@z.example", "553");
	FROM("postmaster@x.example", "553");
}

END_TEST

START_TEST(senders_of_who_has_none)
{
	use_senders();
	vault.say = true;
	vault.verdict = VAULT_RIGHT;
	begin();
	TALK("AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "235"); /* bob */
	FROM("bob@b.example", "553");
	FROM("", "250");
	harness_hang_up(&h);
	begin();
	TALK("AUTH PLAIN AGNhcm9sAHNlY3JldA==\r\n", "235"); /* carol */
	FROM("carol@b.example", "553");
	FROM("", "250");
}

END_TEST

/* In whatever script the table and the command have it. */
START_TEST(senders_of_other_scripts)
{
	static const char *const lists[][2] = {
		{ "alice", "@b\xc3\xbc"
			   "cher.example x@xn--mnchen-3ya.example" },
		{ NULL, NULL }
	};

	h.config->listeners[0].senders =
	    harness_table(h.config, "senders", lists);
	begin_as_alice();
	FROM("a@xn--bcher-kva.example", "250");
	FROM("a@B\xc3\x9c"
	     "CHER.example",
	    "250");
	FROM("x@m\xc3\xbcnchen.example", "250");
	FROM("y@m\xc3\xbcnchen.example", "553");
}

END_TEST

/* --- rules and filters --- */

START_TEST(rules_know_the_user)
{
	struct rule *r = &h.config->rules[0];

	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = COND_FROM_AUTH;
	r->nconds = 1;
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "550");
	TALK("RSET\r\n", "250");
	TALK("AUTH PLAIN AEFsSWNlAHNlY3JldA==\r\n", "235"); /* AlIce */
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
}

END_TEST

START_TEST(facts_know_the_user)
{
	struct facts f;

	facts_init(&f);
	facts_set_auth(&f, STR("PLAIN"), STR("alice"), STR("256"));
	ck_assert(str_eq(f.m.auth_type, STR("PLAIN")));
	ck_assert(str_eq(f.m.auth_authen, STR("alice")));
	ck_assert(str_eq(f.m.auth_ssf, STR("256")));
	facts_set_auth(&f, STR(""), STR(""), STR(""));
	ck_assert_uint_eq(f.m.auth_authen.len, 0);
	facts_clear(&f);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { adds_what_is_missing,
		leaves_what_is_there, removes_blind_copies, odd_contents,
		obsolete_fields, blind_copies_by_chunks, large, not_for_others,
		received_says_how_not_who, senders, senders_of_who_has_none,
		senders_of_other_scripts, rules_know_the_user,
		facts_know_the_user };

	return run_tests_in("submission", tests,
	    sizeof(tests) / sizeof(tests[0]), open_vault, close_vault);
}
