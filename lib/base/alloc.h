/* Allocation that cannot fail: out of memory ends the process. */
#ifndef POSTERN_BASE_ALLOC_H
#define POSTERN_BASE_ALLOC_H

#include <stddef.h>

/* Each returns memory the caller frees with free(); never NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
/* n * size bytes, checked for overflow. */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
/* A NUL-terminated copy of len bytes. */
char *xstrndup(const char *s, size_t len);

#endif
