/* The content cache: its bound, and who goes first. */
#include <string.h>

#include "queue/cache.h"
#include "tests/unit/queue/parts.h"

enum { LEN = 100 };

static struct content *
some(void)
{
	struct content *content = content_new(LEN);

	memset(content->bytes, 'x', LEN);
	return content;
}

START_TEST(the_longest_unused_goes_first)
{
	const uint64_t one = sizeof(struct content) + LEN;
	struct index ix;
	struct cache c;
	struct entry *e[4];

	index_init(&ix);
	cache_init(&c, 3 * one);
	for (uint64_t i = 0; i < 4; i++)
		e[i] = part_entry(&ix, i + 1, 1, "x", "act");
	for (int i = 0; i < 3; i++)
		cache_put(&c, e[i], some());
	ck_assert_uint_eq(c.bytes, 3 * one);
	ck_assert_ptr_nonnull(cache_get(&c, e[0]));
	cache_put(&c, e[3], some());
	ck_assert_ptr_null(cache_get(&c, e[1]));
	ck_assert_ptr_nonnull(cache_get(&c, e[0]));
	ck_assert_uint_eq(c.bytes, 3 * one);
	cache_set_max(&c, one);
	ck_assert_ptr_nonnull(cache_get(&c, e[0]));
	ck_assert_ptr_null(cache_get(&c, e[3]));
	cache_drop(&c, e[0]);
	cache_drop(&c, e[0]);
	ck_assert_uint_eq(c.bytes, 0);
	ck_assert_uint_eq(c.misses, 2);
	cache_clear(&c);
	index_clear(&ix);
}

END_TEST

START_TEST(too_large_is_not_kept)
{
	struct index ix;
	struct cache c;
	struct entry *e;

	index_init(&ix);
	cache_init(&c, LEN);
	e = part_entry(&ix, 1, 1, "x", "act");
	cache_put(&c, e, some());
	ck_assert_ptr_null(e->content);
	cache_set_max(&c, 10 * LEN);
	cache_put(&c, e, some());
	/* It has one: the second is not wanted. */
	cache_put(&c, e, some());
	ck_assert_uint_eq(c.bytes, sizeof(struct content) + LEN);
	cache_clear(&c);
	ck_assert_ptr_null(e->content);
	index_clear(&ix);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { the_longest_unused_goes_first,
		too_large_is_not_kept };

	return PART_RUN("cache", tests);
}
