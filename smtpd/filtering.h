/*
 * The filters of a session: asked at each stage of it, their answers made
 * into replies. Made only for sessions that need it: because of their
 * listener, or when a recipient's rule says so.
 */
#ifndef POSTERN_SMTPD_FILTERING_H
#define POSTERN_SMTPD_FILTERING_H

#include <stdbool.h>
#include <stdint.h>

#include "milters/client/milter.h"
#include "smtpd/command.h"
#include "smtpd/facts.h"
#include "smtpd/mail_events.h"

struct session;
struct tx;

struct filtering {
	struct session *session;
	struct milters *milters;
	struct facts facts;
	const struct milter_set *set; /* its listener's; NULL: none */
	struct tx *tx;     /* owned: of the MAIL that they are asked about */
	char *stored;      /* owned: what MAIL is refused with, or NULL */
	bool asked;        /* a question of the present command is under way */
	bool answered;     /* and answer is its answer */
	bool counted;      /* admission_leave is due */
	bool judged;       /* the content was */
	uint64_t asked_us; /* monotonic: of the content */
	struct milter_answer answer;
	struct milter_mail mail;   /* while content is judged */
	struct mail_events events; /* of the present transaction */
};

/* The filters of this client on this listener, unless a rule says otherwise;
 * NULL: none. */
const struct milter_set *filtering_set(
    const struct listener *l, const struct addr *client);
/* Those of a recipient for whom this rule decided; NULL: none. */
const struct milter_set *filtering_rcpt_set(
    const struct session *s, const struct rule *rule);
/* Whether a set (NULL: none) has members of this phase. */
bool filtering_has(const struct milter_set *set, bool phase_queue);
/* The session's; made if there is none. */
struct filtering *filtering_need(struct session *s);
/* Fills f (not in use before) with what is known of a session, and of its
 * transaction if it has one. */
void filtering_learn(struct facts *f, const struct session *s);
/* With who has authenticated, or that nobody has; TLS is known already. */
void filtering_learn_auth(struct facts *f, const struct session *s);
/* With a transaction alone. */
void filtering_learn_mail(struct facts *f, const struct tx *tx);
/* Clears the pointer; NULL is allowed. The filters hear QUIT. */
void filtering_free(struct filtering **f);
/* The transaction is over (or there was none): it no longer counts, filters
 * that wait for its end hear of it. f may be NULL. */
void filtering_end_tx(struct filtering *f);
/* One message more is under way with filters (counted once). 0, or -1: there
 * are too many. */
int filtering_count(struct filtering *f);

/* Asks about the present command, or takes the answer that is there:
 * STAGE_GO, STAGE_WAITING (the command is resumed), or the command was
 * refused with a filter's words. */
enum stage filtering_ask(
    struct filtering *f, struct command *c, enum milter_stage stage);
/* The same for the content of the session's body. With STAGE_GO the body and
 * the envelope are as the filters want them; STAGE_ANSWERED may be a 250. */
enum stage filtering_content(struct filtering *f, struct command *c);
/* Whoever reads the mail, and its filters, now or behind the queue, believe
 * what we say: what claims to be by us goes out of its header. */
void filtering_strip(const struct session *s);
/* Refuses with the words of an answer that is none to go on with. */
enum stage filtering_refuse(struct command *c, const struct milter_answer *a);
/* A recipient was refused by ourselves: filters that want to know are told. */
void filtering_tell_refused(struct filtering *f, const struct command *c);

/* --- the column of the table of verbs, filter_stages.c --- */
verb_apply_fn open_filters, helo_filters, mail_filters, rcpt_filters,
    data_filters, vrfy_filters, unknown_filters;
/* What stands behind the address in MAIL. */
struct str mail_args(const struct command *c);

#endif
