/* Legal messages of every kind, made from their field lists. */
#ifndef POSTERN_TESTS_UNIT_EDGE_MESSAGES_H
#define POSTERN_TESTS_UNIT_EDGE_MESSAGES_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/ipc/wire.h"

enum { SHORT = 12 };

static char text[262144]; /* what str and bin fields point into */
static int null_fd = -1;

enum fill { FILL_SHORT, FILL_RANDOM, FILL_MAX };

static inline uint64_t
random_below(uint64_t limit)
{
	uint64_t r = (uint64_t)random() << 31 ^ (uint64_t)random() << 62 ^
		     (uint64_t)random();

	return limit == UINT64_MAX ? r : r % (limit + 1);
}

static inline uint64_t
int_width(enum wire_kind kind)
{
	static const uint8_t widths[] = { [WIRE_u8] = 1,
		[WIRE_u16] = 2,
		[WIRE_u32] = 4,
		[WIRE_u64] = 8,
		[WIRE_fd] = 0 };

	return widths[kind];
}

static inline void
set_int(void *p, enum wire_kind kind, uint64_t v)
{
	/* Little-endian hosts only, as the sandbox's architectures are. */
	memcpy(p, &v, int_width(kind));
}

static inline void
fill_field(const struct wire_field *f, void *p, enum fill how)
{
	uint64_t max = f->max, len;

	if (f->kind == WIRE_fd) {
		*(int *)p = null_fd;
	} else if (int_width(f->kind) > 0) {
		set_int(p, f->kind, how == FILL_MAX ? max : random_below(max));
	} else {
		len = how == FILL_MAX ? max : random_below(max);
		if (how == FILL_SHORT && len > SHORT)
			len = random_below(SHORT);
		ck_assert_uint_lt(len, sizeof(text) / 2);
		*(struct str *)p =
		    (struct str){ text + random_below(sizeof(text) / 2), len };
	}
}

/* A legal message of this kind. */
static inline void *
make(const struct wire_msg *w, enum fill how)
{
	char *msg = calloc(1, w->size);

	ck_assert_ptr_nonnull(msg);
	for (const struct wire_field *f = w->fields(); f->name != NULL; f++)
		fill_field(f, msg + f->offset, how);
	return msg;
}

/* Its encoding. */
static inline struct buf
make_bytes(const struct wire_msg *w, enum fill how)
{
	void *msg = make(w, how);
	struct buf b;
	int fd;

	buf_init(&b, SIZE_MAX / 2);
	ck_assert_int_eq(wire_encode(w, msg, &b, &fd), 0);
	ck_assert_int_eq(fd >= 0, wire_has_fd(w));
	free(msg);
	return b;
}

static inline void
same_field(const struct wire_field *f, const void *a, const void *b)
{
	if (f->kind == WIRE_fd) {
		ck_assert_int_eq(*(const int *)a, *(const int *)b);
	} else if (int_width(f->kind) > 0) {
		ck_assert_mem_eq(a, b, int_width(f->kind));
	} else {
		ck_assert_msg(
		    str_eq(*(const struct str *)a, *(const struct str *)b),
		    "field %s differs", f->name);
	}
}

#endif
