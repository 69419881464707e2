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

#include "lib/base/buf.h"
#include "lib/base/fault.h"
#include "lib/net/addr.h"
#include "lib/rules/front_conf.h"
#include "lib/rules/milter_conf.h"
#include "lib/rules/numbers.h"
#include "lib/rules/table.h"

enum log_kind { LOG_KIND_STDERR, LOG_KIND_SYSLOG, LOG_KIND_FILE };

/* A name server. */
struct server {
	struct addr addr;
	uint16_t port;
	uint64_t timeout_ms; /* of one try */
	bool trust_ad;       /* its AD bit is believed: the way to it is safe */
};

enum { CONFIG_DNSBLS_MAX = 16 };

enum { CONFIG_SERVERS_MAX = 8, SERVER_PORT = 53, SERVER_TIMEOUT_MS = 3000 };

enum action_kind { ACTION_RELAY, ACTION_MAILDIR, ACTION_MDA, ACTION_DISCARD };

/* `tls' of a relay; what a URL says holds besides. 0: nothing was said, which
 * by MX means ACTION_TLS_DANE, else ACTION_TLS_MAY. */
enum action_tls {
	ACTION_TLS_MAY = 1,     /* opportunistic: when offered, unverified */
	ACTION_TLS_REQUIRE = 2, /* a certificate for the next hop's name */
	ACTION_TLS_DANE = 4,    /* as TLSA records have it; without: the rest */
	ACTION_TLS_STS = 8,     /* as MTA-STS has it, likewise; after DANE */
	ACTION_TLS_UNVERIFIED = 16, /* with REQUIRE, smtp+tls, smtps: any
				     * certificate will do */
	ACTION_TLS_ALL = 31
};

enum { ACTION_SOURCES_MAX = 16 };

struct action {
	uint32_t id; /* its index */
	uint32_t line;
	char *name;
	enum action_kind kind;
	/* relay: to these hops, by a table of recipient domains, or (neither
	 * is set) by MX */
	char *hops;           /* URLs, blank separated; else NULL */
	struct table *routes; /* not owned; else NULL */
	uint16_t mx_port;     /* by MX: the port there */
	bool vrfy;            /* VRFY each recipient before MAIL */
	char *helo;           /* relay: NULL: hostname */
	unsigned int tls;     /* relay: enum action_tls */
	/* relay: credentials for AUTH; NULL: none. The table is not owned, its
	 * values are in the vault */
	struct table *auth;
	char *auth_label;
	const struct pki *pki; /* relay: our certificate there; or NULL. Not
				* owned */
	struct addr sources[ACTION_SOURCES_MAX]; /* relay: connects from one
						  * of these */
	size_t nsources;
	char *path;          /* maildir: the template, from the base on */
	char *base;          /* maildir: fixed part before the first %{ */
	char *command;       /* mda: its words, see command.h */
	uint64_t timeout_ms; /* mda: of one run */
	char *user;          /* maildir, mda: NULL: the invoking user */
	uint64_t ttl_ms;     /* 0: queue ttl */
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
	COND_RDNS,       /* the client has a PTR */
	COND_FCRDNS,     /* and its name resolves back */
	COND_HELO_PTR,   /* and HELO is that name */
	COND_TAG,        /* text */
	COND_FROM_AUTH,  /* has authenticated */
	COND_AUTH,       /* the same; of a table, when there is one */
	COND_TLS,
	COND_DNSBL,       /* table of lists, with score */
	COND_EARLY_TALKER /* talked before the greeting */
};

struct cond {
	enum cond_kind kind;
	bool negate;
	struct table *table; /* not owned */
	char *text;          /* of COND_TAG */
	uint32_t dnsbl;      /* of COND_DNSBL: index in config.dnsbls */
	int32_t score;       /* at least this much */
};

enum verdict_kind {
	VERDICT_ACTION,
	VERDICT_REJECT,
	VERDICT_TEMPFAIL,
	VERDICT_QUARANTINE /* set aside; by the action once released */
};

/* The sender of daily reports about TLS (RFC 8460). */
struct tls_reports {
	char *organization, *contact, *from; /* owned; contact: mail address */
};

struct rule {
	uint32_t line;
	char *text;         /* as written, for `test match` and the log */
	struct cond *conds; /* all must hold */
	size_t nconds;
	enum verdict_kind verdict;
	const struct action *action; /* not owned; NULL: it refuses */
	char *reply;                 /* "550 5.7.1 text"; NULL: the default */
	/* filters of these recipients; NULL: the listener's. Not owned */
	const struct milter_set *milters;
};

