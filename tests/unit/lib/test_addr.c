/* Addresses, networks, socket addresses. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "lib/net/addr.h"

static const struct {
	const char *in, *out; /* NULL: refused */
	const char *literal;
} texts[] = {
	{ "192.0.2.1", "192.0.2.1", "[192.0.2.1]" },
	{ "[192.0.2.1]", "192.0.2.1", "[192.0.2.1]" },
	{ "2001:DB8:0::1", "2001:db8::1", "[IPv6:2001:db8::1]" },
	{ "[::1]", "::1", "[IPv6:::1]" },
	{ "::", "::", "[IPv6:::]" },
	{ "::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]" },
	{ "fe80::1%3", "fe80::1%3", "[IPv6:fe80::1]" },
	{ "2001:db8::1%3", "2001:db8::1", "[IPv6:2001:db8::1]" },
	{ "", NULL, NULL },
	{ "[]", NULL, NULL },
	{ "1.2.3", NULL, NULL },
	{ "1.2.3.256", NULL, NULL },
	{ "01.2.3.4", NULL, NULL },
	{ " 1.2.3.4", NULL, NULL },
	{ "1.2.3.4 ", NULL, NULL },
	{ "1.2.3.4%1", NULL, NULL },
	{ "[1.2.3.4", NULL, NULL },
	{ "fe80::1%", NULL, NULL },
	{ "fe80::1%eth0", NULL, NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL, NULL },
	{ "::ffff:192.0.2.1::::::::::::::::::::::::::::::::::::", NULL, NULL },
};

START_TEST(text)
{
	char out[ADDR_TEXT_MAX];
	struct addr a;
	int r = addr_parse(str_of(texts[_i].in), &a);

	ck_assert_int_eq(r, texts[_i].out == NULL ? -1 : 0);
	if (r == -1)
		return;
	ck_assert_str_eq(addr_format(&a, out), texts[_i].out);
	ck_assert_str_eq(addr_format_literal(&a, out), texts[_i].literal);
}

END_TEST

static const struct {
	const char *net, *addr;
	int has; /* -1: not a network */
} nets[] = {
	{ "192.0.2.0/24", "192.0.2.255", 1 },
	{ "192.0.2.0/24", "192.0.3.0", 0 },
	{ "192.0.2.128/25", "192.0.2.127", 0 },
	{ "192.0.2.128/25", "192.0.2.128", 1 },
	{ "192.0.2.1", "192.0.2.1", 1 },
	{ "192.0.2.1", "192.0.2.2", 0 },
	{ "0.0.0.0/0", "255.255.255.255", 1 },
	{ "0.0.0.0/0", "::1", 0 },
	{ "::/0", "192.0.2.1", 0 },
	{ "2001:db8::/33", "2001:db8:7fff::1", 1 },
	{ "2001:db8::/33", "2001:db8:8000::1", 0 },
	{ "::1/128", "::1", 1 },
	{ "::ffff:10.0.0.0/104", "10.255.0.1", 1 },
	{ "::ffff:10.0.0.0/8", "10.0.0.1", -1 },
	{ "192.0.2.1/24", "", -1 },
	{ "192.0.2.0/33", "", -1 },
	{ "2001:db8::/129", "", -1 },
	{ "192.0.2.0/", "", -1 },
	{ "192.0.2.0/-1", "", -1 },
	{ "/8", "", -1 },
	{ "10/8", "", -1 },
};

START_TEST(networks)
{
	struct addr_net n;
	struct addr a;
	int r = addr_net_parse(str_of(nets[_i].net), &n);

	ck_assert_int_eq(r, nets[_i].has == -1 ? -1 : 0);
	if (r == -1)
		return;
	ck_assert_int_eq(addr_parse(str_of(nets[_i].addr), &a), 0);
	ck_assert_int_eq(addr_net_has(&n, &a), nets[_i].has);
	a.family = ADDR_LOCAL;
	ck_assert(!addr_net_has(&n, &a));
}

END_TEST

static struct addr
parsed(const char *s)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(str_of(s), &a), 0);
	return a;
}

START_TEST(sockaddrs)
{
	static const char *const some[] = { "192.0.2.1", "2001:db8::1",
		"fe80::1%2" };
	struct sockaddr_storage ss;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
	struct addr a, b;
	socklen_t len;
	uint16_t port;

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		a = parsed(some[i]);
		len = addr_to_sockaddr(&a, 2525, &ss);
		ck_assert_uint_gt(len, 0);
		addr_from_sockaddr((struct sockaddr *)&ss, len, &b, &port);
		ck_assert(addr_eq(&a, &b));
		ck_assert_uint_eq(port, 2525);
		/* Cut short it is nothing. */
		addr_from_sockaddr((struct sockaddr *)&ss, len - 1, &b, &port);
		ck_assert_int_eq(b.family, ADDR_NONE);
	}
	addr_from_sockaddr((struct sockaddr *)&un, sizeof(un), &b, NULL);
	ck_assert_int_eq(b.family, ADDR_LOCAL);
	ck_assert_uint_eq(addr_to_sockaddr(&b, 1, &ss), 0);
	addr_from_sockaddr((struct sockaddr *)&un, 0, &b, NULL);
	ck_assert_int_eq(b.family, ADDR_NONE);
	ck_assert_uint_eq(addr_to_sockaddr(&b, 1, &ss), 0);
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr);
	a = parsed("192.0.2.1");
	addr_from_sockaddr(
	    (struct sockaddr *)&mapped, sizeof(mapped), &b, &port);
	ck_assert(addr_eq(&a, &b));
}

END_TEST

START_TEST(questions)
{
	struct addr v4 = parsed("127.255.0.1"), v6 = parsed("::1");
	struct addr local = { .family = ADDR_LOCAL }, none = { 0 };
	struct addr x = parsed("2001:db8:1:2:3::4");
	struct addr y = parsed("2001:db8:1:2:ffff::");
	struct addr z = parsed("2001:db8:1:3::");
	char out[ADDR_TEXT_MAX];

	ck_assert(addr_is_loopback(&v4) && addr_is_loopback(&v6));
	ck_assert(!addr_is_loopback(&x) && !addr_is_loopback(&none));
	ck_assert(addr_source_key(&x) == addr_source_key(&y));
	ck_assert(addr_source_key(&x) != addr_source_key(&z));
	ck_assert(addr_source_key(&v4) != addr_source_key(&v6));
	ck_assert(addr_source_key(&local) != addr_source_key(&none));
	ck_assert(!addr_eq(&v4, &v6) && addr_eq(&local, &local));
	ck_assert_str_eq(addr_format(&local, out), "local");
	ck_assert_str_eq(addr_format(&none, out), "none");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("addr");
	TCase *t = tcase_create("addr");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, text, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(t, networks, 0, sizeof(nets) / sizeof(nets[0]));
	tcase_add_test(t, sockaddrs);
	tcase_add_test(t, questions);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
