/* What a connection has to be: every demand with every other. */
#include "tests/unit/delivery/policies.h"

/* --- by example --- */

/* clang-format off */
static const struct {
	const char *tls, *url, *dane, *sts;
	bool require_tls;
	const char *want;
} cases[] = {
	/* by MX without a word: DANE where there is */
	{ "-", "mx://d.test", "none", "-", false, "may" },
	{ "-", "mx://d.test", "records", "-", false, "dane tlsa.d.test d.test" },
	{ "-", "mx://d.test", "unusable", "-", false, "must" },
	{ "-", "mx://d.test", "fault", "-", false, "refused: dane" },
	{ "-", "mx://d.test", "none", "enforce", false, "may" },
	{ "-", "smtp://h.test", "records", "-", false, "may" },
	{ "-", "smtp://h.test", "fault", "-", false, "may" },
	{ "-", "smtp://192.0.2.1", "none", "-", false, "may" },
	{ "-", "lmtp://h.test", "none", "-", false, "may" },
	{ "opportunistic", "mx://d.test", "records", "enforce other", false, "may" },
	{ "opportunistic", "mx://d.test", "fault", "-", false, "may" },
	/* require */
	{ "require", "mx://d.test", "none", "-", false, "verified mx1.d.test d.test" },
	{ "require", "smtp://h.test", "none", "-", false, "verified h.test" },
	{ "require", "lmtp://h.test", "none", "-", false, "verified h.test" },
	{ "require", "smtp://192.0.2.1", "none", "-", false, "verified" },
	{ "require no-verify", "mx://d.test", "none", "-", false, "must" },
	{ "require no-verify", "smtp://192.0.2.1", "none", "-", false, "must" },
	{ "require", "smtp+notls://h.test", "none", "-", false, "refused: clear" },
	{ "require no-verify", "smtp+notls://h.test", "none", "-", false, "refused: clear" },
	{ "require", "smtp+unix:///run/x", "none", "-", false, "never" },
	/* dane */
	{ "dane", "smtp://h.test", "none", "-", false, "may" },
	{ "dane", "smtp://h.test", "records", "-", false, "dane tlsa.d.test h.test" },
	{ "dane", "smtp://h.test", "unusable", "-", false, "must" },
	{ "dane", "smtp://h.test", "fault", "-", false, "refused: dane" },
	{ "dane", "smtp+tls://h.test", "none", "-", false, "verified h.test" },
	{ "dane", "smtp+tls://h.test", "records", "-", false, "dane tlsa.d.test h.test" },
	{ "dane", "smtps://h.test", "records", "-", false, "dane+at-once tlsa.d.test h.test" },
	{ "dane", "smtp+tls://h.test", "unusable", "-", false, "verified h.test" },
	{ "dane", "smtp+tls://h.test", "fault", "-", false, "refused: dane" },
	{ "dane", "smtp+notls://h.test", "records", "-", false, "never" },
	{ "dane", "smtp://192.0.2.1", "records", "-", false, "may" },
	/* the URL */
	{ "-", "smtp+tls://h.test", "none", "-", false, "verified h.test" },
	{ "opportunistic", "smtp+tls://h.test", "none", "-", false, "verified h.test" },
	{ "no-verify", "smtp+tls://h.test", "none", "-", false, "must" },
	{ "-", "smtps://h.test", "none", "-", false, "verified+at-once h.test" },
	{ "no-verify", "smtps://192.0.2.1", "none", "-", false, "must+at-once" },
	{ "-", "smtp+tls://192.0.2.1", "none", "-", false, "verified" },
	{ "-", "smtp+notls://h.test", "none", "-", false, "never" },
	{ "-", "lmtp+unix:///run/x", "none", "-", false, "never" },
	/* mta-sts */
	{ "mta-sts", "mx://d.test", "none", "none", false, "may" },
	{ "mta-sts", "mx://d.test", "none", "testing", false, "may+testing mx1.d.test" },
	{ "mta-sts", "mx://d.test", "none", "testing other", false, "may+testing mx1.d.test" },
	{ "mta-sts", "mx://d.test", "none", "enforce", false, "verified mx1.d.test" },
	{ "mta-sts", "mx://d.test", "none", "enforce other", false, "refused: sts" },
	{ "mta-sts", "mx://d.test", "records", "enforce", false, "verified mx1.d.test" },
	{ "mta-sts", "smtp://h.test", "none", "enforce other", false, "may" },
	/* both: DANE wins */
	{ "dane mta-sts", "mx://d.test", "records", "enforce", false, "dane tlsa.d.test d.test" },
	{ "dane mta-sts", "mx://d.test", "records", "enforce other", false, "dane tlsa.d.test d.test" },
	{ "dane mta-sts", "mx://d.test", "unusable", "enforce", false, "verified mx1.d.test" },
	{ "dane mta-sts", "mx://d.test", "unusable", "enforce other", false, "refused: sts" },
	{ "dane mta-sts", "mx://d.test", "unusable", "testing", false, "must" },
	{ "dane mta-sts", "mx://d.test", "fault", "enforce", false, "refused: dane" },
	{ "dane mta-sts", "mx://d.test", "none", "enforce", false, "verified mx1.d.test" },
	{ "dane mta-sts", "mx://d.test", "none", "testing", false, "may+testing mx1.d.test" },
	{ "dane mta-sts", "mx://d.test", "none", "-", false, "may" },
	/* REQUIRETLS */
	{ "-", "mx://d.test", "none", "-", true, "verified+requiretls mx1.d.test d.test" },
	{ "-", "mx://d.test", "records", "-", true, "dane+requiretls tlsa.d.test d.test" },
	{ "-", "mx://d.test", "unusable", "-", true, "verified+requiretls mx1.d.test d.test" },
	{ "-", "mx://d.test", "fault", "-", true, "refused: dane" },
	{ "mta-sts", "mx://d.test", "none", "testing", true, "verified+requiretls mx1.d.test" },
	{ "mta-sts", "mx://d.test", "none", "enforce", true, "verified+requiretls mx1.d.test" },
	{ "require no-verify", "mx://d.test", "none", "-", true, "verified+requiretls mx1.d.test d.test" },
	{ "no-verify", "smtps://h.test", "none", "-", true, "verified+requiretls+at-once h.test" },
	{ "-", "smtp://192.0.2.1", "none", "-", true, "verified+requiretls" },
	{ "-", "smtp+notls://h.test", "none", "-", true, "refused: requiretls" },
	{ "-", "smtp+unix:///run/x", "none", "-", true, "refused: requiretls" },
	{ "-", "lmtp+unix:///run/x", "none", "-", true, "never" },
};

