#include "delivery/smtp_states.h"

#include <assert.h>

#include "delivery/smtp_client.h"
#include "lib/rules/config.h"

#define T(name) offsetof(struct deliver_numbers, name)

/* The timeouts are RFC 5321 4.5.3.2's. A temporary or permanent answer to
 * the greeting, to EHLO or to HELO means another next hop; to STARTTLS what
 * the policy says; the one to MAIL, RCPT or DATA is about the mail; and the
 * one to VRFY about a recipient at most. */
/* clang-format off */
static const struct client_row rows[] = {
/*                        name              say              accept timeout                on 2xx/3xx            on 4xx        on 5xx         run         heard           joins  silent */
[STATE_CONNECT]       = { "connect",        NULL,              0, T(connect_timeout),    { STATE_LOST,          STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, false },
[STATE_GREETING]      = { "greeting",       NULL,              2, T(greeting_timeout),   { STATE_HELLO,         STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, false },
[STATE_EHLO]          = { "EHLO",           say_ehlo,          2, T(helo_timeout),       { STATE_ENTER,         STATE_LOST,   STATE_HELO   }, STATE_NONE, NULL,           false, false },
[STATE_LHLO]          = { "LHLO",           say_lhlo,          2, T(helo_timeout),       { STATE_ENTER,         STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, false },
[STATE_HELO]          = { "HELO",           say_helo,          2, T(helo_timeout),       { STATE_ENTER,         STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, false },
[STATE_STARTTLS]      = { "STARTTLS",       say_starttls,      2, T(starttls_timeout),   { STATE_SECURING,      STATE_ENTER,  STATE_ENTER  }, STATE_NONE, heard_starttls, false, false },
[STATE_SECURING]      = { "TLS handshake",  begin_tls,         0, T(starttls_timeout),   { STATE_LOST,          STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, true  },
[STATE_CREDENTIALS]   = { "asking for credentials", ask_credentials, 0, T(helo_timeout), { STATE_LOST,          STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, true  },
[STATE_AUTH_ALONE]    = { "AUTH PLAIN (alone)", say_auth_alone, 3, T(helo_timeout),      { STATE_AUTH_PLAIN,    STATE_LOST,   STATE_LOST   }, STATE_NONE, heard_auth,     false, false },
[STATE_AUTH_PLAIN]    = { "AUTH PLAIN",     say_auth_plain,    2, T(helo_timeout),       { STATE_ENTER,         STATE_LOST,   STATE_LOST   }, STATE_NONE, heard_auth,     false, false },
[STATE_AUTH_LOGIN]    = { "AUTH LOGIN",     say_auth_login,    3, T(helo_timeout),       { STATE_AUTH_USER,     STATE_LOST,   STATE_LOST   }, STATE_NONE, heard_auth,     false, false },
[STATE_AUTH_USER]     = { "AUTH LOGIN (user)", say_auth_user,  3, T(helo_timeout),       { STATE_AUTH_PASSWORD, STATE_LOST,   STATE_LOST   }, STATE_NONE, heard_auth,     false, false },
[STATE_AUTH_PASSWORD] = { "AUTH LOGIN (password)", say_auth_password, 2, T(helo_timeout), { STATE_ENTER,        STATE_LOST,   STATE_LOST   }, STATE_NONE, heard_auth,     false, false },
[STATE_READY]         = { "idle",           NULL,              0, T(idle_timeout),       { STATE_LOST,          STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, false },
[STATE_VRFY]          = { "VRFY",           say_vrfy,          2, T(rcpt_timeout),       { STATE_CHOOSE,        STATE_CHOOSE, STATE_CHOOSE }, STATE_NONE, heard_vrfy,     false, false },
[STATE_MAIL]          = { "MAIL FROM",      say_mail,          2, T(mail_timeout),       { STATE_RUN,           STATE_RUN,    STATE_RUN    }, STATE_RCPT, heard_mail,     false, false },
[STATE_RCPT]          = { "RCPT TO",        say_rcpt,          2, T(rcpt_timeout),       { STATE_RUN,           STATE_RUN,    STATE_RUN    }, STATE_DATA, heard_rcpt,     true,  false },
[STATE_DATA]          = { "DATA",           say_data,          3, T(data_init_timeout),  { STATE_BODY,          STATE_RSET,   STATE_RSET   }, STATE_NONE, heard_data,     true,  false },
[STATE_BODY]          = { "the mail",       say_body,          0, T(data_block_timeout), { STATE_END,           STATE_END,    STATE_END    }, STATE_NONE, heard_early,    false, false },
[STATE_DOT]           = { "end of data",    NULL,              2, T(data_end_timeout),   { STATE_READY,         STATE_READY,  STATE_READY  }, STATE_NONE, heard_dot,      false, false },
[STATE_BDAT]          = { "BDAT",           say_bdat,          2, T(data_end_timeout),   { STATE_READY,         STATE_RSET,   STATE_RSET   }, STATE_NONE, heard_bdat,     true,  false },
[STATE_RSET]          = { "RSET",           say_rset,          2, T(mail_timeout),       { STATE_READY,         STATE_LOST,   STATE_LOST   }, STATE_NONE, NULL,           false, false },
[STATE_QUIT]          = { "QUIT",           say_quit,          2, T(quit_timeout),       { STATE_END,           STATE_END,    STATE_END    }, STATE_NONE, NULL,           false, false },
};

/* clang-format on */

const struct client_row *
client_row(enum client_state st)
{
	assert(st > STATE_NONE && st <= STATE_QUIT);
	return &rows[st];
}
