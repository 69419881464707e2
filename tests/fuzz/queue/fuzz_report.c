/* The text of a report, made of anything. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/queue/report_check.h"

enum { RCPTS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A length of two bytes, then so many. */
static struct str
take(struct str *in)
{
	struct str out = { "", 0 };
	size_t len;

	if (in->len < 2)
		return out;
	len = (size_t)(unsigned char)in->p[0] << 8 | (unsigned char)in->p[1];
	*in = str_skip(*in, 2);
	out = str_head(*in, len);
	*in = str_skip(*in, len);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct report_rcpt rcpts[RCPTS_MAX];
	struct report r = { .rcpts = rcpts, .now_ms = 1789000000000 };
	struct report_made made;
	struct buf out;
	const char *wrong;

	if (size == 0)
		return 0;
	r.kind = (enum report_kind)(data[0] % 3);
	r.utf8 = (data[0] & 0x10) != 0;
	r.has_header = (data[0] & 0x20) != 0;
	in = str_skip(in, 1);
	r.id = take(&in);
	r.hostname = take(&in);
	r.to = take(&in);
	r.original_id = take(&in);
	r.from = take(&in);
	r.header = take(&in);
	r.envid = take(&in);
	r.body = take(&in);
	r.returns_body = r.body.len > 0;
	do
		rcpts[r.nrcpt] = (struct report_rcpt){ .to = take(&in),
			.reply = take(&in),
			.relay = take(&in),
			.orcpt = take(&in),
			.relayed = in.len % 2 != 0,
			.last_ms = in.len,
			.until_ms = in.len };
	while (++r.nrcpt < RCPTS_MAX && in.len > 0);
	buf_init(&out, REPORT_MAX);
	report_build(&r, &out, &made);
	wrong =
	    out.failed ? "too long" : report_check(&r, buf_str(&out), &made);
	if (wrong != NULL) {
		fprintf(stderr, "%s:\n%.*s\n", wrong, (int)out.len, out.p);
		abort();
	}
	buf_clear(&out);
	return 0;
}
