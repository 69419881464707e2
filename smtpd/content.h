/*
 * The bytes of a mail's body on their way to the queue: in memory up to
 * MAIL_INLINE_MAX, then in a file of the queue's. What a client sends and
 * what a filter puts in its place are kept alike.
 *
 * Somebody who has the header block in the same buffer says how much of the
 * front that is (held); it stays in memory.
 */
#ifndef POSTERN_SMTPD_CONTENT_H
#define POSTERN_SMTPD_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/smtpd_queue.h"
#include "lib/base/buf.h"
#include "milters/client/milter.h"

enum content_fault {
	CONTENT_FINE,
	CONTENT_TOO_BIG,  /* max_size */
	CONTENT_NO_SPACE, /* the file cannot grow */
	CONTENT_NO_FILE   /* no file, or it cannot be written */
};

struct content;
struct file_ask; /* a question to the queue outlives whoever asked it */

/* The file that was asked for is there and has what was in memory, or fault
 * is set. Never from inside a call. */
typedef void content_fn(void *ctx, struct content *c, bool ok);

struct content {
	struct buf bytes; /* what is in memory */
	size_t held;      /* bytes at its front that are no body */
	uint64_t max_size;
	uint64_t size_hint;   /* of the file, 0: unknown */
	struct file_ask *ask; /* NULL: none pending */
	content_fn *on_file;
	void *ctx;
	uint64_t bodyfile;   /* its number, 0: none */
	uint64_t file_size;  /* bytes written to it */
	uint64_t generation; /* of the channel it came by */
	int fd;              /* -1: none */
	enum content_fault fault;
	bool is_8bit; /* bytes above 127 were put in */
};

void content_init(
    struct content *c, uint64_t max_size, content_fn *on_file, void *ctx);
/* A file that was not committed is given back to the queue. */
void content_clear(struct content *c);
/* The same on the heap. */
struct content *content_new(uint64_t max_size, content_fn *on_file, void *ctx);
void content_free(struct content **c);

/* Are there bytes above 127? */
bool content_has_8bit(struct str bytes);
/* Appends, wherever the end is now. */
void content_put(struct content *c, const char *p, size_t len);
/* There is more in memory than should be, and no file. */
bool content_is_over(const struct content *c);
/* Its file is of a queue that has handed over to the present one, which does
 * not know it: what is in it has to move. */
bool content_is_stranded(const struct content *c);
/* Asks the queue for a file. False: there is no queue, fault is set. */
bool content_ask_file(struct content *c);
/* Appends, within max_size, and asks when that is due: MILTER_WAIT means that
 * on_file follows. */
enum milter_room content_add(struct content *c, struct str bytes);

/* Gives up on it. */
void content_fail(struct content *c, enum content_fault fault);
/* It is whole: its file has to be the present queue's. Returns the fault. */
enum content_fault content_finish(struct content *c);
/* Bytes of the body. */
uint64_t content_size(const struct content *c);
/* The body in memory; empty when it is in the file. */
struct str content_memory(const struct content *c);
/* For milters_filter: body, fd, body_size. */
void content_show(const struct content *c, struct milter_mail *mail);
/* Moves what `from' has to `to' (which is empty or cleared), and frees it. */
void content_move(struct content *to, struct content **from);
/* A content as milter_ops knows it, by a plain pointer. */
enum milter_room content_body_add(void *body, struct str bytes);
void content_body_free(void *body);
void content_body_show(const void *body, struct milter_mail *mail);

/* What ask_commit says of a mail with this header block and this body. */
void content_describe(
    const struct content *c, size_t header_size, struct ask_commit *m);
/* The header block, then what is in memory of the body: behind ask_commit and
 * its tell_rcpt, under their id. */
void content_send(const struct content *c, struct channel *ch, uint64_t id,
    struct str header);
/* The commit was answered well: the file is the queue's. */
void content_committed(struct content *c);
/* Written to its end: the descriptor is not needed any more. */
void content_close(struct content *c);

#endif
