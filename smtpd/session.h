/*
 * One connection: greeting, commands one after another, timeouts, the end.
 *
 * At most one command is in progress. What the client pipelined behind it
 * waits unread (in the stream and in the kernel), so replies cannot leave
 * out of order and ten thousand pipelined commands cost no memory.
 */
#ifndef POSTERN_SMTPD_SESSION_H
#define POSTERN_SMTPD_SESSION_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/net/addr.h"
#include "lib/net/stream.h"
#include "lib/rules/config.h"
#include "smtpd/sessions.h"

struct auth;
struct body;
struct caller;
struct command;
struct filtering;
struct listing;
struct proxy;
struct recording;
struct tx;

enum session_state {
	SESSION_PROXY,     /* the PROXY header is awaited */
	SESSION_HANDSHAKE, /* TLS is being set up */
	SESSION_GREETING,  /* the greeting is held back: who talks now is early
			    */
	SESSION_COMMAND,   /* a command line is awaited */
	SESSION_SKIP,      /* the rest of a line that is too long goes by */
	SESSION_BUSY,      /* a command waits for the queue */
	SESSION_NAMING,    /* a command waits for the client's name */
	SESSION_FILTERING, /* a command waits for filters */
	SESSION_DELAY,     /* a reply is held back after too many errors */
	SESSION_LISTING,   /* a command waits for DNS lists */
	SESSION_AUTH,      /* a line of an AUTH exchange is awaited */
	SESSION_VAULT,     /* a command waits for the vault */
	SESSION_BODY,      /* message content comes in */
	SESSION_CHUNK,     /* octets of BDAT come in */
	SESSION_LINGER,    /* last words said; waiting for the client to go */
	SESSION_GONE       /* closed; freed after the round */
};

struct session {
	TAILQ_ENTRY(session) entry; /* of all sessions */
	struct loop *loop;
	struct stream *stream;           /* NULL when gone */
	struct config *config;           /* a reference of ours */
	const struct listener *listener; /* of config */
	const char *listener_name;       /* "192.0.2.1:25"; outlives us */
	char *client_text;               /* owned: the address as text */
	struct caller *caller;           /* a reference: its name, or NULL */
	char *helo;                      /* owned; NULL before HELO */
	struct command *command;         /* owned: in progress, or NULL */
	struct tx *tx;                   /* owned: open transaction, or NULL */
	struct body *body;               /* owned: of DATA, or NULL */
	struct filtering *filtering;     /* owned; NULL: needs no filters */
	struct auth *auth;       /* owned: the exchange in progress, or NULL */
	struct listing *listing; /* owned: what DNS lists say, or NULL */
	struct proxy *proxy;     /* owned: the header that comes in, or NULL */
	char *user, *auth_mech;  /* owned: authenticated so; NULL */
	struct recording *recording; /* owned: its last lines, or NULL */
	struct deferred after;       /* work at the end of the round */
	const char *reason;          /* of the end, for the log */
	struct log_ctx log;
	struct addr client; /* as PROXY or XCLIENT has it */
	struct addr peer;   /* at the other end of the connection */
	struct addr local;  /* that it came to; ADDR_NONE: not asked yet */
	uint16_t local_port;
	char id[ID_LEN + 1];
	uint64_t serial;  /* in the order of their beginning */
	uint8_t state;    /* enum session_state */
	uint8_t step;     /* of its opening */
	bool proxied;     /* it came with a PROXY header */
	bool renamed;     /* it is as XCLIENT says */
	bool named;       /* also its name */
	bool esmtp;       /* EHLO was said */
	bool ended;       /* the client sent its last byte */
	bool broken;      /* the connection failed: nothing can be sent */
	bool committing;  /* the queue has a commit of ours to answer */
	bool counted;     /* limits_leave is due */
	bool over_limit;  /* the first 452 of this transaction was logged */
	bool name_late;   /* the client's name was waited for in vain */
	bool lists_late;  /* the same of DNS lists */
	bool early;       /* it talked before the greeting */
	bool trusted;     /* it stands in an allow list */
	bool failed;      /* something was refused: its recording is kept */
	bool veiled;      /* what is no command may be content, or secret */
	bool handshaking; /* counts among the half-open handshakes */
	uint16_t port;    /* of the client */
	uint32_t uid;     /* of the caller on the submit socket */
	uint32_t ticket;  /* for limits_leave */
	uint32_t ncmds, nerrors, njunk, nmails, naccepted, nrcpt_ok, nrcpt_bad;
	size_t skipped;            /* bytes of the long line that went by */
	char skip_last;            /* the last of them */
	uint64_t begin_ms, due_ms; /* monotonic: start; end of the wait */
	uint64_t busy_ms;          /* since when it waits */
	uint64_t wait_ms;          /* the same, of any wait for others; 0 */
	size_t unsent_seen;        /* unsent bytes at the last look */
	uint64_t bytes;            /* received in all */
};

struct session_args {
	struct loop *loop;
	int fd; /* connected, non-blocking; taken over */
	struct config *config;
	const struct listener *listener;
	const char *listener_name;
	struct addr client;
	uint16_t port;
	uint32_t uid;
	bool trusted;
	bool counted; /* limits_enter counted it, with this ticket */
	uint32_t ticket;
};

/* Greets; from then on lives by itself. */
struct session *session_new(const struct session_args *a);
/* Writes one reply (its last CRLF is added). */
void session_say(struct session *s, const char *reply);
/* The client has sent more than was looked at; it may lie in the kernel. */
bool session_has_input(const struct session *s);
/* Says reply (NULL: nothing more) and ends the connection in order: the
 * client gets to read it even when it goes on sending. reason: one word. */
void session_end(struct session *s, const char *reply, const char *reason);
/* Ends it at once. */
void session_drop(struct session *s, const char *reason);
/* The command in progress has been answered and freed: goes on. */
void session_command_done(struct session *s, bool was_waiting);
void session_enter(struct session *s, enum session_state state);
/* The transaction is over, if there is one. */
void session_end_tx(struct session *s);
/* The commit this session waited for was answered. */
void session_commit_done(struct session *s);

/* "220 hostname", of the listener. */
const char *session_hostname(const struct session *s);
/* How far it is, for the administrator: "command", "data", "dnsbl". */
const char *session_state_text(const struct session *s);
/* It is somebody else's than was thought (PROXY, XCLIENT). */
void session_set_client(
    struct session *s, const struct addr *client, uint16_t port);
/* All that the client said so far is forgotten, as if it had just come. */
void session_forget(struct session *s);

#endif
