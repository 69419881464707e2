/* The PROXY header: the same in one piece as byte by byte, never a byte behind
 * it, never more than its bound. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "smtpd/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_result
feed(struct proxy_header *h, struct str in, size_t piece, size_t *taken)
{
	enum proxy_result r = PROXY_MORE;

	proxy_header_init(h);
	*taken = 0;
	while (r == PROXY_MORE && *taken < in.len) {
		struct str part = str_head(str_skip(in, *taken), piece);
		size_t used;

		r = proxy_header_feed(h, part, &used);
		assert(used <= part.len && (used > 0 || r == PROXY_BAD));
		*taken += used;
		assert(*taken <= PROXY_MAX);
	}
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct proxy_header whole, pieces;
	size_t taken, taken_pieces, piece;
	enum proxy_result r, in_pieces;

	if (size < 2)
		return 0;
	piece = data[0] % 16 + 1;
	in = str_skip(in, 1);
	r = feed(&whole, in, in.len, &taken);
	in_pieces = feed(&pieces, in, piece, &taken_pieces);
	assert(in_pieces == r);
	if (r == PROXY_DONE) {
		assert(taken == taken_pieces);
		assert(whole.named == pieces.named);
		assert(!whole.named ||
		       (addr_eq(&whole.client, &pieces.client) &&
			   whole.client.family != ADDR_NONE &&
			   whole.client.family != ADDR_LOCAL &&
			   whole.client_port == pieces.client_port));
	} else
		assert(r == PROXY_BAD || taken == in.len);
	proxy_header_clear(&whole);
	proxy_header_clear(&pieces);
	return 0;
}
