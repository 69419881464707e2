/* Tables: building, looking up, and images that are not sound. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/rules/table.h"

struct pair {
	const char *key, *value;
};

static struct table *
make(const struct pair *pairs, size_t n)
{
	struct table_builder *b = table_builder_new("test");
	struct fault why;
	struct table *t;
	int fd;

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(table_builder_add(b, str_of(pairs[i].key),
				     pairs[i].value, &why),
		    0);
	ck_assert_uint_eq(table_builder_count(b), n);
	fd = table_builder_seal(&b, &why);
	ck_assert_ptr_null(b);
	ck_assert_int_ge(fd, 0);
	t = table_open(fd, "test", &why);
	ck_assert_ptr_nonnull(t);
	ck_assert_uint_eq(table_count(t), n);
	ck_assert_str_eq(table_name(t), "test");
	return t;
}

/* What the function found: the value, or "-". */
static const char *
text(bool found, struct str value)
{
	static char out[64];

	snprintf(out, sizeof(out), "%.*s", (int)value.len, value.p);
	return found ? out : "-";
}

START_TEST(plain)
{
	static const struct pair pairs[] = { { "One", "1" }, { "two", NULL },
		{ "<>", "null" } };
	struct table *t = make(pairs, 3);
	struct str v = { NULL, 0 };

	ck_assert_str_eq(text(table_find(t, STR("oNE"), &v), v), "1");
	ck_assert(table_find(t, STR("TWO"), &v));
	ck_assert_uint_eq(v.len, 0);
	ck_assert(!table_find(t, STR("tw"), NULL));
	ck_assert(!table_find(t, STR("two "), NULL));
	ck_assert(!table_find(t, STR(""), NULL));
	ck_assert_str_eq(
	    text(table_find_address(t, STR(""), STR(""), &v), v), "null");
	table_free(&t);
	ck_assert_ptr_null(t);
	table_free(&t);
}

END_TEST

static bool
is_value(void *ctx, struct str key, struct str value)
{
	size_t *n = ctx;

	ck_assert_uint_gt(key.len, 0);
	++*n;
	return str_eq(value, STR("two"));
}

START_TEST(any)
{
	static const struct pair pairs[] = { { "a", "one" }, { "b", "two" },
		{ "c", NULL }, { "10.0.0.0/8", "three" } };
	struct table *t = make(pairs, 4);
	size_t n = 0;

	ck_assert(table_any(t, is_value, &n));
	ck_assert_uint_ge(n, 1);
	table_free(&t);
	n = 0;
	t = make(pairs, 1);
	ck_assert(!table_any(t, is_value, &n));
	ck_assert_uint_eq(n, 1);
	table_free(&t);
	n = 0;
	t = make(pairs, 0);
	ck_assert(!table_any(t, is_value, &n));
	ck_assert_uint_eq(n, 0);
	table_free(&t);
}

END_TEST

START_TEST(domains)
{
	static const struct pair pairs[] = { { "example.com", "exact" },
		{ ".example.com", "below" }, { ".a.example.com", "deeper" },
		{ "[192.0.2.1]", "literal" } };
	static const struct pair cases[] = { { "EXAMPLE.com", "exact" },
		{ "x.example.com", "below" }, { "y.x.example.COM", "below" },
		{ "a.example.com", "below" }, { "b.a.example.com", "deeper" },
		{ "xexample.com", "-" }, { "com", "-" }, { "", "-" },
		{ "[192.0.2.1]", "literal" }, { ".", "-" }, { "..", "-" } };
	struct table *t = make(pairs, 4);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str v = { NULL, 0 };
		bool found = table_find_domain(t, str_of(cases[i].key), &v);

		ck_assert_str_eq(text(found, v), cases[i].value);
	}
	table_free(&t);
}

END_TEST

START_TEST(addresses)
{
	static const struct pair pairs[] = { { "joe@example.com", "joe" },
		{ "@example.com", "all" }, { "root@", "root" } };

	static const struct {
		const char *local, *domain, *value;
	} cases[] = { { "JOE", "Example.com", "joe" },
		{ "jane", "example.com", "all" },
		{ "root", "example.com", "all" },
		{ "root", "example.net", "root" }, { "root", "", "root" },
		{ "jane", "example.net", "-" }, { "", "", "-" },
		{ "", "example.com", "all" }, { "jo", "e@example.com", "-" } };
	struct table *t = make(pairs, 3);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str v = { NULL, 0 };
		bool found = table_find_address(
		    t, str_of(cases[i].local), str_of(cases[i].domain), &v);

		ck_assert_str_eq(text(found, v), cases[i].value);
	}
	table_free(&t);
}

END_TEST

