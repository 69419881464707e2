/* Exchanges of AUTH in dialogues: what is said and heard in base64. */
#ifndef POSTERN_TESTS_AUTH_TALK_H
#define POSTERN_TESTS_AUTH_TALK_H

#include "lib/mail/base64.h"
#include "tests/unit/smtpd/fake_vault.h"
#include "tests/unit/smtpd/talk.h"

static char line[40000];

/* The text in base64, behind these words. */
static inline struct str
encoded(const char *words, struct str text)
{
	struct buf b;
	int n;

	buf_init(&b, sizeof(line));
	base64_encode(text, &b);
	n = snprintf(line, sizeof(line), "%s%.*s\r\n", words, (int)b.len, b.p);
	buf_clear(&b);
	return (struct str){ line, (size_t)n };
}

#define TALK64(words, literal, want) \
	talk_bytes(encoded((words), STR(literal)), (want), __LINE__)

/* What the last challenge means. */
static inline struct str
challenge(void)
{
	static char text[4096];
	struct str got = buf_str(&h.got);
	struct buf b;

	ck_assert(str_starts_nocase(got, STR("334 ")));
	buf_init(&b, sizeof(text));
	ck_assert_int_eq(
	    base64_decode(str_head(str_skip(got, 4), got.len - 6), &b), 0);
	copy(text, sizeof(text), buf_str(&b));
	buf_clear(&b);
	return str_of(text);
}

#define CHALLENGE(want) \
	ck_assert_msg(str_eq(challenge(), STR(want)), "%s", challenge().p)

static inline void
open_vault(void)
{
	setup();
	vault_start(&h);
}

static inline void
close_vault(void)
{
	vault_stop(&h);
	teardown();
}

/* Authenticated or not, as the rules see it. */
static inline void
authenticated(bool is)
{
	TALK("RSET\r\n", "250");
	TALK64("AUTH PLAIN ", "\0alice\0secret", is ? "503" : "235");
}

#endif
