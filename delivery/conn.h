/* One connection to a next hop. */
#ifndef POSTERN_DELIVERY_CONN_H
#define POSTERN_DELIVERY_CONN_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "delivery/agent_work.h"
#include "delivery/from_vault.h"
#include "delivery/hops.h"
#include "delivery/policy.h"
#include "delivery/result.h"
#include "delivery/smtp_states.h"
#include "lib/base/loop.h"
#include "lib/mail/reply.h"
#include "lib/net/line.h"
#include "lib/net/stream.h"
#include "lib/rules/config.h"

enum conn_caps {
	CAP_PIPELINING = 1,
	CAP_SIZE = 2,
	CAP_8BITMIME = 4,
	CAP_SMTPUTF8 = 8,
	CAP_DSN = 16,
	CAP_REQUIRETLS = 32,
	CAP_STARTTLS = 64,
	CAP_CHUNKING = 128,
	CAP_AUTH_PLAIN = 256,
	CAP_AUTH_LOGIN = 512
};

/* What LIMITS says (RFC 9422); 0: nothing. */
struct conn_limits {
	uint32_t mails;   /* transactions in a connection */
	uint32_t rcpts;   /* in a transaction */
	uint32_t domains; /* of those */
};

struct auth;
struct downgrade;

/* How a connection was lost. */
enum lost {
	LOST_LINE, /* just this connection */
	LOST_HOP,  /* the next hop is in trouble */
	LOST_TLS   /* it could not be secured as its policy wants: with
		    * SECURE_MAY it may be tried in the clear */
};

/* What its owner hears; called from the loop only. */
struct conn_ops {
	/* Let in, or a transaction is over: nothing is under way. */
	void (*on_ready)(struct conn *c);
	/* It is gone (the conn goes after the round). The recipients of
	 * c->work without a result are open again. why: as for the work. */
	void (*on_lost)(
	    struct conn *c, const struct verdict *why, enum lost how);
};

struct conn {
	TAILQ_ENTRY(conn) entry;      /* of all */
	TAILQ_ENTRY(conn) idle_entry; /* of its hop's idle ones */
	struct loop *loop;
	const struct conn_ops *ops;
	struct stream *stream; /* NULL: closed */
	struct hop *hop;
	struct policy *policy; /* a reference */
	char *host;            /* the name that led there; NULL: none */
	struct deliver_numbers numbers;
	struct deferred gone; /* frees after the round */
	uint64_t idle_since_ms;
	struct addr source;    /* where it comes from; ADDR_NONE: any */
	enum tls_proof proven; /* by the certificate, once secured */
	bool in_clear;         /* no TLS there although it may (SECURE_MAY) */
	bool may_be_ours;      /* hop_may_be_ours; looked at once connected */
	bool is_ours;          /* it is: we talk to ourselves */
	bool is_idle;
	/* the dialogue, see smtp_client.c */
	enum client_state hearing; /* whose reply comes next */
	enum client_state saying;  /* what is said next, STATE_NONE: nothing */
	enum client_state then;    /* where to go when all input is used */
	unsigned int nwaiting;     /* commands without their reply */
	struct reply reply;
	uint64_t size_max; /* of SIZE, 0: none given */
	uint32_t caps;     /* enum conn_caps */
	struct conn_limits limits;
	struct credentials_wait credentials;
	struct auth *auth; /* while AUTH goes on; or NULL */
	bool has_auth;     /* it went well */
	bool no_vrfy;      /* it has no VRFY */
	/* the transaction */
	bool reused;              /* it was idle before this work */
	bool heard;               /* a reply came since the work began */
	bool refused;             /* the answer to MAIL was no */
	bool by_bdat;             /* the mail goes as one chunk */
	bool chunk_said;          /* it was written */
	bool to_7bit;             /* it is downgraded on its way */
	struct work *work;        /* NULL: none */
	uint64_t nmessages;       /* transactions so far, this one included */
	uint32_t say_at, hear_at; /* next recipient to ask for, to hear of */
	uint32_t nasked, ntaken;
	const char *tx_domain; /* of the first asked for; in work; or NULL */
	struct downgrade *downgrade; /* owned; NULL: none under way */
	uint64_t sent;               /* bytes of the mail given to the stream */
	struct timer *breath; /* between the pieces of a long mail; or NULL */
	struct dot_writer dot;
};

/* A connection to at by fd, which is connected or on its way; taken over. The
 * policy gets a reference more. */
struct conn *conn_new(struct loop *l, const struct hop_addr *at, int fd,
    struct policy *policy, const struct deliver_numbers *numbers,
    const struct conn_ops *ops);
/* The name that led c's work there, for texts; NULL: none. Copied. */
void conn_set_host(struct conn *c, const char *host);
/* As place_format. */
const char *conn_format(const struct conn *c, char out[static PLACE_TEXT_MAX]);
/* Ends it; what was written leaves first if it can at once. No callback
 * comes any more. Nothing happens when it is closed already. */
void conn_close(struct conn *c);
/* The same with a reset: what was sent must not be taken for a whole. */
void conn_abort(struct conn *c);
/* All of them, in the order they were opened. */
struct conn_list *conn_all(void);
/* Open now; opened since the start. */
uint64_t conn_count(void);
uint64_t conn_total(void);

#endif
