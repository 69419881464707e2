/* The in-memory index: look-ups, counts, its size, shared words. */
#include <string.h>

#include "lib/base/str.h"
#include "tests/unit/queue/parts.h"

START_TEST(finds_by_seq_and_id)
{
	struct index ix;
	struct entry *e;

	index_init(&ix);
	for (uint64_t n = 1; n <= 5000; n++)
		ck_assert_ptr_nonnull(part_entry(&ix, n * 3, 2, "x", "act"));
	ck_assert_uint_eq(ix.count, 5000);
	e = index_find_seq(&ix, 300);
	ck_assert_ptr_eq(e, index_find_id(&ix, STR("0000000000000300")));
	ck_assert(str_eq(rcpt_to(&e->rcpts[1]), STR("r1@x")));
	ck_assert(str_eq(rcpt_domain(&e->rcpts[1]), STR("x")));
	ck_assert_ptr_eq(rcpt_entry(&e->rcpts[1]), e);
	ck_assert(str_eq(entry_from(e), STR("from@sender.example")));
	ck_assert_ptr_null(index_find_seq(&ix, 301));
	ck_assert_uint_eq(index_from_seq(&ix, 301)->seq, 303);
	ck_assert_ptr_null(index_from_seq(&ix, 15001));
	ck_assert_ptr_null(index_find_id(&ix, STR("short")));
	/* In use: neither key can be had twice. */
	ck_assert_ptr_null(part_entry(&ix, 300, 1, "x", "act"));
	index_del(&ix, &e);
	ck_assert_ptr_null(e);
	ck_assert_ptr_null(index_find_seq(&ix, 300));
	ck_assert_ptr_nonnull(part_entry(&ix, 300, 1, "x", "act"));
	index_clear(&ix);
}

END_TEST

START_TEST(counts_messages_by_state)
{
	struct index ix;
	struct entry *e;

	index_init(&ix);
	e = part_entry(&ix, 1, 3, "x", "act");
	ck_assert_uint_eq(ix.nstate[STATE_ACTIVE], 1);
	rcpt_set_state(&ix, &e->rcpts[0], RCPT_DEFERRED);
	rcpt_set_state(&ix, &e->rcpts[1], RCPT_HELD);
	ck_assert_int_eq(entry_state(e), STATE_ACTIVE);
	rcpt_set_state(&ix, &e->rcpts[2], RCPT_DELIVERED);
	ck_assert_int_eq(entry_state(e), STATE_DEFERRED);
	ck_assert_uint_eq(ix.nstate[STATE_DEFERRED], 1);
	rcpt_set_state(&ix, &e->rcpts[0], RCPT_BOUNCED);
	ck_assert_uint_eq(ix.nstate[STATE_HELD], 1);
	ck_assert(entry_is_open(e));
	rcpt_set_state(&ix, &e->rcpts[1], RCPT_REMOVED);
	ck_assert(!entry_is_open(e));
	ck_assert(!entry_is_hidden(e));
	ck_assert_uint_eq(ix.nkept, 1);
	ck_assert_uint_eq(ix.nstate[STATE_HELD], 0);
	rcpt_set_state(&ix, &e->rcpts[0], RCPT_REMOVED);
	ck_assert(entry_is_hidden(e));
	ck_assert_uint_eq(ix.bytes, 30);
	index_del(&ix, &e);
	ck_assert_uint_eq(ix.nkept, 0);
	ck_assert_uint_eq(ix.bytes, 0);
	index_clear(&ix);
}

END_TEST

START_TEST(shares_words)
{
	struct index ix;
	struct entry *a, *b;

	index_init(&ix);
	a = part_entry(&ix, 1, 2, "x", "act");
	b = part_entry(&ix, 2, 2, "x", "act");
	ck_assert_ptr_eq(a->rcpts[0].action, b->rcpts[1].action);
	ck_assert_ptr_eq(a->origin, b->origin);
	rcpt_set_word(&ix, &a->rcpts[0].reply, STR("451 later"));
	ck_assert(str_eq(word_str(a->rcpts[0].reply), STR("451 later")));
	rcpt_set_word(&ix, &a->rcpts[0].reply, STR(""));
	ck_assert_ptr_null(a->rcpts[0].reply);
	index_del(&ix, &a);
	index_del(&ix, &b);
	ck_assert_uint_eq(ix.words.count, 0);
	index_clear(&ix);
}

