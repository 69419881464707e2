/* The mechanisms that show the password: PLAIN (RFC 4616), and LOGIN, which
 * has no standard but clients. */
#include <string.h>

#include "smtpd/auth_mech.h"

static bool
is_password(struct str s)
{
	return s.len > 0 && memchr(s.p, '\0', s.len) == NULL;
}

/* The password as it was typed: whoever made the hash typed it likewise. */
static enum auth_turn
ask(struct auth *a, struct str password)
{
	struct ask_password m = { .table = auth_table(a),
		.user = str_of(a->user),
		.password = password };
	uint64_t id = 0;
	int r;

	if (!is_password(password))
		return auth_fail(a, AUTH_MALFORMED);
	if (password.len > VAULT_SECRET_MAX)
		return auth_fail(a, AUTH_WRONG);
	r = from_vault_password(&m, auth_answered, a, &id);
	return auth_asked(a, r, id);
}

/* [authzid] NUL authcid NUL passwd */
static enum auth_turn
plain_message(struct auth *a, struct str in)
{
	size_t n = str_find(in, '\0');
	struct str authz = str_head(in, n), user, rest = str_skip(in, n + 1);
	enum auth_turn turn;

	n = str_find(rest, '\0');
	user = str_head(rest, n);
	rest = str_skip(rest, n + 1);
	/* Before the name is logged: of "alice NUL secret NUL" the second is
	 * none. */
	if (!is_password(rest))
		return auth_fail(a, AUTH_MALFORMED);
	turn = auth_set_user(a, user);
	if (turn != AUTH_NEXT)
		return turn;
	if (authz.len > 0 && !str_eq(authz, user))
		return auth_fail(a, AUTH_OTHER);
	return ask(a, rest);
}

static enum auth_turn
login_user(struct auth *a, struct str in)
{
	return auth_set_user(a, in);
}

const struct auth_step auth_plain_steps[AUTH_PLAIN_STEPS] = {
	{ "", plain_message, NULL, true },
};

const struct auth_step auth_login_steps[AUTH_LOGIN_STEPS] = {
	{ "Username:", login_user, NULL, false },
	{ "Password:", ask, NULL, true },
};
