/*
 * Messages as field lists. A message is written down once:
 *
 *	#define ASK_X(F)
 *		F(u32, size, 65536)	(bytes that follow)
 *		F(str, from, 320)	(empty for <>)
 *	WIRE_DECLARE(ask_x, ASK_X)	in the header
 *	WIRE_DEFINE(ask_x, ASK_X)	in the .c beside it
 *
 * which makes struct ask_x and its description ask_x_wire, from which the
 * encoder, the decoder, the trace printer and the test generator work. Each
 * field is F(kind, name, max): for integers max is the largest legal value,
 * for str and bin the largest length in bytes, for fd it is 0.
 *
 * On the wire: integers little-endian at their width, str and bin a u32
 * length and the bytes. A str holds no NUL. A fd travels beside the bytes; a
 * message has at most one.
 */
#ifndef POSTERN_IPC_WIRE_H
#define POSTERN_IPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum wire_kind {
	WIRE_u8,
	WIRE_u16,
	WIRE_u32,
	WIRE_u64,
	WIRE_str,
	WIRE_bin,
	WIRE_fd
};

struct wire_field {
	enum wire_kind kind;
	const char *name; /* NULL ends the list */
	size_t offset;    /* in the message's struct */
	uint64_t max;
};

struct wire_msg {
	const char *name;
	const char *text; /* the field list as written, for the hash */
	const struct wire_field *(*fields)(void); /* ended by a NULL name */
	size_t size;                              /* of the struct */
};

#define WIRE_TYPE_u8  uint8_t
#define WIRE_TYPE_u16 uint16_t
#define WIRE_TYPE_u32 uint32_t
#define WIRE_TYPE_u64 uint64_t
#define WIRE_TYPE_str struct str
#define WIRE_TYPE_bin struct str
#define WIRE_TYPE_fd  int

#define WIRE_MEMBER(kind, name, max) WIRE_TYPE_##kind name;
#define WIRE_TEXT(kind, name, max)   #kind " " #name " " #max ";"
/* wire_self is a typedef local to the function WIRE_DEFINE makes. */
#define WIRE_FIELD(kind, name, max) \
	{ WIRE_##kind, #name, offsetof(wire_self, name), (max) },

/* The list of a message without fields. */
#define WIRE_NOTHING(F)

#define WIRE_DECLARE(msg, LIST)                                    \
	struct msg {                                               \
		LIST(WIRE_MEMBER)                                  \
		uint8_t wire_end; /* so that no struct is empty */ \
	};                                                         \
	extern const struct wire_msg msg##_wire;

#define WIRE_DEFINE(msg, LIST)                                                \
	static const struct wire_field *msg##_fields(void)                    \
	{                                                                     \
		typedef struct msg wire_self;                                 \
		static const struct wire_field fields[] = { LIST(WIRE_FIELD){ \
		    WIRE_u8, NULL, offsetof(wire_self, wire_end), 0 } };      \
		return fields;                                                \
	}                                                                     \
	const struct wire_msg msg##_wire = { #msg, LIST(WIRE_TEXT) "",        \
		msg##_fields, sizeof(struct msg) };

/* Appends msg (a struct of w's kind) to out. Returns 0, or -1 when a field
 * exceeds its max or out is full: a bug or a limit of ours, nothing is
 * added then. *fd is the descriptor to send along, or -1; it stays the
 * caller's. */
int wire_encode(
    const struct wire_msg *w, const void *msg, struct buf *out, int *fd);

/* Fills msg (w->size bytes) from in; str and bin are views into in. fd is
 * the descriptor that came along or -1; when the message has a fd field it
 * must be there, else it must not, and it stays the caller's. Returns 0, or
 * -1 when truncated, over a max, a NUL in a str, or bytes left over. */
int wire_decode(const struct wire_msg *w, struct str in, int fd, void *msg);

bool wire_has_fd(const struct wire_msg *w);
/* `name field=value …` for a trace; bin as its length. */
void wire_trace(const struct wire_msg *w, const void *msg, struct buf *out);
/* FNV-1a over name and field list, going on from seed. */
uint64_t wire_hash(const struct wire_msg *w, uint64_t seed);

#endif
