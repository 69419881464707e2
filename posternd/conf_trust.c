/* Whom the ways out trust, and what is told of it: `ca`, `dnssec`,
 * `tls-report`. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "posternd/conf_parse.h"
#include "posternd/conf_pki.h"

/* --- ca FILE --- */

int
conf_ca(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;
	struct fault why = { 0 };

	if (conf_once(p, k, 0) == -1)
		return -1;
	c->ca_path = conf_take_file(p);
	if (c->ca_path == NULL)
		return -1;
	if (conf_check_ca(c->ca_path, &why) == 0)
		return 0;
	p->at--;
	conf_error(p, "%s", why.text);
	conf_advance(p);
	return -1;
}

/* --- dnssec signed NAME [bogus NAME] --- */

/* The root, too: it is signed. */
static int
set_signed(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	if (!str_eq(conf_peek(p)->text, STR(".")))
		return conf_set_domain(p, k, into);
	conf_advance(p);
	return 0;
}

/* clang-format off */
static const struct conf_keyword dnssec_options[] = {
	CONF_TEXT("signed", set_signed, struct config, dnssec_signed, 255),
	CONF_TEXT("bogus", conf_set_domain, struct config, dnssec_bogus, 255),
	CONF_NO_MORE
};

/* clang-format on */

int
conf_dnssec(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	(void)k;
	if (conf_at_end(p))
		return conf_error(p, "expected `signed' or `bogus', not %s",
		    conf_kind_text(conf_peek(p)->kind));
	return conf_options(p, dnssec_options, into, CONF_ONCE_A_FILE);
}

/* --- tls-report from A organization T contact A --- */

/* clang-format off */
static const struct conf_keyword report_options[] = {
	CONF_TEXT("from", conf_set_address, struct tls_reports, from, 320),
	CONF_TEXT("organization", conf_set_text, struct tls_reports, organization, 255),
	CONF_TEXT("contact", conf_set_address, struct tls_reports, contact, 320),
	CONF_NO_MORE
};

/* clang-format on */

int
conf_tls_report(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;
	struct tls_reports *r;

	if (conf_once(p, k, 0) == -1)
		return -1;
	r = c->tls_reports = xcalloc(1, sizeof(*c->tls_reports));
	conf_note(p, &p->tls_report_note, 0);
	if (conf_options(p, report_options, r, CONF_ONCE_A_STATEMENT) == -1)
		return -1;
	if (r->from == NULL || r->organization == NULL || r->contact == NULL)
		return conf_error(p, "a tls-report needs `from', "
				     "`organization' and `contact'");
	return 0;
}
