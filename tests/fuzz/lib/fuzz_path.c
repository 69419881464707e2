/*
 * Addresses and parameters: what is taken is kept in a form that splits into
 * the same again, within its bounds. Input: one byte (flags), the argument.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "lib/mail/param.h"
#include "lib/mail/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_path(const struct path *p)
{
	struct path again;
	struct buf kept, twice;

	MUST(
	    p->local.len <= PATH_LOCAL_MAX && p->domain.len <= PATH_DOMAIN_MAX);
	buf_init(&kept, 1000);
	buf_init(&twice, 1000);
	path_format(p, &kept);
	MUST(!kept.failed && utf8_is_valid(buf_str(&kept)));
	for (size_t i = 0; i < kept.len; i++)
		MUST((unsigned char)kept.p[i] >= 0x20 && kept.p[i] != 0x7f);
	if (p->domain.len > 0 || p->local.len == 0) {
		MUST(path_split(buf_str(&kept), &again) == 0);
		MUST(str_eq(p->local, again.local));
		MUST(str_eq_nocase(p->domain, again.domain));
		path_format(&again, &twice);
		MUST(str_eq(buf_str(&kept), buf_str(&twice)));
	}
	buf_clear(&kept);
	buf_clear(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct path p;
	struct params params;
	struct str in, rest;

	if (size < 1 || size > 4096)
		return 0;
	in = (struct str){ (const char *)data + 1, size - 1 };
	if (path_parse(in, data[0] & 15U, &p, &rest) == PATH_OK) {
		check_path(&p);
		MUST(rest.len <= in.len);
		param_parse(
		    rest, (data[0] & 16) ? PARAM_MAIL : PARAM_RCPT, &params);
	}
	if (path_split(in, &p) == 0 && utf8_is_valid(in))
		check_path(&p);
	param_parse(in, PARAM_MAIL, &params);
	path_is_domain(in, (data[0] & 1) != 0);
	path_is_literal(in);
	return 0;
}
