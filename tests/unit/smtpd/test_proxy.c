/* The PROXY header: every form, every split, and not one byte too many. */
#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"
#include "smtpd/proxy_header.h"
#include "tests/unit/smtpd/sources_table.h"
#include "tests/unit/smtpd/talk.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x34\0\x19"

/* In pieces of so many bytes; what was not taken. */
static enum proxy_result
feed(struct proxy_header *p, struct str in, size_t piece, size_t *taken)
{
	enum proxy_result r = PROXY_MORE;

	proxy_header_init(p);
	*taken = 0;
	while (r == PROXY_MORE && *taken < in.len) {
		struct str part = str_head(str_skip(in, *taken), piece);
		size_t used;

		r = proxy_header_feed(p, part, &used);
		ck_assert(r == PROXY_BAD || (used > 0 && used <= part.len));
		*taken += used;
	}
	return r;
}

/* With each size of pieces: who is named, "" nobody, NULL: malformed. */
static void
expect(struct str header, const char *client, uint16_t port, const char *why)
{
	for (size_t piece = 1; piece <= header.len + 4; piece++) {
		struct proxy_header p;
		struct buf b;
		char text[ADDR_TEXT_MAX];
		size_t taken;
		enum proxy_result r;

		buf_init(&b, 8192);
		buf_add_str(&b, header);
		buf_add_str(&b, STR("EHLO"));
		r = feed(&p, buf_str(&b), piece, &taken);
		if (client == NULL) {
			ck_assert_msg(
			    r == PROXY_BAD, "%.*s", (int)header.len, header.p);
			ck_assert_str_eq(p.why, why);
		} else {
			ck_assert_msg(r == PROXY_DONE, "%.*s: %d",
			    (int)header.len, header.p, (int)r);
			ck_assert_uint_eq(taken, header.len);
			ck_assert(p.named == (client[0] != '\0'));
			if (p.named) {
				ck_assert_str_eq(
				    addr_format(&p.client, text), client);
				ck_assert_uint_eq(p.client_port, port);
			}
		}
		proxy_header_clear(&p);
		buf_clear(&b);
	}
}

#define GOOD(text, client, port) expect(STR(text), client, port, NULL)
#define BAD(text, why)           expect(STR(text), NULL, 0, why)

