/* Rows of several processes about the same filters. */
#include "posternctl/milter_rows.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"

void
milter_sums_init(struct milter_sums *m)
{
	*m = (struct milter_sums){ 0 };
}

static void
sum_clear(struct milter_sum *s)
{
	for (size_t i = 0; i < s->nsockets; i++) {
		free(s->sockets[i].text);
		free(s->sockets[i].fault);
	}
	free(s->name);
	free(s->on_failure);
}

void
milter_sums_clear(struct milter_sums *m)
{
	for (size_t i = 0; i < m->n; i++)
		sum_clear(&m->sums[i]);
	free(m->sums);
	milter_sums_init(m);
}

static struct milter_sum *
find(const struct milter_sums *m, struct str name)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(str_of(m->sums[i].name), name))
			return &m->sums[i];
	return NULL;
}

static struct milter_sum *
sum_new(struct milter_sums *m, const struct row_milter *row)
{
	struct milter_sum *s;

	m->sums = xreallocarray(m->sums, m->n + 1, sizeof(*m->sums));
	s = &m->sums[m->n++];
	memset(s, 0, sizeof(*s));
	s->name = str_dup(row->name);
	s->on_failure = str_dup(row->on_failure);
	s->shadow = row->shadow;
	s->after_queue = row->after_queue;
	return s;
}

/* up < probing < resting */
static uint8_t
worse(uint8_t a, uint8_t b)
{
	static const uint8_t order[] = { 0, 2, 1 };

	return order[a] >= order[b] ? a : b;
}

static void
add_lists(struct milter_sum *s, const struct row_milter *row)
{
	const uint8_t *v = (const uint8_t *)row->verdicts.p;
	const uint8_t *l = (const uint8_t *)row->latency.p;

	for (size_t i = 0; i < ROW_MILTER_VERDICTS; i++)
		if (8 * (i + 1) <= row->verdicts.len)
			s->verdicts[i] += get_le64(v + 8 * i);
	for (size_t i = 0; i < (size_t)ROW_MILTER_STAGES * LATENCY_BUCKETS; i++)
		if (4 * (i + 1) <= row->latency.len)
			s->latency[i / LATENCY_BUCKETS][i % LATENCY_BUCKETS] +=
			    get_le32(l + 4 * i);
}

void
milter_sums_add(struct milter_sums *m, const struct row_milter *row)
{
	struct milter_sum *s = find(m, row->name);

	if (s == NULL)
		s = sum_new(m, row);
	s->state = worse(s->state, row->state);
	s->sessions += row->sessions;
	s->connections += row->connections;
	s->failures += row->failures;
	s->skipped += row->skipped;
	s->compared += row->compared;
	s->differed += row->differed;
	s->edits += row->edits;
	if (row->version != 0) {
		s->version = row->version;
		s->actions = row->actions;
		s->steps = row->steps;
	}
	add_lists(s, row);
}

static struct milter_socket_sum *
socket_of(struct milter_sum *s, struct str text)
{
	for (size_t i = 0; i < s->nsockets; i++)
		if (str_eq(str_of(s->sockets[i].text), text))
			return &s->sockets[i];
	if (s->nsockets == MILTER_ROW_SOCKETS)
		return NULL;
	s->sockets[s->nsockets].text = str_dup(text);
	return &s->sockets[s->nsockets++];
}

void
milter_sums_add_socket(
    struct milter_sums *m, const struct row_milter_socket *row)
{
	struct milter_sum *s = find(m, row->milter);
	struct milter_socket_sum *k =
	    s == NULL ? NULL : socket_of(s, row->socket);

	if (k == NULL)
		return;
	k->state = worse(k->state, row->state);
	k->sessions += row->sessions;
	k->failures += row->failures;
	if (row->fault.len > 0) {
		free(k->fault);
		k->fault = str_dup(row->fault);
	}
}

void
milter_sum_latency(
    const struct milter_sum *s, uint64_t out[static LATENCY_BUCKETS])
{
	memset(out, 0, LATENCY_BUCKETS * sizeof(*out));
	for (size_t stage = 0; stage < ROW_MILTER_STAGES; stage++)
		for (size_t i = 0; i < LATENCY_BUCKETS; i++)
			out[i] += s->latency[stage][i];
}
