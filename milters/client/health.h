/*
 * What this process knows of each configured filter: which sockets answer,
 * how many sessions each has, whether it is left alone for a while, how long
 * it takes. Kept over reloads, by name. A session takes a hold on a filter
 * for each connection.
 */
#ifndef POSTERN_MILTERS_CLIENT_HEALTH_H
#define POSTERN_MILTERS_CLIENT_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "milters/client/milter.h"
#include "milters/client/milter_report.h"

struct health; /* of one filter */
struct hold;   /* one connection's claim on it */

/* By name; never NULL for a milter of a configuration that was set (made anew
 * when it is not there: sessions may hold an older configuration). */
struct health *health_find(const struct milter *m);

/* Picks the socket with the fewest sessions among those not resting. NULL:
 * the filter rests (or, when it just began to be probed, others do that), or
 * has all its connections (health_full); why is static text. */
extern const char health_full[];
struct hold *health_hold(
    struct health *h, const struct milter *m, const char **why);
/* Another socket instead, after this one could not be reached (and
 * health_bad): false when there is none left to try. */
bool health_next(struct hold *h);
/* Index among milter->sockets. */
uint32_t hold_socket(const struct hold *h);
/* The connection is over. Clears the pointer; NULL is allowed. */
void health_release(struct hold **p);

/* It negotiated and answers: it is left alone no longer. */
void health_good(
    struct hold *h, uint32_t version, uint32_t actions, uint32_t steps);
/* It has been through a whole message: its failures before count no more. */
void health_proved(struct hold *h);
/* It failed, so (copied). */
void health_bad(struct hold *h, const char *fault);
/* One reply at a stage took so long. */
void health_took(struct health *h, enum milter_stage stage, uint64_t us);
void health_verdict(struct health *h, enum milter_verdict v);
void health_edits(struct health *h, size_t n);
void health_compared(struct health *h, bool differs);

/* May one more connection be made? reserve: the last tenth too. */
bool health_has_room(const struct milter *m, bool reserve);
/* The filters there are now; share as for milters_set_config. */
void health_set_config(const struct config *c, uint32_t share);
void health_clear(void);
/* All but the milter itself. */
void health_report(const struct milter *m, struct milter_report *r);

#endif
