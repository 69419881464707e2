#include "delivery/mda/expand.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "lib/rules/command.h"

enum {
	VARIABLES_MAX = 10,
	TEXT_MAX = 1048576 /* words, with their values, and the environment */
};

/* --- who we are --- */

static char *
text_or(const char *s, const char *other)
{
	return xstrdup(s == NULL || s[0] == '\0' ? other : s);
}

void
account_init(struct account *a)
{
	const struct passwd *pw = getpwuid(geteuid());

	a->name = text_or(pw == NULL ? NULL : pw->pw_name, "nobody");
	a->home = text_or(pw == NULL ? NULL : pw->pw_dir, "/");
	a->shell = text_or(pw == NULL ? NULL : pw->pw_shell, "/bin/sh");
}

void
account_clear(struct account *a)
{
	free(a->name);
	free(a->home);
	free(a->shell);
	*a = (struct account){ NULL, NULL, NULL };
}

/* --- texts behind each other, of which the offsets are kept --- */

struct places {
	size_t at[COMMAND_WORDS_MAX + VARIABLES_MAX];
	size_t n;
};

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static void
begin_text(const struct buf *b, struct places *p)
{
	p->at[p->n++] = b->len;
}

static void
add_variable(
    struct buf *b, struct places *p, const char *name, struct str value)
{
	begin_text(b, p);
	buf_add_str(b, str_of(name));
	buf_add_char(b, '=');
	buf_add_str(b, value);
	buf_add_char(b, '\0');
}

static int
add_words(struct buf *b, struct places *p, const struct command *c,
    const struct expand_values *v, struct fault *why)
{
	struct command_values values = {
		.rcpt = v->rcpt,
		.sender = v->sender,
		.hostname = v->hostname,
	};

	for (size_t i = 0; i < c->n; i++) {
		begin_text(b, p);
		if (command_expand(str_of(c->words[i]), &values, b, why) == -1)
			return -1;
		buf_add_char(b, '\0');
	}
	return 0;
}

static void
add_environment(struct buf *b, struct places *p, const struct account *who,
    const struct expand_values *v, const struct path *rcpt)
{
	struct str original = str_skip(v->orcpt, str_find(v->orcpt, ';') + 1);

	add_variable(b, p, "PATH", STR("/usr/bin:/bin"));
	add_variable(b, p, "HOME", str_of(who->home));
	add_variable(b, p, "USER", str_of(who->name));
	add_variable(b, p, "LOGNAME", str_of(who->name));
	add_variable(b, p, "SHELL", str_of(who->shell));
	add_variable(b, p, "SENDER", v->sender);
	add_variable(b, p, "RECIPIENT", v->rcpt);
	add_variable(b, p, "LOCAL", rcpt->local);
	add_variable(b, p, "DOMAIN", rcpt->domain);
	if (original.len > 0 && !has_control(original))
		add_variable(b, p, "ORIGINAL_RECIPIENT", original);
}

/* Pointers to n texts from place `from' on, ended by NULL. */
static char **
point(const struct buf *b, const struct places *p, size_t from, size_t n)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers it is */
	char **list = xreallocarray(NULL, n + 1, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = b->p + p->at[from + i];
	list[n] = NULL;
	return list;
}

int
expand(const char *command, const struct account *who,
    const struct expand_values *v, struct expanded *out, struct fault *why)
{
	struct places p = { .n = 0 };
	struct command c;
	struct path rcpt;
	size_t nwords;
	int rc;

	*out = (struct expanded){ NULL, NULL, { .max = TEXT_MAX } };
	if (has_control(v->rcpt) || has_control(v->sender) ||
	    path_split(v->rcpt, &rcpt) == -1)
		return fault_set(why, FAULT_PERM,
		    "the address cannot be given to a command");
	if (command_parse(str_of(command), &c, why) == -1) {
		why->class = FAULT_OURS;
		return -1;
	}
	nwords = c.n;
	rc = add_words(&out->text, &p, &c, v, why);
	command_clear(&c);
	if (rc == 0) {
		add_environment(&out->text, &p, who, v, &rcpt);
		if (out->text.failed)
			rc = fault_set(
			    why, FAULT_OURS, "the arguments are too long");
	}
	if (rc == -1) {
		expanded_clear(out);
		return -1;
	}
	out->argv = point(&out->text, &p, 0, nwords);
	out->envp = point(&out->text, &p, nwords, p.n - nwords);
	return 0;
}

void
expanded_clear(struct expanded *e)
{
	free(e->argv);
	free(e->envp);
	buf_clear(&e->text);
	e->argv = e->envp = NULL;
}
