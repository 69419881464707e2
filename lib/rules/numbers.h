/*
 * The plain numbers of the configuration, as lists: each keyword with its
 * unit, default and bounds. Structs, defaults, parser and wire are made from
 * them.
 */
#ifndef POSTERN_RULES_NUMBERS_H
#define POSTERN_RULES_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

struct table;

/* L(field, keyword, unit, default, min, max); the statement that sets it is
 * the list's name: `limit KEYWORD VALUE`. Units: size (bytes), count, time
 * (milliseconds). Defaults: RFC 5321 4.5.3 and common practice. */
/* clang-format off */
#define LIMITS(L)                                                              \
	L(message_size, "message-size", size, 26214400, 65536, 4294967296)     \
	L(recipients, "recipients", count, 1000, 100, 100000)                  \
	L(connections, "connections", count, 10000, 1, 1000000)                \
	L(connections_per_source, "connections-per-source", count, 20, 1, 1000000) \
	L(rate_per_source, "rate-per-source", rate, 60, 1, 1000000)            \
	L(connections_per_subnet, "connections-per-subnet", count, 0, 0, 1000000) \
	L(rate_per_subnet, "rate-per-subnet", rate, 0, 0, 1000000)             \
	L(messages_per_connection, "messages-per-connection", count, 1000, 1, 1000000) \
	L(errors, "errors", count, 20, 1, 10000)                               \
	L(soft_errors, "soft-errors", count, 10, 1, 10000)                     \
	L(error_delay, "error-delay", time, 1000, 0, 60000)                    \
	L(junk_commands, "junk-commands", count, 100, 1, 1000000)              \
	L(chunks, "chunks", count, 100000, 1, 10000000)                        \
	L(session_time, "session-time", time, 7200000, 1000, 604800000)        \
	L(handshakes, "handshakes", count, 500, 1, 1000000)                    \
	L(handshake_timeout, "handshake-timeout", time, 30000, 100, 600000)    \
	L(auth_failures, "auth-failures", rate, 20, 1, 1000000)                \
	L(auth_delay, "auth-delay", time, 1000, 0, 60000)                      \
	L(rate_per_user, "rate-per-user", rate, 0, 0, 1000000)                 \
	L(stress, "stress", count, 80, 1, 100)                                 \
	L(stress_timeout, "stress-timeout", time, 30000, 100, 3600000)         \
	L(stress_errors, "stress-errors", count, 3, 1, 10000)                  \
	L(stress_junk_commands, "stress-junk-commands", count, 10, 1, 1000000) \
	L(command_timeout, "command-timeout", time, 300000, 100, 3600000)      \
	L(data_timeout, "data-timeout", time, 180000, 100, 3600000)            \
	L(data_total, "data-total", time, 3600000, 100, 86400000)              \
	L(data_rate, "data-rate", size, 500, 0, 1073741824)                    \
	L(data_grace, "data-grace", time, 30000, 0, 3600000)                   \
	L(write_timeout, "write-timeout", time, 300000, 100, 3600000)          \
	L(command_line, "command-line", size, 2048, 512, 65536)                \
	L(text_line, "text-line", size, 65536, 1000, 1048576)                  \
	L(header_size, "header-size", size, 262144, 1024, 1048576)             \
	L(header_field, "header-field", size, 102400, 1024, 1048576)           \
	L(header_fields, "header-fields", count, 1000, 10, 100000)             \
	L(hops, "hops", count, 50, 1, 1000)                                    \
	L(filtering, "filtering", count, 500, 1, 100000)                       \
	L(filtering_time, "filtering-time", time, 10000, 10, 3600000)

/* P(field, period): a default rate that is not one a minute, in ms */
#define LIMIT_PERIODS(P) P(auth_failures, 600000)

/* `queue KEYWORD VALUE` */
#define QUEUE_NUMBERS(L)                                                       \
	L(warn, "warn", time, 14400000, 0, 8640000000)                         \
	L(ttl, "ttl", time, 345600000, 1000, 8640000000)                       \
	L(report_ttl, "report-ttl", time, 86400000, 1000, 8640000000)          \
	L(messages, "limit", count, 1000000, 1, 100000000)                     \
	L(disk_reserve, "disk-reserve", size, 268435456, 0, 1099511627776)     \
	L(undo, "undo", time, 3600000, 0, 8640000000)                          \
	L(quarantine_ttl, "quarantine-ttl", time, 2592000000, 0, 31536000000)  \
	L(segment_size, "segment-size", size, 33554432, 1048576, 1073741824)   \
	L(cache, "cache", size, 67108864, 0, 17179869184)

/* `deliver [for domain D] KEYWORD VALUE` */
#define DELIVER_NUMBERS(L)                                                     \
	L(concurrency, "concurrency", count, 20, 1, 10000)                     \
	L(messages_per_connection, "messages-per-connection", count, 100, 1, 1000000) \
	L(rate, "rate", rate, 0, 0, 1000000)                                   \
	L(idle_timeout, "idle-timeout", time, 30000, 0, 3600000)               \
	L(recipients, "recipients", count, 100, 1, 100000)                     \
	L(connect_timeout, "connect-timeout", time, 30000, 100, 3600000)       \
	L(greeting_timeout, "greeting-timeout", time, 300000, 100, 3600000)    \
	L(helo_timeout, "helo-timeout", time, 300000, 100, 3600000)            \
	L(starttls_timeout, "starttls-timeout", time, 60000, 100, 3600000)     \
	L(mail_timeout, "mail-timeout", time, 300000, 100, 3600000)            \
	L(rcpt_timeout, "rcpt-timeout", time, 300000, 100, 3600000)            \
	L(data_init_timeout, "data-init-timeout", time, 120000, 100, 3600000)  \
	L(data_block_timeout, "data-block-timeout", time, 180000, 100, 3600000) \
	L(data_end_timeout, "data-end-timeout", time, 600000, 100, 3600000)    \
	L(quit_timeout, "quit-timeout", time, 10000, 100, 3600000)
/* clang-format on */

/* A rate is a count a period: two fields, NAME and NAME_period (ms). */
#define CONFIG_FIELD_size(name)  uint64_t name;
#define CONFIG_FIELD_count(name) uint64_t name;
#define CONFIG_FIELD_time(name)  uint64_t name;
#define CONFIG_FIELD_rate(name) \
	uint64_t name;          \
	uint64_t name##_period;
#define CONFIG_FIELD(name, keyword, unit, def, min, max) \
	CONFIG_FIELD_##unit(name)

struct limits {
	LIMITS(CONFIG_FIELD)
};

enum { CONFIG_RETRIES_MAX = 32 };

struct queue_settings {
	QUEUE_NUMBERS(CONFIG_FIELD)
	uint32_t retry_s[CONFIG_RETRIES_MAX]; /* seconds; the last repeats */
	size_t nretry;
};

struct deliver_numbers {
	DELIVER_NUMBERS(CONFIG_FIELD)
};

/* One `deliver` line. The first line that matches decides, per keyword. */
struct deliver_line {
	struct table *domains; /* NULL: all; not owned */
	uint64_t set;          /* bit n: the n-th number of the list is set */
	struct deliver_numbers numbers;
};

#endif
