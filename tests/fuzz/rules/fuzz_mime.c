/* Parts of a mail: the same whatever pieces it comes in. Input: one byte
 * (size of the pieces), a mail. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/header.h"
#include "milters/rules/mime_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
scan(struct mime_scan *m, struct str in, size_t step)
{
	struct header_scan head;
	struct header_field f;
	size_t pos = 0;

	header_scan_init(&head);
	header_scan_feed(&head, in, true);
	mime_scan_init(m);
	while (header_next(str_head(in, head.size), &pos, &f))
		mime_scan_field(m, f.name, f.value);
	mime_scan_header_end(m);
	for (in = str_skip(in, head.size); in.len > 0; in = str_skip(in, step))
		mime_scan_body(m, str_head(in, step));
	mime_scan_end(m);
	MUST(m->nbounds <= MIME_DEPTH_MAX);
}

static void
same(const struct mime_names *a, const struct mime_names *b)
{
	MUST(a->n == b->n);
	for (size_t i = 0; i < a->n; i++)
		MUST(strcmp(a->v[i], b->v[i]) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mime_scan whole, pieces;
	struct str in;

	if (size < 1)
		return 0;
	in = (struct str){ (const char *)data + 1, size - 1 };
	scan(&whole, in, in.len + 1);
	scan(&pieces, in, 1 + data[0] % 64U);
	same(&whole.files, &pieces.files);
	same(&whole.types, &pieces.types);
	MUST(whole.ambiguous == pieces.ambiguous);
	mime_scan_clear(&whole);
	mime_scan_clear(&pieces);
	return 0;
}
