/*
 * Words: texts that many recipients share (action names, where mail came from,
 * the reply of a server that is down), kept once and counted.
 */
#ifndef POSTERN_QUEUE_WORD_H
#define POSTERN_QUEUE_WORD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

struct word {
	struct word *next; /* in its bucket */
	uint32_t refs;
	uint32_t hash;
	uint32_t len;
	char text[]; /* terminated */
};

struct words {
	struct word **buckets; /* owned; a power of two of them */
	size_t nbuckets, count;
};

void words_init(struct words *w);
/* Frees the table; every word must have been dropped before. */
void words_clear(struct words *w);
/* The word for s with one more reference; NULL for the empty text. Equal
 * texts are the same pointer. */
struct word *word_get(struct words *w, struct str s);
struct word *word_ref(struct word *word);
/* Drops one reference and clears the pointer; NULL is fine. */
void word_drop(struct words *w, struct word **word);
/* A view; empty for NULL. */
struct str word_str(const struct word *word);

#endif
