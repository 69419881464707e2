/* SCRAM-SHA-256 by the example of RFC 7677, and every bad secret. */
#include <check.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/mail/base64.h"
#include "vault/scram.h"

/* User "user", password "pencil" (RFC 7677 3). */
#define SALT   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SECRET SCRAM_PREFIX "4096," SALT "," STORED "," SERVER
#define NONCE  "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define AUTH_MESSAGE                                        \
	"n=user,r=rOprNGfwEbeRWgbNEkqO,r=" NONCE ",s=" SALT \
	",i=4096,c=biws,r=" NONCE
#define PROOF     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct buf bytes;

static struct str
decoded(const char *text)
{
	buf_clear(&bytes);
	buf_init(&bytes, 256);
	ck_assert_int_eq(base64_decode(str_of(text), &bytes), 0);
	return buf_str(&bytes);
}

static struct scram_secret
secret(void)
{
	struct scram_secret s = { 0 };
	ck_assert_int_eq(scram_parse(STR(SECRET), &s), 0);
	return s;
}

START_TEST(reads_a_secret)
{
	struct scram_secret s = secret();
	ck_assert_uint_eq(s.iterations, 4096);
	ck_assert_uint_eq(s.salt_len, 16);
	ck_assert_mem_eq(s.salt, decoded(SALT).p, 16);
	ck_assert_mem_eq(s.stored_key, decoded(STORED).p, SCRAM_HASH);
	ck_assert_mem_eq(s.server_key, decoded(SERVER).p, SCRAM_HASH);
}

END_TEST

static const char *const bad[] = {
	"",
	SCRAM_PREFIX,
	"{scram-sha-256}4096," SALT "," STORED "," SERVER,
	"{SCRAM-SHA-1}4096," SALT "," STORED "," SERVER,
	SCRAM_PREFIX "4095," SALT "," STORED "," SERVER,
	SCRAM_PREFIX "10000001," SALT "," STORED "," SERVER,
	SCRAM_PREFIX "-4096," SALT "," STORED "," SERVER,
	SCRAM_PREFIX "99999999999999999999," SALT "," STORED "," SERVER,
	SCRAM_PREFIX "4096,," STORED "," SERVER,
	SCRAM_PREFIX "4096,W22ZaJ0S!," STORED "," SERVER,
	SCRAM_PREFIX "4096," SALT "," STORED,
	SCRAM_PREFIX "4096," SALT "," STORED ",",
	SCRAM_PREFIX "4096," SALT "," SALT "," SERVER,
	SCRAM_PREFIX "4096," SALT "," STORED "," SALT,
	SCRAM_PREFIX "4096," SALT "," STORED "," SERVER ",more",
	SCRAM_PREFIX "4096," SALT "," STORED "," SERVER "AAAA",
	/* 66 bytes of salt */
	SCRAM_PREFIX
	"4096,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	"AAAAAAAAAAAAAAAAAAAAAAAA," STORED "," SERVER,
};

START_TEST(refuses_a_bad_secret)
{
	struct scram_secret s;
	ck_assert_int_eq(scram_parse(str_of(bad[_i]), &s), -1);
}

END_TEST

START_TEST(proof_of_the_rfc)
{
	struct scram_secret s = secret();
	uint8_t signature[SCRAM_HASH];
	ck_assert(
	    scram_is_proof(&s, STR(AUTH_MESSAGE), decoded(PROOF), signature));
	ck_assert_mem_eq(signature, decoded(SIGNATURE).p, SCRAM_HASH);
}

END_TEST

START_TEST(other_proofs)
{
	struct scram_secret s = secret();
	uint8_t signature[SCRAM_HASH], proof[SCRAM_HASH];
	for (size_t i = 0; i < SCRAM_HASH; i++) {
		memcpy(proof, decoded(PROOF).p, SCRAM_HASH);
		proof[i] ^= 1;
		ck_assert(!scram_is_proof(&s, STR(AUTH_MESSAGE),
		    (struct str){ (const char *)proof, SCRAM_HASH },
		    signature));
	}
	ck_assert(!scram_is_proof(
	    &s, STR(AUTH_MESSAGE "x"), decoded(PROOF), signature));
	ck_assert(!scram_is_proof(&s, STR(AUTH_MESSAGE), STR(""), signature));
	ck_assert(!scram_is_proof(&s, STR(AUTH_MESSAGE),
	    str_head(decoded(PROOF), SCRAM_HASH - 1), signature));
}

END_TEST

START_TEST(the_password_itself)
{
	struct scram_secret s = secret();
	ck_assert(scram_is_password(&s, STR("pencil")));
	ck_assert(!scram_is_password(&s, STR("pencils")));
	ck_assert(!scram_is_password(&s, STR("Pencil")));
	ck_assert(!scram_is_password(&s, STR("")));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("scram");
	TCase *t = tcase_create("scram");
	tcase_add_test(t, reads_a_secret);
	tcase_add_loop_test(
	    t, refuses_a_bad_secret, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, proof_of_the_rfc);
	tcase_add_test(t, other_proofs);
	tcase_add_test(t, the_password_itself);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
