/* A server's replies: lines of the input, one reply after the other. */
#include <stdlib.h>
#include <string.h>

#include "lib/mail/reply.h"
#include "lib/net/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
check_done(const struct reply *r)
{
	char out[16];
	struct status st;
	struct str rest;

	check(r->code >= 200 && r->code <= 599);
	check(r->text_len <= REPLY_KEPT_MAX);
	check(strlen(r->text) == r->text_len);
	check(r->nlines <= REPLY_LINES_MAX && r->nbytes <= REPLY_TOTAL_MAX);
	for (size_t i = 0; i < r->text_len; i++)
		check(r->text[i] >= 0x20 && r->text[i] < 0x7f);
	if (r->status.class == 0)
		return;
	check(r->status.class == r->code / 100);
	status_format(&r->status, out);
	check(status_parse(str_of(out), &st, &rest) == 0);
	check(st.class == r->status.class && st.subject == r->status.subject &&
	      st.detail == r->status.detail);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size }, line;
	struct reply r;
	size_t used;

	reply_init(&r);
	while (line_next(in, REPLY_LINE_MAX, &line, &used) == LINE_OK) {
		enum reply_result result = reply_add_line(&r, line);

		if (result == REPLY_BAD)
			break;
		if (result == REPLY_DONE) {
			check_done(&r);
			reply_init(&r);
		}
		in = str_skip(in, used);
	}
	return 0;
}
