/* Who may use whose connection: the keys of policies. */
#include "tests/unit/delivery/policies.h"

static struct policy *
made(const char *url, const char *host, bool require_tls)
{
	enum policy_refusal no;
	struct hop_url parsed;
	struct policy *p;

	ck_assert_int_eq(hop_url_parse(str_of(url), &parsed, NULL), 0);
	struct policy_parts q = { .config = config,
		.action = action,
		.url = &parsed,
		.require_tls = require_tls,
		.host = host };
	p = policy_make(&q, &no);
	ck_assert_ptr_nonnull(p);
	return p;
}

static bool
alike(struct policy *a, struct policy *b)
{
	bool is = strcmp(a->key, b->key) == 0;

	policy_unref(&a);
	policy_unref(&b);
	return is;
}

START_TEST(test_keys)
{
	struct policy *p;

	/* unverified: whatever name led there */
	ck_assert(alike(
	    made("mx://a.test", "x", false), made("mx://b.test", "y", false)));
	ck_assert(alike(made("smtp://192.0.2.1", NULL, false),
	    made("mx://b.test", "y", false)));
	ck_assert(!alike(made("smtp://192.0.2.1", NULL, false),
	    made("lmtp://192.0.2.1", NULL, false)));
	ck_assert(!alike(made("smtp://192.0.2.1", NULL, false),
	    made("smtp+notls://192.0.2.1", NULL, false)));
	ck_assert(!alike(made("smtp+tls://192.0.2.1", NULL, false),
	    made("smtps://192.0.2.1", NULL, false)));
	ck_assert(!alike(made("smtps://h.test", "h", false),
	    made("smtps://h.test", "h", true)));
	/* verified: one name is not another */
	ck_assert(!alike(made("smtp+tls://a.test", "x", false),
	    made("smtp+tls://b.test", "x", false)));
	ck_assert(alike(made("smtp+tls://a.test", "x", false),
	    made("smtp+tls://a.test", "y", false)));
	p = made("smtp://192.0.2.1", NULL, false);
	ck_assert_str_eq(p->helo, "gw.test");
	action->helo = xstrdup("other.test");
	ck_assert(!alike(p, made("smtp://192.0.2.1", NULL, false)));
}

END_TEST

START_TEST(test_secrets_tell_keys_apart)
{
	struct pki pki = { .certs = { { .chain = xstrdup("one") } },
		.ncerts = 1 };
	struct policy *p = made("smtp://192.0.2.1", NULL, false);
	struct table_builder *b = table_builder_new("creds");
	struct fault why;

	ck_assert_int_eq(table_builder_add(b, STR("hub"), NULL, &why), 0);
	action->auth = table_open(table_builder_seal(&b, &why), "creds", &why);
	ck_assert_ptr_nonnull(action->auth);
	action->auth_label = xstrdup("hub");
	ck_assert(!alike(p, made("smtp://192.0.2.1", NULL, false)));
	p = made("smtp://192.0.2.1", NULL, false);
	ck_assert_str_eq(p->auth_table, "creds");
	action->pki = &pki;
	ck_assert(!alike(p, made("smtp://192.0.2.1", NULL, false)));
	/* the same name, renewed */
	p = made("smtp://192.0.2.1", NULL, false);
	free(pki.certs[0].chain);
	pki.certs[0].chain = xstrdup("two");
	ck_assert(!alike(p, made("smtp://192.0.2.1", NULL, false)));
	free(pki.certs[0].chain);
	action->pki = NULL;
	table_free(&action->auth);
}

END_TEST

START_TEST(test_records_tell_keys_apart)
{
	enum policy_refusal no;
	struct policy *p = make(5, "mx://d.test", 1, 0, false, &no);

	digest[31] ^= 1;
	ck_assert(!alike(p, make(5, "mx://d.test", 1, 0, false, &no)));
	ck_assert(alike(make(5, "mx://d.test", 1, 0, false, &no),
	    make(5, "mx://d.test", 1, 0, false, &no)));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("policy_keys");
	TCase *tc = tcase_create("policy_keys");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_keys);
	tcase_add_test(tc, test_secrets_tell_keys_apart);
	tcase_add_test(tc, test_records_tell_keys_apart);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
