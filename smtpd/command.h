/*
 * A command is an object: a line becomes one, it goes through the stages
 * state, limits, rules, milters, apply, and gets exactly one final reply.
 * Each stage says go on, answered, or waiting; whoever made it wait calls
 * command_resume or command_done later, never before the stage returned.
 * The beginning of a session whose filters have a word in it is one too: its
 * reply is the greeting.
 */
#ifndef POSTERN_SMTPD_COMMAND_H
#define POSTERN_SMTPD_COMMAND_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "lib/base/str.h"
#include "lib/mail/param.h"
#include "lib/mail/path.h"
#include "lib/rules/rules.h"

struct session;
struct command;
TAILQ_HEAD(commands, command); /* that wait for the same */

enum stage {
	STAGE_GO,       /* on to the next */
	STAGE_ANSWERED, /* command_answer or command_refuse was called */
	STAGE_WAITING   /* someone will call command_resume or command_done */
};

/* Looks and judges, changes nothing: the session is const, so a question to
 * a filter may stand between check and apply. What was parsed goes into the
 * command. */
typedef enum stage verb_check_fn(const struct session *s, struct command *c);
/* Makes it so. */
typedef enum stage verb_apply_fn(struct session *s, struct command *c);

enum verb_flags {
	VERB_HELO = 1,     /* only after HELO or EHLO */
	VERB_TX = 2,       /* only in a transaction */
	VERB_NO_TX = 4,    /* only outside of one */
	VERB_NO_ARGS = 8,  /* takes no argument */
	VERB_CONTENT = 16, /* content follows it, should it be accepted */
	VERB_JUNK = 32,    /* does no mail: too many end the session */
	VERB_CLEAR = 64,   /* also in the clear where TLS is required */
	VERB_OPEN = 128,   /* not once content has begun to come in chunks */
	VERB_OCTETS = 256, /* so many octets as it says follow it, whatever the
			    * reply is */
	VERB_SECRET = 512  /* of its argument only auth_shown is logged, and
			    * nothing is left behind */
};

struct verb {
	const char *name;
	const char *stage; /* its name in the log */
	unsigned int flags;
	verb_check_fn *check;   /* protocol state and syntax; or NULL */
	verb_check_fn *limits;  /* or NULL */
	verb_check_fn *rules;   /* or NULL */
	verb_apply_fn *filters; /* asks those of the session; or NULL */
	verb_apply_fn *apply;
	/* It was refused, by whichever stage; or NULL. */
	void (*refused)(struct session *s, const struct command *c);
};

struct command {
	TAILQ_ENTRY(command) waiting; /* in waits_in */
	struct commands *waits_in;    /* or NULL */
	struct session *session;
	const struct verb *verb;
	struct str args;      /* views line */
	struct str written;   /* the path as it stands in args */
	struct path path;     /* of MAIL, RCPT, VRFY; its domain in A-labels */
	char *domain;         /* owned: what path views of it; or NULL */
	struct params params; /* of MAIL, RCPT; views line */
	struct rules_verdict verdict;
	const char *reply;  /* NULL: not answered yet */
	char *text;         /* owned: the reply, when it was made for us */
	const char *why;    /* of a refusal, one word for the log */
	unsigned int stage; /* the one it is in */
	bool followed;      /* the client sent more right behind it */
	bool close;         /* the session ends after the reply */
	bool ends_tx;       /* with its reply the transaction is over */
	uint64_t octets;    /* behind the line, that did not go by yet */
	uint64_t size;      /* so many there were */
	bool last;          /* they are the last of the content */
	bool junk;          /* as VERB_JUNK, for once */
	bool quiet;         /* a refusal that is not logged */
	/* What happens in the place of the wait for the next line, once the
	 * reply has been said ("": none) and the command is gone; or NULL. */
	void (*then)(struct session *s);
	bool was_waiting;
	uint8_t wait_state; /* enum session_state while it waits */
	char line[];        /* the argument, terminated */
};

/* A line without its CRLF begins a command and takes it as far as it goes. */
void command_begin(struct session *s, struct str line, bool followed);
/* A line that was longer than allowed has gone by. */
void command_begin_too_long(struct session *s);
/* No line: the connection itself. */
void command_begin_open(struct session *s);
/* Was it refused by what we know ourselves, limits or rules? */
bool command_was_judged(const struct command *c);
/* It waits in this list (once) until it is resumed or gone, the session in
 * this state (enum session_state). */
void command_wait(struct command *c, struct commands *list, unsigned int state);
/* The stage that waited runs again. */
void command_resume(struct command *c);
/* The same for all in this list; one that waits again stands in it anew. */
void command_wake(struct commands *list);
/* Waiting is over, and the command was answered. */
void command_done(struct command *c);
/* The session goes away: nothing more will be said. */
void command_free(struct command **c);

/* text lives as long as the program. Both return STAGE_ANSWERED. */
enum stage command_answer(struct command *c, const char *text);
enum stage command_answerf(struct command *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for 4xx and 5xx; why is one word for the log. */
enum stage command_refuse(struct command *c, const char *why, const char *text);
/* It is known, and not offered here: 502. */
enum stage command_unavailable(struct command *c);

/* --- verbs.c --- */
/* The row for a line, and what stands behind the verb; never NULL: an
 * unknown verb has a row that says so. */
const struct verb *verb_find(struct str line, struct str *args);
/* The row for a line that nobody has read. */
const struct verb *verb_too_long(void);
/* The row for the beginning of a session. */
const struct verb *verb_open(void);
/* One of the words with which browsers and bots begin (GET, POST, CONNECT),
 * or bytes that no command begins with. */
bool verb_is_forbidden(struct str line);

/* --- the verbs' functions, one file for each or few --- */
verb_check_fn helo_check, ehlo_check, mail_check, mail_limits, mail_rules,
    rcpt_check, rcpt_limits, rcpt_rules, data_check, data_limits, bdat_check,
    bdat_limits, vrfy_check, vrfy_rules, open_rules, starttls_check, auth_check,
    auth_limits, xclient_check;
verb_apply_fn helo_apply, ehlo_apply, mail_apply, rcpt_apply, data_apply,
    bdat_filters, bdat_apply, starttls_apply, auth_apply, xclient_apply,
    vrfy_apply, rset_apply, noop_apply, help_apply, quit_apply, unknown_apply,
    unavailable_apply, too_long_apply, open_apply;
void rcpt_refused(struct session *s, const struct command *c);

#endif
