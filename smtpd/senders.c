/* Which addresses a user may send from: `listen ... senders TABLE'. */
#include "lib/mail/idna.h"
#include "lib/mail/path.h"
#include "smtpd/command.h"
#include "smtpd/session.h"

/* The next word of a list with blanks or commas between; false at its end. */
static bool
next_word(struct str *list, struct str *word)
{
	static const struct str separators = { " \t,", 3 };
	size_t from = 0, to;

	while (from < list->len &&
	       str_find(separators, list->p[from]) < separators.len)
		from++;
	to = from;
	while (to < list->len &&
	       str_find(separators, list->p[to]) == separators.len)
		to++;
	*word = str_head(str_skip(*list, from), to - from);
	*list = str_skip(*list, to);
	return word->len > 0;
}

/* An address, or @domain: all of that domain. */
static bool
is_his(struct str word, const struct path *from)
{
	struct path his;
	struct buf room;
	bool is;

	buf_init(&room, PATH_DOMAIN_MAX);
	if (word.p[0] == '@') {
		his = (struct path){ .domain = str_skip(word, 1) };
		his.local = from->local;
	} else if (path_split(word, &his) < 0)
		return false;
	is = idna_path(&his, &room) == 0 &&
	     str_eq_nocase(his.domain, from->domain) &&
	     str_eq_nocase(his.local, from->local);
	buf_clear(&room);
	return is;
}

static bool
may_send(const struct session *s, const struct path *from)
{
	struct str list, word;

	/* <>: what answers by itself, and reads receipts, has no other. */
	if (from->local.len == 0 && from->domain.len == 0)
		return true;
	if (!table_find(s->listener->senders, str_of(s->user), &list))
		return false;
	while (next_word(&list, &word))
		if (is_his(word, from))
			return true;
	return false;
}

enum stage
mail_rules(const struct session *s, struct command *c)
{
	if (s->user == NULL || s->listener->senders == NULL ||
	    may_send(s, &c->path))
		return STAGE_GO;
	return command_refuse(
	    c, "sender", "553 5.7.1 Sender address is not yours");
}
