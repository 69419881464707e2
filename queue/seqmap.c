/* Open addressing by a multiplied seq; nothing is ever taken out. */
#include "queue/seqmap.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

static size_t
place(const struct seqmap *m, uint64_t seq)
{
	uint64_t h = seq * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 20) & (m->cap - 1);

	while (m->entries[i].seq != 0 && m->entries[i].seq != seq)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static void
grow(struct seqmap *m)
{
	struct seqmap bigger = { .n = m->n,
		.cap = m->cap == 0 ? 1024 : m->cap * 2 };

	bigger.entries = xcalloc(bigger.cap, sizeof(*bigger.entries));
	for (size_t i = 0; i < m->cap; i++) {
		const struct seq_entry *e = &m->entries[i];

		if (e->seq != 0)
			bigger.entries[place(&bigger, e->seq)] = *e;
	}
	free(m->entries);
	*m = bigger;
}

struct seq_entry *
seqmap_get(struct seqmap *m, uint64_t seq)
{
	struct seq_entry *e;

	if (m->n * 4 >= m->cap * 3)
		grow(m);
	e = &m->entries[place(m, seq)];
	if (e->seq == 0) {
		e->seq = seq;
		m->n++;
	}
	return e;
}

struct seq_entry *
seqmap_find(const struct seqmap *m, uint64_t seq)
{
	struct seq_entry *e;

	if (m->cap == 0)
		return NULL;
	e = &m->entries[place(m, seq)];
	return e->seq == 0 ? NULL : e;
}

void
seqmap_clear(struct seqmap *m)
{
	free(m->entries);
	memset(m, 0, sizeof(*m));
}
