/*
 * Stress: many sessions, short memory or descriptors. Then patience is short,
 * so that those who do mail find a place. Entered above `limit stress' percent
 * of any of them, left below three quarters of that for a minute.
 */
#ifndef POSTERN_SMTPD_STRESS_H
#define POSTERN_SMTPD_STRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/rules/config.h"

bool stress_is_on(void);
/* Nothing is left for a newcomer: 421. */
bool stress_is_full(void);
/* What holds now. */
uint64_t stress_command_timeout(const struct limits *l);
uint64_t stress_handshake_timeout(const struct limits *l);
uint64_t stress_write_timeout(const struct limits *l);
uint64_t stress_errors(const struct limits *l);
uint64_t stress_junk(const struct limits *l);
/* Looks again; at most once a second it costs anything. */
void stress_look(const struct config *c);
/* Looks, at this (monotonic) time. */
void stress_look_at(const struct config *c, uint64_t now_ms);
/* From now on it looks by itself, too, as long as there are sessions. */
void stress_start(struct loop *l);

#endif
