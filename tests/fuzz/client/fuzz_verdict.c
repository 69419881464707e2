/* Reply codes: what comes out is a reply that comes out the same again.
 * Input: one byte (UTF-8 allowed), the payload. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "lib/mail/reply.h"
#include "milters/client/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_line(struct reply *r, struct str line, bool utf8, bool last)
{
	MUST(line.len >= 9 && line.len <= 510);
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];

		MUST(
		    c == '\t' || (c >= ' ' && c != 0x7f && (c < 0x7f || utf8)));
	}
	MUST(utf8_is_valid(line));
	MUST(reply_add_line(r, line) == (last ? REPLY_DONE : REPLY_MORE));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum milter_verdict v;
	struct reply r;
	struct buf out;
	struct str left;

	if (size < 1)
		return 0;
	bool utf8 = (data[0] & 1) != 0;
	buf_init(&out, 32 * 512);
	if (verdict_parse((struct str){ (const char *)data + 1, size - 1 },
		utf8, &out, &v) == -1) {
		MUST(out.len == 0);
		buf_clear(&out);
		return 0;
	}
	reply_init(&r);
	left = buf_str(&out);
	while (left.len > 0) {
		size_t cr = str_find(left, '\r');

		check_line(&r, str_head(left, cr), utf8, cr >= left.len);
		left = str_skip(left, cr + 2);
	}
	MUST(v == (r.code == 421   ? MILTER_SHUTDOWN :
		      r.code < 500 ? MILTER_TEMPFAIL :
				     MILTER_REJECT));
	MUST(r.code >= 400 && r.code < 600 && r.status.class == r.code / 100);
	buf_clear(&out);
	return 0;
}
