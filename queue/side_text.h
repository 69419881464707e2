/*
 * Lists of the administrator's, each kept as a side file: a line of what it is
 * and of a sum (CRC-32C, hexadecimal) of the lines behind it. Or, where lines
 * are added, a line of what it is, and each behind it begins with its sum.
 */
#ifndef POSTERN_QUEUE_SIDE_TEXT_H
#define POSTERN_QUEUE_SIDE_TEXT_H

#include "lib/base/buf.h"
#include "queue/side_file.h"

struct queue;
struct timer;

enum { SIDE_TEXT_MAX = 16 << 20 };

struct side_text {
	const char *name; /* of the file, and in the log */
	const char *head; /* "postern blocks 1 " */
	const char *each; /* "postern operations 2"; NULL: none is added */
};

/* The lines are taken. fn as of side_file_write; a failure is logged. */
void side_text_save(struct store *s, const struct side_text *t,
    struct buf *lines, side_file_fn *fn, void *ctx);
/* The same, behind those that are there (written by side_text_save since the
 * start: only then each has its sum, and no crash left a piece at the end). */
void side_text_add(struct store *s, const struct side_text *t,
    struct buf *lines, side_file_fn *fn, void *ctx);
/* Reads the file and gives its lines one after the other to fn, which returns
 * -1 for one that makes no sense. 0 when all was well, or there is none, or
 * lines with sums of their own were left out (logged); else -1: it was set
 * aside, and what fn took is worth nothing. */
int side_text_load(struct store *s, const struct side_text *t,
    int (*fn)(void *ctx, struct str line), void *ctx);
/* Can s stand in such a line? */
bool side_text_is_line(struct str s);

/* A list that is written anew as a whole, and again after a while when that
 * failed. */
struct side_list {
	struct queue *q;
	const struct side_text *text;
	/* All there is, a line each. */
	void (*format)(const struct queue *q, struct buf *lines);
	struct timer *again; /* set: the last write failed */
};

/* Before the store is open. */
void side_list_init(struct side_list *l, struct queue *q,
    const struct side_text *t,
    void (*format)(const struct queue *q, struct buf *lines));
/* fn(ctx, NULL) when all that holds now is durable. */
void side_list_save(struct side_list *l, side_file_fn *fn, void *ctx);

#endif
