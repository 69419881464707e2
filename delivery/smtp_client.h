/* The SMTP client's dialogue (RFC 5321, 2920, 1870, 3461, 6152, 6531). */
#ifndef POSTERN_DELIVERY_SMTP_CLIENT_H
#define POSTERN_DELIVERY_SMTP_CLIENT_H

#include "delivery/conn.h"

/* fd is on its way to c's next hop. Owned from here on. */
void client_connecting(struct conn *c, int fd);
/* c, which is ready, has new work: looks at what the next hop can take (a
 * result is told to those it cannot) and begins a transaction for up to
 * `deliver recipients` of the open ones. Returns 0, or -1 when none is open
 * (any more): nothing was said then. */
int client_begin(struct conn *c);
/* Says QUIT to c, which is ready and has no work, and closes it when that
 * was answered, or after its time. */
void client_quit(struct conn *c);

/* --- for the table (smtp_states.c) --- */
void say_ehlo(struct conn *c);
void say_helo(struct conn *c);
void say_vrfy(struct conn *c);
void say_mail(struct conn *c);
void say_rcpt(struct conn *c);
void say_data(struct conn *c);
void say_body(struct conn *c);
void say_rset(struct conn *c);
void say_quit(struct conn *c);
void heard_vrfy(struct conn *c, enum client_heard what);
void heard_mail(struct conn *c, enum client_heard what);
void heard_rcpt(struct conn *c, enum client_heard what);
void heard_data(struct conn *c, enum client_heard what);
void heard_early(struct conn *c, enum client_heard what);
void heard_dot(struct conn *c, enum client_heard what);

/* --- between smtp_client.c, smtp_commands.c and smtp_body.c --- */
/* Ends the connection; v is why, for the recipients without a result. */
void client_lost(struct conn *c, struct verdict *v, enum lost how);
/* The same because the server broke the protocol. */
void client_breach(struct conn *c, const char *what);
void client_set_relay(const struct conn *c, struct verdict *v);
/* The next one to ask for in this transaction; NULL: no more. */
struct work_rcpt *client_next_rcpt(struct conn *c);
/* How a transaction goes on, or begins: VRFY while there are recipients to
 * ask about, then MAIL, or STATE_READY when nobody is left to send to. */
enum client_state client_next_command(struct conn *c);
/* One line of the answer to EHLO, without its code; not the first. */
void client_learn(struct conn *c, struct str line);
/* Tells a result to those open whom this next hop cannot take. */
void client_screen(struct conn *c);
/* Writes the next piece when the one before has left. */
void body_go_on(struct conn *c);
/* All of the mail and the dot are written: the reply to it is awaited. */
void client_body_written(struct conn *c);
/* The mail cannot be read: ends the connection before the dot. */
void client_body_failed(struct conn *c, const char *why);

#endif
