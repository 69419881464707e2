/* Policies on disk: what was put is there, what is not whole is gone, and
 * nothing leads out of the folder. */
#include "fetch/policy_store.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/crc32c.h"

enum { SEEN_MAX = 8 };

static char path[] = "/tmp/postern-store-XXXXXX";
static int dir;
static size_t nseen;

static struct {
	char domain[256], id[64], mxs[4200];
	struct stored_policy p;
} seen[SEEN_MAX];

static void
copy(char *to, size_t size, struct str s)
{
	ck_assert_uint_lt(s.len, size);
	memcpy(to, s.p, s.len);
	to[s.len] = '\0';
}

static void
on_stored(void *ctx, const struct stored_policy *p)
{
	ck_assert_ptr_eq(ctx, &nseen);
	ck_assert_uint_lt(nseen, SEEN_MAX);
	seen[nseen].p = *p;
	copy(seen[nseen].domain, sizeof(seen[0].domain), p->domain);
	copy(seen[nseen].id, sizeof(seen[0].id), p->id);
	copy(seen[nseen].mxs, sizeof(seen[0].mxs), p->mxs);
	nseen++;
}

static size_t
load(void)
{
	nseen = 0;
	policy_store_load(on_stored, &nseen);
	return nseen;
}

static void
setup(void)
{
	snprintf(path, sizeof(path), "%s", "/tmp/postern-store-XXXXXX");
	ck_assert_ptr_ne(mkdtemp(path), NULL);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	policy_store_init(dup(dir));
}

static void
teardown(void)
{
	char command[64];

	policy_store_init(-1);
	close(dir);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	ck_assert_int_eq(system(command), 0);
}

static const struct stored_policy one = { .domain = { "example.com", 11 },
	.id = { "20160831085700Z", 15 },
	.fetched_s = 1700000000,
	.max_age_s = 604800,
	.mode = STS_ENFORCE,
	.mxs = { "mx.example.com *.example.net", 28 } };

