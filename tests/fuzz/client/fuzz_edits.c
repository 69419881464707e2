/*
 * Edits of up to three filters, in a row or side by side: whatever they say,
 * the header is fields and an empty line, the new body has no bare CR or LF,
 * addresses are addresses. Input: one byte of flags, then packets: a code, a
 * length of two bytes, a payload; code '/' is the next filter in the same
 * step, '.' in the next.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/header.h"
#include "lib/mail/path.h"
#include "milters/client/edits.h"
#include "tests/unit/client/body_stub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

enum { FILTERS = 3 };

static const char block[] = "Received: ours\r\nA: 1\r\nB: 2\r\n 3\r\nA: 4\r\n"
			    "\r\n";

struct world {
	struct headers headers;
	struct milter_mail mail;
	struct edits_sum sum;
	struct edits *edits[FILTERS];
	uint32_t n, applied, step, first;
	bool failed[FILTERS];
};

static void
apply(struct world *w)
{
	const char *fault;

	for (; w->applied < w->n; w->applied++) {
		struct edits **e = &w->edits[w->applied];

		if (!w->failed[w->applied]) {
			(void)edits_end(*e);
			(void)edits_apply(
			    *e, w->step, w->first, &w->sum, &fault, NULL, NULL);
		}
		edits_free(e);
	}
	w->step++;
	w->first = w->n + 1;
}

static void
begin(struct world *w, uint8_t flags)
{
	struct edits *e =
	    edits_new(&w->headers, &w->mail, w->n + 1, &stub_ops, NULL);

	edits_negotiated(e, (flags >> w->n & 1) != 0, 0x1ff);
	w->failed[w->n] = false;
	w->edits[w->n++] = e;
}

static void
take(struct world *w, char code, struct str payload)
{
	bool *failed = &w->failed[w->n - 1];
	const char *fault = NULL;

	if (*failed)
		return;
	switch (edits_take(w->edits[w->n - 1], code, payload, &fault)) {
	case EDITS_TAKEN:
		break;
	case EDITS_WAIT:
		edits_body_ready(w->edits[w->n - 1], (payload.len & 1) == 0);
		break;
	case EDITS_BAD:
		MUST(fault != NULL);
		*failed = true;
		break;
	}
}

static void
check_header(const struct world *w)
{
	struct header_field f;
	struct buf out;
	size_t pos = 0, n = 0;

	buf_init(&out, EDITS_HEADER_MAX + 4);
	headers_format(&w->headers, &out);
	MUST(!out.failed);
	while (header_next(buf_str(&out), &pos, &f)) {
		MUST(f.raw.len >= 2 && f.raw.p[f.raw.len - 2] == '\r');
		MUST(memchr(f.raw.p, '\0', f.raw.len) == NULL);
		for (size_t i = 0; i < f.raw.len; i++)
			MUST(f.raw.p[i] != '\r' || f.raw.p[i + 1] == '\n');
		n++;
	}
	MUST(n == w->headers.count && pos == w->headers.bytes);
	MUST(str_eq(str_skip(buf_str(&out), pos), STR("\r\n")));
	buf_clear(&out);
}

static void
check_body(const struct stub_body *b)
{
	struct str s = buf_str(&b->bytes);

	MUST(s.len == 0 || s.p[s.len - 1] == '\n');
	for (size_t i = 0; i < s.len; i++) {
		MUST(s.p[i] != '\0');
		MUST(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		MUST(s.p[i] != '\r' || s.p[i + 1] == '\n');
	}
}

static void
check_envelope(const struct edits_sum *sum)
{
	struct path path;

	for (size_t i = 0; i < sum->nrcpts; i++)
		MUST(path_split(sum->rcpts[i].addr, &path) == 0);
	if (sum->from != NULL)
		MUST(path_split(str_of(sum->from), &path) == 0);
	if (sum->reason != NULL)
		MUST(sum->reason[0] != '\0' &&
		     strlen(sum->reason) <= EDITS_REASON_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .first = 1 };
	struct str in = { (const char *)data, size };

	if (size < 1)
		return 0;
	w.mail = (struct milter_mail){
		.fd = -1, .max_size = 4096, .utf8 = (data[0] & 0x80) != 0
	};
	stub_room = (enum milter_room)((data[0] >> 4) % 3);
	headers_init(&w.headers, STR(block), sizeof("Received: ours\r\n") - 1);
	begin(&w, data[0]);
	for (in = str_skip(in, 1); in.len >= 3;) {
		char code = in.p[0];
		size_t len = (size_t)(uint8_t)in.p[1] << 8 | (uint8_t)in.p[2];

		if (code == '/' || code == '.') {
			if (w.n == FILTERS)
				break;
			if (code == '.')
				apply(&w);
			begin(&w, data[0]);
		} else
			take(&w, code, str_head(str_skip(in, 3), len));
		in = str_skip(in, 3 + len);
	}
	apply(&w);
	check_header(&w);
	if (w.sum.body != NULL)
		check_body(w.sum.body);
	check_envelope(&w.sum);
	edits_sum_clear(&w.sum, &stub_ops);
	headers_clear(&w.headers);
	MUST(stub_bodies == 0);
	return 0;
}