START_TEST(version_1)
{
	GOOD(
	    "PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\r\n", "192.0.2.7", 4660);
	GOOD("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
	    "255.255.255.255", 65535);
	GOOD("PROXY TCP6 2001:db8::7 2001:db8::1 0 25\r\n", "2001:db8::7", 0);
	GOOD("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
	GOOD("PROXY UNKNOWN\r\n", "", 0);
	GOOD("PROXY UNKNOWN ffff:ffff::1 what ever\r\n", "", 0);
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\n", "syntax");
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 4660 25 \r\n", "syntax");
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 4660\r\n", "syntax");
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 4660 25 1\r\n", "syntax");
	BAD("PROXY TCP4  192.0.2.7 198.51.100.1 4660 25\r\n", "syntax");
	BAD("PROXY TCP4 192.0.2.7\0 198.51.100.1 4660 25\r\n", "syntax");
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\r\r\n", "syntax");
	BAD("PROXY TCP4 192.0.2.256 198.51.100.1 4660 25\r\n", "address");
	BAD("PROXY TCP4 2001:db8::7 2001:db8::1 4660 25\r\n", "address");
	BAD("PROXY TCP6 192.0.2.7 198.51.100.1 4660 25\r\n", "address");
	BAD("PROXY TCP6 [2001:db8::7] 2001:db8::1 4660 25\r\n", "address");
	BAD("PROXY TCP6 fe80::1%lo 2001:db8::1 4660 25\r\n", "address");
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n", "port");
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 04660 25\r\n", "port");
	BAD("PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n", "port");
	BAD("PROXY TCP5 192.0.2.7 198.51.100.1 4660 25\r\n", "family");
	BAD("PROXY tcp4 192.0.2.7 198.51.100.1 4660 25\r\n", "family");
	BAD("PROXY \r\n", "family");
	BAD("PROXY\r\n", "no-header");
	BAD("proxy TCP4 192.0.2.7 198.51.100.1 4660 25\r\n", "no-header");
	BAD("EHLO client.example\r\n", "no-header");
	BAD("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
	    "too-long");
}

END_TEST

START_TEST(version_2)
{
	GOOD(SIGNATURE "\x21\x11\0\x0c" V4, "192.0.2.7", 0x1234);
	/* A TLV of no interest, and an empty one. */
	GOOD(SIGNATURE "\x21\x11\0\x13" V4 "\x04\0\x01x\x05\0\0", "192.0.2.7",
	    0x1234);
	GOOD(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"
		       "\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50\0"
		       "\x19",
	    "2001:db8::7", 80);
	/* Mapped, it is what it is. */
	GOOD(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02"
		       "\x07\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01\0"
		       "\x50\0\x19",
	    "192.0.2.7", 80);
	/* LOCAL, with whatever; nobody. */
	GOOD(SIGNATURE "\x20\0\0\0", "", 0);
	GOOD(SIGNATURE "\x20\x11\0\x03xyz", "", 0);
	GOOD(SIGNATURE "\x21\0\0\0", "", 0);
	GOOD(SIGNATURE "\x21\0\0\x02xy", "", 0);
	BAD(SIGNATURE "\x11\x11\0\x0c" V4, "version");
	BAD(SIGNATURE "\x22\x11\0\x0c" V4, "version");
	BAD(SIGNATURE "\x21\x12\0\x0c" V4, "family");
	BAD(SIGNATURE "\x21\x41\0\x0c" V4, "family");
	BAD(SIGNATURE "\x21\x11\0\x0b" V4, "syntax");
	BAD(SIGNATURE "\x21\x21\0\x0c" V4, "syntax");
	BAD(SIGNATURE "\x21\x11\0\x0d" V4 "\x04", "tlv");
	BAD(SIGNATURE "\x21\x11\0\x10" V4 "\x04\0\x02x", "tlv");
	BAD(SIGNATURE "\x21\x11\xff\xff" V4, "too-long");
	BAD("\r\n\r\n\0\r\nQUIR\n\x21\x11\0\x0c" V4, "no-header");
	BAD("\r\nEHLO x\r\n", "no-header");
	BAD("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03", "no-header");
}

END_TEST

/* Clients of the balancer's own machine do not come by our submit socket. */
START_TEST(unix_socket)
{
	char b[PROXY_V2_HEAD + 216] = SIGNATURE "\x21\x31\0\xd8";

	snprintf(b + PROXY_V2_HEAD, 216, "/run/some.sock");
	expect((struct str){ b, sizeof(b) }, "", 0, NULL);
	b[15] = 0x10;
	expect((struct str){ b, sizeof(b) }, NULL, 0, "syntax");
}

END_TEST

START_TEST(checksum)
{
	char b[] = SIGNATURE "\x21\x11\0\x13" V4 "\x03\0\x04\0\0\0";
	struct str s = { b, sizeof(b) };
	uint32_t crc = crc32c(0, b, sizeof(b));

	for (size_t i = 0; i < 4; i++)
		b[sizeof(b) - 4 + i] = (char)(crc >> (24 - 8 * i));
	expect(s, "192.0.2.7", 0x1234, NULL);
	b[16] ^= 1;
	expect(s, NULL, 0, "checksum");
}

END_TEST

/* --- in a session --- */

START_TEST(from_a_balancer)
{
	accept_all();
	h.config->listeners[0].flags |= LISTENER_PROXY;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0); /* not a word before it */
	TALK("PROXY TCP4 198.51.100.77 192.0.2.25 99 25\r\n", "220");
	TALK("EHLO c.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
	    "250 250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.client, "198.51.100.77");
	buf_add_char(&h.fake.content, '\0');
	ck_assert_ptr_nonnull(strstr(
	    h.fake.content.p, "from c.example (unknown [198.51.100.77])"));
}

END_TEST

START_TEST(local_is_the_peer)
{
	accept_all();
	h.config->listeners[0].flags |= LISTENER_PROXY;
	harness_connect_to(&h, 0, NULL);
	TALKN(SIGNATURE "\x20\0\0\0", "220");
	TALK("EHLO c.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
	    "250 250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.client, "192.0.2.1");
}

END_TEST

/* One byte at a time, the last of the header and the first of SMTP apart. */
START_TEST(byte_by_byte)
{
	static const char header[] =
	    "PROXY TCP6 2001:db8::7 2001:db8::1 99 25\r\n";

	h.config->listeners[0].flags |= LISTENER_PROXY;
	harness_connect_to(&h, 0, NULL);
	for (size_t i = 0; i + 1 < sizeof(header); i++) {
		ck_assert_uint_eq(h.got.len, 0);
		stream_write(h.client, header + i, 1);
		harness_settle(&h);
	}
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 ")));
}

END_TEST

/* Whoever waits behind a balancer waits for the greeting, too. */
START_TEST(early_behind_it)
{
	h.config->listeners[0].flags |= LISTENER_PROXY;
	harness_connect_to(
	    &h, 0, "PROXY TCP4 198.51.100.77 192.0.2.25 99 25\r\nEHLO x\r\n");
	harness_replies(&h, 100);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("554 5.5.1 ")));
}

END_TEST

START_TEST(malformed)
{
	h.config->listeners[0].flags |= LISTENER_PROXY;
	harness_connect_to(&h, 0, "EHLO client.example\r\n");
	harness_replies(&h, 1);
	ck_assert(h.eof);
	ck_assert_uint_eq(h.got.len, 0);
	harness_hang_up(&h);
	harness_connect_to(&h, 0, "PROXY TCP4 1.2.3.4\r\n");
	harness_replies(&h, 1);
	ck_assert(h.eof);
	harness_hang_up(&h);
	/* Gone in the middle of it. */
	harness_connect_to(&h, 0, "PROXY TC");
	harness_settle(&h);
	harness_hang_up(&h);
	ck_assert_uint_eq(sessions_count(), 0);
}

END_TEST

/* Only who is listed has one; others are clients, for whom it is too early. */
START_TEST(listed)
{
	struct table *t = sources_table("192.0.2.8/32");

	h.config->listeners[0].proxy_from = t;
	harness_connect(&h);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 ")));
	TALK("PROXY TCP4 198.51.100.77 192.0.2.25 99 25\r\n", "500");
	harness_hang_up(&h);
	h.from = "192.0.2.8";
	harness_connect_to(&h, 0, NULL);
	TALK("PROXY TCP4 198.51.100.77 192.0.2.25 99 25\r\n", "220");
	h.config->listeners[0].proxy_from = NULL;
	table_free(&t);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { version_1, version_2, unix_socket,
		checksum, from_a_balancer, local_is_the_peer, byte_by_byte,
		early_behind_it, malformed, listed };

	return run_tests("proxy", tests, sizeof(tests) / sizeof(tests[0]));
}
