/*
 * Log lines: one event a line, key=value, written once a loop round to a
 * descriptor the parent gave us. Never blocks: what the descriptor does not
 * take is dropped and counted.
 */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum log_level { LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_sink {
	LOG_SINK_STREAM, /* stderr, a file with O_APPEND, a pipe */
	LOG_SINK_SYSLOG, /* a connected datagram socket to /dev/log */
	LOG_SINK_JOURNAL /* stderr, where systemd's journal reads: it knows
			  * time, host, program and pid by itself */
};

/* What every line of this session or message carries; chained. */
struct log_ctx {
	const struct log_ctx *up; /* NULL at the top */
	const char *key;          /* "session", "msg" */
	const char *value;        /* must outlive the context */
};

/* role as it stands in the line, parent_pid for `posternd[pid]`, host name
 * (copied). Lines go to fd, which log owns from then on. */
void log_init(const char *role, int parent_pid, const char *host);
void log_set_fd(int fd, enum log_sink sink);
void log_set_format(enum log_format format);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_host(const char *host);
/* Lines lost so far because the descriptor took no more. */
uint64_t log_lost(void);
/* Writes what has gathered; the loop calls it at the end of each round. */
void log_flush(void);

/*
 * One event. fmt is a printf format that yields `key=value key=value`, where
 * each value is made by %s of log_str()/log_cstr() (which quote and escape when
 * they must) or by a number. Example: log_info(&s->log, "connect", "client=%s
 * port=%u", log_str(addr), port); NULL fmt: no keys. ctx may be NULL.
 */
void log_warn(const struct log_ctx *ctx, const char *event, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
void log_info(const struct log_ctx *ctx, const char *event, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
void log_debug(const struct log_ctx *ctx, const char *event, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* A value ready for the line: as it is, or quoted and escaped when it holds
 * blanks, quotes, controls or 8-bit bytes that are not UTF-8; cut at 1 KiB.
 * Lives until 15 more values were made. */
const char *log_str(struct str s);
const char *log_cstr(const char *s);

/* Appends text that was made of such values for somebody else than the log, as
 * it stands in a line: they hold marks that are for the log alone. */
void log_add_text(struct buf *out, struct str pairs);

/* Start-up and out of memory only; never on what a peer sent. */
_Noreturn void fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
/* With strerror(errno). */
_Noreturn void fatal_errno(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#endif
