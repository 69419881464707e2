/*
 * Domain names as on the wire, without compression and in lower case, so that
 * comparing them is memcmp.
 */
#ifndef POSTERN_RESOLVER_NAME_H
#define POSTERN_RESOLVER_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum { NAME_WIRE_MAX = 255 };

struct name {
	uint8_t wire[NAME_WIRE_MAX];
	size_t len; /* with the root's byte */
};

/* Reads the name at *at in a packet of len bytes and moves *at behind it. A
 * pointer may only lead backwards. 0/-1 */
int name_read(const uint8_t *p, size_t len, size_t *at, struct name *n);
/* Text without the last dot, no escapes; -1: no question can hold it. */
int name_parse(struct str text, struct name *n);
bool name_eq(const struct name *a, const struct name *b);
/* Adds its text; what is no host name is escaped as c-ares does it. */
void name_format(const struct name *n, struct buf *out);

#endif
