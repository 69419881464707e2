/*
 * What DNS lists (DNSBL) say of a client: asked for when the session begins
 * and rules speak of them, kept for as long as the answer holds.
 */
#ifndef POSTERN_SMTPD_LISTING_H
#define POSTERN_SMTPD_LISTING_H

#include <stdint.h>

#include "smtpd/command.h"

struct listed; /* what the lists of one table say of one address */
struct listing;
struct session;

/* Asks all lists of the configuration; NULL when it has none (or the client
 * is trusted, or at the submit socket). Owned by the session. */
struct listing *listing_ask(const struct session *s);
void listing_free(struct listing **l);
/* For rules_query.dnsbl; NULL for NULL. */
const int32_t *listing_scores(const struct listing *l);
/* Nothing is pending any more; true for NULL. */
bool listing_is_complete(const struct listing *l);
/* Which lists have it, for the log: "zen.example=127.0.0.2"; "" (also for
 * NULL). */
const char *listing_text(const struct listing *l);
/* command_resume when something that is pending has come: SESSION_LISTING. */
void listing_wait(struct listing *l, struct command *c);

/* The answer to from_resolver_ask_lists. */
void listed_set(
    struct listed *l, int32_t score, struct str lists, uint32_t ttl_s);
/* Keeps none of the answers there are: tables may mean something else. */
void listings_clear(void);

#endif
