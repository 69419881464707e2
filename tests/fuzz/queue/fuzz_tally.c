/*
 * What was counted of TLS, as it lies in the spool: any text. What is read is
 * bounded, is written again as the same, and a report can be made of it that
 * is a mail, sent to nothing but addresses.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue/report_mime.h"
#include "queue/tls_report_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static char organization[] = "Us", contact[] = "postmaster@us.example",
	    from[] = "noreply@us.example";
static const struct tls_reports by = {
	.organization = organization, .contact = contact, .from = from
};

static void
check_to(const struct tally *tally)
{
	struct str to[TLS_REPORT_TO_MAX];
	struct buf text;
	size_t n, nother;

	buf_init(&text, 65536);
	n = tls_report_addresses(str_of(tally->rua), &text, to, &nother);
	MUST(n <= TLS_REPORT_TO_MAX);
	for (size_t i = 0; i < n; i++) {
		MUST(str_find(to[i], '@') < to[i].len);
		for (size_t k = 0; k < to[i].len; k++)
			MUST(to[i].p[k] > ' ' && to[i].p[k] <= '~' &&
			     to[i].p[k] != '>');
	}
	buf_clear(&text);
}

static void
check_report(const struct tally *tally)
{
	struct tls_report r = { .tally = tally,
		.by = &by,
		.id = STR("0abcdefghijklmno"),
		.hostname = STR("gw.us.example"),
		.to = STR("a@far.example"),
		.now_ms = 1795500000000 };
	uint32_t header_size;
	struct buf mail;

	buf_init(&mail, TLS_REPORT_MAX);
	MUST(tls_report_build(&r, &mail, &header_size) == 0);
	MUST(mime_is_plain(buf_str(&mail), false));
	MUST(header_size > 4 && header_size < mail.len);
	MUST(memcmp(mail.p + header_size - 4, "\r\n\r\n", 4) == 0);
	MUST(memmem(mail.p, header_size - 4, "\r\n\r\n", 4) == NULL);
	buf_clear(&mail);
}

static void
check_again(const struct tallies *all)
{
	struct tallies copy;
	struct buf text, again;

	buf_init(&text, TALLY_TEXT_MAX);
	buf_init(&again, TALLY_TEXT_MAX);
	tallies_init(&copy);
	tallies_format(all, &text);
	MUST(tallies_parse(&copy, buf_str(&text)) == 0);
	tallies_format(&copy, &again);
	MUST(str_eq(buf_str(&text), buf_str(&again)));
	MUST(copy.nentries == all->nentries && copy.bytes == all->bytes);
	tallies_clear(&copy);
	buf_clear(&text);
	buf_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tallies all;

	tallies_init(&all);
	if (tallies_parse(&all, (struct str){ (const char *)data, size }) ==
	    0) {
		struct tally *first = tallies_next(&all, NULL);

		check_again(&all);
		if (first != NULL) {
			check_to(first);
			check_report(first);
		}
	}
	tallies_clear(&all);
	MUST(all.nentries == 0 && all.bytes == 0);
	return 0;
}
