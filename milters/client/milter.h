/*
 * The filters (milters) of an SMTP session, as smtpd sees them. The public
 * header of this folder, with milter_report.h.
 *
 * A struct milters belongs to one SMTP session (or to one mail that is looked
 * at again) and holds one connection to each filter it needs. smtpd asks it
 * at each stage; it asks the filters of the chosen set, in order, those of
 * one step side by side, and gives one answer. What filters have to be told
 * first (connect, helo, mail) they are told when they join.
 *
 * Linked into smtpd; nothing here knows of sessions, only of the facts they
 * fill in.
 */
#ifndef POSTERN_MILTERS_CLIENT_MILTER_H
#define POSTERN_MILTERS_CLIENT_MILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"
#include "lib/ipc/channel.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"

/* --- what filters are told --- */

/* The values behind the macros, and the arguments of the commands. All views
 * are smtpd's, live until changed or until the milters are freed, and hold no
 * NUL. Empty: not known, the macro is left out. */
struct milter_facts {
	/* of the gateway and the listener */
	struct str hostname;    /* j */
	struct str version;     /* v: "postern 0.1" */
	struct str daemon_name; /* {daemon_name}: the listener's tag or name */
	struct str daemon_addr, daemon_port, if_name, if_addr;
	/* of the client; set before MILTER_CONNECT is asked */
	struct addr client; /* ADDR_LOCAL: shown as localhost 127.0.0.1 */
	uint16_t port;
	struct str client_addr;    /* IPv6 as "IPv6:…" */
	struct str client_port;    /* decimal */
	struct str client_name;    /* confirmed, else "[address]" */
	struct str client_ptr;     /* from the PTR alone, else "unknown" */
	struct str client_resolve; /* OK FAIL FORGED TEMP */
	struct str trace;          /* _: "name [address]", and behind it " (may
				    * be forged)" for a name not confirmed */
	/* of the session */
	struct str helo;
	struct str tls_version, cipher, cipher_bits, cert_subject, cert_issuer;
	struct str verify; /* of the client's certificate: OK FAIL NO (it has
			    * none) NOT (it was not asked for one) */
	struct str auth_type, auth_authen, auth_author, auth_ssf;
	/* of the transaction */
	struct str msgid;     /* i */
	struct str mail;      /* "<user@example.org>", as written */
	struct str mail_args; /* ESMTP parameters as written, blanks between */
	struct str mail_addr; /* without brackets */
	struct str mail_host, mail_mailer;
	struct str rcpt; /* of the present RCPT, likewise */
	struct str rcpt_args;
	struct str rcpt_addr, rcpt_host, rcpt_mailer;
	struct str line;   /* of MILTER_UNKNOWN: the whole command line */
	struct str msg_id; /* the Message-ID field's value; made by us */
	bool smtputf8;     /* UTF-8 is allowed in replies and headers */
};

enum milter_stage {
	MILTER_CONNECT,
	MILTER_HELO,
	MILTER_MAIL,
	MILTER_RCPT,
	MILTER_DATA,
	MILTER_UNKNOWN, /* never in a transaction */
	MILTER_CONTENT, /* headers, body, end of message */
	MILTER_STAGES
};

/* A mail's content, as it was received. */
struct milter_mail {
	struct str header; /* the header block, our own fields on top, with
			    * the empty line at its end if it has one */
	size_t ours;       /* bytes of our own fields */
	struct str body;   /* when fd is -1 */
	int fd;            /* else: the body, read with pread */
	uint64_t body_size;
	uint64_t max_size; /* of a body put in its place */
	bool utf8;         /* SMTPUTF8: new addresses may have UTF-8 */
};

/* --- what comes back --- */

/* By strictness: of two the later counts. */
enum milter_verdict {
	MILTER_ACCEPT, /* one filter is done; for all of them CONTINUE */
	MILTER_CONTINUE,
	MILTER_QUARANTINE, /* at MILTER_CONTENT only: take it, set it aside */
	MILTER_DISCARD,    /* answer as if it were taken, and drop it */
	MILTER_TEMPFAIL,
	MILTER_REJECT,
	MILTER_SHUTDOWN /* 421, the session ends */
};

struct milter_answer {
	enum milter_verdict verdict;
	/* of TEMPFAIL, REJECT, SHUTDOWN: a whole reply, "451 4.7.1 text",
	 * several lines joined by CRLF, none at the end; else NULL. Of
	 * QUARANTINE: the reason. Lives until the next question. */
	const char *reply;
	const char *filter; /* who said it; NULL: all went on */
	bool failed;        /* not said: what its on-failure means */
};

/* One filter's word, for the log, the trace and the comparison of shadows;
 * views live during the call. */
