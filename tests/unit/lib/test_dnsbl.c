/* DNS lists as a table has them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rules/dnsbl.h"

static struct addr
address(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(str_of(text), &a), 0);
	return a;
}

START_TEST(answers)
{
	static const struct {
		const char *key, *counts, *not ;
	} cases[] = {
		{ "zen.example", "127.0.0.1 127.0.0.2 127.255.0.1 127.1.2.3",
		    "127.255.255.254 127.255.255.0 192.0.2.1 0.0.0.0 ::1" },
		{ "zen.example=127.0.0.2", "127.0.0.2",
		    "127.0.0.1 127.0.0.3 127.0.1.2 128.0.0.2 126.0.0.2" },
		{ "zen.example=127.0.0.[2..11]",
		    "127.0.0.2 127.0.0.7 127.0.0.11",
		    "127.0.0.1 127.0.0.12 127.0.1.2" },
		{ "zen.example=127.0.0.[2;4..6;255]",
		    "127.0.0.2 127.0.0.4 127.0.0.6 127.0.0.255",
		    "127.0.0.3 127.0.0.7 127.0.0.254" },
		{ "zen.example=127.[0..1].[0].[0..255]",
		    "127.0.0.0 127.1.0.255", "127.2.0.1 127.0.1.1" },
		{ "zen.example=127.255.255.254", "", "127.255.255.254" },
		{ "zen.example=[0..255].0.0.2", "127.0.0.2", "10.0.0.2" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dnsbl_list l;
		struct fault why = { .class = FAULT_NONE };
		const char *const lists[] = { cases[i].not, cases[i].counts };

		ck_assert_msg(
		    dnsbl_parse(str_of(cases[i].key), STR(""), &l, &why) == 0,
		    "%s: %s", cases[i].key, why.text);
		ck_assert(str_eq(l.zone, STR("zen.example")));
		ck_assert_int_eq(l.weight, 1);
		for (int want = 0; want < 2; want++) {
			char copy[200], *rest = copy, *word;

			snprintf(copy, sizeof(copy), "%s", lists[want]);
			while ((word = strsep(&rest, " ")) != NULL) {
				if (*word == '\0')
					continue;
				struct addr a = address(word);
				ck_assert_msg(
				    dnsbl_counts(&l, &a) == (want == 1),
				    "%s: %s", cases[i].key, word);
			}
		}
	}
}

END_TEST

START_TEST(malformed)
{
	static const char *const keys[] = { "", "=127.0.0.2",
		"zen.example=", "zen.example=127", "zen.example=127.0.0",
		"zen.example=127.0.0.", "zen.example=127.0.0.2.3",
		"zen.example=127.0.0.256", "zen.example=127.0.0.2 ",
		"zen.example=127.0.0.x", "zen.example=127.0.0.[",
		"zen.example=127.0.0.[]", "zen.example=127.0.0.[2",
		"zen.example=127.0.0.[2..]", "zen.example=127.0.0.[..2]",
		"zen.example=127.0.0.[2.3]", "zen.example=127.0.0.[3..2]",
		"zen.example=127.0.0.[2;]", "zen.example=127.0.0.[;2]",
		"zen.example=127.0.0.[2..256]", "zen.example=127.0.0.[2]]",
		"zen.example=127.0.0.2-11", "zen.example=192.0.2.1",
		"zen.example=127.0.0.2=3", "zen example", "zen..example",
		".example", "zen.example.1", "-", "z\xc3\xa9.example" };
	char longest[260];
	struct dnsbl_list l;
	struct fault why;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		why.text[0] = '\0';
		ck_assert_msg(
		    dnsbl_parse(str_of(keys[i]), STR(""), &l, &why) == -1, "%s",
		    keys[i]);
		ck_assert(why.text[0] != '\0');
		ck_assert_int_eq(
		    dnsbl_parse(str_of(keys[i]), STR(""), &l, NULL), -1);
	}
	/* An IPv6 address has to find room before it. */
	for (size_t i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = i % 10 == 9 ? '.' : 'a';
	ck_assert_int_eq(
	    dnsbl_parse((struct str){ longest, 189 }, STR(""), &l, NULL), 0);
	ck_assert_int_eq(
	    dnsbl_parse((struct str){ longest, 191 }, STR(""), &l, NULL), -1);
}

