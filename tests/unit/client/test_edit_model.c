/*
 * Random edits by index against a plain model: for one filter an array that is
 * edited in place; for a group what each member said is bound to fields by
 * their numbers first, then done in turn. POSTERN_SEED and POSTERN_ROUNDS.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/client/edit_check.h"

enum { FIELDS_MAX = 400, GROUP_MAX = 3, TEXT_MAX = 32 };

static uint64_t seed;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(seed >> 33) % n;
}

/* --- the model --- */

struct field {
	int number; /* who it is */
	char name[4];
	char text[TEXT_MAX]; /* whole */
	bool ours, deleted;
};

struct model {
	struct field f[FIELDS_MAX];
	int n;
};

static int numbers; /* of fields so far */

static int
place(const struct model *m, int number)
{
	for (int i = 0; i < m->n; i++)
		if (m->f[i].number == number)
			return i;
	return m->n;
}

static void
model_insert(struct model *m, int at, const struct field *f)
{
	ck_assert_int_lt(m->n, FIELDS_MAX);
	for (int i = m->n++; i > at; i--)
		m->f[i] = m->f[i - 1];
	m->f[at] = *f;
}

/* The index'th of that name; -1: none. */
static int
model_find(const struct model *m, uint32_t index, const char *name)
{
	uint32_t left = index == 0 ? 1 : index;

	for (int i = 0; i < m->n; i++)
		if (!m->f[i].ours && strcasecmp(m->f[i].name, name) == 0 &&
		    --left == 0)
			return i;
	return -1;
}

static void
model_check(const struct model *m)
{
	struct buf want;

	buf_init(&want, 1 << 20);
	for (int i = 0; i < m->n; i++)
		if (!m->f[i].deleted)
			buf_add_str(&want, str_of(m->f[i].text));
	buf_add_str(&want, STR("\r\n"));
	buf_add_char(&want, '\0');
	header_is(want.p);
	buf_clear(&want);
}

/* --- the edits --- */

struct edit {
	char code;
	uint32_t index;
	struct field f; /* text empty: delete */
	int target;     /* group: the field's number, -1: at the end */
};

static void
random_name(char name[4])
{
	static const char *const names[] = { "A", "a", "B", "Cc", "cC" };

	(void)snprintf(name, 4, "%s", names[rnd(5)]);
}

static void
random_edit(struct edit *e)
{
	e->code = "hiimmmm"[rnd(7)];
	e->index = rnd(20) == 0 ? UINT32_MAX - rnd(2) : rnd(8);
	random_name(e->f.name);
	e->f.number = numbers++;
	e->f.ours = e->f.deleted = false;
	if (e->code == 'm' && rnd(3) == 0)
		e->f.text[0] = '\0';
	else
		(void)snprintf(
		    e->f.text, TEXT_MAX, "%s: v%d\r\n", e->f.name, e->f.number);
}

static void
send_edit(struct edits *to, const struct edit *e)
{
	char value[TEXT_MAX] = "";
	struct buf b;

	if (e->f.text[0] != '\0')
		(void)snprintf(value, sizeof(value), "v%d", e->f.number);
	buf_init(&b, 256);
	if (e->code != 'h')
		packet_add_u32(&b, e->index);
	packet_add_string(&b, str_of(e->f.name));
	packet_add_string(&b, str_of(value));
	ck_assert_int_eq(
	    edits_take(to, e->code, buf_str(&b), &fault), EDITS_TAKEN);
	buf_clear(&b);
}

/* Does it to the list that the filter sees; notes which field it means. */
static void
model_edit(struct model *m, struct edit *e)
{
	int at = m->n;

	if (e->code == 'i' && e->index < (uint32_t)m->n)
		at = (int)e->index;
	if (e->code == 'm') {
		int found = model_find(m, e->index, e->f.name);

		e->target = found == -1 ? -1 : m->f[found].number;
		if (e->f.text[0] == '\0') {
			for (; found >= 0 && found < m->n - 1; found++)
				m->f[found] = m->f[found + 1];
			m->n -= e->target != -1;
			return;
		}
		if (found != -1) {
			memcpy(m->f[found].name, e->f.name, 4);
			memcpy(m->f[found].text, e->f.text, TEXT_MAX);
			return;
		}
	} else
		e->target = at < m->n ? m->f[at].number : -1;
	model_insert(m, at, &e->f);
}

/* Does it to the list of all; what is deleted stays as a place. */
static void
model_replay(struct model *m, const struct edit *e)
{
	int at = place(m, e->target);

	if (e->code == 'm' && e->target == -1 && e->f.text[0] == '\0')
		return;
	if (e->code != 'm' || e->target == -1) {
		model_insert(m, at, &e->f);
		return;
	}
	ck_assert_int_lt(at, m->n);
	m->f[at].deleted = e->f.text[0] == '\0';
	if (!m->f[at].deleted) {
		memcpy(m->f[at].name, e->f.name, 4);
		memcpy(m->f[at].text, e->f.text, TEXT_MAX);
	}
}

