/*
 * The compiled configuration: what the parser makes, what travels to the
 * children, and what they look things up in. Immutable once complete;
 * counted references, so that a session keeps the one it began with.
 */
#ifndef POSTERN_RULES_CONFIG_H
#define POSTERN_RULES_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/rules/table.h"

/* --- plain numbers, each with its keyword's place and default ---
 * L(field, keyword, unit, default, min, max); the statement that sets it is
 * the list's name: `limit KEYWORD VALUE`. Units: size (bytes), count, time
 * (milliseconds). Defaults: RFC 5321 4.5.3 and common practice. */
/* clang-format off */
#define LIMITS(L)                                                              \
	L(message_size, "message-size", size, 26214400, 65536, 4294967296)     \
	L(recipients, "recipients", count, 1000, 100, 100000)                  \
	L(connections, "connections", count, 10000, 1, 1000000)                \
	L(connections_per_source, "connections-per-source", count, 20, 1, 1000000) \
	L(rate_per_source, "rate-per-source", rate, 60, 1, 1000000)            \
	L(messages_per_connection, "messages-per-connection", count, 1000, 1, 1000000) \
	L(errors, "errors", count, 20, 1, 10000)                               \
	L(soft_errors, "soft-errors", count, 10, 1, 10000)                     \
	L(error_delay, "error-delay", time, 1000, 0, 60000)                    \
	L(junk_commands, "junk-commands", count, 100, 1, 1000000)              \
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
	L(hops, "hops", count, 50, 1, 1000)

/* `queue KEYWORD VALUE` */
#define QUEUE_NUMBERS(L)                                                       \
	L(warn, "warn", time, 14400000, 0, 8640000000)                         \
	L(ttl, "ttl", time, 345600000, 1000, 8640000000)                       \
	L(messages, "limit", count, 1000000, 1, 100000000)                     \
	L(disk_reserve, "disk-reserve", size, 268435456, 0, 1099511627776)     \
	L(undo, "undo", time, 3600000, 0, 8640000000)                          \
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

enum log_kind { LOG_KIND_STDERR, LOG_KIND_SYSLOG, LOG_KIND_FILE };

enum listener_flags { LISTENER_SUBMIT = 1 /* `listen on socket` */ };

struct listener {
	uint32_t id;      /* its index */
	uint32_t line;    /* in the configuration, for messages */
	struct addr addr; /* ADDR_LOCAL: path is set */
	uint16_t port;
	char *path;
	char *hostname;    /* NULL: the global one */
	char *tag;         /* NULL: none */
	uint64_t max_size; /* bytes; 0: limit message-size */
	uint32_t flags;
};

enum action_kind { ACTION_RELAY, ACTION_MAILDIR, ACTION_DISCARD };

struct action {
	uint32_t id; /* its index */
	uint32_t line;
	char *name;
	enum action_kind kind;
	char *hops; /* relay: URLs, blank separated; else NULL */
	struct table
	    *routes;     /* relay by table of recipient domains; not owned */
	char *helo;      /* relay: NULL: hostname */
	char *path;      /* maildir: the template, from the base on */
	char *base;      /* maildir: fixed part before the first %{ */
	char *user;      /* maildir: NULL: the invoking user */
	uint64_t ttl_ms; /* 0: queue ttl */
};

enum cond_kind {
	COND_FROM_ANY,
	COND_FROM_LOCAL,  /* loopback, the submit socket */
	COND_FROM_SOURCE, /* table */
	COND_FOR_ANY,
	COND_FOR_DOMAIN, /* table */
	COND_FOR_RCPT,   /* table */
	COND_MAIL_FROM,  /* table */
	COND_HELO,       /* table (domains) */
	COND_TAG         /* text */
};

struct cond {
	enum cond_kind kind;
	bool negate;
	struct table *table; /* not owned */
	char *text;          /* of COND_TAG */
};

enum verdict_kind { VERDICT_ACTION, VERDICT_REJECT, VERDICT_TEMPFAIL };

struct rule {
	uint32_t line;
	char *text;         /* as written, for `test match` and the log */
	struct cond *conds; /* all must hold */
	size_t nconds;
	enum verdict_kind verdict;
	struct action *action; /* not owned */
	char *reply;           /* "550 5.7.1 text"; NULL: the default */
};

struct config {
	unsigned int refs;
	char *hostname;
	char *domain;
	char *spool;
	char *control_path;
	char *control_group, *control_view_group; /* NULL: root and us only */
	char *submit_path;
	/* users by role; see posternd */
	char *user, *queue_user, *smtpd_user, *delivery_user, *control_user;
	uint32_t smtpd_workers, delivery_workers;
	enum log_kind log_kind;
	char *log_path;
	bool log_json;
	char *postmaster; /* NULL: not set */
	struct limits limits;
	struct queue_settings queue;
	struct deliver_line *delivers;
	size_t ndelivers;
	struct listener *listeners;
	size_t nlisteners;
	struct action *actions;
	size_t nactions;
	struct rule *rules;
	size_t nrules;
	struct table **tables; /* by id */
	int *table_fds;        /* in the parent: the sealed memfds; else NULL */
	size_t ntables;
	struct table *bare_newline_except; /* NULL: nobody */
};

/* With every default set; hostname is the machine's name. */
struct config *config_new(void);
struct config *config_ref(struct config *c);
/* Drops one reference, clears the pointer. */
void config_unref(struct config **c);
/* NULL when there is none of that name. */
struct action *config_find_action(const struct config *c, struct str name);
/* What holds for this destination domain: the lines' numbers over the
 * defaults. */
void config_deliver_numbers(
    const struct config *c, struct str domain, struct deliver_numbers *out);
/* The next hops of a relay action for a recipient's domain, as URLs
 * separated by blanks; empty when its table has none. Lives as long as c. */
struct str config_hops(const struct action *a, struct str domain);

#endif
