/* Content in memory, least recently used out first. */
#include "queue/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

static uint64_t
cost(const struct content *content)
{
	return sizeof(*content) + content->len + content->context_len +
	       content->wishes_len;
}

void
cache_init(struct cache *c, uint64_t max_bytes)
{
	*c = (struct cache){ .max = max_bytes };
	TAILQ_INIT(&c->used);
}

static void
evict_to(struct cache *c, uint64_t bytes)
{
	while (c->bytes > bytes && !TAILQ_EMPTY(&c->used))
		cache_drop(c, TAILQ_LAST(&c->used, content_list)->owner);
}

void
cache_clear(struct cache *c)
{
	evict_to(c, 0);
}

void
cache_set_max(struct cache *c, uint64_t max_bytes)
{
	c->max = max_bytes;
	evict_to(c, max_bytes);
}

struct content *
content_new(uint32_t len)
{
	struct content *content = content_new_with(len, STR(""));

	content->has_context = false;
	return content;
}

struct content *
content_new_with(uint32_t len, struct str context)
{
	struct content *content = xmalloc(sizeof(*content) + len + context.len);

	content->owner = NULL;
	content->len = len;
	content->context_len = (uint32_t)context.len;
	content->wishes_len = 0;
	content->has_context = true;
	if (context.len > 0)
		memcpy(content->bytes + len, context.p, context.len);
	return content;
}

struct str
content_context(const struct content *content)
{
	return (
	    struct str){ content->bytes + content->len, content->context_len };
}

void
content_set_wishes(struct content **content, struct str block)
{
	struct content *c = *content;
	size_t at = (size_t)c->len + c->context_len;

	assert(c->owner == NULL);
	if (block.len == 0)
		return;
	c = xreallocarray(c, 1, sizeof(*c) + at + block.len);
	memcpy(c->bytes + at, block.p, block.len);
	c->wishes_len = (uint32_t)block.len;
	*content = c;
}

struct str
content_wishes(const struct content *content)
{
	return (
	    struct str){ content->bytes + content->len + content->context_len,
		content->wishes_len };
}

void
cache_put(struct cache *c, struct entry *e, struct content *content)
{
	assert(content->owner == NULL);
	if (e->content != NULL || cost(content) > c->max) {
		free(content);
		return;
	}
	evict_to(c, c->max - cost(content));
	content->owner = e;
	e->content = content;
	c->bytes += cost(content);
	TAILQ_INSERT_HEAD(&c->used, content, link);
}

struct content *
cache_get(struct cache *c, struct entry *e)
{
	struct content *content = e->content;

	if (content == NULL) {
		c->misses++;
		return NULL;
	}
	c->hits++;
	if (content != TAILQ_FIRST(&c->used)) {
		TAILQ_REMOVE(&c->used, content, link);
		TAILQ_INSERT_HEAD(&c->used, content, link);
	}
	return content;
}

void
cache_drop(struct cache *c, struct entry *e)
{
	struct content *content = e->content;

	if (content == NULL)
		return;
	e->content = NULL;
	TAILQ_REMOVE(&c->used, content, link);
	c->bytes -= cost(content);
	free(content);
}
