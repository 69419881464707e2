/* What the rules need to know of a session. */
#include "smtpd/policy.h"

#include "lib/rules/postmaster.h"
#include "smtpd/client_name.h"
#include "smtpd/listing.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/tx.h"

bool
policy_postmaster(
    const struct session *s, struct path *p, struct rules_verdict *verdict)
{
	*verdict = (struct rules_verdict){ .rule = postmaster_rule(
					       s->config, str_of(s->helo), p) };
	return verdict->rule != NULL;
}

/* There is an end to waiting for it. */
enum client_name
policy_name_state(const struct session *s)
{
	enum client_name state = caller_state(s->caller);

	return state == CLIENT_NAME_PENDING && s->name_late ?
		   CLIENT_NAME_FAULT :
		   state;
}

bool
policy_is_undecided(const struct rules_verdict *v)
{
	return v->needs_name || v->needs_dnsbl;
}

static enum stage
need_name(const struct session *s, struct command *c)
{
	if (policy_name_state(s) != CLIENT_NAME_PENDING)
		return command_refuse(c, "rdns", RULES_NAME_FAULT_REPLY);
	caller_wait(s->caller, c);
	return STAGE_WAITING;
}

enum stage
policy_need(const struct session *s, struct command *c)
{
	if (c->verdict.needs_name)
		return need_name(s, c);
	listing_wait(s->listing, c);
	return STAGE_WAITING;
}

/* There is an end to waiting for them, too; then out is used. */
static const int32_t *
scores(const struct session *s, int32_t out[static CONFIG_DNSBLS_MAX])
{
	const int32_t *now = listing_scores(s->listing);

	if (now == NULL || !s->lists_late)
		return now;
	for (size_t i = 0; i < s->config->ndnsbls; i++)
		out[i] = now[i] == DNSBL_PENDING ? 0 : now[i];
	return out;
}

struct rules_verdict
policy_decide(const struct session *s, const struct path *rcpt)
{
	int32_t room[CONFIG_DNSBLS_MAX];
	struct rules_query q = {
		.client = s->client,
		.name_state = policy_name_state(s),
		.name = caller_name(s->caller),
		.helo = str_of(s->helo),
		.tag = str_of(s->listener->tag),
		.from_local = STR(""),
		.from_domain = STR(""),
		.rcpt_local = rcpt->local,
		.rcpt_domain = rcpt->domain,
		.user = str_of(s->user),
		.tls = secure_is_on(s),
		.early_talker = s->early,
		.dnsbl = scores(s, room),
	};

	if (s->tx != NULL) {
		q.from_local = s->tx->from_local;
		q.from_domain = s->tx->from_domain;
	}
	return rules_decide(s->config, &q);
}

void
policy_complete(const struct session *s, struct path *p)
{
	if (p->domain.len == 0 && p->local.len > 0)
		p->domain = str_of(s->config->domain);
}
