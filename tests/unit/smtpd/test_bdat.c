/* BDAT: chunks of any size and in any order of packets, and every error. */
#include "tests/unit/smtpd/talk.h"

static void
begin_rcpt(void)
{
	begin();
	TALK("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@y.example>\r\n", "250 250");
}

/* What the queue was handed ends so. */
static void
content_ends(const char *text)
{
	struct str all = buf_str(&h.fake.content), end = str_of(text);

	ck_assert_uint_ge(all.len, end.len);
	ck_assert(str_eq(str_skip(all, all.len - end.len), end));
}

START_TEST(one_chunk)
{
	accept_all();
	begin();
	ck_assert_ptr_nonnull(strstr(h.got.p, "250-CHUNKING\r\n"));
	TALK("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@y.example>\r\n", "250 250");
	TALK("BDAT 19 LAST\r\nSubject: x\r\n\r\n.\r\n.x", "250");
	ck_assert_ptr_nonnull(strstr(h.got.p, "250 2.0.0 Ok: queued as "));
	/* Dots are content, and a last line is a line. */
	content_ends("\r\nSubject: x\r\n\r\n.\r\n.x\r\n");
	ck_assert_uint_eq(h.fake.body_size, 7);
	TALK("BDAT 3 LAST\r\nabc", "503");
	TALK("DATA\r\n", "503");
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

START_TEST(chunks)
{
	accept_all();
	begin_rcpt();
	TALK("BDAT 5\r\nA: b\r", "250");
	ck_assert_str_eq(h.got.p, "250 2.0.0 5 octets received\r\n");
	TALK("BDAT 0\r\n", "250");
	TALK("NOOP\r\n", "250");
	TALK("HELP\r\n", "214");
	TALK("BDAT 1\r\n\n", "250");
	TALK("BDAT 8\r\n\r\nQUIT\r\n", "250");
	TALK("BDAT 0 last\r\n", "250");
	content_ends("\r\nA: b\r\n\r\nQUIT\r\n");
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

/* RFC 3030 2: the sequence, and what ends it. */
START_TEST(order)
{
	accept_all();
	h.config->limits.errors = h.config->limits.soft_errors = 100;
	harness_connect(&h);
	TALK("BDAT 6\r\nQUIT\r\n", "503");
	TALK("EHLO x\r\n", "250");
	TALK("BDAT 6 LAST\r\nQUIT\r\n", "503");
	TALK("MAIL FROM:<a@b>\r\n", "250");
	TALK("BDAT 6\r\nQUIT\r\n", "503");
	TALK("RCPT TO:<c@d>\r\n", "503");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<>\r\n", "250 501");
	TALK("BDAT 6\r\nQUIT\r\n", "503");
	TALK("RCPT TO:<c@d>\r\n", "503");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	TALK("BDAT 2\r\nx:", "250");
	TALK("MAIL FROM:<a@b>\r\n", "503");
	TALK("RCPT TO:<e@f>\r\n", "503");
	TALK("DATA\r\n", "503");
	TALK("STARTTLS\r\n", "503");
	TALK("VRFY c@d\r\n", "252");
	TALK("BDAT 6 LAST\r\n y\r\n\r\n", "250");
	content_ends("\r\nx: y\r\n\r\n");
	ck_assert_str_eq(h.fake.to, "c@d");
	/* RSET and EHLO end it. */
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\nx:RSET\r\n",
	    "250 250 250 250");
	TALK("BDAT 1 LAST\r\nx", "503");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\nx:EHLO y\r\n",
	    "250 250 250 250");
	TALK("RCPT TO:<c@d>\r\n", "503");
	ck_assert_uint_eq(h.fake.ncommits, 1);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\nx:QUIT\r\n",
	    "250 250 250 221 EOF");
}

END_TEST

/* Nobody knows how much follows: nothing that does may be a command. */
START_TEST(bad_sizes)
{
	static const struct {
		const char *args, *want;
	} cases[] = {
		{ "", "501 EOF" },
		{ " LAST", "501 EOF" },
		{ " +5", "501 EOF" },
		{ " -1", "501 EOF" },
		{ " 05", "501 EOF" },
		{ " 00", "501 EOF" },
		{ " 0x10", "501 EOF" },
		{ " 5\tLAST", "501 EOF" },
		{ " 5 LAST x", "501 EOF" },
		{ " 5 FIRST", "501 EOF" },
		{ " 5  LAST", "501 EOF" },
		{ " 5 LASTLAST", "501 EOF" },
		{ " 5LAST", "501 EOF" },
		{ " 1e3", "501 EOF" },
		{ " 4294967296", "552 EOF" },
		{ " 9223372036854775808", "552 EOF" },
		{ " 18446744073709551615", "552 EOF" },
		{ " 18446744073709551616", "552 EOF" },
		{ " 18446744073709551621 LAST", "552 EOF" },
		{ " 9999999999999999999999999999999999999999", "552 EOF" },
	};

	accept_all();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[200];

		begin_rcpt();
		snprintf(line, sizeof(line),
		    "BDAT%s\r\nMAIL FROM:<e@f>\r\nQUIT\r\n", cases[i].args);
		TALK(line, cases[i].want);
		harness_hang_up(&h);
	}
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

