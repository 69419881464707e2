/* `allow`, `deny`: who comes in whatever else holds, and who never does. */
#include "posternd/conf_parse.h"
#include "posternd/conf_reply.h"

/* from SOURCES */
static int
take_sources(struct conf_parser *p, struct table **out)
{
	if (!conf_take_word(p, "from"))
		return conf_error(p, "expected `from'");
	*out = conf_take_table(p, TABLE_FOR_SOURCE);
	return *out == NULL ? -1 : 0;
}

int
conf_allow(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;

	if (conf_once(p, k, 0) == -1)
		return -1;
	return take_sources(p, &c->allow_from);
}

/* deny from SOURCES ["554 5.7.1 text"] */
int
conf_deny(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_token *t;
	struct config *c = into;

	if (conf_once(p, k, 0) == -1 || take_sources(p, &c->deny_from) == -1)
		return -1;
	t = conf_peek(p);
	if (t->kind != CONF_STRING && t->kind != CONF_MACRO)
		return 0;
	if (conf_parse_reply(p, t->text, "54", &c->deny_reply) == -1)
		return -1;
	conf_advance(p);
	return 0;
}
