/*
 * Addresses, domains and parameters: what is taken is kept in a form that
 * splits into the same again, within its bounds. Input: one byte (flags), the
 * argument.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "lib/mail/envelope.h"
#include "lib/mail/idna.h"
#include "lib/mail/param.h"
#include "lib/mail/path.h"
#include "lib/mail/xtext.h"

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

/* Nothing in it can end a line, and what goes out comes back as it was. */
static void
check_text(
    struct str s, struct str coded, int (*decode)(struct str, struct buf *))
{
	struct buf again;

	buf_init(&again, 10000);
	MUST(utf8_is_valid(s));
	for (size_t i = 0; i < s.len; i++)
		MUST((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
	for (size_t i = 0; i < coded.len; i++)
		MUST((unsigned char)coded.p[i] > 0x20 && coded.p[i] != 0x7f &&
		     coded.p[i] != '=');
	MUST(decode(coded, &again) == 0 && str_eq(buf_str(&again), s));
	buf_clear(&again);
}

static void
check_params(const struct params *p)
{
	struct buf s, coded;

	buf_init(&s, 1000);
	buf_init(&coded, 10000);
	MUST(xtext_decode(p->envid, &s) == 0 && s.len <= ENVELOPE_ENVID_MAX);
	xtext_add(&coded, buf_str(&s));
	check_text(buf_str(&s), buf_str(&coded), xtext_decode);
	for (int ascii = 0; ascii < 2 && p->orcpt.len > 0; ascii++) {
		buf_reset(&s);
		buf_reset(&coded);
		MUST(orcpt_decode(p->orcpt, &s) == 0 &&
		     s.len <= ENVELOPE_ORCPT_MAX);
		orcpt_add(&coded, buf_str(&s), ascii != 0);
		check_text(buf_str(&s), buf_str(&coded), orcpt_decode);
	}
	MUST(p->notify <= NOTIFY_ALL && param_flags(p) <= ENVELOPE_FLAGS_ALL);
	buf_clear(&s);
	buf_clear(&coded);
}

static void
check_idna(struct str domain)
{
	struct buf once, twice;

	buf_init(&once, PATH_DOMAIN_MAX);
	buf_init(&twice, PATH_DOMAIN_MAX);
	if (path_is_domain(domain, true) && idna_to_ascii(domain, &once) == 0) {
		MUST(path_is_domain(buf_str(&once), false));
		MUST(idna_to_ascii(buf_str(&once), &twice) == 0);
		MUST(str_eq(buf_str(&once), buf_str(&twice)));
	}
	buf_clear(&once);
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
		if (param_parse(rest, (data[0] & 16) ? PARAM_MAIL : PARAM_RCPT,
			&params) == PARAM_OK)
			check_params(&params);
		check_idna(p.domain);
	}
	if (path_split(in, &p) == 0 && utf8_is_valid(in))
		check_path(&p);
	if (param_parse(in, PARAM_MAIL, &params) == PARAM_OK)
		check_params(&params);
	if (param_parse(in, PARAM_RCPT, &params) == PARAM_OK)
		check_params(&params);
	check_idna(in);
	path_is_domain(in, (data[0] & 1) != 0);
	path_is_literal(in);
	return 0;
}
