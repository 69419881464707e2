/* The states of the SMTP and LMTP client, as a table. */
#ifndef POSTERN_DELIVERY_SMTP_STATES_H
#define POSTERN_DELIVERY_SMTP_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

enum client_state {
	STATE_NONE, /* nothing (more) to say */
	STATE_CONNECT,
	STATE_GREETING,
	STATE_EHLO,
	STATE_LHLO,
	STATE_HELO,
	STATE_STARTTLS,
	STATE_SECURING,    /* the handshake */
	STATE_CREDENTIALS, /* those for AUTH are asked of the vault */
	STATE_AUTH_ALONE,  /* what follows is too long for a command */
	STATE_AUTH_PLAIN,
	STATE_AUTH_LOGIN,
	STATE_AUTH_USER,
	STATE_AUTH_PASSWORD,
	STATE_READY, /* nothing under way */
	STATE_VRFY,
	STATE_MAIL,
	STATE_RCPT,
	STATE_DATA,
	STATE_BODY, /* the mail is on its way out */
	STATE_DOT,  /* all of it was written */
	STATE_BDAT, /* the mail as one chunk, instead of the last three */
	STATE_RSET,
	STATE_QUIT,
	/* not states but ways on */
	STATE_HELLO,  /* EHLO or LHLO */
	STATE_ENTER,  /* client_next_step */
	STATE_RUN,    /* the next row of the run */
	STATE_CHOOSE, /* client_next_command */
	STATE_LOST,   /* this next hop will not do: give the connection up */
	STATE_END     /* close, all is said */
};

/* What a reply is to the state that hears it. */
enum client_heard { HEARD_OK, HEARD_TEMP, HEARD_PERM };

/* One state: what is said on entering it, and where its reply leads. The
 * rows MAIL, RCPT and DATA (or BDAT) are a run: with PIPELINING they are said
 * without waiting, and their replies heard one after the other. */
struct client_row {
	const char *name; /* for texts: "in MAIL FROM" */
	/* Writes the command, or begins what there is to do. NULL: nothing is
	 * said. */
	void (*say)(struct conn *c);
	uint32_t accept;  /* first digit of the reply that means success */
	uint32_t timeout; /* of the reply: offset in struct deliver_numbers */
	enum client_state next[3]; /* by enum client_heard */
	enum client_state run;     /* the row behind it in its run */
	/* What the reply means for the work; before next. May be NULL, and
	 * may end the connection. */
	void (*heard)(struct conn *c, enum client_heard what);
	bool joins;  /* may be said while replies are awaited */
	bool silent; /* no reply follows: something else leads on */
};

const struct client_row *client_row(enum client_state st);

#endif
