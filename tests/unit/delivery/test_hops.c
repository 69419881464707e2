/* Next hops: URLs, ourselves among them, what is remembered. */
#include "delivery/hops.h"

#include <bsd/string.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(test_good_urls)
{
	static const struct {
		const char *url, *text;
	} good[] = {
		{ "smtp://192.0.2.1:2525", "192.0.2.1:2525" },
		{ "smtp://192.0.2.1", "192.0.2.1:25" },
		{ "SMTP://192.0.2.1/", "192.0.2.1:25" },
		{ "smtp+notls://192.0.2.1:26", "192.0.2.1:26" },
		{ "smtp://[2001:db8::1]:2525", "[2001:db8::1]:2525" },
		{ "smtp://[2001:db8::1]", "[2001:db8::1]:25" },
		{ "smtp://[::ffff:192.0.2.1]:25", "192.0.2.1:25" },
	};
	struct hop_addr at;
	char text[HOP_TEXT_MAX];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(hop_parse(str_of(good[i].url), &at) == 0, "%s",
		    good[i].url);
		ck_assert_str_eq(hop_format(&at, text), good[i].text);
	}
}

END_TEST

START_TEST(test_bad_urls)
{
	static const char *const bad[] = { "", "smtp://", "smtp:///",
		"smtp:", "192.0.2.1:25", "smtp://example.com",
		"smtp://192.0.2.1:", "smtp://192.0.2.1:0",
		"smtp://192.0.2.1:65536", "smtp://192.0.2.1:25x",
		"smtp://[2001:db8::1", "smtp://[2001:db8::1]25",
		"smtp://2001:db8::1", "smtp://[]:25", "lmtp://192.0.2.1",
		"smtps://192.0.2.1" };
	struct hop_addr at;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(
		    hop_parse(str_of(bad[i]), &at) == -1, "%s", bad[i]);
}

END_TEST

START_TEST(test_lists)
{
	struct hop_addr at[HOPS_MAX];
	char many[40 * 20] = "";
	size_t nbad;

	ck_assert_uint_eq(hops_parse(STR(""), at, &nbad), 0);
	ck_assert_uint_eq(nbad, 0);
	ck_assert_uint_eq(hops_parse(STR("  smtp://192.0.2.1  x  "
					 "smtp://192.0.2.2:26 "),
			      at, &nbad),
	    2);
	ck_assert_uint_eq(nbad, 1);
	ck_assert_uint_eq(at[1].port, 26);
	for (int i = 0; i < 40; i++)
		(void)strlcat(many, "smtp://192.0.2.10\t ", sizeof(many));
	ck_assert_uint_eq(hops_parse(str_of(many), at, &nbad), HOPS_MAX);
}

END_TEST

static bool
ours(const char *listener, uint16_t port, const char *url)
{
	struct listener l = { .port = port };
	struct config c = { .listeners = &l, .nlisteners = 1 };
	struct hop_addr at;

	ck_assert_int_eq(addr_parse(str_of(listener), &l.addr), 0);
	ck_assert_int_eq(hop_parse(str_of(url), &at), 0);
	return hop_is_ours(&at, &c);
}

START_TEST(test_ours)
{
	ck_assert(ours("192.0.2.1", 25, "smtp://192.0.2.1"));
	ck_assert(!ours("192.0.2.1", 25, "smtp://192.0.2.2"));
	ck_assert(!ours("192.0.2.1", 25, "smtp://192.0.2.1:26"));
	ck_assert(ours("0.0.0.0", 25, "smtp://127.0.0.1"));
	ck_assert(ours("0.0.0.0", 25, "smtp://127.9.9.9"));
	ck_assert(ours("0.0.0.0", 25, "smtp://0.0.0.0"));
	ck_assert(!ours("0.0.0.0", 25, "smtp://192.0.2.1"));
	ck_assert(!ours("0.0.0.0", 25, "smtp://127.0.0.1:26"));
	ck_assert(ours("127.0.0.1", 25, "smtp://0.0.0.0"));
	ck_assert(!ours("192.0.2.1", 25, "smtp://0.0.0.0"));
	ck_assert(ours("::", 25, "smtp://[::1]"));
	ck_assert(!ours("::", 25, "smtp://[2001:db8::1]"));
}

END_TEST

START_TEST(test_may_be_ours)
{
	struct listener l = { .port = 25 };
	struct config c = { .listeners = &l, .nlisteners = 1 };
	struct hop_addr at;

	ck_assert_int_eq(addr_parse(STR("0.0.0.0"), &l.addr), 0);
	ck_assert_int_eq(hop_parse(STR("smtp://192.0.2.1"), &at), 0);
	ck_assert(hop_may_be_ours(&at, &c));
	ck_assert(!hop_may_be_ours(&at, NULL));
	at.port = 26;
	ck_assert(!hop_may_be_ours(&at, &c));
	ck_assert_int_eq(hop_parse(STR("smtp://[2001:db8::1]"), &at), 0);
	ck_assert(!hop_may_be_ours(&at, &c));
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &l.addr), 0);
	ck_assert_int_eq(hop_parse(STR("smtp://192.0.2.1"), &at), 0);
	ck_assert(!hop_may_be_ours(&at, &c));
}

END_TEST

START_TEST(test_here)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);
	struct hop_addr at;
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(door, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(listen(door, 1), 0);
	ck_assert_int_eq(getsockname(door, (struct sockaddr *)&sin, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(hop_parse(STR("smtp://127.0.0.1"), &at), 0);
	ck_assert(hop_is_here(&at, fd));
	ck_assert_int_eq(hop_parse(STR("smtp://192.0.2.1"), &at), 0);
	ck_assert(!hop_is_here(&at, fd));
	ck_assert(!hop_is_here(&at, -1));
	close(fd);
	close(door);
}

END_TEST

START_TEST(test_memory)
{
	struct hop_addr at;
	struct hop *h;

	ck_assert_int_eq(hop_parse(STR("smtp://192.0.2.1"), &at), 0);
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

int
main(void)
{
	Suite *s = suite_create("hops");
	TCase *tc = tcase_create("hops");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, test_good_urls);
	tcase_add_test(tc, test_bad_urls);
	tcase_add_test(tc, test_lists);
	tcase_add_test(tc, test_ours);
	tcase_add_test(tc, test_may_be_ours);
	tcase_add_test(tc, test_here);
	tcase_add_test(tc, test_memory);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
