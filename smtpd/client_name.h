/*
 * Who calls: the name of the client at an address (its PTR, confirmed). Asked
 * for once, however many connections it makes, and kept for as long as the
 * answer holds; a session has a pointer to it, not a copy.
 */
#ifndef POSTERN_SMTPD_CLIENT_NAME_H
#define POSTERN_SMTPD_CLIENT_NAME_H

#include <stdint.h>

#include "lib/base/str.h"
#include "lib/net/addr.h"
#include "lib/rules/rules.h"

struct caller; /* what is known of one address; counted references */
struct command;

/* Asks for the name of this address unless it is known, or asked for already.
 * A reference for the caller; never NULL. */
struct caller *caller_ref(const struct addr *a);
/* Somebody else has found it out: a caller of this name, for one session. */
struct caller *caller_given(enum client_name state, struct str name);
/* Drops one reference, clears the pointer; NULL is allowed. */
void caller_unref(struct caller **c);

/* In all of these c may be NULL: nobody asked. */
enum client_name caller_state(const struct caller *c);
/* When it is confirmed, else empty; lives as long as the reference. */
struct str caller_name(const struct caller *c);
/* What its PTR says, which may be somebody else's name; empty: nothing. Only
 * for filters, who are told which it is. */
struct str caller_ptr(const struct caller *c);
/* The same for the log and for Received, "unknown" when it is not. */
const char *caller_text(const struct caller *c);

/* command_resume when the name is no longer CLIENT_NAME_PENDING, which it is
 * now. */
void caller_wait(struct caller *c, struct command *command);
/* The answer to from_resolver_ask, name: of the PTR; holds for ttl_s. */
void caller_set(
    struct caller *c, enum client_name state, struct str name, uint32_t ttl_s);
/* Keeps none of the answers there are. */
void callers_clear(void);

#endif
