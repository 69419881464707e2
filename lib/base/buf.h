/* A bounded byte builder. Going over its bound sets failed and adds nothing. */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

struct buf {
	char *p;     /* owned; NULL while nothing was added */
	size_t len;  /* bytes in use */
	size_t cap;  /* bytes allocated */
	size_t max;  /* bound in bytes */
	bool failed; /* something did not fit; sticky until buf_clear */
	bool secret; /* set by the owner until buf_clear: no copy is left */
};

/* Starts empty without allocating; max is the bound in bytes. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory, wiped if it is secret; the buffer may be used again with
 * the same bound. */
void buf_clear(struct buf *b);
/* Keeps the memory, forgets the content and the failure. */
void buf_reset(struct buf *b);
void buf_add(struct buf *b, const void *p, size_t len);
void buf_add_str(struct buf *b, struct str s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* len writable bytes at the end, to be filled by the caller; NULL when they
 * do not fit (failed is set). Not counted until buf_commit. */
char *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);
/* Takes the first len bytes away. */
void buf_drop(struct buf *b, size_t len);
/* s as a JSON string with its quotes, controls (C1, too) escaped; bytes that
 * are not UTF-8 become U+FFFD (RFC 8259). */
void buf_add_json(struct buf *b, struct str s);
struct str buf_str(const struct buf *b);

#endif
