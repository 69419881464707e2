/* The word: a byte of length for each text, then the texts. */
#include "queue/origin.h"

#include <string.h>

enum {
	TEXTS = 4,
	TEXT_MAX = UINT8_MAX,
	/* The name a client gives itself is for people and the rules; a
	 * million of invented ones need not be kept to the last byte. */
	CLIENT_NAME_KEPT = 64
};

struct word *
origin_get(struct words *w, const struct mail_record *m)
{
	const struct str texts[TEXTS] = { m->client,
		str_head(m->client_name, CLIENT_NAME_KEPT), m->listener,
		m->user };
	char all[TEXTS + TEXTS * TEXT_MAX];
	size_t len = TEXTS;

	for (size_t i = 0; i < TEXTS; i++) {
		struct str s = str_head(texts[i], TEXT_MAX);

		all[i] = (char)(uint8_t)s.len;
		if (s.len > 0)
			memcpy(all + len, s.p, s.len);
		len += s.len;
	}
	return word_get(w, (struct str){ all, len });
}

struct origin
origin_of(const struct word *word)
{
	struct origin o;
	struct str *const texts[TEXTS] = { &o.client, &o.client_name,
		&o.listener, &o.user };
	const char *p = word->text + TEXTS;

	for (size_t i = 0; i < TEXTS; i++) {
		*texts[i] = (struct str){ p, (uint8_t)word->text[i] };
		p += texts[i]->len;
	}
	return o;
}
