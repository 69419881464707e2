/*
 * Every part has its writer (send_) and its reader (take_) next to each
 * other. Parts come in an order in which each refers to earlier ones only:
 * numbers, tables, filters and their sockets, sets of filters, certificates,
 * DNS lists, listeners, actions, rules and their conditions, the end.
 */
#include "lib/proc/conf_wire_parts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
	/* Bounds of what a configuration holds; far beyond any real one. */
	TABLES_MAX = 65536,
	ACTIONS_MAX = 65536,
	RULES_MAX = 1 << 20
};

/* --- help --- */

char *
part_text_or_null(struct str s)
{
	return s.len == 0 ? NULL : str_dup(s);
}

uint32_t
part_table_id(const struct config *c, const struct table *t)
{
	for (size_t i = 0; t != NULL && i < c->ntables; i++)
		if (c->tables[i] == t)
			return (uint32_t)i;
	return NO_ID;
}

int
part_table_of(const struct config *c, uint32_t id, struct table **out)
{
	*out = NULL;
	if (id == NO_ID)
		return 0;
	if (id >= c->ntables)
		return -1;
	*out = c->tables[id];
	return 0;
}

void *
part_one_more(void *array, size_t n, size_t size)
{
	if ((n & (n - 1)) == 0) /* 0, or a power of two: full */
		array = xreallocarray(array, n == 0 ? 1 : n * 2, size);
	memset((char *)array + n * size, 0, size);
	return array;
}

/* --- name servers --- */

static int
send_servers(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->nservers; i++) {
		char text[ADDR_TEXT_MAX];
		struct tell_conf_server m = {
			.address =
			    str_of(addr_format(&c->servers[i].addr, text)),
			.port = c->servers[i].port,
			.timeout_ms = (uint32_t)c->servers[i].timeout_ms,
			.trust_ad = c->servers[i].trust_ad,
		};
		if (channel_tell(ch, TYPE_tell_conf_server, &m, 0) == -1)
			return -1;
	}
	return 0;
}

static int
take_server(struct config *c, const void *msg)
{
	const struct tell_conf_server *m = msg;
	struct server *s = &c->servers[c->nservers];
	if (c->nservers >= CONFIG_SERVERS_MAX || m->port == 0 ||
	    m->timeout_ms == 0 || addr_parse(m->address, &s->addr) == -1)
		return -1;
	s->port = m->port;
	s->timeout_ms = m->timeout_ms;
	s->trust_ad = m->trust_ad != 0;
	c->nservers++;
	return 0;
}

/* --- tables --- */

static int
image_of(const struct config *c, size_t i, enum conf_secrets secrets)
{
	return secrets == CONF_PASSWORDS && c->secret_fds != NULL &&
		       c->secret_fds[i] != -1 ?
		   c->secret_fds[i] :
		   c->table_fds[i];
}

static int
send_tables(
    struct channel *ch, const struct config *c, enum conf_secrets secrets)
{
	for (size_t i = 0; i < c->ntables; i++) {
		struct tell_conf_table m = { .id = (uint32_t)i,
			.name = str_of(table_name(c->tables[i])),
			.image = image_of(c, i, secrets) };
		if (channel_tell(ch, TYPE_tell_conf_table, &m, 0) == -1)
			return -1;
	}
	return 0;
}

static int
take_table(struct config *c, const void *msg)
{
	const struct tell_conf_table *m = msg;
	struct fault why = { 0 };
	if (m->id != c->ntables || c->ntables >= TABLES_MAX)
		return -1;
	char *name = str_dup(m->name);
	struct table *t = table_open(m->image, name, &why);
	if (t == NULL)
		log_warn(NULL, "table", "name=%s why=%s", log_cstr(name),
		    log_cstr(why.text));
	free(name);
	if (t == NULL)
		return -1;
	c->tables =
	    part_one_more(c->tables, c->ntables, sizeof(struct table *));
	c->tables[c->ntables++] = t;
	return 0;
}

/* --- actions --- */

enum { SOURCE_BYTES = 17, SOURCES_BYTES = ACTION_SOURCES_MAX * SOURCE_BYTES };

static struct str
put_sources(const struct action *a, uint8_t bytes[static SOURCES_BYTES])
{
	for (size_t i = 0; i < a->nsources; i++) {
		uint8_t *at = bytes + i * SOURCE_BYTES;
		at[0] = a->sources[i].family;
		memcpy(at + 1, a->sources[i].bytes, SOURCE_BYTES - 1);
	}
	return (struct str){ (const char *)bytes, a->nsources * SOURCE_BYTES };
}

