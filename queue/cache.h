/*
 * Fresh content in memory, so that the usual delivery reads nothing: bounded
 * in bytes, the longest unused goes first.
 */
#ifndef POSTERN_QUEUE_CACHE_H
#define POSTERN_QUEUE_CACHE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/index.h"

struct content {
	TAILQ_ENTRY(content) link; /* newest use first */
	struct entry *owner;       /* NULL: not in the cache */
	uint32_t len;
	uint32_t context_len;
	uint32_t wishes_len;
	bool has_context; /* else nobody looked what the record has of it */
	char bytes[];     /* len, and behind them context and wishes */
};

TAILQ_HEAD(content_list, content);

struct cache {
	struct content_list used;
	uint64_t bytes, max;
	uint64_t hits, misses;
};

void cache_init(struct cache *c, uint64_t max_bytes);
/* Empties it. */
void cache_clear(struct cache *c);
/* A new bound; what does not fit any more goes. */
void cache_set_max(struct cache *c, uint64_t max_bytes);

/* Room for len bytes, not in the cache yet; free() it or cache_put it. */
struct content *content_new(uint32_t len);
/* The same with what filters have to be told (copied). */
struct content *content_new_with(uint32_t len, struct str context);
struct str content_context(const struct content *content);
/* A block of wishes.h (copied) goes with it from now on. It is not in the
 * cache yet, and may move. */
void content_set_wishes(struct content **content, struct str block);
struct str content_wishes(const struct content *content);
/* Takes content over as e's; what does not fit is freed at once. An entry
 * that has content already keeps that. */
void cache_put(struct cache *c, struct entry *e, struct content *content);
/* e's content, which is used now, or NULL. Valid until the next cache_put
 * or cache_drop. */
struct content *cache_get(struct cache *c, struct entry *e);
void cache_drop(struct cache *c, struct entry *e);

#endif
