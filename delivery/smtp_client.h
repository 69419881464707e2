/* The SMTP client's dialogue (RFC 5321, 2920, 1870, 3207, 3461, 4954, 6152,
 * 6531, 8689, 9422), and LMTP's (RFC 2033). */
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
/* Has it served as many mails as it may, by our numbers or by its own? */
bool client_is_used_up(const struct conn *c);
/* Says QUIT to c, which is ready and has no work, and closes it when that
 * was answered, or after its time. */
void client_quit(struct conn *c);

/* --- for the table (smtp_states.c) --- */
void say_ehlo(struct conn *c);
void say_lhlo(struct conn *c);
void say_helo(struct conn *c);
void say_starttls(struct conn *c);
void begin_tls(struct conn *c);
void ask_credentials(struct conn *c);
void say_auth_alone(struct conn *c);
void say_auth_plain(struct conn *c);
void say_auth_login(struct conn *c);
void say_auth_user(struct conn *c);
void say_auth_password(struct conn *c);
void say_vrfy(struct conn *c);
void say_mail(struct conn *c);
void say_rcpt(struct conn *c);
void say_data(struct conn *c);
void say_body(struct conn *c);
void say_bdat(struct conn *c);
void say_rset(struct conn *c);
void say_quit(struct conn *c);
void heard_starttls(struct conn *c, enum client_heard what);
void heard_auth(struct conn *c, enum client_heard what);
void heard_vrfy(struct conn *c, enum client_heard what);
void heard_mail(struct conn *c, enum client_heard what);
void heard_rcpt(struct conn *c, enum client_heard what);
void heard_data(struct conn *c, enum client_heard what);
void heard_early(struct conn *c, enum client_heard what);
void heard_dot(struct conn *c, enum client_heard what);
void heard_bdat(struct conn *c, enum client_heard what);

/* --- smtp_client.c, for the others --- */
/* Ends the connection; v is why, for the recipients without a result. */
void client_lost(struct conn *c, struct verdict *v, enum lost how);
/* The same because the server broke the protocol. */
void client_breach(struct conn *c, const char *what);
/* Fills in what the connection is. */
void client_set_relay(const struct conn *c, struct verdict *v);
/* Enters that state now; nothing is awaited. */
void client_say(struct conn *c, enum client_state st);
/* All of the mail and the dot are written: the reply to it is awaited. */
void client_body_written(struct conn *c);
/* The mail cannot be read: ends the connection before the dot. */
void client_body_failed(struct conn *c, const char *why);
/* The greeting is awaited. */
void client_await_greeting(struct conn *c);

/* --- smtp_entry.c: from the greeting to the first mail --- */
/* EHLO or LHLO. */
enum client_state client_hello(const struct conn *c);
/* What the policy wants next: STARTTLS, AUTH, or all is well. STATE_NONE: the
 * connection cannot be what it wants, and was ended. */
enum client_state client_next_step(struct conn *c);
/* As on_secure of stream_ops. */
void client_secured(void *ctx, const struct fault *why);
/* The handshake took too long. */
void client_unshaken(struct conn *c);
/* Something came between the answer to STARTTLS and TLS. */
void client_injected(struct conn *c);
/* Does all hold that RFC 8689 4.2.1 asks of a next hop? */
bool client_keeps_tls(const struct conn *c);

/* --- smtp_auth.c --- */
/* The credentials are not in the reply that was heard, however much the server
 * repeats what we say. */
void auth_hide(struct conn *c);
/* Forgets the credentials; nothing happens without. */
void auth_end(struct conn *c);

/* --- smtp_commands.c --- */
/* The next one to ask for in this transaction; NULL: no more. */
struct work_rcpt *client_next_rcpt(struct conn *c);
/* How a transaction goes on, or begins: VRFY while there are recipients to
 * ask about, then MAIL, or STATE_READY when nobody is left to send to. */
enum client_state client_next_command(struct conn *c);

/* --- smtp_offers.c: what a next hop can take --- */
/* Forgets all that it said of itself. */
void client_forget(struct conn *c);
/* One line of the answer to EHLO, without its code; not the first. */
void client_learn(struct conn *c, struct str line);
/* Tells a result to those open whom this next hop cannot take. */
void client_screen(struct conn *c);
/* Recipients of a transaction. */
uint64_t client_rcpt_max(const struct conn *c);
/* How the content of c's work goes there: by_bdat, to_7bit. */
void client_choose_body(struct conn *c);

/* --- smtp_body.c --- */
/* Writes the next piece when the one before has left. */
void body_go_on(struct conn *c);
/* All of it in memory, not long, and nothing in it that DATA would change but
 * the dots. */
bool body_fits_chunk(const struct work *w);

/* --- smtp_params.c --- */
bool client_is_ascii(const char *p, size_t len);
/* What stands behind the last @; or "". */
const char *client_domain_of(const char *address);

#endif