static int
send_actions(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *a = &c->actions[i];
		uint8_t sources[SOURCES_BYTES];
		struct tell_conf_action m = { .id = (uint32_t)i,
			.line = a->line,
			.name = str_of(a->name),
			.kind = (uint8_t)a->kind,
			.hops = str_of(a->hops),
			.routes = part_table_id(c, a->routes),
			.mx_port = a->mx_port,
			.vrfy = a->vrfy,
			.helo = str_of(a->helo),
			.path = str_of(a->path),
			.base = str_of(a->base),
			.user = str_of(a->user),
			.ttl_ms = a->ttl_ms,
			.tls = (uint8_t)a->tls,
			.auth = part_table_id(c, a->auth),
			.auth_label = str_of(a->auth_label),
			.pki = a->pki == NULL ? NO_ID : a->pki->id,
			.sources = put_sources(a, sources),
			.command = str_of(a->command),
			.timeout_ms = a->timeout_ms };
		if (channel_tell(ch, TYPE_tell_conf_action, &m, 0) == -1)
			return -1;
	}
	return 0;
}

static int
take_sources(struct str bytes, struct action *a)
{
	if (bytes.len % SOURCE_BYTES != 0 || bytes.len > SOURCES_BYTES)
		return -1;
	for (; bytes.len > 0; bytes = str_skip(bytes, SOURCE_BYTES)) {
		struct addr *to = &a->sources[a->nsources++];
		to->family = (uint8_t)bytes.p[0];
		memcpy(to->bytes, bytes.p + 1, SOURCE_BYTES - 1);
		if (to->family != ADDR_V4 && to->family != ADDR_V6)
			return -1;
	}
	return 0;
}

/* What it refers to. A label is one of a table. */
static int
take_links(
    const struct config *c, const struct tell_conf_action *m, struct action *a)
{
	if (part_table_of(c, m->routes, &a->routes) == -1 ||
	    part_table_of(c, m->auth, &a->auth) == -1 ||
	    (a->auth != NULL) != (m->auth_label.len > 0) ||
	    (m->pki != NO_ID && m->pki >= c->npkis))
		return -1;
	a->pki = m->pki == NO_ID ? NULL : &c->pkis[m->pki];
	return take_sources(m->sources, a);
}

static int
take_action(struct config *c, const void *msg)
{
	const struct tell_conf_action *m = msg;
	struct action a = { .id = m->id,
		.line = m->line,
		.kind = (enum action_kind)m->kind,
		.mx_port = m->mx_port,
		.vrfy = m->vrfy != 0,
		.tls = m->tls,
		.timeout_ms = m->timeout_ms,
		.ttl_ms = m->ttl_ms };
	/* Rules point into the array: it may not move any more. */
	if (m->id != c->nactions || c->nactions >= ACTIONS_MAX ||
	    c->nrules > 0 || m->name.len == 0 || !part_has_all_certs(c) ||
	    (a.kind == ACTION_MDA && m->command.len == 0) ||
	    take_links(c, m, &a) == -1)
		return -1;
	a.name = str_dup(m->name);
	a.hops = part_text_or_null(m->hops);
	a.helo = part_text_or_null(m->helo);
	a.auth_label = part_text_or_null(m->auth_label);
	a.path = part_text_or_null(m->path);
	a.base = part_text_or_null(m->base);
	a.command = part_text_or_null(m->command);
	a.user = part_text_or_null(m->user);
	c->actions =
	    part_one_more(c->actions, c->nactions, sizeof(struct action));
	c->actions[c->nactions++] = a;
	return 0;
}

/* --- rules --- */

static int
send_conditions(
    struct channel *ch, const struct config *c, const struct rule *r)
{
	for (size_t i = 0; i < r->nconds; i++) {
		const struct cond *k = &r->conds[i];
		struct tell_conf_cond m = { .kind = (uint8_t)k->kind,
			.negate = k->negate,
			.table = part_table_id(c, k->table),
			.text = str_of(k->text),
			.dnsbl = k->dnsbl,
			.score = (uint32_t)k->score };
		if (channel_tell(ch, TYPE_tell_conf_cond, &m, 0) == -1)
			return -1;
	}
	return 0;
}

static int
send_rules(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->nrules; i++) {
		const struct rule *r = &c->rules[i];
		struct tell_conf_rule m = { .line = r->line,
			.text = str_of(r->text),
			.verdict = (uint8_t)r->verdict,
			.action = r->action == NULL ?
				      NO_ID :
				      (uint32_t)(r->action - c->actions),
			.reply = str_of(r->reply),
			.milters = part_set_id(r->milters),
			.nconds = (uint32_t)r->nconds };
		if (channel_tell(ch, TYPE_tell_conf_rule, &m, 0) == -1 ||
		    send_conditions(ch, c, r) == -1)
			return -1;
	}
	return 0;
}

