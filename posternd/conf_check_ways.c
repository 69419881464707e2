/* What only the whole configuration shows of the ways out: whether what they
 * rely on is there. */
#include <unistd.h>

#include "posternd/authorities.h"
#include "posternd/conf_action.h"
#include "posternd/conf_hops.h"

static void
warn(struct conf_parser *p, const struct action *a, const char *text)
{
	const struct conf_note *note = &p->action_notes[a->id];

	conf_warn_at(p, note->file, note->line, note->order, "%s", text);
}

bool
conf_needs_trust_ad(const struct config *c, const struct action *a)
{
	if (a->kind != ACTION_RELAY || (a->tls & ACTION_TLS_DANE) == 0)
		return false;
	for (size_t i = 0; i < c->nservers; i++)
		if (c->servers[i].trust_ad)
			return false;
	return true;
}

static bool
is_verified_by_url(const struct action *a, const struct hop_url *hop)
{
	(void)a;
	return hop->tls == HOP_TLS_STARTTLS || hop->tls == HOP_TLS_AT_ONCE;
}

/* Is a certificate looked at in the light of authorities? */
static bool
needs_authorities(const struct action *a)
{
	if (a->kind != ACTION_RELAY || (a->tls & ACTION_TLS_UNVERIFIED) != 0)
		return false;
	return (a->tls & (ACTION_TLS_REQUIRE | ACTION_TLS_STS)) != 0 ||
	       conf_hops_any(a, is_verified_by_url, NULL);
}

static bool
has_authorities(const struct config *c)
{
	return c->ca_path != NULL || access(AUTHORITIES_PATH, R_OK) == 0;
}

static void
check_relay(struct conf_parser *p, const struct action *a)
{
	const struct config *c = p->config;

	/* Without a `resolver' /etc/resolv.conf says it: load.c looks. */
	if (c->nservers > 0 && conf_needs_trust_ad(c, a))
		warn(p, a,
		    "`dane' without a `resolver ... trust-ad': it will be "
		    "off");
	if (needs_authorities(a) && !has_authorities(c))
		warn(p, a,
		    "certificates are verified, and there are no authorities: "
		    "neither by `ca' nor in " AUTHORITIES_PATH);
	if (a->auth != NULL && (a->tls & ACTION_TLS_UNVERIFIED) != 0)
		warn(p, a,
		    "`auth' with `no-verify': the password goes to whoever "
		    "answers");
}

void
conf_check_ways(struct conf_parser *p)
{
	const struct config *c = p->config;
	const struct conf_note *note = p->tls_report_note;

	for (size_t i = 0; i < c->nactions; i++) {
		if (c->actions[i].kind == ACTION_RELAY)
			check_relay(p, &c->actions[i]);
		else if (c->actions[i].kind == ACTION_MDA)
			conf_check_program(p, &c->actions[i]);
	}
	/* RFC 8460 3: they have to be signed (DKIM). */
	if (note != NULL && c->report_milters == NULL)
		conf_warn_at(p, note->file, note->line, note->order,
		    "`tls-report' without `queue report-milters': nobody signs "
		    "the reports, and who gets them may not believe them");
}
