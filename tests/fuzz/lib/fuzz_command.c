/* The command of an mda, behind its first line a recipient and a sender: its
 * words are no longer than what was written, and an address makes neither
 * another word nor an option of its own. */
#include <stdlib.h>
#include <string.h>

#include "lib/rules/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expand(const char *word, const struct command_values *v)
{
	struct fault why = { 0 };
	struct buf out;

	buf_init(&out, 4096);
	if (command_expand(str_of(word), v, &out, &why) == -1) {
		if (why.text[0] == '\0')
			abort();
	} else {
		for (size_t i = 0; i < out.len; i++)
			if (((unsigned char)out.p[i] < ' ' ||
				out.p[i] == 0x7f) &&
			    (out.p[i] == '\0' ||
				strchr(word, out.p[i]) == NULL))
				abort();
		if (out.len > 0 && out.p[0] == '-' && word[0] != '-')
			abort();
	}
	buf_clear(&out);
}

static void
ask(const struct command *c, struct str text, const struct command_values *v)
{
	size_t len = 0;

	if (c->n == 0 || c->n > COMMAND_WORDS_MAX || c->words[c->n] != NULL ||
	    c->words[0][0] != '/')
		abort();
	for (size_t i = 0; i < c->n; i++) {
		len += strlen(c->words[i]);
		if (command_check_variables(str_of(c->words[i]), NULL, NULL) ==
		    -1)
			abort();
		expand(c->words[i], v);
	}
	if (len > text.len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct str text = str_cut(&in, '\n');
	struct command_values v = { .rcpt = str_cut(&in, '\n'),
		.sender = in,
		.hostname = STR("mx.example.com") };
	struct fault why = { 0 };
	struct command c;

	if (command_parse(text, &c, &why) == 0)
		ask(&c, text, &v);
	else if (why.text[0] == '\0' || c.words != NULL)
		abort();
	command_clear(&c);
	return 0;
}