/* Every octet that was announced goes by, whatever went wrong before. */
START_TEST(swallowed)
{
	accept_all();
	h.config->limits.errors = h.config->limits.soft_errors = 100;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<@>\r\nBDAT 6\r\nQUIT\r\n"
	     "BDAT 6 LAST\r\nQUIT\r\nRSET\r\n",
	    "250 501 503 503 250");
	TALK(
	    "MAIL FROM:<@>\r\nRCPT TO:<a@b>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
	    "501 503 503 250");
	/* The reply waits for them. */
	harness_say(&h, STR("BDAT 12 LAST\r\nQUIT\r\n"), 0);
	ck_assert_uint_eq(h.got.len, 0);
	TALK("NOOP\r\nRSET\r\n", "503 250");
}

END_TEST

static void
one_byte_more(const char *transcript, const char *want)
{
	struct str text = str_of(transcript);

	begin();
	for (size_t i = 0; i + 1 < text.len; i++) {
		stream_write(h.client, text.p + i, 1);
		harness_settle(&h);
	}
	buf_reset(&h.got);
	TALK(text.p + text.len - 1, want);
}

/* Split anywhere, it is the same mail and the same replies. */
START_TEST(every_split)
{
	static const char text[] =
	    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nA: BDAT 6\r\n"
	    "b\r\n\r\n.BDAT 5 LAST\r\n\r\nx\r\nRSET\r\n";
	size_t all = strlen(text);

	accept_all();
	for (size_t at = 1; at < all; at++) {
		size_t n;

		begin();
		harness_say(&h, str_head(str_of(text), at), 0);
		n = count_replies(buf_str(&h.got));
		harness_say(&h, str_skip(str_of(text), at), 6 - n);
		content_ends("\r\nA: b\r\n\r\n.\r\nx\r\n");
		harness_hang_up(&h);
	}
	ck_assert_uint_eq(h.fake.ncommits, all - 1);
	one_byte_more(text, "250");
	content_ends("\r\nA: b\r\n\r\n.\r\nx\r\n");
}

END_TEST

/* The rule of bare CR and LF, over the borders of chunks. */
START_TEST(bare)
{
	static const char *const bad[] = {
		"BDAT 2 LAST\r\nx\n",
		"BDAT 3 LAST\r\nx\ry",
		"BDAT 2\r\nx\rBDAT 1 LAST\r\ny",
		"BDAT 2\r\nx\rBDAT 0 LAST\r\n",
		"BDAT 2 LAST\r\nx\r",
		"BDAT 1\r\nxBDAT 1 LAST\r\n\n",
		"BDAT 3\r\nx\r\rBDAT 1 LAST\r\n\n",
	};

	accept_all();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin_rcpt();
		harness_say(&h, str_of(bad[i]), 100);
		ck_assert_msg(strstr(h.got.p, "550 5.5.2 ") != NULL && h.eof,
		    "case %zu: %s", i, h.got.p);
		harness_hang_up(&h);
	}
	begin_rcpt();
	TALKN("BDAT 3 LAST\r\nx\0y", "550 EOF");
	harness_hang_up(&h);
	ck_assert_uint_eq(h.fake.ncommits, 0);
	/* CRLF on the border is whole. */
	begin_rcpt();
	TALK("BDAT 3\r\n\r\nxBDAT 2\r\ny\rBDAT 1 LAST\r\n\n", "250 250 250");
	content_ends("\r\n\r\nxy\r\n");
}

END_TEST

