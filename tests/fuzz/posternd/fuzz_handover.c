/* What one program leaves to the next: what is taken from any text says the
 * same when it is written once more. */
#include <stdlib.h>
#include <string.h>

#include "posternd/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every reader relies on. */
static void
check(const struct handover *h)
{
	if (h->ntickets > TICKETS_SIZE || h->ntickets % TICKET_KEY_SIZE != 0 ||
	    h->nsockets > HANDOVER_MAX || h->nprocesses > HANDOVER_MAX)
		abort();
	for (size_t i = 0; i < h->nsockets; i++) {
		const struct inherited *s = &h->sockets[i];
		bool is_path =
		    s->kind == INHERITED_SUBMIT || s->kind == INHERITED_CONTROL;
		if (s->fd < 0 || (s->path != NULL) != is_path)
			abort();
	}
	for (size_t i = 0; i < h->nprocesses; i++)
		if (h->processes[i].pid <= 1 || h->processes[i].parent < -1 ||
		    h->processes[i].queue < -1)
			abort();
}

static void
write_text(const struct handover *h, struct buf *out)
{
	buf_init(out, 4 << 20);
	handover_format(h, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct handover h, again;
	struct fault why = { 0 };
	struct buf first, second;

	if (size > 65536 || handover_parse(text, &h, &why) == -1)
		return 0;
	check(&h);
	write_text(&h, &first);
	if (handover_parse(buf_str(&first), &again, &why) == -1)
		abort();
	write_text(&again, &second);
	if (!str_eq(buf_str(&first), buf_str(&second)))
		abort();
	buf_clear(&first);
	buf_clear(&second);
	handover_clear(&h);
	handover_clear(&again);
	return 0;
}
