#include "milters/client/packet.h"

static uint32_t
get_u32(const char *p)
{
	const uint8_t *u = (const uint8_t *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	       (uint32_t)u[2] << 8 | u[3];
}

static void
put_u32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(uint8_t)(v >> (24 - 8 * i));
}

enum packet_state
packet_decode(struct str in, struct packet *out, uint32_t *length)
{
	if (in.len < 4)
		return PACKET_MORE;
	uint32_t n = get_u32(in.p);
	*length = n;
	if (n == 0 || n - 1 > PACKET_TAKE_MAX)
		return PACKET_BAD;
	if (in.len - 4 < n)
		return PACKET_MORE;
	out->code = in.p[4];
	out->payload = (struct str){ in.p + PACKET_HEAD, n - 1 };
	return PACKET_WHOLE;
}

size_t
packet_size(const struct packet *p)
{
	return PACKET_HEAD + p->payload.len;
}

size_t
packet_start(struct buf *b, char code)
{
	size_t start = b->len;

	packet_add_u32(b, 0);
	buf_add_char(b, code);
	return start;
}

int
packet_finish(struct buf *b, size_t start)
{
	if (b->failed || b->len - start - PACKET_HEAD > PACKET_SEND_MAX) {
		b->len = start < b->len ? start : b->len;
		return -1;
	}
	put_u32(b->p + start, (uint32_t)(b->len - start - 4));
	return 0;
}

void
packet_add_u16(struct buf *b, uint16_t v)
{
	buf_add_char(b, (char)(uint8_t)(v >> 8));
	buf_add_char(b, (char)(uint8_t)v);
}

void
packet_add_u32(struct buf *b, uint32_t v)
{
	char bytes[4];

	put_u32(bytes, v);
	buf_add(b, bytes, sizeof(bytes));
}

void
packet_add_string(struct buf *b, struct str s)
{
	buf_add_str(b, s);
	buf_add_char(b, '\0');
}

int
packet_take_u32(struct str *payload, uint32_t *out)
{
	if (payload->len < 4)
		return -1;
	*out = get_u32(payload->p);
	*payload = str_skip(*payload, 4);
	return 0;
}

int
packet_take_string(struct str *payload, struct str *out)
{
	size_t n = str_find(*payload, '\0');

	if (n == payload->len)
		return -1;
	*out = str_head(*payload, n);
	*payload = str_skip(*payload, n + 1);
	return 0;
}