/* The rule whose conditions are still to come: while its array is not there,
 * nconds counts what has come of it. */
static bool
has_all_conditions(const struct config *c)
{
	if (c->nrules == 0)
		return true;
	const struct rule *r = &c->rules[c->nrules - 1];
	return r->nconds == 0 || r->conds[r->nconds - 1].text != NULL;
}

static int
take_rule(struct config *c, const void *msg)
{
	const struct tell_conf_rule *m = msg;
	bool names = m->action != NO_ID;
	bool takes =
	    m->verdict == VERDICT_ACTION || m->verdict == VERDICT_QUARANTINE;
	const struct milter_set *set;
	if (c->nrules >= RULES_MAX || !has_all_conditions(c) ||
	    (names && m->action >= c->nactions) || names != takes ||
	    part_set_of(c, m->milters, &set) == -1)
		return -1;
	c->rules = part_one_more(c->rules, c->nrules, sizeof(struct rule));
	c->rules[c->nrules++] = (struct rule){ .line = m->line,
		.text = str_dup(m->text),
		.conds = m->nconds == 0 ?
			     NULL :
			     xcalloc(m->nconds, sizeof(struct cond)),
		.nconds = m->nconds,
		.verdict = (enum verdict_kind)m->verdict,
		.action = names ? &c->actions[m->action] : NULL,
		.reply = part_text_or_null(m->reply),
		.milters = set };
	return 0;
}

static bool
needs_table(enum cond_kind kind)
{
	switch (kind) {
	case COND_FROM_SOURCE:
	case COND_FOR_DOMAIN:
	case COND_FOR_RCPT:
	case COND_MAIL_FROM:
	case COND_HELO:
	case COND_DNSBL:
		return true;
	case COND_FROM_ANY:
	case COND_FROM_LOCAL:
	case COND_FOR_ANY:
	case COND_RDNS:
	case COND_FCRDNS:
	case COND_HELO_PTR:
	case COND_TAG:
	case COND_FROM_AUTH:
	case COND_AUTH: /* may have one */
	case COND_TLS:
	case COND_EARLY_TALKER:
		break;
	}
	return false;
}

static bool
may_have_table(enum cond_kind kind)
{
	return needs_table(kind) || kind == COND_AUTH;
}

static int
take_condition(struct config *c, const void *msg)
{
	const struct tell_conf_cond *m = msg;
	enum cond_kind kind = (enum cond_kind)m->kind;
	struct table *t;
	if (part_table_of(c, m->table, &t) == -1 || has_all_conditions(c) ||
	    (t == NULL ? needs_table(kind) : !may_have_table(kind)) ||
	    (kind == COND_DNSBL &&
		(m->dnsbl >= c->ndnsbls || c->dnsbls[m->dnsbl] != t)))
		return -1;
	struct rule *r = &c->rules[c->nrules - 1];
	size_t i = 0;
	while (r->conds[i].text != NULL)
		i++;
	r->conds[i] = (struct cond){ .kind = kind,
		.negate = m->negate != 0,
		.table = t,
		.text = str_dup(m->text),
		.dnsbl = m->dnsbl,
		.score = (int32_t)m->score };
	return 0;
}

/* --- the whole --- */

static int
send_begin(struct channel *ch, const struct config *c)
{
	struct tell_conf m = { .hostname = str_of(c->hostname),
		.domain = str_of(c->domain),
		.postmaster = str_of(c->postmaster),
		.submit_path = str_of(c->submit_path),
		.dnssec_signed = str_of(c->dnssec_signed),
		.dnssec_bogus = str_of(c->dnssec_bogus) };
	return channel_tell(ch, TYPE_tell_conf, &m, 0);
}

static int
send_tls_reports(struct channel *ch, const struct config *c)
{
	const struct tls_reports *r = c->tls_reports;
	if (r == NULL)
		return 0;
	struct tell_conf_tls_reports m = {
		.organization = str_of(r->organization),
		.contact = str_of(r->contact),
		.from = str_of(r->from),
	};
	return channel_tell(ch, TYPE_tell_conf_tls_reports, &m, 0);
}

static int
take_tls_reports(struct config *c, const void *msg)
{
	const struct tell_conf_tls_reports *m = msg;
	if (c->tls_reports != NULL || m->organization.len == 0 ||
	    m->contact.len == 0 || m->from.len == 0)
		return -1;
	c->tls_reports = xcalloc(1, sizeof(*c->tls_reports));
	c->tls_reports->organization = str_dup(m->organization);
	c->tls_reports->contact = str_dup(m->contact);
	c->tls_reports->from = str_dup(m->from);
	return 0;
}