/* A dot in any place is no end of anything. */
START_TEST(dots)
{
	accept_all();
	begin_rcpt();
	TALK(
	    "BDAT 38 LAST\r\na: b\r\n\r\nx\r\n.\r\nMAIL FROM:<e@f>\r\n.\r\n..\r\n",
	    "250");
	content_ends("\r\n\r\nx\r\n.\r\nMAIL FROM:<e@f>\r\n.\r\n..\r\n");
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

START_TEST(too_big)
{
	char chunk[700] = "BDAT 600\r\n";

	accept_all();
	h.config->limits.message_size = 1000;
	begin_rcpt();
	memset(chunk + 10, 'x', 600);
	TALK(chunk, "250");
	/* The one that is too much is refused, and those behind it. */
	TALK(chunk, "552");
	TALK(chunk, "503");
	TALK("RCPT TO:<a@b>\r\n", "503");
	TALK("DATA\r\n", "503");
	TALK("BDAT 2001\r\n", "552 EOF");
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

START_TEST(too_many)
{
	accept_all();
	h.config->limits.chunks = 3;
	begin_rcpt();
	TALK("BDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxBDAT 1 LAST\r\nxNOOP\r\n",
	    "250 250 250 554 250");
	TALK("BDAT 1 LAST\r\nx", "503");
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

/* Small ones by the thousand are junk. */
START_TEST(crumbs)
{
	struct buf b;

	accept_all();
	h.config->limits.junk_commands = 5;
	begin_rcpt();
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < 10000; i++)
		buf_add_str(&b, STR("BDAT 1\r\nx"));
	harness_say(&h, buf_str(&b), 10000);
	ck_assert_uint_eq(count_replies(buf_str(&h.got)), 10000);
	TALK("BDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nx",
	    "250 250 250 250 421 EOF");
	buf_clear(&b);
}

END_TEST

/* A chunk that needs a file waits for it, and so does what is behind it. */
START_TEST(in_a_file)
{
	static char chunk[300020];
	int n = snprintf(chunk, sizeof(chunk), "BDAT 300000\r\nA: b\r\n\r\n");

	accept_all();
	memset(chunk + n, 'x', 300000 - 8);
	for (size_t i = (size_t)n + 60; i + 2 < sizeof(chunk) - 12; i += 60)
		chunk[i] = '\r', chunk[i + 1] = '\n';
	begin_rcpt();
	harness_say(&h, (struct str){ chunk, (size_t)n + 300000 - 8 }, 1);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	TALK("BDAT 5 LAST\r\ntail\r", "550 EOF");
	harness_hang_up(&h);
	ck_assert_uint_eq(h.fake.ndropped, 1);
	begin_rcpt();
	harness_say(&h, (struct str){ chunk, (size_t)n + 300000 - 8 }, 1);
	TALK("BDAT 6 LAST\r\ntail\r\n", "250");
	content_ends("tail\r\n");
	ck_assert_uint_eq(h.fake.ncommits, 1);
	/* There is none: this one fails, and those behind it. */
	h.fake.file = FAKE_REFUSE;
	h.fake.why = REFUSED_SPACE;
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	harness_say(&h, (struct str){ chunk, (size_t)n + 300000 - 8 }, 1);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("45")));
	TALK("BDAT 6 LAST\r\ntail\r\nNOOP\r\n", "503 250");
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

/* When one chunk was refused those behind it are no mail, whoever refused it
 * and however soon he would not any more. */
START_TEST(holes)
{
	struct tell_space space = { .state = SPACE_SHORT };

	accept_all();
	begin_rcpt();
	channel_tell(h.fake.ch, TYPE_tell_space, &space, 0);
	harness_settle(&h);
	TALK("BDAT 8\r\nA: b\r\n\r\n", "452");
	space.state = SPACE_OK;
	channel_tell(h.fake.ch, TYPE_tell_space, &space, 0);
	harness_settle(&h);
	TALK("BDAT 6 LAST\r\nrest\r\n", "503");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	from_queue_stop();
	TALK("BDAT 8\r\nA: b\r\n\r\n", "451");
	channel_free(&h.fake.ch);
	fake_start(&h);
	TALK("BDAT 6 LAST\r\nrest\r\nRCPT TO:<c@d>\r\nDATA\r\n", "503 503 503");
	ck_assert_uint_eq(h.fake.ncommits, 0);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1 LAST\r\nx",
	    "250 250 250");
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

/* Lost between chunks, or within one: nothing remains. */
START_TEST(lost)
{
	accept_all();
	begin_rcpt();
	TALK("BDAT 3\r\nabc", "250");
	harness_hang_up(&h);
	ck_assert_uint_eq(sessions_count(), 0);
	begin_rcpt();
	harness_say(&h, STR("BDAT 30 LAST\r\nabc"), 0);
	harness_hang_up(&h);
	ck_assert_uint_eq(sessions_count(), 0);
	begin_rcpt();
	harness_say(&h, STR("BDAT 6\r\nabcdefBDAT 30\r\nabc"), 1);
	harness_hang_up(&h);
	ck_assert_uint_eq(sessions_count(), 0);
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { one_chunk, chunks, order, bad_sizes,
		swallowed, every_split, bare, dots, too_big, too_many, crumbs,
		in_a_file, holes, lost };

	return run_tests("bdat", tests, sizeof(tests) / sizeof(tests[0]));
}
