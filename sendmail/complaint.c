/* Words on stderr, and what the exit status says of them. */
#include "sendmail/complaint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/base/utf8.h"

enum { TEXT_MAX = 65536, ANY = 0xffff };

/* Text stays; controls, also those of ISO 8859, come out as question
 * marks. */
static void
add_plain(struct buf *out, struct str s)
{
	while (s.len > 0) {
		size_t n = utf8_char(s);
		bool is_text = n == 1 ? s.p[0] >= ' ' && s.p[0] < 0x7f :
					n > 2 || (n == 2 && s.p[0] != '\xc2');

		if (is_text)
			buf_add(out, s.p, n);
		else
			buf_add_char(out, '?');
		s = str_skip(s, n > 0 ? n : 1);
	}
}

void
complain(const char *fmt, ...)
{
	struct buf plain;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == -1)
		return;
	buf_init(&plain, TEXT_MAX);
	add_plain(&plain, str_of(text));
	fprintf(stderr, "%s: %.*s\n", program_invocation_short_name,
	    (int)plain.len, plain.p == NULL ? "" : plain.p);
	buf_clear(&plain);
	free(text);
}

/* What is refused for good, and why: the first row that fits. */
static const struct {
	enum hand_in_stage stage;
	uint16_t subject, detail;
	int status;
} meanings[] = {
	{ HAND_IN_TO, 1, 0, EX_NOUSER }, { HAND_IN_TO, 1, 1, EX_NOUSER },
	{ HAND_IN_TO, 1, 2, EX_NOHOST }, { HAND_IN_TO, 1, 6, EX_NOUSER },
	{ HAND_IN_TO, 1, 10, EX_NOUSER }, { HAND_IN_TO, 1, ANY, EX_DATAERR },
	{ HAND_IN_TO, 2, 1, EX_NOUSER }, /* disabled */
	{ HAND_IN_FROM, 1, ANY, EX_DATAERR },
	{ HAND_IN_CONTENT, 6, ANY, EX_DATAERR }, /* not fit to be sent */
};

static int
exit_status(const struct handing *h)
{
	const struct reply *r = &h->smtp.reply;

	if (h->smtp.why != NULL || r->code < 500)
		return EX_TEMPFAIL;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].stage == h->stage && r->status.class == 5 &&
		    meanings[i].subject == r->status.subject &&
		    (meanings[i].detail == ANY ||
			meanings[i].detail == r->status.detail))
			return meanings[i].status;
	return EX_UNAVAILABLE;
}

int
complain_refused(const struct handing *h)
{
	struct buf why;

	buf_init(&why, TEXT_MAX);
	hand_in_explain(h, &why);
	complain("%.*s", (int)why.len, why.p);
	if (h->ndone > 0)
		complain("the first %zu recipients have it already", h->ndone);
	buf_clear(&why);
	return exit_status(h);
}