static bool
is_there(const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
write_file(const char *name, const void *text, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static size_t
read_file(const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n = read(fd, text, size);

	ck_assert_int_gt(n, 0);
	close(fd);
	return (size_t)n;
}

START_TEST(test_put)
{
	struct stored_policy two = one;

	ck_assert_int_eq(policy_store_put(&one), 0);
	ck_assert_uint_eq(load(), 1);
	ck_assert_str_eq(seen[0].domain, "example.com");
	ck_assert_str_eq(seen[0].id, "20160831085700Z");
	ck_assert_str_eq(seen[0].mxs, "mx.example.com *.example.net");
	ck_assert_uint_eq(seen[0].p.fetched_s, 1700000000);
	ck_assert_uint_eq(seen[0].p.max_age_s, 604800);
	ck_assert_int_eq(seen[0].p.mode, STS_ENFORCE);

	/* In its place, and another beside it. */
	two.mode = STS_TESTING;
	ck_assert_int_eq(policy_store_put(&two), 0);
	ck_assert_uint_eq(load(), 1);
	ck_assert_int_eq(seen[0].p.mode, STS_TESTING);
	two.domain = STR("xn--bcher-kva.example");
	ck_assert_int_eq(policy_store_put(&two), 0);
	ck_assert_uint_eq(load(), 2);
	policy_store_del(STR("example.com"));
	policy_store_del(STR("example.com"));
	ck_assert_uint_eq(load(), 1);
	ck_assert_str_eq(seen[0].domain, "xn--bcher-kva.example");
	ck_assert(!is_there(".new"));
}

END_TEST

/* The largest that there can be. */
START_TEST(test_large)
{
	char mxs[STS_MXS_MAX + 1], domain[254];
	struct stored_policy p = one;

	memset(mxs, 'a', sizeof(mxs));
	p.mxs = (struct str){ mxs, STS_MXS_MAX };
	p.id = STR("12345678901234567890123456789012");
	memset(domain, 'b', sizeof(domain));
	for (size_t i = 60; i < 250; i += 60)
		domain[i] = '.';
	p.domain = (struct str){ domain, 253 };
	p.fetched_s = 99999999999;
	ck_assert_int_eq(policy_store_put(&p), 0);
	ck_assert_uint_eq(load(), 1);
	ck_assert_uint_eq(strlen(seen[0].mxs), STS_MXS_MAX);
	p.domain.len = 254;
	domain[253] = 'b';
	ck_assert_int_eq(policy_store_put(&p), -1);
}

END_TEST

static const char *const bad_names[] = { "", ".", "..", ".new", "a/b",
	"../a.example", "/etc/passwd", "Example.com", "a..b", "-a", "a b",
	"a\nb" };

START_TEST(test_names)
{
	struct stored_policy p = one;

	p.domain = str_of(bad_names[_i]);
	ck_assert_int_eq(policy_store_put(&p), -1);
	policy_store_del(p.domain);
	ck_assert_uint_eq(load(), 0);
}

END_TEST

/* Each byte of it, wrong or missing. */
START_TEST(test_damage)
{
	char text[1024];
	size_t len;

	ck_assert_int_eq(policy_store_put(&one), 0);
	len = read_file("example.com", text, sizeof(text));
	for (size_t i = 0; i < len; i++) {
		write_file("example.com", text, i);
		ck_assert_uint_eq(load(), 0);
		ck_assert(!is_there("example.com"));
		text[i] ^= 1;
		write_file("example.com", text, len);
		ck_assert_uint_eq(load(), 0);
		ck_assert(!is_there("example.com"));
		text[i] ^= 1;
	}
	write_file("example.com", text, len);
	ck_assert_uint_eq(load(), 1);
	text[len] = '\n';
	write_file("example.com", text, len + 1);
	ck_assert_uint_eq(load(), 0);
}

END_TEST

/* Whole, but not what we write. */
static const char *const strange[] = {
	"postern-sts 2\ndomain=example.com\nid=1\nfetched=1\nmax-age=1\n"
	"mode=enforce\nmx=a\n",
	"postern-sts 1\ndomain=example.org\nid=1\nfetched=1\nmax-age=1\n"
	"mode=enforce\nmx=a\n",
	"postern-sts 1\ndomain=example.com\nid=1\nfetched=-1\nmax-age=1\n"
	"mode=enforce\nmx=a\n",
	"postern-sts 1\ndomain=example.com\nid=1\nfetched=1\n"
	"max-age=31557601\nmode=enforce\nmx=a\n",
	"postern-sts 1\ndomain=example.com\nid=1\nfetched=1\nmax-age=1\n"
	"mode=maybe\nmx=a\n",
	"postern-sts 1\ndomain=example.com\n"
	"id=123456789012345678901234567890123\nfetched=1\nmax-age=1\n"
	"mode=enforce\nmx=a\n",
	"postern-sts 1\ndomain=example.com\nfetched=1\nid=1\nmax-age=1\n"
	"mode=enforce\nmx=a\n",
	"",
};

START_TEST(test_strange)
{
	struct buf text;

	buf_init(&text, 4096);
	buf_addf(&text, "%s", strange[_i]);
	buf_addf(&text, "crc=%08x\n", crc32c(0, text.p, text.len));
	write_file("example.com", text.p, text.len);
	buf_clear(&text);
	ck_assert_uint_eq(load(), 0);
	ck_assert(!is_there("example.com"));
}

END_TEST

/* A link in the folder leads nowhere. */
START_TEST(test_links)
{
	ck_assert_int_eq(symlinkat("/etc/passwd", dir, "example.com"), 0);
	ck_assert_int_eq(symlinkat("/tmp/postern-none", dir, ".new"), 0);
	ck_assert_int_eq(policy_store_put(&one), -1);
	ck_assert_uint_eq(load(), 0);
	ck_assert(!is_there("example.com"));
	ck_assert(!is_there(".new"));
	ck_assert_int_eq(policy_store_put(&one), 0);
}

END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int
main(void)
{
	Suite *s = suite_create("policy_store");
	TCase *tc = tcase_create("policy_store");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_put);
	tcase_add_test(tc, test_large);
	tcase_add_loop_test(tc, test_names, 0, COUNT(bad_names));
	tcase_add_test(tc, test_damage);
	tcase_add_loop_test(tc, test_strange, 0, COUNT(strange));
	tcase_add_test(tc, test_links);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
