/* An entry of a table of DNS lists, "KEY WEIGHT ANSWER": what is taken has a
 * zone and a weight within their bounds, and counts nothing but 127/8. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/rules/dnsbl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str key = { (const char *)data, size }, weight, answer;
	struct dnsbl_list l;
	struct fault why;
	struct addr a;

	weight = str_skip(key, str_find(key, ' ') + 1);
	key = str_head(key, str_find(key, ' '));
	answer = str_skip(weight, str_find(weight, ' ') + 1);
	weight = str_head(weight, str_find(weight, ' '));
	if (dnsbl_parse(key, weight, &l, &why) == -1)
		return 0;
	if (l.zone.len == 0 || l.zone.len > 189 || l.weight == 0 ||
	    l.weight > DNSBL_WEIGHT_MAX || l.weight < -DNSBL_WEIGHT_MAX)
		abort();
	if (addr_parse(answer, &a) == 0 && dnsbl_counts(&l, &a) &&
	    (a.family != ADDR_V4 || a.bytes[0] != 127))
		abort();
	return 0;
}
