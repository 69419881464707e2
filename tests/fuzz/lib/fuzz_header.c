/*
 * The header block: the same end however it is split, and the iterator sees
 * the same fields. Input: one byte (step), the content.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lib/mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_scan a, b;
	struct header_field f;
	struct str in;
	size_t pos = 0, n = 0, received = 0, before = 0;

	if (size < 1 || size > 4096)
		return 0;
	in = (struct str){ (const char *)data + 1, size - 1 };
	header_scan_init(&a);
	header_scan_init(&b);
	MUST(header_scan_feed(&a, in, true));
	for (size_t at = 0; at < in.len; at += 1 + data[0] % 16U)
		header_scan_feed(&b, str_head(in, at), false);
	MUST(header_scan_feed(&b, in, true));
	MUST(a.size == b.size && a.nfields == b.nfields &&
	     a.nreceived == b.nreceived && a.size <= in.len);
	while (header_next(str_head(in, a.size), &pos, &f)) {
		MUST(pos > before && pos <= a.size);
		MUST(f.raw.len == pos - before && f.raw.len <= a.longest);
		MUST(f.name.len + f.value.len + 1 <= f.raw.len);
		before = pos;
		n++;
		received += str_eq_nocase(f.name, STR("Received"));
	}
	MUST(n == a.nfields && received == a.nreceived);
	return 0;
}
