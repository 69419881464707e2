/* The text of a configuration: every answer is a configuration or an error. */
#include <stdlib.h>
#include <string.h>

#include "posternd/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the roles ask of it. */
static void
ask(const struct config *c)
{
	struct deliver_numbers n;
	struct fault why;
	struct buf b;

	config_deliver_numbers(c, STR("example.com"), &n);
	if (config_needs_names(c, &why) && why.text[0] == '\0')
		abort();
	buf_init(&b, 1024);
	for (size_t i = 0; i < c->nactions; i++)
		if (c->actions[i].kind == ACTION_RELAY &&
		    config_hops(&c->actions[i], STR("example.com"), &b).len ==
			0 &&
		    c->actions[i].routes == NULL)
			abort();
	buf_clear(&b);
	if (c->nlisteners == 0 || c->submit_path == NULL)
		abort();
}

/* Files of this machine have no place here. */
static bool
names_files(struct str s)
{
	return memmem(s.p, s.len, "include", 7) != NULL ||
	       memmem(s.p, s.len, "file", 4) != NULL ||
	       memmem(s.p, s.len, "cert ", 5) != NULL ||
	       memmem(s.p, s.len, "ca ", 3) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct conf_define define = { STR("outside"), STR("{ \"a\" }") };
	struct conf_errors errors = { 0 };
	struct config *c;

	if (size == 0 || size > 65536 || names_files(text))
		return 0;
	c = conf_parse_text("fuzz", text, &define, 1, &errors);
	if ((c == NULL) != (errors.nerrors > 0))
		abort();
	if (c != NULL)
		ask(c);
	config_unref(&c);
	conf_errors_clear(&errors);
	return 0;
}