START_TEST(sources)
{
	static const struct pair pairs[] = { { "10.0.0.0/8", "8" },
		{ "10.1.0.0/16", "16" }, { "10.1.2.3", "host" },
		{ "10.1.2.4", "other" }, { "0.0.0.0/0", "any" },
		{ "2001:db8::/32", "32" }, { "2001:db8:1::/48", "48" },
		{ "::1", "loop" }, { "name.example", "text" } };
	static const struct pair cases[] = { { "10.2.0.1", "8" },
		{ "10.1.9.9", "16" }, { "10.1.2.3", "host" },
		{ "10.1.2.4", "other" }, { "11.0.0.0", "any" },
		{ "2001:db8:2::1", "32" }, { "2001:db8:1::1", "48" },
		{ "::1", "loop" }, { "::2", "-" }, { "2001:db9::", "-" } };
	struct table *t = make(pairs, sizeof(pairs) / sizeof(pairs[0]));
	struct addr a = { .family = ADDR_LOCAL };

	ck_assert(!table_find_source(t, &a, NULL));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str v = { NULL, 0 };
		bool found;

		ck_assert_int_eq(addr_parse(str_of(cases[i].key), &a), 0);
		found = table_find_source(t, &a, &v);
		ck_assert_str_eq(text(found, v), cases[i].value);
	}
	table_free(&t);
}

END_TEST

START_TEST(refused)
{
	struct table_builder *b = table_builder_new("test");
	char *longest = malloc(5000);
	struct fault why;

	ck_assert_ptr_nonnull(longest);
	memset(longest, 'x', 5000);
	longest[4097] = '\0';
	ck_assert_int_eq(table_builder_add(b, STR(""), NULL, &why), -1);
	ck_assert_int_eq(table_builder_add(b, STR("Key"), NULL, &why), 0);
	ck_assert_int_eq(table_builder_add(b, STR("kEY"), "v", &why), -1);
	ck_assert_int_eq(
	    table_builder_add(b, (struct str){ longest, 1025 }, NULL, &why),
	    -1);
	ck_assert_int_eq(
	    table_builder_add(b, (struct str){ longest, 1024 }, NULL, &why), 0);
	ck_assert_int_eq(table_builder_add(b, STR("long"), longest, &why), -1);
	ck_assert_int_eq(
	    table_builder_add(b, STR("long"), longest + 1, &why), 0);
	ck_assert_int_eq(table_builder_add(b, STR("10.0.0.1"), NULL, &why), 0);
	ck_assert_int_eq(
	    table_builder_add(b, STR("10.0.0.1/32"), NULL, &why), 0);
	ck_assert_int_eq(table_builder_seal(&b, &why), -1);
	ck_assert_ptr_null(b);
	free(longest);
}

END_TEST

/* Every length of probe sequences, and growing. */
START_TEST(many)
{
	struct table_builder *b = table_builder_new("many");
	struct fault why;
	struct table *t;
	struct str v;
	char key[32], value[32];
	int fd;

	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "user%u@example.com", i);
		snprintf(value, sizeof(value), "%u", i);
		ck_assert_int_eq(
		    table_builder_add(b, str_of(key), value, &why), 0);
		snprintf(key, sizeof(key), "10.%u.%u.0/24", i >> 8, i & 255);
		ck_assert_int_eq(
		    table_builder_add(b, str_of(key), value, &why), 0);
	}
	fd = table_builder_seal(&b, &why);
	t = table_open(fd, "many", &why);
	ck_assert_ptr_nonnull(t);
	for (unsigned int i = 0; i < 20000; i++) {
		struct addr a;

		snprintf(key, sizeof(key), "user%u@example.com", i);
		snprintf(value, sizeof(value), "%u", i);
		ck_assert(table_find(t, str_of(key), &v));
		ck_assert(str_eq(v, str_of(value)));
		snprintf(key, sizeof(key), "10.%u.%u.7", i >> 8, i & 255);
		ck_assert_int_eq(addr_parse(str_of(key), &a), 0);
		ck_assert(table_find_source(t, &a, &v));
		ck_assert(str_eq(v, str_of(value)));
	}
	ck_assert(!table_find(t, STR("user20000@example.com"), NULL));
	table_free(&t);
}

END_TEST

/* --- images --- */

