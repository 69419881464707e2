/* Time. Intervals are monotonic, what is stored or shown is wall time. */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Milliseconds since 1970-01-01 UTC. */
uint64_t clock_wall_ms(void);
/* 2026-11-22T01:02:03.004Z; out holds 25 bytes (RFC 3339). */
void clock_format_rfc3339(uint64_t wall_ms, char out[static 25]);
/* Sun, 22 Nov 2026 01:02:03 +0000; out holds 32 bytes (RFC 5322 3.3). */
void clock_format_rfc5322(uint64_t wall_ms, char out[static 32]);

#endif
