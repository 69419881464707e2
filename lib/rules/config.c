/* The compiled configuration: defaults, lifetime, look-ups. */
#include "lib/rules/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/rules/hop.h"

enum { WORKERS_DEFAULT_MAX = 8, RATE_PERIOD_DEFAULT = 60000 };

#define DEFAULT_size(into, name, def)  (into)->name = (def);
#define DEFAULT_count(into, name, def) (into)->name = (def);
#define DEFAULT_time(into, name, def)  (into)->name = (def);
#define DEFAULT_rate(into, name, def) \
	(into)->name = (def);         \
	(into)->name##_period = RATE_PERIOD_DEFAULT;

static void
limits_defaults(struct limits *l)
{
#define SET(name, keyword, unit, def, min, max) DEFAULT_##unit(l, name, def)
	LIMITS(SET)
#undef SET
#define SET(name, period) l->name##_period = (period);
	LIMIT_PERIODS(SET)
#undef SET
}

/* Five minutes, each wait 1.6 times the one before, at most four hours. */
static const uint32_t retry_defaults[] = { 300, 480, 780, 1260, 2040, 3300,
	5400, 8400, 13200, 14400 };

static void
queue_defaults(struct queue_settings *q)
{
#define SET(name, keyword, unit, def, min, max) DEFAULT_##unit(q, name, def)
	QUEUE_NUMBERS(SET)
#undef SET
	memcpy(q->retry_s, retry_defaults, sizeof(retry_defaults));
	q->nretry = sizeof(retry_defaults) / sizeof(retry_defaults[0]);
}

static void
deliver_defaults(struct deliver_numbers *d)
{
#define SET(name, keyword, unit, def, min, max) DEFAULT_##unit(d, name, def)
	DELIVER_NUMBERS(SET)
#undef SET
}

static char *
machine_name(void)
{
	char name[256];

	if (gethostname(name, sizeof(name)) == -1 || name[0] == '\0')
		return xstrdup("localhost");
	name[sizeof(name) - 1] = '\0';
	return xstrdup(name);
}

static uint32_t
workers_default(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus / 2 < 1)
		return 1;
	return cpus / 2 > WORKERS_DEFAULT_MAX ? WORKERS_DEFAULT_MAX :
						(uint32_t)(cpus / 2);
}

struct config *
config_new(void)
{
	struct config *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
	c->hostname = machine_name();
	c->spool = xstrdup("/var/spool/postern");
	c->control_path = xstrdup("/run/postern/postern.sock");
	c->user = xstrdup("_postern");
	c->queue_user = xstrdup("_posternq");
	c->smtpd_workers = c->delivery_workers = workers_default();
	c->log_kind = LOG_KIND_STDERR;
	limits_defaults(&c->limits);
	queue_defaults(&c->queue);
	return c;
}

struct config *
config_ref(struct config *c)
{
	assert(c->refs > 0);
	c->refs++;
	return c;
}

static void
free_texts(struct config *c)
{
	char *texts[] = { c->hostname, c->domain, c->spool, c->control_path,
		c->control_group, c->control_view_group, c->submit_path,
		c->user, c->queue_user, c->smtpd_user, c->resolver_user,
		c->delivery_user, c->control_user, c->dialer_user,
		c->vault_user, c->fetch_user, c->web_user, c->dial_groups,
		c->log_path, c->postmaster, c->deny_reply, c->ca_path,
		c->dnssec_signed, c->dnssec_bogus };
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
}

static void
free_listeners(struct config *c)
{
	size_t i;

	for (i = 0; i < c->nlisteners; i++) {
		free(c->listeners[i].path);
		free(c->listeners[i].hostname);
		free(c->listeners[i].tag);
		free(c->listeners[i].client_ca);
	}
	free(c->listeners);
}

static void
free_pkis(struct config *c)
{
	for (size_t i = 0; i < c->npkis; i++) {
		struct pki *pki = &c->pkis[i];

		for (size_t j = 0; j < pki->ncerts; j++) {
			free(pki->certs[j].chain);
			free(pki->certs[j].cert_path);
			free(pki->certs[j].key_path);
			if (pki->certs[j].key_fd > 0)
				close(pki->certs[j].key_fd);
		}
		free(pki->name);
	}
	free(c->pkis);
}