/* A statement, or one option of a statement that is nothing but options: in
 * one line, macros put in, blocks opened. */
struct config_line {
	char *where; /* "file:line" */
	char *name;  /* two of one name are the same thing, changed perhaps */
	char *text;  /* but for values that may be secret */
	uint64_t digest; /* of all of it */
	bool ordered;    /* its place among those of its name counts */
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
	char *user, *queue_user, *smtpd_user, *resolver_user, *delivery_user,
	    *control_user;
	uint32_t smtpd_workers, delivery_workers;
	enum log_kind log_kind;
	char *log_path;
	bool log_json;
	char *postmaster;                          /* NULL: not set */
	struct server servers[CONFIG_SERVERS_MAX]; /* in order; resolver */
	size_t nservers; /* 0: there is no name service */
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
	char **table_files;    /* in the parent, by id: where its entries stand;
				* NULL: in the configuration */
	int *table_fds;        /* in the parent: the sealed memfds; else NULL */
	/* In the parent, by id: of a table of `auth' the memfd with its
	 * values, for the vault (table_fds has its keys alone); else -1. NULL
	 * when there is none */
	int *secret_fds;
	size_t ntables;
	struct table *bare_newline_except;    /* NULL: nobody */
	struct table *allow_from, *deny_from; /* sources; or NULL */
	char *deny_reply; /* "554 5.7.1 text"; NULL: the default */
	struct pki *pkis;
	size_t npkis;
	/* Tables of DNS lists: key a zone ("zen.example.org", perhaps with
	 * "=127.0.0.2" or "=127.0.0.[2..11]" behind it: only these answers
	 * count), value its weight (empty: 1). Not owned */
	struct table *dnsbls[CONFIG_DNSBLS_MAX];
	size_t ndnsbls;
	struct milter *milters;
	size_t nmilters;
	struct milter_set *milter_sets;
	size_t nmilter_sets;
	/* of our own reports; NULL: none. Not owned */
	const struct milter_set *report_milters;
	char *vault_user; /* NULL: user */
	char *fetch_user; /* NULL: user */
	/* `http', in the parent: where web listens; port 0: there is no web */
	struct addr http_addr;
	uint16_t http_port;
	char *web_user; /* NULL: user */
	/* Of the authorities whose certificates are trusted (PEM); in the
	 * parent. NULL: the system's, if it is there */
	char *ca_path;
	uint64_t ca_stamp; /* another one: another file */
	/* What stands in the file, in its order; in the parent */
	struct config_line *lines;
	size_t nlines;
	/* Names whose records are asked for now and then, to learn whether the
	 * name servers validate: one that is signed (NULL: the default), and
	 * one that is not right (NULL: none) */
	char *dnssec_signed, *dnssec_bogus;
	struct tls_reports *tls_reports; /* owned; NULL: none are sent */
	char *dialer_user;               /* NULL: user */
	char *dial_groups; /* names of groups the dialer has besides, blank
			    * separated; NULL: none */
};

/* With every default set; hostname is the machine's name. */
struct config *config_new(void);
struct config *config_ref(struct config *c);
/* Drops one reference, clears the pointer. */
void config_unref(struct config **c);
/* The action of the gateway's own reports when no rule matches them: relay by
 * MX. No configured one can be called so. */
#define CONFIG_MX_ACTION "(mx)"

/* NULL when there is none of that name. */
const struct milter *config_find_milter(
    const struct config *c, struct str name);
/* CONFIG_MX_ACTION is always there; NULL when there is none of that name. */
const struct action *config_find_action(
    const struct config *c, struct str name);
/* What holds for this destination domain: the lines' numbers over the
 * defaults. */
void config_deliver_numbers(
    const struct config *c, struct str domain, struct deliver_numbers *out);
/* The next hops of a relay action for a recipient's domain, as URLs
 * separated by blanks (lib/rules/hop.h); empty when its table has none. By MX
 * that is mx://DOMAIN:PORT, or smtp://ADDRESS:PORT for an address literal,
 * written to out (reset before); else it lives as long as c. */
struct str config_hops(
    const struct action *a, struct str domain, struct buf *out);
/* Is there anything that cannot work without a name server: relay by MX, next
 * hops or filters with names, a rule about the client's name or about DNS
 * lists? Says what in why. */
bool config_needs_names(const struct config *c, struct fault *why);

#endif