static int
send_end(struct channel *ch, const struct config *c)
{
	struct tell_conf_end m = {
		.report_milters = part_set_id(c->report_milters),
		.bare_newline_except = part_table_id(c, c->bare_newline_except),
		.allow_from = part_table_id(c, c->allow_from),
		.deny_from = part_table_id(c, c->deny_from),
		.deny_reply = str_of(c->deny_reply),
	};
	return channel_tell(ch, TYPE_tell_conf_end, &m, 0);
}

int
conf_send(struct channel *ch, const struct config *c, enum conf_secrets secrets)
{
	static const struct {
		int (*send)(struct channel *, const struct config *);
		/* what has secrets in it */
		int (*send_some)(
		    struct channel *, const struct config *, enum conf_secrets);
	} parts[] = {
		{ send_begin, NULL },
		{ part_send_numbers, NULL },
		{ part_send_retries, NULL },
		{ send_servers, NULL },
		{ NULL, send_tables },
		{ part_send_delivers, NULL },
		{ part_send_milters, NULL },
		{ part_send_sets, NULL },
		{ NULL, part_send_pkis },
		{ part_send_dnsbls, NULL },
		{ part_send_listeners, NULL },
		{ send_actions, NULL },
		{ send_rules, NULL },
		{ send_tls_reports, NULL },
		{ send_end, NULL },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if ((parts[i].send != NULL ?
			    parts[i].send(ch, c) :
			    parts[i].send_some(ch, c, secrets)) == -1)
			return -1;
	return 0;
}

static struct config *
take_begin(const struct tell_conf *m)
{
	/* Not config_new(): it asks the machine for defaults, which a jail
	 * does not allow, and all that a role looks at comes from the parent.
	 */
	struct config *c = xcalloc(1, sizeof(*c));
	c->refs = 1;
	c->hostname = str_dup(m->hostname);
	c->domain = part_text_or_null(m->domain);
	c->postmaster = part_text_or_null(m->postmaster);
	c->submit_path = part_text_or_null(m->submit_path);
	c->dnssec_signed = part_text_or_null(m->dnssec_signed);
	c->dnssec_bogus = part_text_or_null(m->dnssec_bogus);
	return c;
}

static int
take_end(struct config *c, const void *msg)
{
	const struct tell_conf_end *m = msg;
	if (!has_all_conditions(c) || !part_has_all_sockets(c) ||
	    c->queue.nretry == 0 ||
	    part_set_of(c, m->report_milters, &c->report_milters) == -1 ||
	    part_table_of(c, m->allow_from, &c->allow_from) == -1 ||
	    part_table_of(c, m->deny_from, &c->deny_from) == -1)
		return -1;
	c->deny_reply = part_text_or_null(m->deny_reply);
	return part_table_of(
	    c, m->bare_newline_except, &c->bare_newline_except);
}

int
conf_receive(struct config **building, uint16_t type, const void *msg)
{
	static const struct {
		uint16_t type;
		int (*take)(struct config *, const void *);
	} parts[] = {
		{ TYPE_tell_conf_numbers, part_take_numbers },
		{ TYPE_tell_conf_retry, part_take_retry },
		{ TYPE_tell_conf_server, take_server },
		{ TYPE_tell_conf_table, take_table },
		{ TYPE_tell_conf_milter, part_take_milter },
		{ TYPE_tell_conf_milter_socket, part_take_socket },
		{ TYPE_tell_conf_milter_set, part_take_set },
		{ TYPE_tell_conf_pki, part_take_pki },
		{ TYPE_tell_conf_cert, part_take_cert },
		{ TYPE_tell_conf_dnsbl, part_take_dnsbl },
		{ TYPE_tell_conf_listener, part_take_listener },
		{ TYPE_tell_conf_client_ca, part_take_client_ca },
		{ TYPE_tell_conf_action, take_action },
		{ TYPE_tell_conf_rule, take_rule },
		{ TYPE_tell_conf_cond, take_condition },
		{ TYPE_tell_conf_tls_reports, take_tls_reports },
		{ TYPE_tell_conf_end, take_end },
	};

	if (type == TYPE_tell_conf) {
		if (*building != NULL)
			return -1;
		*building = take_begin(msg);
		return 0;
	}
	for (size_t i = 0;
	     *building != NULL && i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].type != type)
			continue;
		if (parts[i].take(*building, msg) == -1)
			return -1;
		return type == TYPE_tell_conf_end ? 1 : 0;
	}
	return -1;
}
