/* Shared texts: a hash table of counted strings. */
#include "queue/word.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum { WORDS_FIRST = 64 };

void
words_init(struct words *w)
{
	w->nbuckets = WORDS_FIRST;
	w->count = 0;
	w->buckets = xcalloc(w->nbuckets, sizeof(struct word *));
}

void
words_clear(struct words *w)
{
	free(w->buckets);
	*w = (struct words){ 0 };
}

static uint32_t
hash_of(struct str s)
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.p[i]) * 16777619U;
	return h;
}

static void
grow(struct words *w)
{
	size_t n = w->nbuckets * 2;
	struct word **buckets = xcalloc(n, sizeof(struct word *));

	for (size_t i = 0; i < w->nbuckets; i++) {
		struct word *next;

		for (struct word *o = w->buckets[i]; o != NULL; o = next) {
			next = o->next;
			o->next = buckets[o->hash & (n - 1)];
			buckets[o->hash & (n - 1)] = o;
		}
	}
	free(w->buckets);
	w->buckets = buckets;
	w->nbuckets = n;
}

struct word *
word_get(struct words *w, struct str s)
{
	struct word **bucket, *o;
	uint32_t h;

	if (s.len == 0)
		return NULL;
	h = hash_of(s);
	for (o = w->buckets[h & (w->nbuckets - 1)]; o != NULL; o = o->next) {
		if (o->hash == h && o->len == s.len &&
		    memcmp(o->text, s.p, s.len) == 0)
			return word_ref(o);
	}
	if (w->count >= w->nbuckets)
		grow(w);
	o = xmalloc(sizeof(*o) + s.len + 1);
	o->refs = 1;
	o->hash = h;
	o->len = (uint32_t)s.len;
	memcpy(o->text, s.p, s.len);
	o->text[s.len] = '\0';
	bucket = &w->buckets[h & (w->nbuckets - 1)];
	o->next = *bucket;
	*bucket = o;
	w->count++;
	return o;
}

struct word *
word_ref(struct word *word)
{
	if (word != NULL)
		word->refs++;
	return word;
}

void
word_drop(struct words *w, struct word **word)
{
	struct word *o = *word, **at;

	*word = NULL;
	if (o == NULL || --o->refs > 0)
		return;
	at = &w->buckets[o->hash & (w->nbuckets - 1)];
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	w->count--;
	free(o);
}

struct str
word_str(const struct word *word)
{
	if (word == NULL)
		return (struct str){ "", 0 };
	return (struct str){ word->text, word->len };
}