static void
free_actions(struct config *c)
{
	size_t i;

	for (i = 0; i < c->nactions; i++) {
		struct action *a = &c->actions[i];

		free(a->name);
		free(a->hops);
		free(a->helo);
		free(a->auth_label);
		free(a->path);
		free(a->base);
		free(a->command);
		free(a->user);
	}
	free(c->actions);
}

static void
free_rules(struct config *c)
{
	size_t i, j;

	for (i = 0; i < c->nrules; i++) {
		struct rule *r = &c->rules[i];

		for (j = 0; j < r->nconds; j++)
			free(r->conds[j].text);
		free(r->conds);
		free(r->text);
		free(r->reply);
	}
	free(c->rules);
}

static void
free_tables(struct config *c)
{
	size_t i;

	for (i = 0; i < c->ntables; i++) {
		table_free(&c->tables[i]);
		if (c->table_files != NULL)
			free(c->table_files[i]);
		if (c->table_fds != NULL && c->table_fds[i] != -1)
			close(c->table_fds[i]);
		if (c->secret_fds != NULL && c->secret_fds[i] != -1)
			close(c->secret_fds[i]);
	}
	free(c->tables);
	free(c->table_files);
	free(c->table_fds);
	free(c->secret_fds);
}

static void
free_lines(struct config *c)
{
	for (size_t i = 0; i < c->nlines; i++) {
		free(c->lines[i].where);
		free(c->lines[i].name);
		free(c->lines[i].text);
	}
	free(c->lines);
}

static void
free_milters(struct config *c)
{
	for (size_t i = 0; i < c->nmilters; i++) {
		struct milter *m = &c->milters[i];

		for (size_t j = 0; j < m->nsockets; j++) {
			free(m->sockets[j].text);
			free(m->sockets[j].path);
			free(m->sockets[j].host);
		}
		free(m->name);
	}
	free(c->milters);
	free(c->milter_sets);
}

static void
free_tls_reports(struct tls_reports *r)
{
	if (r == NULL)
		return;
	free(r->organization);
	free(r->contact);
	free(r->from);
	free(r);
}

void
config_unref(struct config **cp)
{
	struct config *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	assert(c->refs > 0);
	if (--c->refs > 0)
		return;
	free_texts(c);
	free_listeners(c);
	free_pkis(c);
	free_actions(c);
	free_rules(c);
	free_milters(c);
	free_tls_reports(c->tls_reports);
	free(c->delivers);
	free_tables(c);
	free_lines(c);
	free(c);
}

static char mx_name[] = CONFIG_MX_ACTION;
static const struct action mx_action = {
	.id = UINT32_MAX,
	.name = mx_name,
	.kind = ACTION_RELAY,
	.mx_port = HOP_PORT,
};

const struct action *
config_find_action(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->nactions; i++)
		if (str_eq(str_of(c->actions[i].name), name))
			return &c->actions[i];
	return str_eq(name, STR(CONFIG_MX_ACTION)) ? &mx_action : NULL;
}

const struct milter *
config_find_milter(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->nmilters; i++)
		if (str_eq(str_of(c->milters[i].name), name))
			return &c->milters[i];
	return NULL;
}

#define COPY_size(name)  out->name = from->name;
#define COPY_count(name) out->name = from->name;
#define COPY_time(name)  out->name = from->name;
#define COPY_rate(name)         \
	out->name = from->name; \
	out->name##_period = from->name##_period;

/* Takes the numbers that line sets and no earlier one has. */
static void
deliver_merge(const struct deliver_line *line, uint64_t *have,
    struct deliver_numbers *out)
{
	const struct deliver_numbers *from = &line->numbers;
	uint64_t take = line->set & ~*have, bit = 1;

#define TAKE(name, keyword, unit, def, min, max) \
	if (take & bit) {                        \
		COPY_##unit(name)                \
	}                                        \
	bit <<= 1;
	DELIVER_NUMBERS(TAKE)
#undef TAKE
	*have |= line->set;
}

