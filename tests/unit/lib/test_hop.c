/* Next hops: their URLs, and which of them are this very gateway. */
#include "lib/rules/hop.h"

#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/rules/config.h"

START_TEST(good_urls)
{
	static const struct {
		const char *url;
		enum hop_kind kind;
		const char *text; /* ADDR:PORT, or the name */
		uint16_t port;
	} good[] = {
		{ "smtp://192.0.2.1:2525", HOP_ADDRESS, "192.0.2.1:2525",
		    2525 },
		{ "smtp://192.0.2.1", HOP_ADDRESS, "192.0.2.1:25", 25 },
		{ "SMTP://192.0.2.1/", HOP_ADDRESS, "192.0.2.1:25", 25 },
		{ "smtp+notls://192.0.2.1:26", HOP_ADDRESS, "192.0.2.1:26",
		    26 },
		{ "smtp://[2001:db8::1]:2525", HOP_ADDRESS,
		    "[2001:db8::1]:2525", 2525 },
		{ "smtp://[2001:db8::1]", HOP_ADDRESS, "[2001:db8::1]:25", 25 },
		{ "smtp://[::ffff:192.0.2.1]:25", HOP_ADDRESS, "192.0.2.1:25",
		    25 },
		{ "smtp://mx.example.com", HOP_HOST, "mx.example.com", 25 },
		{ "smtp://MX.example.com:26/", HOP_HOST, "MX.example.com", 26 },
		{ "smtp://localhost", HOP_HOST, "localhost", 25 },
		{ "mx://example.com:2525", HOP_MX, "example.com", 2525 },
		{ "mx://example.com", HOP_MX, "example.com", 25 },
		{ "mx://1.2.3.4:25", HOP_MX, "1.2.3.4", 25 },
		{ "mx://[192.0.2.1]:26", HOP_ADDRESS, "192.0.2.1:26", 26 },
		{ "mx://[IPv6:2001:db8::1]:26", HOP_ADDRESS, "[2001:db8::1]:26",
		    26 },
	};
	struct hop_url hop;
	char text[HOP_TEXT_MAX];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(
		    hop_url_parse(str_of(good[i].url), &hop, NULL) == 0, "%s",
		    good[i].url);
		ck_assert_int_eq(hop.kind, good[i].kind);
		ck_assert_uint_eq(hop.port, good[i].port);
		if (hop.kind != HOP_ADDRESS) {
			ck_assert(str_eq(hop.name, str_of(good[i].text)));
			continue;
		}
		struct hop_addr at = { .addr = hop.addr, .port = hop.port };
		ck_assert_str_eq(hop_format(&at, text), good[i].text);
	}
}

END_TEST

START_TEST(bad_urls)
{
	static const struct {
		const char *url, *why; /* a part of it */
	} bad[] = {
		{ "", "not a next hop" },
		{ "smtp:", "not a next hop" },
		{ "192.0.2.1:25", "not a next hop" },
		{ "smtp://", "bad address or host name" },
		{ "smtp:///", "bad address or host name" },
		{ "smtp://192.0.2.1:", "bad port" },
		{ "smtp://luke:secret@192.0.2.1:25", "has no `user" },
		{ "smtp://192.0.2.1:0", "bad port" },
		{ "smtp://192.0.2.1:65536", "bad port" },
		{ "smtp://192.0.2.1:25x", "bad port" },
		{ "smtp://192.0.2.256", "bad address or host name" },
		{ "smtp://1.2.3", "bad address or host name" },
		{ "smtp://[2001:db8::1", "bad port" },
		{ "smtp://[2001:db8::1]25", "bad port" },
		{ "smtp://2001:db8::1", "bad port" },
		{ "smtp://[]:25", "bad address or host name" },
		{ "smtp://a..b", "bad address or host name" },
		{ "smtp://a_b-.example!", "bad address or host name" },
		{ "mx://", "bad address or host name" },
		{ "mx://[192.0.2.1", "bad port" },
		{ "mx://[banana]:25", "bad address or host name" },
		{ "mx://ex\xc3\xa4mple.com:25", "bad address or host name" },
		{ "lmtp+tls://192.0.2.1", "not a next hop" },
		{ "smtps://", "bad address or host name" },
		{ "lmtp://192.0.2.1:0", "bad port" },
		{ "smtp+tls://[192.0.2.1]x", "bad port" },
		{ "lmtp+unix://", "absolute path" },
		{ "lmtp+unix:///", "absolute path" },
		{ "lmtp+unix://run/x", "absolute path" },
		{ "smtp+unix:///run/x/", "absolute path" },
		{ "smtp+unix:///run/a b", "absolute path" },
		{ "smtp+unix:///run/\n", "absolute path" },
	};
	struct hop_url hop;
	struct fault why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(
		    hop_url_parse(str_of(bad[i].url), &hop, &why) == -1, "%s",
		    bad[i].url);
		ck_assert_int_eq(why.class, FAULT_PERM);
		ck_assert_msg(strstr(why.text, bad[i].why) != NULL, "%s: %s",
		    bad[i].url, why.text);
	}
}

