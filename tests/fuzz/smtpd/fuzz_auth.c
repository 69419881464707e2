/*
 * The exchange of AUTH through the real session code, with a vault that is
 * played. The first byte is what the vault does; the rest are the client's
 * lines, separated by LF: one that begins with a blank is sent as it stands,
 * any other in base64 (so that the messages inside are what is tried), and
 * all but the first behind AUTH and a mechanism. A % is the nonce of the last
 * challenge. Whatever comes: replies are
 * replies, who was never found right is nobody, and all memory is given back.
 */
#include <stdint.h>

#include "lib/mail/base64.h"
#include "tests/unit/smtpd/fake_vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_replies(struct str got)
{
	while (got.len > 0) {
		size_t lf = str_find(got, '\n');

		if (lf == got.len)
			break; /* cut short by the end */
		MUST(lf >= 4 && got.p[lf - 1] == '\r');
		MUST(got.p[0] >= '2' && got.p[0] <= '5');
		MUST(chr_is_digit(got.p[1]) && chr_is_digit(got.p[2]));
		MUST(got.p[3] == ' ' || got.p[3] == '-');
		/* Only the vault can say so. */
		if (str_starts_nocase(got, STR("235")))
			MUST(vault.nasked > 0 &&
			     str_eq_nocase(str_of(vault.user), STR("alice")));
		got = str_skip(got, lf + 1);
	}
}

/* What stands in the place of a %. */
static void
add_nonce(struct str got, struct buf *out)
{
	size_t at = got.len < 2 ? 0 : got.len - 2;
	struct buf b;
	struct str text;

	while (at > 0 && got.p[at - 1] != '\n')
		at--;
	text = str_skip(got, at);
	buf_init(&b, 65536);
	if (text.len > 6 && str_starts_nocase(text, STR("334 ")) &&
	    base64_decode(str_head(str_skip(text, 4), text.len - 6), &b) == 0) {
		text = str_skip(buf_str(&b), 2);
		buf_add_str(out, str_head(text, str_find(text, ',')));
	}
	buf_clear(&b);
}

static void
add_line(struct str line, struct str got, struct buf *out)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] == '%')
			add_nonce(got, out);
		else
			buf_add_char(out, line.p[i]);
}

static void
say(struct harness *h, const char *words, struct str line)
{
	struct buf b, text;

	buf_init(&b, 65536);
	buf_init(&text, 1 << 24);
	add_line(line, buf_str(&h->got), &text);
	line = buf_str(&text);
	buf_add_str(&b, str_of(words));
	if (line.len > 0 && line.p[0] == ' ')
		buf_add_str(&b, str_skip(line, 1));
	else
		base64_encode(line, &b);
	buf_clear(&text);
	buf_add_str(&b, STR("\r\n"));
	if (!h->eof)
		stream_write(h->client, b.p, b.len);
	buf_clear(&b);
	harness_settle(h);
}

static void
play(struct harness *h, struct str in)
{
	static const char *const words[] = { "AUTH PLAIN ", "AUTH LOGIN ",
		"AUTH SCRAM-SHA-256 ", "" };

	while (in.len > 1 && !h->eof) {
		const char *first = words[(unsigned char)in.p[0] % 4];
		size_t n = str_find(str_skip(in, 1), '\n');

		say(h, first, str_head(str_skip(in, 1), n));
		in = str_skip(in, n + 2);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct harness h;

	if (size < 1 || size > 16384)
		return 0;
	log_set_level(LOG_LEVEL_WARN);
	harness_open(&h);
	harness_rule(h.config, VERDICT_ACTION, NULL);
	vault_start(&h);
	vault.hold = data[0] == 'h';
	vault.say = data[0] == 'b' || data[0] == 'f';
	vault.verdict = data[0] == 'b' ? VAULT_BUSY : VAULT_FAULT;
	if (data[0] == 'g')
		vault_stop(&h);
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	say(&h, "EHLO client.example", STR(" "));
	play(&h, (struct str){ (const char *)data + 1, size - 1 });
	check_replies(buf_str(&h.got));
	/* Nobody can part us from it. */
	MUST(data[0] == 'g' || vault.ch != NULL);
	vault_stop(&h);
	harness_close(&h);
	MUST(sessions_count() == 0);
	return 0;
}
