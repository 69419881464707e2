#include "lib/ipc/edge.h"

const struct edge_row *
edge_row(const struct edge *e, uint16_t type)
{
	/* Types count from 1 in the order of the rows. */
	if (type == 0 || type > e->nrows)
		return NULL;
	return &e->rows[type - 1];
}

const char *
edge_breach(const struct edge_row *row, uint8_t direction,
    enum edge_phase phase, uint64_t *seen)
{
	if (row == NULL)
		return "unknown type";
	if ((row->direction & direction) == 0)
		return "wrong direction";
	if ((row->phases & phase) == 0)
		return "not in this phase";
	uint64_t bit = UINT64_C(1) << (row->type - 1);
	if (row->once && (*seen & bit) != 0)
		return "said twice";
	*seen |= bit;
	return NULL;
}

uint64_t
edge_hash(const struct edge *e)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < e->nrows; i++) {
		const struct edge_row *r = &e->rows[i];
		h = wire_hash(r->wire, h);
		h = (h ^ r->type) * 0x100000001b3;
		h = (h ^ ((uint64_t)r->direction << 16 |
			     (uint64_t)r->phases << 8 | r->once)) *
		    0x100000001b3;
	}
	return h;
}
