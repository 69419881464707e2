/* The text of a configuration: every answer is a configuration or an error. */
#include <stdlib.h>
#include <string.h>

#include "posternd/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Files of this machine have no place here. */
static bool
names_files(struct str s)
{
	return memmem(s.p, s.len, "include", 7) != NULL ||
	       memmem(s.p, s.len, "file", 4) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct conf_define define = { STR("outside"), STR("{ \"a\" }") };
	struct conf_errors errors = { 0 };
	struct deliver_numbers n;
	struct config *c;

	if (size == 0 || size > 65536 || names_files(text))
		return 0;
	c = conf_parse_text("fuzz", text, &define, 1, &errors);
	if ((c == NULL) != (errors.nerrors > 0))
		abort();
	if (c != NULL) {
		config_deliver_numbers(c, STR("example.com"), &n);
		if (c->nlisteners == 0 || c->submit_path == NULL)
			abort();
	}
	config_unref(&c);
	conf_errors_clear(&errors);
	return 0;
}
