/* From a command's argument to path and parameters, or to a 5xx. */
#include "smtpd/syntax.h"

#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/mail/idna.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"

bool
syntax_keyword(const struct command *c, struct str word, struct str *rest)
{
	struct str a = c->args;
	size_t n = word.len - 1; /* without its colon */

	if (!str_starts_nocase(a, str_head(word, n)))
		return false;
	a = str_trim(str_skip(a, n));
	if (a.len == 0 || a.p[0] != ':')
		return false;
	*rest = str_trim(str_skip(a, 1));
	return true;
}

/* By verb (from or to) and what is wrong; RFC 3463 5.1.3 and 5.1.7. */
static const char *const path_replies[][2] = {
	[PATH_OK] = { "", "" },
	[PATH_SYNTAX] = { "501 5.1.7 Bad sender address syntax",
	    "501 5.1.3 Bad recipient address syntax" },
	[PATH_LOCAL_LONG] = { "501 5.1.7 The local part is too long",
	    "501 5.1.3 The local part is too long" },
	[PATH_DOMAIN_LONG] = { "501 5.1.7 The domain is too long",
	    "501 5.1.3 The domain is too long" },
	[PATH_UTF8] = { "553 5.6.7 Only with SMTPUTF8",
	    "553 5.6.7 Only with SMTPUTF8" },
};

static const char *const param_replies[] = {
	[PARAM_OK] = "",
	[PARAM_SYNTAX] = "501 5.5.4 Bad parameter syntax",
	[PARAM_UNKNOWN] = "555 5.5.4 Parameter not known",
	[PARAM_DUPLICATE] = "501 5.5.4 Parameter given twice",
	[PARAM_VALUE] = "501 5.5.4 Bad parameter value",
};

/* Quoting and A-labels can make it longer than what others take. */
static bool
is_oversize(const struct path *p)
{
	struct buf b;

	if (2 * p->local.len + p->domain.len + 3 <= PATH_MAX_LEN)
		return false;
	buf_init(&b, PATH_MAX_LEN);
	path_format(p, &b);
	bool failed = b.failed;
	buf_clear(&b);
	return failed;
}

int
syntax_ascii(struct command *c)
{
	struct buf room;

	buf_init(&room, PATH_DOMAIN_MAX);
	if (idna_path(&c->path, &room) != 0) {
		buf_clear(&room);
		return -1;
	}
	free(c->domain);
	c->domain = room.p;
	return 0;
}

/* REQUIRETLS is offered under TLS only (RFC 8689 3), and nothing is after
 * HELO. */
static enum param_error
parse_params(struct command *c, struct str rest, enum param_verb verb)
{
	const struct session *s = c->session;
	enum param_error e = param_parse(rest, verb, &c->params);

	if (e == PARAM_OK && ((str_trim(rest).len > 0 && !s->esmtp) ||
				 (c->params.requiretls && !secure_is_on(s))))
		return PARAM_UNKNOWN;
	return e;
}

enum stage
syntax_path(
    struct command *c, struct str in, unsigned int flags, enum param_verb verb)
{
	struct str rest;
	enum path_error pe;
	enum param_error ae;

	pe = path_parse(
	    in, flags | PATH_ALLOW_BARE | PATH_ALLOW_UTF8, &c->path, &rest);
	if (pe != PATH_OK)
		return command_refuse(
		    c, "syntax", path_replies[pe][verb == PARAM_RCPT]);
	if (syntax_ascii(c) != 0)
		return command_refuse(
		    c, "syntax", path_replies[PATH_SYNTAX][verb == PARAM_RCPT]);
	if (is_oversize(&c->path))
		return command_refuse(c, "syntax",
		    path_replies[PATH_LOCAL_LONG][verb == PARAM_RCPT]);
	c->written = str_head(in, in.len - rest.len);
	ae = parse_params(c, rest, verb);
	if (ae != PARAM_OK)
		return command_refuse(c, "param", param_replies[ae]);
	if (verb == PARAM_MAIL && c->path.is_utf8 && !c->params.smtputf8)
		return command_refuse(c, "utf8", path_replies[PATH_UTF8][0]);
	return STAGE_GO;
}
