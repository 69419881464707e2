/* Small files beside the log, written whole or not at all; or added to. */
#ifndef POSTERN_QUEUE_SIDE_FILE_H
#define POSTERN_QUEUE_SIDE_FILE_H

#include "lib/base/buf.h"
#include "lib/base/fault.h"

struct store;

/* Appends what is in it. Returns 0; -1 with errno (ENOENT: there is none,
 * EFBIG: out takes no more). Once the store is open. */
int side_file_read(struct store *s, const char *name, struct buf *out);

/* why: NULL, when it is durable. */
typedef void side_file_fn(void *ctx, const struct fault *why);
/* Puts bytes (taken: empty afterwards) in its place, by the housekeeping
 * thread; several of one name keep their order. name lives as long as the
 * program. fn is called once, never from inside. */
void side_file_write(struct store *s, const char *name, struct buf *bytes,
    side_file_fn *fn, void *ctx);
/* The same, behind what is in the file, which is there: all of it or nothing;
 * but a crash, or a disk that fails twice, may leave a part. */
void side_file_append(struct store *s, const char *name, struct buf *bytes,
    side_file_fn *fn, void *ctx);
/* Moves it to corrupt/, under a name that says when. */
void side_file_set_aside(struct store *s, const char *name);

#endif
