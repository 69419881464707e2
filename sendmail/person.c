/* passwd(5) and the environment. */
#include "sendmail/person.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/mail/path.h"

static bool
is_local_part(struct str s)
{
	struct path p;
	struct str rest;

	return s.len > 0 &&
	       path_parse(s, PATH_ALLOW_BARE | PATH_ALLOW_LOCAL, &p, &rest) ==
		   PATH_OK &&
	       rest.len == 0 && p.domain.len == 0;
}

void
person_login(struct buf *out)
{
	const struct passwd *pw = getpwuid(getuid());

	if (pw != NULL && is_local_part(str_of(pw->pw_name)))
		buf_add_str(out, str_of(pw->pw_name));
	else
		buf_addf(out, "uid-%u", (unsigned int)getuid());
}

/* The full name is the first of the fields; an ampersand in it stands for the
 * login name. */
static void
add_gecos(const struct passwd *pw, struct buf *out)
{
	struct str rest = str_of(pw->pw_gecos);
	struct str name = str_cut(&rest, ',');
	struct str login = str_of(pw->pw_name);

	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] != '&') {
			buf_add_char(out, name.p[i]);
			continue;
		}
		size_t at = out->len;
		buf_add_str(out, login);
		if (at < out->len && chr_is_alpha(out->p[at]))
			out->p[at] &= (char)~0x20;
	}
}

void
person_name(const char *given, struct buf *out)
{
	const struct passwd *pw;

	if (given == NULL)
		given = secure_getenv("NAME");
	if (given != NULL)
		buf_add_str(out, str_of(given));
	else if ((pw = getpwuid(getuid())) != NULL && pw->pw_gecos != NULL)
		add_gecos(pw, out);
}