END_TEST

/* How it is secured, and what is spoken there. */
START_TEST(schemes)
{
	static const struct {
		const char *url;
		enum hop_kind kind;
		uint16_t port;
		enum hop_tls tls;
		bool lmtp;
	} all[] = {
		{ "smtp://a", HOP_HOST, 25, HOP_TLS_BY_ACTION, false },
		{ "smtp+tls://a", HOP_HOST, 25, HOP_TLS_STARTTLS, false },
		{ "smtp+tls://a:587", HOP_HOST, 587, HOP_TLS_STARTTLS, false },
		{ "SMTPS://192.0.2.1", HOP_ADDRESS, 465, HOP_TLS_AT_ONCE,
		    false },
		{ "smtps://a:4465", HOP_HOST, 4465, HOP_TLS_AT_ONCE, false },
		{ "smtp+notls://a", HOP_HOST, 25, HOP_TLS_NEVER, false },
		{ "lmtp://[::1]", HOP_ADDRESS, 24, HOP_TLS_BY_ACTION, true },
		{ "lmtp://a:2424", HOP_HOST, 2424, HOP_TLS_BY_ACTION, true },
		{ "mx://a", HOP_MX, 25, HOP_TLS_BY_ACTION, false },
		{ "smtp+unix:///run/s", HOP_LOCAL, 0, HOP_TLS_NEVER, false },
		{ "lmtp+unix:///run/s", HOP_LOCAL, 0, HOP_TLS_NEVER, true },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct hop_url hop;

		ck_assert_msg(
		    hop_url_parse(str_of(all[i].url), &hop, NULL) == 0, "%s",
		    all[i].url);
		ck_assert_int_eq(hop.kind, all[i].kind);
		ck_assert_uint_eq(hop.port, all[i].port);
		ck_assert_int_eq(hop.tls, all[i].tls);
		ck_assert(hop.lmtp == all[i].lmtp);
	}
}

END_TEST

/* What fits into the address of a socket, to the byte. */
START_TEST(paths)
{
	char url[12 + HOP_PATH_MAX + 2] = "lmtp+unix:///";
	struct hop_url hop;
	struct fault why;

	memset(url + 13, 'x', HOP_PATH_MAX - 1);
	ck_assert_int_eq(hop_url_parse(str_of(url), &hop, NULL), 0);
	ck_assert_int_eq(hop.addr.family, ADDR_LOCAL);
	ck_assert_uint_eq(hop.name.len, HOP_PATH_MAX);
	ck_assert_ptr_eq(hop.name.p, url + 12);
	url[12 + HOP_PATH_MAX] = 'x';
	ck_assert_int_eq(hop_url_parse(str_of(url), &hop, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "longer than 107 bytes"));
}

END_TEST

START_TEST(lists)
{
	struct str text = STR("  smtp://192.0.2.1 \t mx://a ");
	struct str url;

	ck_assert(hop_url_next(&text, &url));
	ck_assert(str_eq(url, STR("smtp://192.0.2.1")));
	ck_assert(hop_url_next(&text, &url));
	ck_assert(str_eq(url, STR("mx://a")));
	ck_assert(!hop_url_next(&text, &url));
	ck_assert(!hop_url_next(&text, &url));
}

END_TEST