void
config_deliver_numbers(
    const struct config *c, struct str domain, struct deliver_numbers *out)
{
	uint64_t have = 0;
	size_t i;

	deliver_defaults(out);
	for (i = 0; i < c->ndelivers; i++) {
		const struct deliver_line *line = &c->delivers[i];

		if (line->domains == NULL ||
		    table_find_domain(line->domains, domain, NULL))
			deliver_merge(line, &have, out);
	}
}

/* [192.0.2.1], [IPv6:2001:db8::1]: 0 when the domain is such a literal. */
static int
literal_parse(struct str domain, struct addr *out)
{
	if (domain.len < 2 || domain.p[0] != '[' ||
	    domain.p[domain.len - 1] != ']')
		return -1;
	domain = (struct str){ domain.p + 1, domain.len - 2 };
	if (str_starts_nocase(domain, STR("IPv6:")))
		domain = str_skip(domain, 5);
	return addr_parse(domain, out);
}

struct str
config_hops(const struct action *a, struct str domain, struct buf *out)
{
	struct str hops = str_of(a->hops);
	struct hop_addr at = { .port = a->mx_port };
	char text[HOP_TEXT_MAX];

	if (a->routes != NULL)
		return table_find_domain(a->routes, domain, &hops) ?
			   hops :
			   str_of(NULL);
	if (a->hops != NULL)
		return hops;
	buf_reset(out);
	if (literal_parse(domain, &at.addr) == 0) {
		buf_addf(out, "smtp://%s", hop_format(&at, text));
		return buf_str(out);
	}
	buf_add_str(out, STR("mx://"));
	for (size_t i = 0; i < domain.len; i++)
		buf_add_char(out, chr_lower(domain.p[i]));
	buf_addf(out, ":%u", a->mx_port);
	return buf_str(out);
}

static bool
hops_have_name(struct str hops)
{
	struct hop_url hop;
	struct str url;

	while (hop_url_next(&hops, &url))
		if (hop_url_parse(url, &hop, NULL) == 0 &&
		    (hop.kind == HOP_HOST || hop.kind == HOP_MX))
			return true;
	return false;
}

static bool
routes_have_name(void *ctx, struct str key, struct str value)
{
	(void)ctx;
	(void)key;
	return hops_have_name(value);
}

static bool
action_needs_names(const struct action *a)
{
	if (a->kind != ACTION_RELAY)
		return false;
	if (a->routes != NULL)
		return table_any(a->routes, routes_have_name, NULL);
	return a->hops == NULL || hops_have_name(str_of(a->hops));
}

static bool
rule_needs_names(const struct rule *r)
{
	for (size_t i = 0; i < r->nconds; i++)
		if (r->conds[i].kind == COND_RDNS ||
		    r->conds[i].kind == COND_FCRDNS ||
		    r->conds[i].kind == COND_HELO_PTR ||
		    r->conds[i].kind == COND_DNSBL)
			return true;
	return false;
}

static bool
milter_needs_names(const struct milter *m)
{
	for (size_t i = 0; i < m->nsockets; i++)
		if (m->sockets[i].host != NULL)
			return true;
	return false;
}

bool
config_needs_names(const struct config *c, struct fault *why)
{
	for (size_t i = 0; i < c->nmilters; i++)
		if (milter_needs_names(&c->milters[i])) {
			fault_set(why, FAULT_PERM, "milter `%s' (line %u)",
			    c->milters[i].name, c->milters[i].line);
			return true;
		}
	for (size_t i = 0; i < c->nactions; i++)
		if (action_needs_names(&c->actions[i])) {
			fault_set(why, FAULT_PERM, "action `%s' (line %u)",
			    c->actions[i].name, c->actions[i].line);
			return true;
		}
	for (size_t i = 0; i < c->nrules; i++)
		if (rule_needs_names(&c->rules[i])) {
			fault_set(why, FAULT_PERM, "the rule in line %u",
			    c->rules[i].line);
			return true;
		}
	return false;
}
