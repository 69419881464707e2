/*
 * Where a mail came from, in one word: mail of one client by one listener
 * (and, with AUTH, of one user) shares it, and an entry has one pointer.
 */
#ifndef POSTERN_QUEUE_ORIGIN_H
#define POSTERN_QUEUE_ORIGIN_H

#include "lib/base/str.h"
#include "queue/store.h"
#include "queue/word.h"

struct origin {
	struct str client;      /* address, or "local" */
	struct str client_name; /* HELO; the first 64 bytes of it */
	struct str listener;
	struct str user; /* who has authenticated, or empty */
};

/* That of m, with one more reference. */
struct word *origin_get(struct words *w, const struct mail_record *m);
/* Views into the word. */
struct origin origin_of(const struct word *word);

#endif
