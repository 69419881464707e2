/* What holds for every report, whatever it was made of. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_REPORT_CHECK_H
#define POSTERN_TESTS_UNIT_QUEUE_REPORT_CHECK_H

#include <stdio.h>
#include <string.h>

#include "lib/mail/envelope.h"
#include "queue/report_mime.h"
#include "queue/report_text.h"

/* The next line without its CRLF, *pos behind it; false at the end. */
static inline bool
report_line(struct str s, size_t *pos, struct str *line)
{
	size_t n;

	if (*pos >= s.len)
		return false;
	*line = str_skip(s, *pos);
	n = str_find(*line, '\n');
	*pos += n + 1;
	*line = str_head(*line, n > 0 ? n - 1 : 0);
	return true;
}

static inline const char *
report_check_lines(struct str s, bool eight)
{
	size_t start = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			return "a bare LF";
		if (c == '\r' && (i + 1 == s.len || s.p[i + 1] != '\n'))
			return "a bare CR";
		if (c == '\0')
			return "a NUL";
		if ((unsigned char)c >= 0x80 && !eight)
			return "8-bit";
		if (c == '\n') {
			if (i - 1 - start > MIME_LINE_MAX)
				return "a line too long";
			start = i + 1;
		}
	}
	return start == s.len ? NULL : "no end of the last line";
}

/* Its own header has these fields, each once, and nothing else. */
static inline const char *
report_check_header(struct str header, char boundary[static 80])
{
	static const char *const known[] = { "Received: ", "From: ", "To: ",
		"Subject: ", "Date: ", "Message-ID: ", "In-Reply-To: ",
		"References: ", "X-Postern-Double-Bounce: ", "Auto-Submitted: ",
		"MIME-Version: ", "Content-Type: ",
		"Content-Transfer-Encoding: " };
	static const struct str mark = { "\tboundary=\"", 11 };
	unsigned int seen = 0;
	struct str line;
	size_t pos = 0, k;

	while (report_line(header, &pos, &line) && line.len > 0) {
		if (str_starts_nocase(line, mark))
			snprintf(boundary, 80, "%.*s", (int)line.len - 12,
			    line.p + mark.len);
		if (line.p[0] == '\t')
			continue;
		for (k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (str_starts_nocase(line, str_of(known[k])))
				break;
		if (k == sizeof(known) / sizeof(known[0]))
			return "a field that is not ours";
		if ((seen & 1U << k) != 0)
			return "a field twice";
		seen |= 1U << k;
	}
	return pos == header.len ? NULL : "a header that ends too early";
}

/* NULL, or what is wrong with it. */
static inline const char *
report_check(const struct report *r, struct str s, const struct report_made *m)
{
	bool utf8 = (m->flags & ENVELOPE_SMTPUTF8) != 0;
	bool eight = (m->flags & ENVELOPE_8BIT) != 0;
	char boundary[80] = "", open[90], close[90];
	unsigned int nopen = 0, nclose = 0, nrcpt = 0;
	struct str line;
	const char *wrong;
	size_t pos = 0;

	if (m->nrcpt == 0 || m->nrcpt > r->nrcpt)
		return "a wrong number of recipients";
	if (utf8 && !r->utf8)
		return "UTF-8 for who does not take it";
	if ((wrong = report_check_lines(s, eight)) != NULL)
		return wrong;
	wrong = report_check_header(str_head(s, m->header_size), boundary);
	if (wrong != NULL)
		return wrong;
	snprintf(open, sizeof(open), "--%s", boundary);
	snprintf(close, sizeof(close), "--%s--", boundary);
	while (report_line(s, &pos, &line)) {
		nopen += str_eq(line, str_of(open));
		nclose += str_eq(line, str_of(close));
		nrcpt += str_starts_nocase(line, STR("Final-Recipient: ")) &&
			 nopen == 2;
	}
	if (nopen != (r->has_header ? 3 : 2) || nclose != 1)
		return "a wrong number of parts";
	return nrcpt == m->nrcpt ? NULL : "recipients that are not there";
}

#endif
