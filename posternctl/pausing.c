/* pause, resume. */
#include <string.h>

#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

static const struct {
	const char *word;
	enum pause_what what;
	bool has_domain;
} whats[] = {
	{ "smtp", PAUSE_SMTP, false },
	{ "delivery", PAUSE_DELIVERY, false },
	{ "domain", PAUSE_DOMAIN, true },
};

enum { WHATS = sizeof(whats) / sizeof(whats[0]) };

/* Returns 0, or -1 when the words are not that (said). */
static int
parse(char **words, struct ask_pause *out)
{
	size_t i;

	for (i = 0; i < WHATS && strcmp(whats[i].word, words[0]) != 0; i++)
		continue;
	if (i == WHATS)
		return word_is_odd(words[0], false);
	out->what = (uint8_t)whats[i].what;
	words++;
	if (whats[i].has_domain) {
		if (*words == NULL)
			return word_is_odd(whats[i].word, true);
		out->domain = str_of(*words++);
	}
	if (*words != NULL && strcmp(*words, "reason") == 0) {
		if (words[1] == NULL)
			return word_is_odd(*words, true);
		out->reason = str_of(words[1]);
		words += 2;
	}
	return *words == NULL ? 0 : word_is_odd(*words, false);
}

static void
print_json(const struct ask_pause *m, const struct answer *a)
{
	struct json j = { .out = out_buf() };

	json_open(&j, '{');
	json_key_str(&j, "what", str_of(whats[m->what].word));
	if (m->domain.len > 0)
		json_key_str(&j, "domain", m->domain);
	json_key(&j, "paused");
	json_bool(&j, !m->resume);
	json_key_number(&j, "changed", a->changed);
	json_close(&j, '}');
	buf_add_char(j.out, '\n');
}

static void
print_text(const struct ask_pause *m, const struct answer *a)
{
	struct buf *out = out_buf();

	buf_addf(out, "%s", whats[m->what].word);
	if (m->domain.len > 0) {
		buf_add_char(out, ' ');
		text_add(out, m->domain);
	}
	if (m->resume)
		buf_addf(out, " goes on\n");
	else
		buf_addf(out, " %s\n",
		    a->changed > 0 ? "is paused" : "was paused already");
}

static int
run(const struct call *c, bool resume)
{
	struct ask_pause m = { .resume = resume };
	struct question q = { .type = TYPE_ask_pause, .msg = &m };
	struct answer answer;
	int status;

	if (parse(c->argv, &m) == -1)
		return command_usage(c);
	if (m.domain.len > 255 || m.reason.len > 512) {
		complain("%s is too long",
		    m.domain.len > 255 ? "the domain" : "the reason");
		return CTL_USAGE;
	}
	status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (status == CTL_DONE)
		(c->json ? print_json : print_text)(&m, &answer);
	return status;
}

int
do_pause(const struct call *c)
{
	return run(c, false);
}

int
do_resume(const struct call *c)
{
	return run(c, true);
}