struct milter_event {
	const char *filter;
	enum milter_stage stage;
	enum milter_verdict verdict;
	const char *reply; /* its text, or NULL */
	const char *edits; /* at MILTER_CONTENT: what it changed, "addheader=2
			    * chgheader=1 replbody=1 addrcpt=<a@b>"; or NULL */
	const char *fault; /* not NULL: it failed, so */
	uint64_t us;       /* it took so long */
	bool shadow;
	bool differs; /* shadow: from the live verdict */
};

/* Changes that the filters made to the envelope, after MILTER_CONTENT. */
struct milter_rcpt_edit {
	bool add;        /* else: delete */
	struct str addr; /* without brackets, checked */
	struct str args; /* of an added one: ESMTP parameters, or empty */
};

struct milter_result {
	bool header_changed;
	struct str header; /* the new block, ours included; also when not
			    * changed */
	void *body;        /* a new body, made by ops->body_new: now the
			    * caller's; NULL: the old one stays */
	const char *from;  /* new sender without brackets, "" for <>; NULL: as
			    * it was */
	const char *from_args; /* ESMTP parameters of a new one; NULL with it */
	const struct milter_rcpt_edit *rcpts; /* in order */
	size_t nrcpts;
};

struct milters;

enum milter_room { MILTER_ROOM, MILTER_WAIT, MILTER_NO_ROOM };

struct milter_ops {
	/* The answer to a question that had to wait. Exactly once, never from
	 * inside a call. */
	void (*on_answer)(void *ctx, const struct milter_answer *a);
	/* May come from inside any call. */
	void (*on_event)(void *ctx, const struct milter_event *e);
	/* Where a filter's new body goes: in memory, then in a file, as
	 * smtpd's own. body_new never fails; body_add: MILTER_WAIT means that
	 * it was taken, and milters_body_ready follows before more;
	 * MILTER_NO_ROOM: it is lost. max: bytes. */
	void *(*body_new)(void *ctx, uint64_t max);
	enum milter_room (*body_add)(void *body, struct str bytes);
	void (*body_free)(void *body);
	/* The next filters read it: sets body, fd, body_size of mail. */
	void (*body_show)(const void *body, struct milter_mail *mail);
};

/* --- one session --- */

/* facts, ops and config (a reference is taken) as above. No filter is asked
 * before the first question. */
struct milters *milters_new(struct loop *l, struct config *config,
    const struct milter_facts *facts, const struct milter_ops *ops, void *ctx);
/* The connections end in order (QUIT); what was asked has no answer any more.
 * Safe inside callbacks. Clears the pointer; NULL is allowed. */
void milters_free(struct milters **p);

/* From now on these are asked (NULL: none). phase_queue: those that are asked
 * after the 250, else the others. Not between a question and its answer. In a
 * transaction filters that leave the set get ABORT. */
void milters_choose(
    struct milters *m, const struct milter_set *set, bool phase_queue);
/* Looks at filters' states: may a session begin that needs this set? reserve:
 * for a source that is known to be good. False: they have as many connections
 * as they may. */
bool milters_have_room(
    const struct config *c, const struct milter_set *set, bool reserve);

/* Asks. True: *answer is there already (no filter had to be waited for);
 * false: ops->on_answer follows. MILTER_CONTENT goes by milters_filter. One
 * question at a time. */
bool milters_ask(
    struct milters *m, enum milter_stage stage, struct milter_answer *answer);
/* The content; mail lives until the answer. */
bool milters_filter(struct milters *m, const struct milter_mail *mail,
    struct milter_answer *answer);
/* After the answer to milters_filter when it was CONTINUE or QUARANTINE; lives
 * until the next call of milters_abort, milters_ask or milters_free. */
const struct milter_result *milters_result(struct milters *m);
/* A recipient that we refused ourselves, for filters that want to know
 * (RCPT_REJ): facts->rcpt…, rcpt_mailer "error", rcpt_host the enhanced code,
 * rcpt_addr the text. Nobody waits for their answer. */
void milters_tell_refused(struct milters *m);
/* The transaction is over without its content having been judged. */
void milters_abort(struct milters *m);
/* The transaction is over: the next MAIL begins another. */
void milters_end_message(struct milters *m);
/* After MILTER_WAIT: more can be added (ok), or it failed. */
void milters_body_ready(struct milters *m, void *body, bool ok);
/* Names for log and listings: "rcpt", "tempfail". */
const char *milter_stage_name(enum milter_stage s);
const char *milter_verdict_name(enum milter_verdict v);

/* --- the process --- */

/* The channel to the dialer, over which connections come; the one before is
 * dead. */
struct channel *milters_set_dialer(struct loop *l, int socket);
/* The filters there are now. What is known of those that stay is kept, by
 * name. share: of how many processes we are one (limits are divided). */
void milters_set_config(struct loop *l, struct config *c, uint32_t share);
/* For tests and the end: forgets all. */
void milters_clear(void);

#endif
