/*
 * Sessions of servers, to be taken up again: as bytes, which are a fraction of
 * what they are with all certificates around them. Each is found by a hash of
 * the whole demand that it was made for, so that it is never taken up for
 * another, be it one that asks for more. One that comes of another's being
 * taken up is no younger than that: some time the server has to show itself.
 */
#include <bsd/sys/queue.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/tree.h"
#include "lib/net/tls_own.h"

enum {
	LIFETIME_MS = 2 * 3600 * 1000,
	SIZE_MAX_KEPT = 16384 /* with the server's certificate, and ticket */
};

struct kept {
	RB_ENTRY(kept) entry;
	TAILQ_ENTRY(kept) age;
	uint8_t id[TLS_SESSION_ID];
	struct tls_look look;
	size_t len;
	unsigned char der[];
};

static int
compare(struct kept *a, struct kept *b)
{
	return memcmp(a->id, b->id, sizeof(a->id));
}

RB_HEAD(kept_tree, kept);
TREE_DEFINE(kept_tree, kept, entry, compare)

struct tls_sessions {
	struct kept_tree by_id;
	TAILQ_HEAD(, kept) by_age; /* the oldest first */
	size_t n;
};

struct tls_sessions *
tls_sessions_new(void)
{
	struct tls_sessions *s = xcalloc(1, sizeof(*s));

	RB_INIT(&s->by_id);
	TAILQ_INIT(&s->by_age);
	return s;
}

static struct kept *
find(struct tls_sessions *s, const uint8_t id[static TLS_SESSION_ID])
{
	struct kept like;

	memcpy(like.id, id, sizeof(like.id));
	return RB_FIND(kept_tree, &s->by_id, &like);
}

static void
drop(struct tls_sessions *s, struct kept *k)
{
	RB_REMOVE(kept_tree, &s->by_id, k);
	TAILQ_REMOVE(&s->by_age, k, age);
	s->n--;
	explicit_bzero(k->der, k->len);
	free(k);
}

void
tls_sessions_drop(
    struct tls_sessions *s, const uint8_t id[static TLS_SESSION_ID])
{
	struct kept *k = find(s, id);

	if (k != NULL)
		drop(s, k);
}

void
tls_sessions_free(struct tls_sessions **sp)
{
	struct tls_sessions *s = *sp;
	struct kept *k;

	*sp = NULL;
	if (s == NULL)
		return;
	while ((k = TAILQ_FIRST(&s->by_age)) != NULL)
		drop(s, k);
	free(s);
}

void
tls_sessions_keep(struct tls_sessions *s,
    const uint8_t id[static TLS_SESSION_ID], const SSL_SESSION *session,
    const struct tls_look *look)
{
	int len = i2d_SSL_SESSION(session, NULL);
	struct kept *k;
	unsigned char *at;

	tls_sessions_drop(s, id);
	if (len <= 0 || len > SIZE_MAX_KEPT)
		return;
	if (s->n == TLS_SESSIONS_MAX)
		drop(s, TAILQ_FIRST(&s->by_age));
	k = xcalloc(1, sizeof(*k) + (size_t)len);
	memcpy(k->id, id, sizeof(k->id));
	k->look = *look;
	k->len = (size_t)len;
	at = k->der;
	i2d_SSL_SESSION(session, &at);
	RB_INSERT(kept_tree, &s->by_id, k);
	TAILQ_INSERT_TAIL(&s->by_age, k, age);
	s->n++;
}

bool
tls_sessions_offer(struct tls_sessions *s,
    const uint8_t id[static TLS_SESSION_ID], SSL *ssl, struct tls_look *look)
{
	struct kept *k = find(s, id);
	const unsigned char *at;
	SSL_SESSION *session;
	bool ok;

	if (k == NULL)
		return false;
	if (clock_mono_ms() - k->look.at_ms > LIFETIME_MS) {
		drop(s, k);
		return false;
	}
	at = k->der;
	session = d2i_SSL_SESSION(NULL, &at, (long)k->len);
	ok = session != NULL && SSL_set_session(ssl, session) == 1;
	SSL_SESSION_free(session);
	*look = k->look;
	return ok;
}
