/*
 * One exchange of AUTH, as its mechanisms see it. A mechanism is a row of
 * steps: what we say, and what becomes of the line that answers it; the
 * vault may be asked behind each.
 */
#ifndef POSTERN_SMTPD_AUTH_MECH_H
#define POSTERN_SMTPD_AUTH_MECH_H

#include "edges/smtpd_vault.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/rules/config.h"
#include "smtpd/from_vault.h"

struct auth;
struct scram;

/* How an exchange ends. */
enum auth_result {
	AUTH_OK,
	AUTH_WRONG,     /* name, password or proof */
	AUTH_OTHER,     /* it wants to act as somebody else */
	AUTH_BINDING,   /* it wants channel binding, which is not offered */
	AUTH_MALFORMED, /* not a message of this mechanism */
	AUTH_ENCODING,  /* not base64 */
	AUTH_CANCELLED, /* by the client */
	AUTH_FOLLOWED,  /* more came behind the last line */
	AUTH_LIMITED,   /* its source has failed too often meanwhile */
	AUTH_BUSY,      /* the vault has too much to do */
	AUTH_FAULT,     /* the vault is gone, or cannot read its table */
	AUTH_LATE,      /* it has not answered in time */
	AUTH_RESULTS
};

/* What became of a line. */
enum auth_turn {
	AUTH_NEXT,   /* taken: on with the next step */
	AUTH_ASKING, /* the vault has been asked */
	AUTH_OVER    /* auth_fail was called */
};

struct auth_step {
	/* What we say first; NULL: what the step before left in auth.out. */
	const char *challenge;
	/* A line of the client, decoded; it is wiped behind the call. */
	enum auth_turn (*line)(struct auth *a, struct str in);
	/* The vault says VAULT_RIGHT; NULL: nothing more is to be known. */
	void (*answer)(struct auth *a, const struct vault_answer *v);
	/* Behind the client's line nothing may have been sent already. */
	bool is_last;
};

struct auth_mech {
	const char *name;
	uint32_t needs; /* LISTENER_ flags */
	const struct auth_step *steps;
	size_t nsteps;
};

struct auth {
	struct session *session;
	const struct auth_mech *mech;
	size_t step;
	char *user;          /* owned: as the client has it; or NULL */
	struct scram *scram; /* owned; NULL */
	struct buf out;      /* what the next step says */
	uint64_t ask;        /* of from_vault, while asked */
	bool asked;
	bool is_over; /* the result holds, its reply is held back */
	enum auth_result result;
};

enum { AUTH_USER_MAX = 255 };

extern const struct auth_step auth_plain_steps[], auth_login_steps[],
    auth_scram_steps[];

enum { AUTH_PLAIN_STEPS = 1, AUTH_LOGIN_STEPS = 2, AUTH_SCRAM_STEPS = 3 };

/* Each returns what the step returns. */
enum auth_turn auth_fail(struct auth *a, enum auth_result result);
/* AUTH_NEXT; anything else: it is nobody's name. */
enum auth_turn auth_set_user(struct auth *a, struct str user);
/* The table of the listener's users, for a question to the vault. */
struct str auth_table(const struct auth *a);
/* A from_vault question was put (its result and id). */
enum auth_turn auth_asked(struct auth *a, int result, uint64_t id);
/* The answer to it: vault_fn. */
void auth_answered(void *ctx, const struct vault_answer *v);

/* Clears the pointer; NULL is allowed. */
void scram_free(struct scram **s);

#endif