/* clang-format on */

enum { NCASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(test_cases)
{
	enum policy_refusal no;
	struct policy *p = make(ROW(words, cases[_i].tls), cases[_i].url,
	    ROW(danes, cases[_i].dane), ROW(stss, cases[_i].sts),
	    cases[_i].require_tls, &no);

	ck_assert_msg(strcmp(shown(p, no), cases[_i].want) == 0,
	    "tls %s, %s, TLSA %s, MTA-STS %s%s: %s, not %s", cases[_i].tls,
	    cases[_i].url, cases[_i].dane, cases[_i].sts,
	    cases[_i].require_tls ? ", REQUIRETLS" : "", shown(p, no),
	    cases[_i].want);
	policy_unref(&p);
}

END_TEST

/* --- all of them --- */

struct combination {
	size_t word, dane, sts;
	const char *text;
	struct hop_url url;
	bool require_tls;
};

/* Whatever is demanded holds, or mail does not go there. */
static void
check_demands(
    const struct combination *m, const struct policy *p, enum policy_refusal no)
{
	unsigned int tls = words[m->word].tls;
	bool secret = m->url.tls != HOP_TLS_NEVER;
	bool by_dane = is_by_name(&m->url) && secret &&
		       ((tls & ACTION_TLS_DANE) != 0 ||
			   (tls == 0 && m->url.kind == HOP_MX));
	bool by_sts = m->url.kind == HOP_MX && (tls & ACTION_TLS_STS) != 0;
	bool unverified = (tls & ACTION_TLS_UNVERIFIED) != 0;
	enum secure_level least = SECURE_NEVER;

	if (p == NULL) {
		ck_assert_int_ne(no, POLICY_FINE);
		return;
	}
	ck_assert_int_eq(no, POLICY_FINE);
	if ((tls & ACTION_TLS_REQUIRE) != 0 && m->url.kind != HOP_LOCAL)
		least = unverified ? SECURE_MUST : SECURE_VERIFIED;
	if (m->url.tls == HOP_TLS_STARTTLS || m->url.tls == HOP_TLS_AT_ONCE)
		least = unverified ? SECURE_MUST : SECURE_VERIFIED;
	if (by_dane && danes[m->dane].is == DANE_UNUSABLE &&
	    least < SECURE_MUST)
		least = SECURE_MUST;
	if (by_sts && stss[m->sts].mode == STS_ENFORCE)
		least = SECURE_VERIFIED;
	if (m->require_tls && !(m->url.kind == HOP_LOCAL && m->url.lmtp))
		least = SECURE_VERIFIED;
	if (by_dane && danes[m->dane].is == DANE_RECORDS)
		least = SECURE_DANE;
	ck_assert_msg(p->level >= least, "%s %s %s %s: %s", words[m->word].word,
	    m->text, danes[m->dane].name, stss[m->sts].name, shown(p, no));
	ck_assert(!by_dane || danes[m->dane].is != DANE_FAULT);
	if (m->require_tls && least > SECURE_NEVER)
		ck_assert(p->require_tls);
	/* who is verified by a name has one */
	if (p->level == SECURE_VERIFIED && is_by_name(&m->url))
		ck_assert_uint_gt(p->nnames, 0);
	ck_assert_int_eq(p->level == SECURE_DANE, p->ntlsas > 0);
	ck_assert(!p->testing || p->level == SECURE_MAY);
	if (m->url.tls == HOP_TLS_NEVER)
		ck_assert_int_eq(p->level, SECURE_NEVER);
	else
		ck_assert_int_ge(p->level, SECURE_MAY);
}

START_TEST(test_every_combination)
{
	struct combination m = { .text = urls[_i % NURLS],
		.require_tls = _i >= NURLS };
	enum policy_refusal no;
	struct policy *p;

	ck_assert_int_eq(hop_url_parse(str_of(m.text), &m.url, NULL), 0);
	for (m.word = 0; m.word < NWORDS; m.word++)
		for (m.dane = 0; m.dane < NDANES; m.dane++)
			for (m.sts = 0; m.sts < NSTSS; m.sts++) {
				p = make(m.word, m.text, m.dane, m.sts,
				    m.require_tls, &no);
				check_demands(&m, p, no);
				policy_unref(&p);
			}
}

END_TEST

/* --- whose reports --- */

START_TEST(test_reported)
{
	enum policy_refusal no;
	struct policy *p = make(7, "mx://d.test", 1, 4, false, &no);

	ck_assert_int_eq(p->from, TLS_POLICY_TLSA);
	ck_assert_str_eq(p->domain, "tlsa.d.test");
	ck_assert_str_eq(p->sni, "tlsa.d.test");
	policy_unref(&p);
	p = make(7, "mx://d.test", 0, 4, false, &no);
	ck_assert_int_eq(p->from, TLS_POLICY_STS);
	ck_assert_str_eq(p->domain, "d.test");
	ck_assert_str_eq(p->sni, "mx1.d.test");
	ck_assert_str_eq(p->sts->mxs, "mx1.d.test");
	policy_unref(&p);
	p = make(0, "smtp://h.test", 0, 0, false, &no);
	ck_assert_int_eq(p->from, TLS_POLICY_NONE);
	ck_assert_str_eq(p->domain, "h.test");
	ck_assert_str_eq(p->sni, "h.test");
	policy_unref(&p);
	p = make(0, "smtp://192.0.2.1", 0, 0, false, &no);
	ck_assert_ptr_null(p->domain);
	ck_assert_ptr_null(p->sni);
	policy_unref(&p);
}

END_TEST

/* Reports about TLS that has failed get through (RFC 8460 3), but for what the
 * administrator demands. */
START_TEST(test_optional)
{
	struct host_dane host = { .is = DANE_FAULT, .base = base };
	struct sts_policy *sts = sts_of(5);
	enum policy_refusal no;
	struct hop_url url;
	struct policy *p;
	struct policy_slot slot = { 0 };
	struct policy_parts q = { .config = config,
		.action = action,
		.url = &url,
		.tls_optional = true,
		.host = "mx1.d.test",
		.dane = &host,
		.sts = sts };

	ck_assert_int_eq(hop_url_parse(STR("mx://d.test"), &url, NULL), 0);
	action->tls = ACTION_TLS_DANE | ACTION_TLS_STS;
	p = policy_get(&slot, &q, &no);
	ck_assert_str_eq(shown(p, no), "may");
	ck_assert_ptr_null(p->domain);
	policy_unref(&p);
	/* other mail is not let off with it */
	q.tls_optional = false;
	ck_assert_ptr_null(policy_get(&slot, &q, &no));
	ck_assert_int_eq(no, POLICY_DANE_FAULT);
	q.tls_optional = true;
	action->tls = ACTION_TLS_REQUIRE;
	policy_slot_clear(&slot);
	p = policy_get(&slot, &q, &no);
	ck_assert_str_eq(shown(p, no), "verified mx1.d.test d.test");
	policy_unref(&p);
	policy_slot_clear(&slot);
	sts_unref(&sts);
}

END_TEST

/* --- REQUIRETLS by MX (RFC 8689 4.2.1) --- */

/* clang-format off */
static const struct {
	const char *tls, *url, *sts;
	enum sts_fault fault;
	const char *want;
} unsure[] = {
	{ "-", "mx://d.test", "-", STS_NO_FAULT, "refused: mx" },
	{ "-", "mx://d.test", "none", STS_NO_FAULT, "refused: mx" },
	{ "require", "mx://d.test", "none", STS_NO_FAULT, "refused: mx" },
	{ "opportunistic", "mx://d.test", "none", STS_NO_FAULT, "refused: mx" },
	{ "-", "mx://d.test", "none", STS_FETCH_ERROR, "refused: sts fault" },
	{ "-", "mx://d.test", "none", STS_UNANSWERED, "refused: sts fault" },
	{ "-", "mx://d.test", "testing other", STS_NO_FAULT, "refused: mx" },
	{ "-", "mx://d.test", "testing", STS_NO_FAULT, "verified+requiretls mx1.d.test" },
	{ "-", "mx://d.test", "testing", STS_FETCH_ERROR, "verified+requiretls mx1.d.test" },
	{ "-", "mx://d.test", "enforce", STS_NO_FAULT, "verified+requiretls mx1.d.test" },
	{ "-", "mx://d.test", "enforce other", STS_NO_FAULT, "refused: sts" },
	{ "-", "smtp://h.test", "none", STS_NO_FAULT, "verified+requiretls h.test" },
	{ "-", "smtp://192.0.2.1", "none", STS_NO_FAULT, "verified+requiretls" },
};

/* clang-format on */

/* An MX that anybody may have answered names nobody. */
START_TEST(test_mx_is_unsure)
{
	enum policy_refusal no;
	struct policy *p;

	mx_is_secure = false;
	sts_fault = unsure[_i].fault;
	p = make(ROW(words, unsure[_i].tls), unsure[_i].url, 0,
	    ROW(stss, unsure[_i].sts), true, &no);
	ck_assert_str_eq(shown(p, no), unsure[_i].want);
	policy_unref(&p);
	/* other mail does not mind */
	p = make(
	    ROW(words, "-"), unsure[_i].url, 0, ROW(stss, "none"), false, &no);
	ck_assert_str_eq(shown(p, no), "may");
	policy_unref(&p);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("policy");
	TCase *tc = tcase_create("policy");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_cases, 0, NCASES);
	tcase_add_loop_test(tc, test_every_combination, 0, 2 * NURLS);
	tcase_add_test(tc, test_reported);
	tcase_add_test(tc, test_optional);
	tcase_add_loop_test(tc, test_mx_is_unsure, 0,
	    (int)(sizeof(unsure) / sizeof(unsure[0])));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
