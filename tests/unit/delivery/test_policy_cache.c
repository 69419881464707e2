/* Policies that were made already. */
#include "tests/unit/delivery/one_action.h"

START_TEST(test_made_once)
{
	enum policy_refusal no;
	struct hop_url url;
	struct policy *first, *p;
	struct policy_parts q = {
		.config = config, .action = action, .url = &url
	};
	struct str text = STR("smtp://192.0.2.1");

	ck_assert_int_eq(hop_url_parse(text, &url, NULL), 0);
	first = policy_get_by_url(text, &q, &no);
	p = policy_get_by_url(text, &q, &no);
	ck_assert_ptr_eq(p, first);
	policy_unref(&p);
	q.require_tls = true;
	p = policy_get_by_url(text, &q, &no);
	ck_assert_ptr_ne(p, first);
	ck_assert_int_eq(p->level, SECURE_VERIFIED);
	policy_unref(&p);
	q.require_tls = false;
	p = policy_get_by_url(STR("smtp://192.0.2.2"), &q, &no);
	ck_assert_ptr_ne(p, first);
	policy_unref(&p);
	/* kept by who uses it */
	policies_clear();
	p = policy_get_by_url(text, &q, &no);
	ck_assert_ptr_ne(p, first);
	ck_assert_str_eq(p->key, first->key);
	policy_unref(&p);
	policy_unref(&first);
}

END_TEST

START_TEST(test_kept_with_a_host)
{
	struct policy_slot slot = { 0 };
	enum policy_refusal no;
	struct hop_url url, other;
	struct policy *first, *p;
	struct policy_parts q = { .config = config,
		.action = action,
		.url = &url,
		.host = "mx1.d.test" };

	ck_assert_int_eq(hop_url_parse(STR("smtp://h.test"), &url, NULL), 0);
	ck_assert_int_eq(
	    hop_url_parse(STR("smtp+tls://h.test"), &other, NULL), 0);
	first = policy_get(&slot, &q, &no);
	p = policy_get(&slot, &q, &no);
	ck_assert_ptr_eq(p, first);
	policy_unref(&p);
	q.url = &other;
	p = policy_get(&slot, &q, &no);
	ck_assert_int_eq(p->level, SECURE_VERIFIED);
	policy_unref(&p);
	/* what is refused changes nothing, and is asked again */
	q.require_tls = true;
	ck_assert_int_eq(
	    hop_url_parse(STR("smtp+notls://h.test"), &other, NULL), 0);
	ck_assert_ptr_null(policy_get(&slot, &q, &no));
	ck_assert_int_eq(no, POLICY_NO_REQUIRE);
	q.require_tls = false;
	p = policy_get(&slot, &q, &no);
	ck_assert_int_eq(p->level, SECURE_NEVER);
	policy_unref(&p);
	policy_unref(&first);
	policy_slot_clear(&slot);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("policy_cache");
	TCase *tc = tcase_create("policy_cache");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup_action, teardown);
	tcase_add_test(tc, test_made_once);
	tcase_add_test(tc, test_kept_with_a_host);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
