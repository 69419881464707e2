#include "lib/ipc/wire.h"

#include <string.h>

#include "lib/base/bytes.h"

/* Bytes an integer takes; 0 for the other kinds. */
static const uint8_t widths[] = {
	[WIRE_u8] = 1,
	[WIRE_u16] = 2,
	[WIRE_u32] = 4,
	[WIRE_u64] = 8,
	[WIRE_str] = 0,
	[WIRE_bin] = 0,
	[WIRE_fd] = 0,
};

/* The member in a struct the message description belongs to. */
static const void *
member(const void *msg, const struct wire_field *f)
{
	return (const char *)msg + f->offset;
}

static uint64_t
load(const void *p, enum wire_kind kind)
{
	switch (kind) {
	case WIRE_u8:
		return *(const uint8_t *)p;
	case WIRE_u16:
		return *(const uint16_t *)p;
	case WIRE_u32:
		return *(const uint32_t *)p;
	case WIRE_u64:
		return *(const uint64_t *)p;
	case WIRE_str:
	case WIRE_bin:
	case WIRE_fd:
		break;
	}
	return 0;
}

static void
store(void *p, enum wire_kind kind, uint64_t v)
{
	switch (kind) {
	case WIRE_u8:
		*(uint8_t *)p = (uint8_t)v;
		break;
	case WIRE_u16:
		*(uint16_t *)p = (uint16_t)v;
		break;
	case WIRE_u32:
		*(uint32_t *)p = (uint32_t)v;
		break;
	case WIRE_u64:
		*(uint64_t *)p = v;
		break;
	case WIRE_str:
	case WIRE_bin:
	case WIRE_fd:
		break;
	}
}

static bool
is_clean(enum wire_kind kind, struct str s)
{
	return kind == WIRE_bin || s.len == 0 || memchr(s.p, 0, s.len) == NULL;
}

/* Bytes the fields take, or -1 when one exceeds its max. */
static int
measure(const struct wire_field *f, const void *msg, size_t *size)
{
	size_t n = 0;

	for (; f->name != NULL; f++) {
		const void *p = member(msg, f);
		if (f->kind == WIRE_fd)
			continue;
		if (widths[f->kind] > 0) {
			if (load(p, f->kind) > f->max)
				return -1;
			n += widths[f->kind];
			continue;
		}
		const struct str *s = p;
		if (s->len > f->max || !is_clean(f->kind, *s))
			return -1;
		n += 4 + s->len;
	}
	*size = n;
	return 0;
}

static uint8_t *
put_int(uint8_t *to, uint64_t v, uint8_t width)
{
	for (uint8_t i = 0; i < width; i++, v >>= 8)
		to[i] = (uint8_t)v;
	return to + width;
}

int
wire_encode(const struct wire_msg *w, const void *msg, struct buf *out, int *fd)
{
	const struct wire_field *f = w->fields();
	size_t size;

	*fd = -1;
	if (measure(f, msg, &size) != 0)
		return -1;
	uint8_t *to = (uint8_t *)buf_reserve(out, size);
	if (to == NULL)
		return -1;
	for (; f->name != NULL; f++) {
		const void *p = member(msg, f);
		if (f->kind == WIRE_fd) {
			*fd = *(const int *)p;
		} else if (widths[f->kind] > 0) {
			to = put_int(to, load(p, f->kind), widths[f->kind]);
		} else {
			const struct str *s = p;
			put_le32(to, (uint32_t)s->len);
			if (s->len > 0)
				memcpy(to + 4, s->p, s->len);
			to += 4 + s->len;
		}
	}
	buf_commit(out, size);
	return 0;
}

static uint64_t
get_int(const char *from, uint8_t width)
{
	uint64_t v = 0;

	for (uint8_t i = width; i > 0; i--)
		v = v << 8 | (uint8_t)from[i - 1];
	return v;
}

/* One field from the front of in. 0/-1 */
static int
decode_field(const struct wire_field *f, struct str *in, void *to)
{
	size_t width = widths[f->kind];

	if (width > 0) {
		if (in->len < width)
			return -1;
		uint64_t v = get_int(in->p, (uint8_t)width);
		if (v > f->max)
			return -1;
		store(to, f->kind, v);
		*in = str_skip(*in, width);
		return 0;
	}
	if (in->len < 4)
		return -1;
	uint64_t len = get_int(in->p, 4);
	if (len > f->max || len > in->len - 4)
		return -1;
	struct str s = { in->p + 4, (size_t)len };
	if (!is_clean(f->kind, s))
		return -1;
	*(struct str *)to = s;
	*in = str_skip(*in, 4 + s.len);
	return 0;
}

int
wire_decode(const struct wire_msg *w, struct str in, int fd, void *msg)
{
	bool fd_taken = false;

	memset(msg, 0, w->size);
	for (const struct wire_field *f = w->fields(); f->name != NULL; f++) {
		void *to = (char *)msg + f->offset;
		if (f->kind == WIRE_fd) {
			if (fd < 0)
				return -1;
			*(int *)to = fd;
			fd_taken = true;
		} else if (decode_field(f, &in, to) != 0) {
			return -1;
		}
	}
	return in.len == 0 && (fd < 0 || fd_taken) ? 0 : -1;
}

bool
wire_has_fd(const struct wire_msg *w)
{
	for (const struct wire_field *f = w->fields(); f->name != NULL; f++)
		if (f->kind == WIRE_fd)
			return true;
	return false;
}

void
wire_trace(const struct wire_msg *w, const void *msg, struct buf *out)
{
	buf_addf(out, "%s", w->name);
	for (const struct wire_field *f = w->fields(); f->name != NULL; f++) {
		const void *p = member(msg, f);
		buf_addf(out, " %s=", f->name);
		if (widths[f->kind] > 0)
			buf_addf(
			    out, "%llu", (unsigned long long)load(p, f->kind));
		else if (f->kind == WIRE_str)
			buf_add_json(out, *(const struct str *)p);
		else if (f->kind == WIRE_bin)
			buf_addf(out, "<%zu>", ((const struct str *)p)->len);
		else
			buf_addf(out, "fd");
	}
}

static uint64_t
hash_text(const char *s, uint64_t h)
{
	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3;
	return h;
}

uint64_t
wire_hash(const struct wire_msg *w, uint64_t seed)
{
	return hash_text(w->text, hash_text(w->name, seed));
}
