#include "lib/rules/command.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"

/* --- variables --- */

enum variable { VAR_RCPT, VAR_USER, VAR_DOMAIN, VAR_SENDER, VAR_HOSTNAME };

const char *const command_variables[] = {
	[VAR_RCPT] = "rcpt",
	[VAR_USER] = "rcpt.user",
	[VAR_DOMAIN] = "rcpt.domain",
	[VAR_SENDER] = "sender",
	[VAR_HOSTNAME] = "hostname",
};
const size_t command_nvariables =
    sizeof(command_variables) / sizeof(command_variables[0]);

/* Its number, or command_nvariables. */
static size_t
find_variable(struct str name)
{
	size_t i = 0;

	while (i < command_nvariables &&
	       !str_eq(str_of(command_variables[i]), name))
		i++;
	return i;
}

/* Cuts what stands before the next %{, then its name, off *text. False: no
 * variable follows. *name.p is NULL when it is not closed. */
static bool
next_variable(struct str *text, struct str *before, struct str *name)
{
	size_t n = 0, end;

	while (n < text->len &&
	       !str_eq(str_head(str_skip(*text, n), 2), STR("%{")))
		n++;
	*before = str_head(*text, n);
	*text = str_skip(*text, n);
	if (text->len == 0)
		return false;
	end = str_find(*text, '}');
	*name = end == text->len ? (struct str){ NULL, 0 } :
				   str_head(str_skip(*text, 2), end - 2);
	*text = str_skip(*text, end + 1);
	return true;
}

int
command_check_variables(struct str text, struct str *unknown, struct fault *why)
{
	struct str before, name = STR("");

	if (unknown != NULL)
		*unknown = name;
	while (next_variable(&text, &before, &name)) {
		if (name.p == NULL)
			return fault_set(
			    why, FAULT_PERM, "`%%{' is not closed");
		if (find_variable(name) < command_nvariables)
			continue;
		if (unknown != NULL)
			*unknown = name;
		return fault_set(why, FAULT_PERM, "unknown `%%{%.*s}'",
		    (int)str_head(name, 60).len, name.p);
	}
	return 0;
}

/* --- words --- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word, without its quotes, to word. Returns 1, 0 at the end, or -1:
 * a quote is not closed. */
static int
next_word(struct str *text, struct buf *word)
{
	char quote = '\0';

	*text = str_trim(*text);
	if (text->len == 0)
		return 0;
	for (; text->len > 0; *text = str_skip(*text, 1)) {
		char c = text->p[0];

		if (quote == '\0' && is_blank(c))
			break;
		if (quote == '\0' ? c == '\'' || c == '"' : c == quote)
			quote = quote == '\0' ? c : '\0';
		else
			buf_add_char(word, c);
	}
	return quote == '\0' ? 1 : -1;
}

static int
add_word(struct command *c, struct str word, struct fault *why)
{
	if (c->n == COMMAND_WORDS_MAX)
		return fault_set(why, FAULT_PERM,
		    "the command has more than %d words", COMMAND_WORDS_MAX);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers it is */
	c->words = xreallocarray(c->words, c->n + 2, sizeof(*c->words));
	c->words[c->n++] = str_dup(word);
	c->words[c->n] = NULL;
	return command_check_variables(word, NULL, why);
}

static int
take_words(struct str text, struct command *out, struct fault *why)
{
	struct buf word;
	int r;

	buf_init(&word, COMMAND_BYTES_MAX);
	while ((r = next_word(&text, &word)) == 1) {
		if (add_word(out, buf_str(&word), why) == -1) {
			buf_clear(&word);
			return -1;
		}
		buf_reset(&word);
	}
	buf_clear(&word);
	return r == 0 ? 0 :
			fault_set(why, FAULT_PERM,
			    "a quote in the command is not closed");
}

static int
check_program(const struct command *c, struct fault *why)
{
	if (c->n == 0)
		return fault_set(why, FAULT_PERM, "the command is empty");
	if (c->words[0][0] != '/')
		return fault_set(why, FAULT_PERM,
		    "the command begins with `%.100s', which is not an "
		    "absolute path",
		    c->words[0]);
	if (strstr(c->words[0], "%{") != NULL)
		return fault_set(why, FAULT_PERM,
		    "what is run cannot be a matter of the mail: a variable "
		    "in the command's first word");
	return 0;
}

static bool
has_control(struct str s, bool but_tabs)
{
	for (size_t i = 0; i < s.len; i++)
		if (((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) &&
		    !(but_tabs && s.p[i] == '\t'))
			return true;
	return false;
}

int
command_parse(struct str text, struct command *out, struct fault *why)
{
	*out = (struct command){ .words = NULL };
	if (text.len > COMMAND_BYTES_MAX)
		return fault_set(why, FAULT_PERM,
		    "the command is longer than %d bytes", COMMAND_BYTES_MAX);
	if (has_control(text, true))
		return fault_set(why, FAULT_PERM,
		    "the command has a control character in it");
	if (take_words(text, out, why) == 0 && check_program(out, why) == 0)
		return 0;
	command_clear(out);
	return -1;
}

void
command_clear(struct command *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->words[i]);
	free(c->words);
	*c = (struct command){ .words = NULL };
}

/* --- values --- */

static int
add_value(struct str name, const struct command_values *v,
    const struct path *rcpt, struct buf *out)
{
	const struct str values[] = {
		[VAR_RCPT] = v->rcpt,
		[VAR_USER] = rcpt->local,
		[VAR_DOMAIN] = rcpt->domain,
		[VAR_SENDER] = v->sender,
		[VAR_HOSTNAME] = v->hostname,
	};
	size_t i = find_variable(name);

	if (i == command_nvariables || has_control(values[i], false))
		return -1;
	buf_add_str(out, values[i]);
	return 0;
}

int
command_expand(struct str word, const struct command_values *v, struct buf *out,
    struct fault *why)
{
	bool is_option = word.len > 0 && word.p[0] == '-';
	struct str before, name;
	struct path rcpt;
	size_t at = out->len;
	bool more;

	if (path_split(v->rcpt, &rcpt) == -1)
		return fault_set(why, FAULT_PERM, "the address is none");
	do {
		more = next_variable(&word, &before, &name);
		buf_add_str(out, before);
		if (more && add_value(name, v, &rcpt, out) == -1)
			return fault_set(why, FAULT_PERM,
			    "the address has a control character in it");
	} while (more);
	if (out->failed)
		return fault_set(
		    why, FAULT_PERM, "the command's arguments are too long");
	if (!is_option && out->len > at && out->p[at] == '-')
		return fault_set(why, FAULT_PERM,
		    "the address begins with a `-', which the command could "
		    "take for an option");
	return 0;
}