END_TEST

static struct mail_record
brought_by(uint64_t seq, const char *msgid, struct str name, struct str user)
{
	static const struct mail_rcpt r = { .to = { "a@b", 3 } };

	return (struct mail_record){ .seq = seq,
		.msgid = str_of(msgid),
		.from = STR(""),
		.client = STR("2001:db8::7"),
		.client_name = name,
		.listener = STR("[::1]:587"),
		.user = user,
		.rcpts = &r,
		.nrcpt = 1,
		.flags = ENVELOPE_TLS };
}

START_TEST(knows_who_brought_it)
{
	char text[300];
	const struct str longest = { text, sizeof(text) };
	struct mail_record m[3] = {
		brought_by(1, "0000000000000001", longest, longest),
		brought_by(2, "0000000000000002", STR(""), STR("jane")),
		brought_by(3, "0000000000000003", STR(""), STR("")),
	};
	struct entry *e[3];
	struct index ix;
	struct origin o;

	memset(text, 'x', sizeof(text));
	index_init(&ix);
	for (int i = 0; i < 3; i++) {
		e[i] = index_add(&ix, &m[i], 0);
		o = entry_origin(e[i]);
		ck_assert(str_eq(o.client, m[i].client));
		ck_assert(
		    str_eq(o.client_name, str_head(m[i].client_name, 64)));
		ck_assert(str_eq(o.listener, m[i].listener));
		ck_assert(str_eq(o.user, str_head(m[i].user, 255)));
		ck_assert_uint_eq(e[i]->flags, ENVELOPE_TLS);
	}
	ck_assert_uint_eq(ix.words.count, 3);
	for (int i = 0; i < 3; i++)
		index_del(&ix, &e[i]);
	ck_assert_uint_eq(ix.words.count, 0);
	index_clear(&ix);
}

END_TEST

START_TEST(refuses_records_without_sense)
{
	char text[ENVELOPE_ADDRESS_MAX + 1];
	struct index ix;
	struct entry *e;
	struct mail_rcpt r = { .to = STR("a@b"), .action = STR("x") };
	struct mail_record m = { .seq = 1,
		.msgid = STR("0000000000000001"),
		.rcpts = &r,
		.nrcpt = 1 };

	index_init(&ix);
	m.nrcpt = 0;
	ck_assert_ptr_null(index_add(&ix, &m, 0));
	m.nrcpt = 1;
	m.msgid = STR("1");
	ck_assert_ptr_null(index_add(&ix, &m, 0));
	m.msgid = STR("0000000000000001");
	m.seq = 0;
	ck_assert_ptr_null(index_add(&ix, &m, 0));
	m.seq = 1;
	/* Longer than anybody is told. */
	memset(text, 'a', sizeof(text));
	m.from = (struct str){ text, sizeof(text) };
	ck_assert_ptr_null(index_add(&ix, &m, 0));
	m.from.len--;
	r.to = (struct str){ text, sizeof(text) };
	ck_assert_ptr_null(index_add(&ix, &m, 0));
	r.to.len--;
	e = index_add(&ix, &m, 0);
	ck_assert_ptr_nonnull(e);
	ck_assert(str_eq(entry_from(e), m.from));
	ck_assert(str_eq(rcpt_to(&e->rcpts[0]), r.to));
	index_clear(&ix);
}

END_TEST

START_TEST(ages_never_run_backwards)
{
	struct index ix;
	struct entry *e;

	index_init(&ix);
	e = part_entry(&ix, 1, 1, "x", "act");
	ck_assert_uint_eq(entry_age(e, 5000), 0);
	ck_assert_uint_eq(entry_age(e, 4000), 0);
	e->born_ms = -1000;
	ck_assert_uint_eq(entry_age(e, 4000), 5000);
	index_clear(&ix);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { finds_by_seq_and_id,
		counts_messages_by_state, shares_words, knows_who_brought_it,
		refuses_records_without_sense, ages_never_run_backwards };

	return PART_RUN("index", tests);
}
