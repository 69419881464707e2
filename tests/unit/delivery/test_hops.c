/* Next hops: their texts, what is remembered. */
#include "delivery/hops.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hop_addr
place_of(const char *text)
{
	struct hop_url url;

	ck_assert_int_eq(hop_url_parse(str_of(text), &url, NULL), 0);
	struct hop_addr at = { .addr = url.addr, .port = url.port };
	if (url.kind == HOP_LOCAL)
		snprintf(at.path, sizeof(at.path), "%.*s", (int)url.name.len,
		    url.name.p);
	return at;
}

START_TEST(test_texts)
{
	struct place p = { .at = place_of("smtp://192.0.2.1:2525") };
	char text[PLACE_TEXT_MAX], host[256];

	ck_assert_str_eq(place_format(&p, text), "192.0.2.1:2525");
	p.host = "mx.example.com";
	ck_assert_str_eq(
	    place_format(&p, text), "mx.example.com[192.0.2.1]:2525");
	p.at = place_of("smtp://[2001:db8::1]");
	ck_assert_str_eq(
	    place_format(&p, text), "mx.example.com[2001:db8::1]:25");
	p.host = NULL;
	ck_assert_str_eq(place_format(&p, text), "[2001:db8::1]:25");
	memset(host, 'x', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	p.host = host;
	p.at = place_of("smtp://[2001:db8:1111:2222:3333:4444:5555:6666]");
	ck_assert_uint_le(strlen(place_format(&p, text)), 320);
	ck_assert_ptr_ne(strstr(text, ":6666]:25"), NULL);
}

END_TEST

START_TEST(test_memory)
{
	struct hop_addr at;
	struct hop *h;

	at = place_of("smtp://192.0.2.1");
	ck_assert(!hop_is_dead(&at, 1000));
	h = hop_take(&at, 1000);
	ck_assert_ptr_eq(hop_take(&at, 1000), h);
	ck_assert_ptr_eq(hop_find(&at), h);
	hop_set_dead(h, 1000);
	hop_release(h, 1000);
	hop_release(h, 1000);
	ck_assert(hop_is_dead(&at, 1000 + HOP_DEAD_MS - 1));
	ck_assert(!hop_is_dead(&at, 1000 + HOP_DEAD_MS));
	h = hop_take(&at, 1001);
	hop_set_alive(h);
	hop_release(h, 1001);
	ck_assert_ptr_eq(hop_find(&at), NULL);
}

END_TEST

START_TEST(test_paths)
{
	struct hop_addr one = place_of("lmtp+unix:///run/a"),
			two = place_of("lmtp+unix:///run/b");
	struct place p = { .at = one };
	char text[PLACE_TEXT_MAX];

	ck_assert_str_eq(place_format(&p, text), "/run/a");
	hop_mark_dead(&one, 1000);
	ck_assert(hop_is_dead(&one, 1001));
	ck_assert(!hop_is_dead(&two, 1001));
	ck_assert(!hop_is_dead(&one, 1000 + HOP_DEAD_MS));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("hops");
	TCase *tc = tcase_create("hops");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, test_texts);
	tcase_add_test(tc, test_memory);
	tcase_add_test(tc, test_paths);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
