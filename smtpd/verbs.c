/* THE TABLE OF VERBS: who may be said when, and what it does. */
#include <stddef.h>

#include "smtpd/command.h"
#include "smtpd/filtering.h"

/* clang-format off */
static const struct verb verbs[] = {
	/* name       in the log  flags                           check           limits        rules       filters          apply              refused */
	{ "MAIL",     "mail",     VERB_HELO | VERB_NO_TX,         mail_check,     mail_limits,  mail_rules, mail_filters,    mail_apply,        NULL },
	{ "RCPT",     "rcpt",     VERB_HELO | VERB_TX | VERB_OPEN,
	                                                          rcpt_check,     rcpt_limits,  rcpt_rules, rcpt_filters,    rcpt_apply,        rcpt_refused },
	{ "DATA",     "data",     VERB_HELO | VERB_TX | VERB_OPEN | VERB_NO_ARGS | VERB_CONTENT,
	                                                          data_check,     data_limits,  NULL,       data_filters,    data_apply,        NULL },
	{ "BDAT",     "bdat",     VERB_HELO | VERB_TX | VERB_OCTETS,
	                                                          bdat_check,     bdat_limits,  NULL,       bdat_filters,    bdat_apply,        NULL },
	{ "EHLO",     "helo",     VERB_JUNK | VERB_CLEAR,         ehlo_check,     NULL,         NULL,       helo_filters,    ehlo_apply,        NULL },
	{ "HELO",     "helo",     VERB_JUNK | VERB_CLEAR,         helo_check,     NULL,         NULL,       helo_filters,    helo_apply,        NULL },
	{ "STARTTLS", "starttls", VERB_NO_TX | VERB_NO_ARGS | VERB_JUNK | VERB_CLEAR,
	                                                          starttls_check, NULL,         NULL,       NULL,            starttls_apply,    NULL },
	{ "AUTH",     "auth",     VERB_HELO | VERB_CONTENT | VERB_SECRET | VERB_JUNK,
	                                                          auth_check,     auth_limits,  NULL,       NULL,            auth_apply,        NULL },
	{ "QUIT",     "quit",     VERB_NO_ARGS | VERB_CLEAR,      NULL,           NULL,         NULL,       NULL,            quit_apply,        NULL },
	{ "RSET",     "rset",     VERB_NO_ARGS | VERB_JUNK | VERB_CLEAR,
	                                                          NULL,           NULL,         NULL,       NULL,            rset_apply,        NULL },
	{ "NOOP",     "noop",     VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            noop_apply,        NULL },
	{ "VRFY",     "vrfy",     VERB_JUNK,                      vrfy_check,     NULL,         vrfy_rules, vrfy_filters,    vrfy_apply,        NULL },
	{ "HELP",     "help",     VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            help_apply,        NULL },
	{ "XCLIENT",  "xclient",  VERB_NO_TX | VERB_JUNK,         xclient_check,  NULL,         NULL,       NULL,            xclient_apply,     NULL },
	{ "EXPN",     "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
	{ "ETRN",     "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
	{ "TURN",     "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
	{ "ATRN",     "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
	{ "SEND",     "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
	{ "SOML",     "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
	{ "SAML",     "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
	{ "XFORWARD", "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            unavailable_apply, NULL },
};

static const struct verb unknown =
	{ "",         "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       unknown_filters, unknown_apply,     NULL };
static const struct verb too_long =
	{ "",         "command",  VERB_JUNK | VERB_CLEAR,         NULL,           NULL,         NULL,       NULL,            too_long_apply,    NULL };

static const struct verb opening =
	{ "",         "connect",  VERB_CLEAR,                     NULL,           NULL,         open_rules, open_filters,    open_apply,        NULL };

/* clang-format on */

const struct verb *
verb_find(struct str line, struct str *args)
{
	size_t n = 0;

	while (n < line.len && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	*args = str_trim(str_skip(line, n));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (str_eq_nocase(str_head(line, n), str_of(verbs[i].name)))
			return &verbs[i];
	*args = line;
	return &unknown;
}

const struct verb *
verb_too_long(void)
{
	return &too_long;
}

const struct verb *
verb_open(void)
{
	return &opening;
}

bool
verb_is_forbidden(struct str line)
{
	static const struct str words[] = { { "GET ", 4 }, { "POST ", 5 },
		{ "CONNECT ", 8 } };

	if (line.len == 0)
		return false;
	/* TLS, SOCKS and other binary protocols. */
	if ((unsigned char)line.p[0] < 0x20 && line.p[0] != '\r' &&
	    line.p[0] != '\n' && line.p[0] != '\t')
		return true;
	if ((unsigned char)line.p[0] >= 0x7f)
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_starts_nocase(line, words[i]))
			return true;
	return false;
}
