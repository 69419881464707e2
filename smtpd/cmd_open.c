/* The beginning of a session whose filters have a word in it: the greeting is
 * the reply. */
#include "smtpd/client_name.h"
#include "smtpd/command.h"
#include "smtpd/greeting.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"

/* Filters are told who calls; not knowing it is no refusal. */
enum stage
open_rules(const struct session *s, struct command *c)
{
	if (policy_name_state(s) != CLIENT_NAME_PENDING)
		return STAGE_GO;
	caller_wait(s->caller, c);
	return STAGE_WAITING;
}

enum stage
open_apply(struct session *s, struct command *c)
{
	/* It had time enough to wait for us, and did not (RFC 5321 4.3.1). */
	if (greeting_is_disturbed(s)) {
		c->close = true;
		return command_refuse(c, "early-talker", GREETING_EARLY_REPLY);
	}
	return command_answerf(c, "220 %s ESMTP postern", session_hostname(s));
}