START_TEST(host_names)
{
	static const struct {
		const char *name;
		bool may;
	} names[] = {
		{ "mx.example.com", true },
		{ "localhost", true },
		{ "4.example", true },
		{ "", false },
		{ ".", false },
		{ "a..b", false },
		{ "192.0.2.1", false },
		{ "[192.0.2.1]", false },
		{ "a b", false },
		{ "a\\032b.example", false },
		{ "a\nb.example", false },
		{ "-a.example", false },
		{ "2001:db8::1", false },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(
		    hop_is_host_name(str_of(names[i].name)) == names[i].may,
		    "%s", names[i].name);
}

END_TEST

static struct hop_addr
place(const char *address, uint16_t port)
{
	struct hop_addr at = { .port = port };

	ck_assert_int_eq(addr_parse(str_of(address), &at.addr), 0);
	return at;
}

/* A mail that we hand to our own socket comes back. */
START_TEST(our_paths)
{
	static const struct {
		const char *path;
		bool is;
	} cases[] = {
		{ "/run/submit", true },
		{ "/run/control", true },
		{ "/run/listener", true },
		{ "/run/lmtp", false },
		{ "/run/submit2", false },
	};
	struct listener l = { .addr = { .family = ADDR_LOCAL },
		.path = (char[]){ "/run/listener" } };
	struct config c = { .listeners = &l,
		.nlisteners = 1,
		.submit_path = (char[]){ "/run/submit" },
		.control_path = (char[]){ "/run/control" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hop_addr at = { .addr = { .family = ADDR_LOCAL } };
		char text[HOP_TEXT_MAX];

		snprintf(at.path, sizeof(at.path), "%s", cases[i].path);
		ck_assert_str_eq(hop_format(&at, text), cases[i].path);
		ck_assert_msg(
		    hop_is_ours(&at, &c) == cases[i].is, "%s", cases[i].path);
		ck_assert(!hop_may_be_ours(&at, &c));
		ck_assert(!hop_is_ours(&at, NULL));
	}
}

END_TEST

START_TEST(ours)
{
	static const struct {
		const char *listener, *address;
		uint16_t port;
		bool is, may_be;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", 25, true, false },
		{ "192.0.2.1", "192.0.2.2", 25, false, false },
		{ "192.0.2.1", "192.0.2.1", 26, false, false },
		{ "0.0.0.0", "127.0.0.1", 25, true, true },
		{ "0.0.0.0", "127.9.9.9", 25, true, true },
		{ "0.0.0.0", "0.0.0.0", 25, true, true },
		{ "0.0.0.0", "192.0.2.1", 25, false, true },
		{ "0.0.0.0", "127.0.0.1", 26, false, false },
		{ "0.0.0.0", "::1", 25, false, false },
		{ "127.0.0.1", "0.0.0.0", 25, true, false },
		{ "192.0.2.1", "0.0.0.0", 25, false, false },
		{ "::", "::1", 25, true, true },
		{ "::", "2001:db8::1", 25, false, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct listener l = { .port = 25,
			.addr = place(cases[i].listener, 25).addr };
		struct config c = { .listeners = &l, .nlisteners = 1 };
		struct hop_addr at = place(cases[i].address, cases[i].port);

		ck_assert_msg(hop_is_ours(&at, &c) == cases[i].is, "%s at %s",
		    cases[i].address, cases[i].listener);
		ck_assert_msg(hop_may_be_ours(&at, &c) == cases[i].may_be,
		    "%s at %s", cases[i].address, cases[i].listener);
		ck_assert(!hop_is_ours(&at, NULL));
		ck_assert(!hop_may_be_ours(&at, NULL));
	}
}

END_TEST

START_TEST(our_names)
{
	char hostname[] = "mx1.example.com", inside[] = "inside.example.com";
	struct listener l[2] = { { .hostname = NULL }, { .hostname = inside } };
	struct config c = {
		.hostname = hostname, .listeners = l, .nlisteners = 2
	};

	ck_assert(hop_is_our_name(STR("mx1.example.com"), &c));
	ck_assert(hop_is_our_name(STR("MX1.Example.com"), &c));
	ck_assert(hop_is_our_name(STR("inside.example.com"), &c));
	ck_assert(!hop_is_our_name(STR("mx2.example.com"), &c));
	ck_assert(!hop_is_our_name(STR(""), &c));
	ck_assert(!hop_is_our_name(STR("mx1.example.com"), NULL));
}

END_TEST

START_TEST(unusable)
{
	static const struct {
		const char *address;
		bool is;
	} cases[] = {
		{ "0.0.0.0", true },
		{ "0.1.2.3", true },
		{ "224.0.0.1", true },
		{ "255.255.255.255", true },
		{ "127.0.0.1", false },
		{ "10.0.0.1", false },
		{ "223.255.255.255", false },
		{ "::", true },
		{ "ff02::1", true },
		{ "::1", false },
		{ "2001:db8::1", false },
	};
	struct addr mapped = { .family = ADDR_V6,
		.bytes = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
	struct addr local = { .family = ADDR_LOCAL };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hop_addr at = place(cases[i].address, 25);

		ck_assert_msg(hop_is_unusable(&at.addr) == cases[i].is, "%s",
		    cases[i].address);
	}
	ck_assert(hop_is_unusable(&mapped));
	ck_assert(hop_is_unusable(&local));
}

END_TEST

START_TEST(here)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(door, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(listen(door, 1), 0);
	ck_assert_int_eq(getsockname(door, (struct sockaddr *)&sin, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, len), 0);
	struct hop_addr at = place("127.0.0.1", 25);
	ck_assert(hop_is_here(&at, fd));
	ck_assert(!hop_is_here(&at, -1));
	at = place("192.0.2.1", 25);
	ck_assert(!hop_is_here(&at, fd));
	close(fd);
	close(door);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("hop");
	TCase *c = tcase_create("all");

	tcase_add_test(c, good_urls);
	tcase_add_test(c, bad_urls);
	tcase_add_test(c, schemes);
	tcase_add_test(c, paths);
	tcase_add_test(c, lists);
	tcase_add_test(c, host_names);
	tcase_add_test(c, ours);
	tcase_add_test(c, our_paths);
	tcase_add_test(c, our_names);
	tcase_add_test(c, unusable);
	tcase_add_test(c, here);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
