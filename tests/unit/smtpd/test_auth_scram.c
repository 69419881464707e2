/* SCRAM-SHA-256 message by message, with a vault that knows no more than one
 * proof. */
#include "tests/unit/smtpd/auth_talk.h"

/* The answer to the server's first message, without its proof. */
static const char *
without_proof(const char *binding)
{
	static char text[2048];
	struct str c = challenge();
	size_t n = str_find(c, ',');

	snprintf(text, sizeof(text), "c=%s,%.*s", binding, (int)n, c.p);
	return text;
}

static void
say_final(const char *without, struct str proof, const char *want, int at)
{
	char text[3072];
	struct buf b;

	buf_init(&b, 1024);
	base64_encode(proof, &b);
	snprintf(text, sizeof(text), "%s,p=%.*s", without, (int)b.len, b.p);
	buf_clear(&b);
	talk_bytes(encoded("", str_of(text)), want, at);
}

/* The right answer, with this extension. */
static void
scram_final_with(struct str extension, const char *want)
{
	struct str without = str_of(without_proof("biws"));
	struct buf b;

	buf_init(&b, 3072);
	buf_add_str(&b, without);
	buf_add_str(&b, extension);
	buf_add_str(&b, STR(",p="));
	base64_encode(STR(FAKE_PROOF), &b);
	talk_bytes(encoded("", buf_str(&b)), want, __LINE__);
	buf_clear(&b);
}

#define FINAL(without, proof, want) \
	say_final((without), STR(proof), (want), __LINE__)

START_TEST(scram)
{
	char first[4096], want[8192];
	const char *without;

	begin();
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	copy(first, sizeof(first), challenge());
	ck_assert_int_eq(strncmp(first, "r=abc", 5), 0);
	ck_assert_ptr_nonnull(
	    strstr(first, ",s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"));
	without = without_proof("biws");
	snprintf(want, sizeof(want), "n=alice,r=abc,%s,%s", first, without);
	FINAL(without, FAKE_PROOF, "334");
	CHALLENGE("v=c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M=");
	ck_assert_str_eq(vault.message, want);
	TALK("\r\n", "235");
	authenticated(true);
}

END_TEST

START_TEST(scram_in_other_words)
{
	begin();
	/* In two steps; a client that could bind, and names its user twice. */
	TALK("AUTH SCRAM-SHA-256\r\n", "334");
	CHALLENGE("");
	TALK64("", "y,a=alice,n=alice,r=!~,x=optional", "334");
	FINAL(without_proof("eSxhPWFsaWNlLA=="), FAKE_PROOF, "334");
	TALK("*\r\n", "501");
	/* Names with what has another meaning here. */
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=a=2Cb=3Dc,r=abc", "334");
	ck_assert_str_eq(vault.user, "a,b=c");
	TALK("*\r\n", "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=j\xc3\xb6rg,r=abc", "334");
	ck_assert_str_eq(vault.user, "j\xc3\xb6rg");
	TALK("*\r\n", "501");
	authenticated(false);
}

END_TEST

START_TEST(scram_first_is_malformed)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "501" },
		{ "n", "501" },
		{ "n,", "501" },
		{ "n,,", "501" },
		{ "n,,n=alice", "501" },
		{ "n,,r=abc,n=alice", "501" },
		{ "n,,n=alice,r=", "501" },
		{ "n,,n=alice,r=a b", "501" },
		{ "n,,n=alice,r=\xc3\xa9", "501" },
		{ "n,,n=,r=abc", "501" },
		{ "n,,n=a=2cb,r=abc", "501" },
		{ "n,,n=a=,r=abc", "501" },
		{ "n,,n=a=2,r=abc", "501" },
		{ "n,,n=\xff,r=abc", "501" },
		{ "n,,m=ext,n=alice,r=abc", "501" },
		{ "n,a=,n=alice,r=abc", "501" },
		{ "n,b=alice,n=alice,r=abc", "501" },
		{ "x,,n=alice,r=abc", "501" },
		{ "N,,n=alice,r=abc", "501" },
		{ "p=tls-unique,,n=alice,r=abc", "535" },
		{ "n,a=bob,n=alice,r=abc", "535" },
	};

	begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TALK("AUTH SCRAM-SHA-256\r\n", "334");
		talk_bytes(encoded("", str_of(cases[i].text)), cases[i].want,
		    1000 + (int)i);
	}
	ck_assert_uint_eq(vault.nasked, 0);
	authenticated(false);
}

END_TEST

START_TEST(scram_final_is_wrong)
{
	static const struct {
		const char *binding, *more, *proof, *want;
	} cases[] = {
		{ "biws", "", "wrong", "501" },
		{ "biws", "", "PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP", "535" },
		{ "biws", "", FAKE_PROOF "p", "501" },
		{ "biwu", "", FAKE_PROOF, "535" },
		{ "eSws", "", FAKE_PROOF, "535" },
		{ "", "", FAKE_PROOF, "535" },
		{ "*", "", FAKE_PROOF, "535" },
		{ "biws", "x", FAKE_PROOF, "535" },
	};

	begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2048];

		TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
		snprintf(text, sizeof(text), "%s%s",
		    without_proof(cases[i].binding), cases[i].more);
		say_final(
		    text, str_of(cases[i].proof), cases[i].want, 2000 + (int)i);
	}
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	TALK64("", "c=biws,r=abc,p=cHA=", "535");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	TALK64("", "c=biws", "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	TALK64("", "p=cHA=", "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	TALK64("", "r=abc,c=biws,p=cHA=", "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	FINAL(without_proof("biws"), FAKE_PROOF, "334");
	TALK64("", "and more", "501");
	/* Each time another nonce of ours. */
	authenticated(false);
}

END_TEST

/* What no message may hold (RFC 5802 7) is refused here: the vault would not
 * even be told. */
START_TEST(scram_with_a_nul)
{
	begin();
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc,x=\0", "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,a=\0,n=alice,r=abc", "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc,x=\xff", "501");
	ck_assert_uint_eq(vault.nasked, 0);
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc,x=y", "334");
	scram_final_with(STR(",x=\0"), "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc,x=y", "334");
	scram_final_with(STR(",x=\xc3"), "501");
	/* It is there for all the others. */
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc,x=y", "334");
	scram_final_with(STR(",x=y"), "334");
	TALK("\r\n", "235");
}

END_TEST

START_TEST(scram_nonces)
{
	char one[4096];

	begin();
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	copy(one, sizeof(one), challenge());
	TALK("*\r\n", "501");
	TALK64("AUTH SCRAM-SHA-256 ", "n,,n=alice,r=abc", "334");
	ck_assert_str_ne(one, challenge().p);
	h.config->listeners[0].flags &= ~(uint32_t)LISTENER_SCRAM;
	TALK("*\r\n", "501");
	TALK("AUTH SCRAM-SHA-256\r\n", "504");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { scram, scram_in_other_words,
		scram_first_is_malformed, scram_final_is_wrong,
		scram_with_a_nul, scram_nonces };

	return run_tests_in("auth_scram", tests,
	    sizeof(tests) / sizeof(tests[0]), open_vault, close_vault);
}