static int
memfd(const void *p, size_t len, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

enum { ALL = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };

static size_t
small_image(unsigned char *out, size_t max)
{
	struct table_builder *b = table_builder_new("small");
	ssize_t n;
	int fd;

	table_builder_add(b, STR("joe@example.com"), "value", NULL);
	table_builder_add(b, STR(".example.com"), NULL, NULL);
	table_builder_add(b, STR("10.0.0.0/8"), "ten", NULL);
	table_builder_add(b, STR("10.1.0.0/16"), NULL, NULL);
	table_builder_add(b, STR("2001:db8::/32"), NULL, NULL);
	fd = table_builder_seal(&b, NULL);
	ck_assert_int_ge(fd, 0);
	n = pread(fd, out, max, 0);
	close(fd);
	ck_assert_int_gt(n, 0);
	ck_assert_uint_lt((size_t)n, max);
	return (size_t)n;
}

/* Asks everything; what is found must be readable. */
static unsigned int
ask(const struct table *t)
{
	struct addr v4, v6;
	struct str v = { NULL, 0 };
	unsigned int sum = 0;

	addr_parse(STR("10.1.2.3"), &v4);
	addr_parse(STR("2001:db8::1"), &v6);
	table_find_address(t, STR("joe"), STR("example.com"), &v);
	for (size_t i = 0; i < v.len; i++)
		sum += (unsigned char)v.p[i];
	table_find_domain(t, STR("a.b.example.com"), &v);
	table_find_source(t, &v4, &v);
	for (size_t i = 0; i < v.len; i++)
		sum += (unsigned char)v.p[i];
	table_find_source(t, &v6, &v);
	return sum + (unsigned int)v.len;
}

/* Who points at the table sees the other image; not sound, all stays. */
START_TEST(replaced)
{
	struct table_builder *b = table_builder_new("a"),
			     *other = table_builder_new("b");
	struct table *t;
	struct str value;
	int fd;

	ck_assert_int_eq(table_builder_add(b, STR("k"), "secret", NULL), 0);
	ck_assert_int_eq(table_builder_add(other, STR("k"), NULL, NULL), 0);
	ck_assert_int_eq(
	    table_builder_add(other, STR("10.0.0.0/8"), NULL, NULL), 0);
	t = table_open(table_builder_seal(&b, NULL), "name", NULL);
	ck_assert_ptr_nonnull(t);
	fd = memfd_create("unsealed", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(table_replace(t, fd, NULL), -1);
	ck_assert(table_find(t, STR("k"), &value));
	ck_assert(str_eq(value, STR("secret")));
	ck_assert_int_eq(
	    table_replace(t, table_builder_seal(&other, NULL), NULL), 0);
	ck_assert_str_eq(table_name(t), "name");
	ck_assert_uint_eq(table_count(t), 2);
	ck_assert(table_find(t, STR("k"), &value));
	ck_assert_uint_eq(value.len, 0);
	table_free(&t);
}

END_TEST

START_TEST(seals)
{
	static const int some[] = { 0, F_SEAL_WRITE,
		F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_GROW,
		F_SEAL_WRITE | F_SEAL_SHRINK };
	unsigned char image[1024];
	size_t size = small_image(image, sizeof(image));
	struct fault why;
	struct table *t;
	int fd[2];

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		ck_assert_ptr_null(
		    table_open(memfd(image, size, some[i]), "test", &why));
	t = table_open(memfd(image, size, ALL), "test", &why);
	ck_assert_ptr_nonnull(t);
	ck_assert_uint_gt(ask(t), 0);
	table_free(&t);
	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_ptr_null(table_open(fd[0], "test", &why));
	close(fd[1]);
}

END_TEST

START_TEST(truncated)
{
	unsigned char image[1024] = { 0 };
	size_t size = small_image(image, sizeof(image));

	for (size_t n = 0; n < size; n++)
		ck_assert_ptr_null(
		    table_open(memfd(image, n, ALL), "test", NULL));
	ck_assert_ptr_null(
	    table_open(memfd(image, size + 1, ALL), "test", NULL));
}

END_TEST

static const unsigned char changes[] = { 0x01, 0x80, 0xff, 0x10, 0x55 };

/* Whatever one byte becomes: refused, or answered, never a crash. */
START_TEST(flipped)
{
	unsigned char image[1024];
	size_t size = small_image(image, sizeof(image));

	for (size_t n = 0; n < size; n++) {
		struct table *t;

		image[n] ^= changes[_i];
		t = table_open(memfd(image, size, ALL), "test", NULL);
		if (t != NULL)
			ask(t);
		table_free(&t);
		image[n] ^= changes[_i];
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("table");
	TCase *t = tcase_create("table");
	SRunner *sr;
	int failed;

	tcase_add_test(t, plain);
	tcase_add_test(t, any);
	tcase_add_test(t, domains);
	tcase_add_test(t, addresses);
	tcase_add_test(t, sources);
	tcase_add_test(t, refused);
	tcase_add_test(t, many);
	tcase_add_test(t, replaced);
	tcase_add_test(t, seals);
	tcase_add_test(t, truncated);
	tcase_add_loop_test(t, flipped, 0, sizeof(changes));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
