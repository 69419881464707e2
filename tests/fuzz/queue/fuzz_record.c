/* The decoders of the log's format, on anything. */
#include <stdlib.h>
#include <string.h>

#include "queue/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was decoded says the same when it is encoded again. */
static void
mail_again(const struct mail_decoded *d)
{
	size_t len = mail_size(&d->mail);
	uint8_t *p;
	struct mail_decoded again;
	struct record_header h = { .version = RECORD_VERSION,
		.length = (uint32_t)len,
		.seq = d->mail.seq };

	if (len == 0)
		abort();
	p = malloc(len);
	if (p == NULL)
		abort();
	mail_encode(p, &d->mail);
	if (mail_decode(&h, p, &again) == -1 ||
	    again.mail.nrcpt != d->mail.nrcpt ||
	    !str_eq(again.mail.user, d->mail.user) ||
	    !str_eq(again.mail.content, d->mail.content))
		abort();
	mail_decoded_clear(&again);
	free(p);
}

static void
state_again(const struct state_decoded *d)
{
	size_t len = state_size(&d->state);
	uint8_t *p;
	struct state_decoded again;

	if (len == 0)
		abort();
	p = malloc(len);
	if (p == NULL)
		abort();
	state_encode(p, &d->state);
	if (state_decode(p, len, d->state.seq, &again) == -1 ||
	    again.state.nrcpt != d->state.nrcpt)
		abort();
	state_decoded_clear(&again);
	free(p);
}

/* What any header says is said by the one that is written of it. */
static void
headers(const uint8_t *data, size_t size)
{
	static struct segment_header s, s_again;
	uint8_t block[SEGMENT_BLOCK] = { 0 };
	struct batch_header b, b_again;

	memcpy(&s, data, size < sizeof(s) ? size : sizeof(s));
	s.ncuts %= SEGMENT_CUTS_MAX + 1;
	segment_header_encode(block, &s);
	if (segment_header_decode(block, &s_again) == 0 &&
	    (s_again.number != s.number || s_again.ncuts > SEGMENT_CUTS_MAX))
		abort();
	memset(&b, 0, sizeof(b));
	memcpy(&b, data, size < sizeof(b) ? size : sizeof(b));
	batch_header_encode(block, &b);
	if (batch_header_decode(block, b.generation, &b_again) == 0 &&
	    (b_again.used < BATCH_HEADER || b_again.offset != b.offset))
		abort();
	memcpy(block, data, size < sizeof(block) ? size : sizeof(block));
	segment_header_decode(block, &s);
	batch_header_decode(block, 1, &b);
}

static void
sealed(const uint8_t *data, size_t size)
{
	uint8_t block[SEGMENT_BLOCK] = { 0 };
	struct record_header h = { .kind = 1 }, again;

	if (size < 2 || size > sizeof(block) - RECORD_HEADER)
		return;
	memcpy(block + RECORD_HEADER, data, size);
	h.kind = data[0];
	h.flags = data[1];
	h.seq = h.generation = data[size - 1];
	h.length = (uint32_t)size;
	record_seal(block, &h, block + RECORD_HEADER);
	if (record_header_decode(block, h.generation, &again) == -1)
		return;
	if (again.seq != h.seq || again.length != h.length ||
	    !record_payload_is_good(&again, block + RECORD_HEADER))
		abort();
	block[RECORD_HEADER] ^= 1;
	if (record_payload_is_good(&again, block + RECORD_HEADER))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_header h = { .length = (uint32_t)size, .seq = 1 };
	struct mail_decoded m;
	struct state_decoded s;

	for (h.version = RECORD_VERSION_MIN; h.version <= RECORD_VERSION;
	     h.version++) {
		if (mail_decode(&h, data, &m) != 0)
			continue;
		mail_again(&m);
		mail_decoded_clear(&m);
	}
	if (state_decode(data, size, 1, &s) == 0) {
		state_again(&s);
		state_decoded_clear(&s);
	}
	headers(data, size);
	sealed(data, size);
	return 0;
}
