/*
 * Any packet, for each type; the name asked for is the one in it where that
 * can be had, so that the records are looked at. Two bytes in front choose the
 * type and the trust. What is read keeps its bounds, is counted, and can be
 * copied and asked on for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/answer.h"
#include "resolver/dane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 12, NAME_MAX_TEXT = 256 };

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* The question's name when it is plain; else something. */
static struct str
name_asked(const uint8_t *p, size_t len, char out[static NAME_MAX_TEXT])
{
	size_t at = HEADER, n = 0;

	while (at < len && p[at] != 0) {
		size_t label = p[at];
		if (label > 63 || label >= len - at ||
		    n + label + 1 > NAME_MAX_TEXT)
			return STR("example.com");
		if (n > 0)
			out[n++] = '.';
		memcpy(out + n, p + at + 1, label);
		n += label;
		at += label + 1;
	}
	return (struct str){ out, n };
}

static void
check(const struct dns_answer *a, const struct answer_chase *chase)
{
	size_t bytes = 0;

	MUST(a->refs == 1);
	MUST(a->ttl_s <= DNS_TTL_MAX);
	MUST((a->nrecords > 0) == (a->status == DNS_OK));
	MUST((a->why != NULL) == (a->status == DNS_FAULT));
	MUST(a->nrecords <= DNS_RECORDS_MAX);
	MUST(chase->target[0] == '\0' || a->status == DNS_NODATA);
	for (size_t i = 0; i < a->nrecords; i++) {
		const struct dns_record *r = &a->records[i];
		MUST(r->ttl_s <= DNS_TTL_MAX && a->ttl_s <= r->ttl_s);
		MUST(r->text.len <= DNS_TEXT_MAX);
		bytes += r->text.len;
	}
	MUST(bytes <= DNS_BYTES_MAX);
	MUST(a->canonical.len < ANSWER_NAME_MAX);
	MUST(a->trusted || !a->ad);
	MUST(strlen(chase->target) < sizeof(chase->target));
}

/* A name is printable, without blanks and upper case. */
static void
check_names(const struct dns_answer *a)
{
	for (size_t i = 0; i < a->nrecords; i++) {
		struct str t = a->records[i].text;
		for (size_t k = 0; k < t.len; k++)
			MUST(t.p[k] > ' ' && t.p[k] < 0x7f &&
			     t.p[k] == chr_lower(t.p[k]));
	}
}

/* One has its three numbers at least; a usable one is as agents are told. */
static void
check_tlsa(const struct dns_answer *a)
{
	for (size_t i = 0; i < a->nrecords; i++) {
		const struct dns_record *r = &a->records[i];

		MUST(r->text.len >= 3);
		if (dane_is_usable(r))
			MUST(r->text.len > 3 &&
			     r->text.len - 3 <= WAY_TLSA_DATA_MAX &&
			     (r->text.p[0] == 2 || r->text.p[0] == 3) &&
			     r->text.p[1] <= 1 && r->text.p[2] <= 2);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_CNAME,
		DNS_MX, DNS_PTR, DNS_TXT, DNS_NS, DNS_TLSA };

	char text[NAME_MAX_TEXT];
	struct answer_chase chase;

	if (size < 2)
		return 0;
	enum dns_type type = types[data[0] % 8];
	struct str packet = { (const char *)data + 2, size - 2 };
	struct str name = name_asked(data + 2, size - 2, text);
	struct dns_answer *a =
	    answer_parse(packet, name, type, data[1] & 1, &chase);
	check(a, &chase);
	if (type == DNS_TLSA)
		check_tlsa(a);
	else if (type != DNS_TXT)
		check_names(a);
	struct dns_answer *copy = dns_answer_copy(a, data[1]);
	check(copy, &chase);
	dns_answer_unref(&copy);
	dns_answer_unref(&a);
	/* As the second step of a chain. */
	struct str target = str_of(chase.target);
	if (chase.target[0] != '\0' && answer_name_is_askable(target)) {
		a = answer_parse(packet, target, type, false, &chase);
		check(a, &chase);
		dns_answer_unref(&a);
	}
	return 0;
}