END_TEST

START_TEST(weights)
{
	static const struct {
		const char *text;
		int32_t weight; /* 0: none */
	} cases[] = { { "", 1 }, { "1", 1 }, { " 3 ", 3 }, { "1000", 1000 },
		{ "-4", -4 }, { "-1000", -1000 }, { "0", 0 }, { "-0", 0 },
		{ "1001", 0 }, { "-", 0 }, { "--1", 0 }, { "+1", 0 },
		{ "1.5", 0 }, { "x", 0 }, { "99999999999999999999", 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dnsbl_list l;
		int rc = dnsbl_parse(
		    STR("zen.example"), str_of(cases[i].text), &l, NULL);

		ck_assert_msg(
		    rc == (cases[i].weight == 0 ? -1 : 0), "%s", cases[i].text);
		if (rc == 0)
			ck_assert_int_eq(l.weight, cases[i].weight);
	}
}

END_TEST

static struct table *
make(size_t n, const char *const (*pairs)[2])
{
	struct table_builder *b = table_builder_new("lists");
	struct fault why;
	struct table *t;

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(table_builder_add(
				     b, str_of(pairs[i][0]), pairs[i][1], &why),
		    0);
	t = table_open(table_builder_seal(&b, &why), "lists", &why);
	ck_assert_ptr_nonnull(t);
	return t;
}

START_TEST(tables)
{
	static const char *const good[][2] = { { "zen.example", "3" },
		{ "zen.example=127.0.0.10", "-2" }, { "b.example", NULL },
		{ "c.example", "2" } };
	static const char *const bad[][2] = { { "zen.example", "3" },
		{ "b.example", "x" } };
	static const char *const nets[][2] = { { "zen.example", "3" },
		{ "192.0.2.1", "1" } };
	struct dnsbl_list lists[DNSBL_LISTS_MAX];
	struct fault why;
	int32_t max = 0, sum = 0;
	struct table *t = make(4, good);

	ck_assert_int_eq(dnsbl_check(t, &max, &why), 0);
	ck_assert_int_eq(max, 6);
	ck_assert_uint_eq(dnsbl_lists(t, lists), 4);
	for (size_t i = 0; i < 4; i++)
		sum += lists[i].weight;
	ck_assert_int_eq(sum, 4);
	table_free(&t);
	t = make(2, bad);
	ck_assert_int_eq(dnsbl_check(t, &max, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "b.example"));
	ck_assert_uint_eq(dnsbl_lists(t, lists), 1);
	table_free(&t);
	t = make(2, nets);
	ck_assert_int_eq(dnsbl_check(t, &max, &why), -1);
	table_free(&t);
}

END_TEST

START_TEST(too_many)
{
	static char names[DNSBL_LISTS_MAX + 1][20];
	const char *pairs[DNSBL_LISTS_MAX + 1][2];
	struct dnsbl_list lists[DNSBL_LISTS_MAX];
	struct fault why;
	struct table *t;
	int32_t max;

	for (size_t i = 0; i <= DNSBL_LISTS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "z%zu.example", i);
		pairs[i][0] = names[i];
		pairs[i][1] = "1000";
	}
	t = make(DNSBL_LISTS_MAX, (const char *const(*)[2])pairs);
	ck_assert_int_eq(dnsbl_check(t, &max, &why), 0);
	ck_assert_int_eq(max, DNSBL_LISTS_MAX * 1000);
	table_free(&t);
	t = make(DNSBL_LISTS_MAX + 1, (const char *const(*)[2])pairs);
	ck_assert_int_eq(dnsbl_check(t, &max, &why), -1);
	ck_assert_uint_eq(dnsbl_lists(t, lists), DNSBL_LISTS_MAX);
	table_free(&t);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("dnsbl");
	TCase *c = tcase_create("dnsbl");
	SRunner *r = srunner_create(s);

	tcase_add_test(c, answers);
	tcase_add_test(c, malformed);
	tcase_add_test(c, weights);
	tcase_add_test(c, tables);
	tcase_add_test(c, too_many);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