static void
random_mail(struct model *m, struct buf *block)
{
	int n = (int)rnd(12), ours = (int)rnd(3);
	size_t begin = 0;

	buf_init(block, 1 << 16);
	m->n = 0;
	mail.ours = 0;
	for (int i = 0; i < n; i++) {
		struct field f = { .number = numbers++, .ours = i < ours };

		random_name(f.name);
		buf_addf(block, "%s: f%d\r\n", f.name, i);
		(void)snprintf(f.text, TEXT_MAX, "%.*s",
		    (int)(block->len - begin), block->p + begin);
		m->f[m->n++] = f;
		begin = block->len;
		if (f.ours)
			mail.ours = begin;
	}
	buf_add_str(block, STR("\r\n"));
	headers_init(&headers, buf_str(block), mail.ours);
	memset(&sum, 0, sizeof(sum));
	ck_assert_uint_eq(headers.count, (size_t)n);
}

static void
leave(struct buf *block)
{
	end();
	buf_clear(block);
}

/* --- rounds --- */

/* One filter after the other, each edits what the one before left. */
static void
round_of_row(void)
{
	static struct model m;
	struct buf block;

	random_mail(&m, &block);
	for (uint32_t number = 1; number <= 3; number++) {
		struct edits *f = filter(number);

		for (uint32_t n = rnd(25); n > 0; n--) {
			struct edit e;

			random_edit(&e);
			send_edit(f, &e);
			model_edit(&m, &e);
		}
		apply(f, number, number);
		model_check(&m);
	}
	leave(&block);
}

/* Side by side. */
static void
round_of_group(void)
{
	static struct model m, seen;
	static struct edit edits[GROUP_MAX][25];
	struct edits *f[GROUP_MAX];
	uint32_t n[GROUP_MAX];
	struct buf block;

	random_mail(&m, &block);
	for (uint32_t g = 0; g < GROUP_MAX; g++) {
		f[g] = filter(g + 1);
		n[g] = rnd(25);
		seen = m;
		for (uint32_t i = 0; i < n[g]; i++) {
			random_edit(&edits[g][i]);
			send_edit(f[g], &edits[g][i]);
			model_edit(&seen, &edits[g][i]);
		}
	}
	for (uint32_t g = 0; g < GROUP_MAX; g++) {
		apply(f[g], 0, 1);
		for (uint32_t i = 0; i < n[g]; i++)
			model_replay(&m, &edits[g][i]);
		model_check(&m);
	}
	leave(&block);
}

static int
rounds(void)
{
	const char *text = getenv("POSTERN_ROUNDS");

	return text != NULL ? (int)strtol(text, NULL, 10) : 1000;
}

START_TEST(test_row)
{
	for (int i = 0; i < rounds(); i++)
		round_of_row();
}

END_TEST

START_TEST(test_group)
{
	for (int i = 0; i < rounds(); i++)
		round_of_group();
}

END_TEST

/* A thousand edits of a thousand fields. */
START_TEST(test_many)
{
	static const char name[] = "A\0v\0";
	struct edits *f;
	struct buf block;

	buf_init(&block, 1 << 16);
	for (int i = 0; i < 1000; i++)
		buf_addf(&block, "%c: %d\r\n", i % 2 == 0 ? 'A' : 'B', i);
	buf_add_str(&block, STR("\r\n"));
	buf_add_char(&block, '\0');
	begin(block.p);
	f = filter(1);
	for (uint32_t i = 0; i < EDITS_MAX; i++) {
		struct buf b;

		buf_init(&b, 64);
		packet_add_u32(&b, i % 4 == 0 ? 500 - i / 4 : i);
		buf_add(&b, name, i % 4 == 0 ? 2 : 4);
		if (i % 4 == 0)
			buf_add_char(&b, '\0');
		ck_assert_int_eq(
		    edits_take(f, i % 4 < 2 ? 'm' : 'i', buf_str(&b), &fault),
		    EDITS_TAKEN);
		buf_clear(&b);
	}
	apply(f, 0, 1);
	ck_assert_uint_ge(headers.count, 1000);
	end();
	buf_clear(&block);
}

END_TEST

int
main(void)
{
	const char *text = getenv("POSTERN_SEED");
	Suite *s = suite_create("edit_model");
	TCase *tc = tcase_create("edit_model");
	SRunner *r;
	int failed;

	seed = text != NULL ? strtoull(text, NULL, 10) : 1;
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_row);
	tcase_add_test(tc, test_group);
	tcase_add_test(tc, test_many);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
