/* A configuration with one of everything. */
#ifndef POSTERN_TESTS_UNIT_LIB_CONF_WHOLE_H
#define POSTERN_TESTS_UNIT_LIB_CONF_WHOLE_H

#include <check.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/rules/config.h"

static inline void
add_table(
    struct config *c, const char *name, const char *key, const char *value)
{
	struct fault why = { 0 };
	struct table_builder *b = table_builder_new(name);
	ck_assert_int_eq(table_builder_add(b, str_of(key), value, &why), 0);
	int fd = table_builder_seal(&b, &why);
	ck_assert_int_ge(fd, 0);
	size_t n = c->ntables++;
	c->tables = xreallocarray(c->tables, c->ntables, sizeof(*c->tables));
	c->table_fds =
	    xreallocarray(c->table_fds, c->ntables, sizeof(*c->table_fds));
	c->table_fds[n] = fd;
	c->tables[n] = table_open(dup(fd), name, &why);
	ck_assert_ptr_nonnull(c->tables[n]);
}

static inline void
add_listeners(struct config *c)
{
	c->nlisteners = 3;
	c->listeners = xcalloc(c->nlisteners, sizeof(*c->listeners));
	for (uint32_t i = 0; i < c->nlisteners; i++)
		c->listeners[i] = (struct listener){ .id = i, .line = 10 + i };
	ck_assert_int_eq(
	    addr_parse(STR("192.0.2.7"), &c->listeners[0].addr), 0);
	c->listeners[0].port = 25;
	c->listeners[0].hostname = xstrdup("mx.example.com");
	c->listeners[0].tag = xstrdup("outer");
	c->listeners[0].max_size = UINT64_C(5000000000);
	ck_assert_int_eq(
	    addr_parse(STR("2001:db8::1"), &c->listeners[1].addr), 0);
	c->listeners[1].port = 2525;
	c->listeners[2].addr.family = ADDR_LOCAL;
	c->listeners[2].path = xstrdup("/run/postern/submit.sock");
	c->listeners[2].flags = LISTENER_SUBMIT;
}

/* A pki of two certificates, one of one; lists of clients. */
static inline void
add_front(struct config *c)
{
	struct listener *l = c->listeners;

	c->npkis = 2;
	c->pkis = xcalloc(c->npkis, sizeof(*c->pkis));
	c->pkis[0] = (struct pki){ .id = 0,
		.line = 50,
		.name = xstrdup("mx"),
		.certs = { { .chain = xstrdup("EC PEM"),
			       .key_path = xstrdup("/ec.key") },
		    { .chain = xstrdup("RSA PEM") } },
		.ncerts = 2 };
	c->pkis[1] = (struct pki){ .id = 1,
		.line = 51,
		.name = xstrdup("other"),
		.certs = { { .chain = xstrdup("OTHER PEM") } },
		.ncerts = 1 };
	l[0].pkis[0] = &c->pkis[1];
	l[0].pkis[1] = &c->pkis[0];
	l[0].npkis = 2;
	l[0].client_ca = xstrdup("CA PEM");
	l[0].flags = LISTENER_SMTPS | LISTENER_CLIENT_CERT | LISTENER_SCRAM;
	l[0].auth = c->tables[0];
	l[0].senders = c->tables[1];
	l[1].xclient_from = c->tables[2];
	l[1].proxy_from = c->tables[2];
	l[1].no_delay_for = c->tables[2];
	l[1].greet_delay_ms = 2500;
	c->ndnsbls = 2;
	c->dnsbls[0] = c->tables[1];
	c->dnsbls[1] = c->tables[0];
	c->allow_from = c->tables[2];
	c->deny_from = c->tables[2];
	c->deny_reply = xstrdup("554 5.7.1 no");
}

static inline void
add_actions(struct config *c)
{
	c->nactions = 6;
	c->actions = xcalloc(c->nactions, sizeof(*c->actions));
	c->actions[0] = (struct action){ .id = 0,
		.line = 20,
		.name = xstrdup("inside"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtp://10.0.0.5:25 smtp://10.0.0.6:25"),
		.helo = xstrdup("out.example.com"),
		.ttl_ms = 86400000 };
	c->actions[1] = (struct action){ .id = 1,
		.line = 21,
		.name = xstrdup("mapped"),
		.kind = ACTION_RELAY,
		.routes = c->tables[1] };
	c->actions[2] = (struct action){ .id = 2,
		.line = 22,
		.name = xstrdup("box"),
		.kind = ACTION_MAILDIR,
		.path = xstrdup("/var/mail/%{rcpt.user}"),
		.base = xstrdup("/var/mail"),
		.user = xstrdup("vmail") };
	c->actions[3] = (struct action){ .id = 3,
		.line = 23,
		.name = xstrdup("out"),
		.kind = ACTION_RELAY,
		.mx_port = 2525,
		.vrfy = true };
	c->actions[4] = (struct action){ .id = 4,
		.line = 24,
		.name = xstrdup("hub"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtps://hub.example.com"),
		.tls = ACTION_TLS_REQUIRE | ACTION_TLS_UNVERIFIED,
		.auth = c->tables[1],
		.auth_label = xstrdup("hub"),
		.pki = &c->pkis[1],
		.nsources = ACTION_SOURCES_MAX };
	for (size_t i = 0; i < ACTION_SOURCES_MAX; i++) {
		char text[ADDR_TEXT_MAX];
		snprintf(
		    text, sizeof(text), i % 2 == 0 ? "10.0.0.%zu" : "::%zu", i);
		ck_assert_int_eq(
		    addr_parse(str_of(text), &c->actions[4].sources[i]), 0);
	}
	c->actions[5] = (struct action){ .id = 5,
		.line = 25,
		.name = xstrdup("pipe"),
		.kind = ACTION_MDA,
		.command = xstrdup("/bin/lda -d '%{rcpt}'"),
		.user = xstrdup("vmail"),
		.timeout_ms = UINT64_C(5000000000) };
}

static inline void
add_tls_reports(struct config *c)
{
	c->tls_reports = xcalloc(1, sizeof(*c->tls_reports));
	c->tls_reports->from = xstrdup("noreply@example.com");
	c->tls_reports->organization = xstrdup("Example");
	c->tls_reports->contact = xstrdup("tls@example.com");
}

static inline void
add_servers(struct config *c)
{
	static const char *const addresses[] = { "192.0.2.53", "fe80::53%7" };

	for (size_t i = 0; i < 2; i++) {
		struct server *s = &c->servers[c->nservers++];

		ck_assert_int_eq(addr_parse(str_of(addresses[i]), &s->addr), 0);
		s->port = (uint16_t)(53 + i);
		s->timeout_ms = 1500 + i;
		s->trust_ad = i == 1;
	}
}

static inline void
add_rules(struct config *c)
{
	c->nrules = 5;
	c->rules = xcalloc(c->nrules, sizeof(*c->rules));
	struct cond *k = xcalloc(3, sizeof(*k));
	k[0] = (struct cond){
		.kind = COND_FROM_SOURCE, .negate = true, .table = c->tables[2]
	};
	k[1] = (struct cond){ .kind = COND_TAG, .text = xstrdup("outer") };
	k[2] = (struct cond){ .kind = COND_FOR_DOMAIN, .table = c->tables[0] };
	c->rules[0] = (struct rule){ .line = 30,
		.text = xstrdup("match !from source ... action inside"),
		.conds = k,
		.nconds = 3,
		.verdict = VERDICT_ACTION,
		.action = &c->actions[0] };
	c->rules[1] = (struct rule){ .line = 31,
		.text = xstrdup("match from any reject"),
		.conds = xcalloc(1, sizeof(struct cond)),
		.nconds = 1,
		.verdict = VERDICT_REJECT,
		.reply = xstrdup("550 5.7.1 no") };
	c->rules[2] = (struct rule){ .line = 32,
		.text = xstrdup("match tempfail"),
		.verdict = VERDICT_TEMPFAIL };
	/* Conditions about the client's name have no table. */
	k = xcalloc(3, sizeof(*k));
	k[0].kind = COND_RDNS;
	k[1] = (struct cond){ .kind = COND_FCRDNS, .negate = true };
	k[2].kind = COND_HELO_PTR;
	c->rules[3] = (struct rule){ .line = 33,
		.text = xstrdup("match rdns !fcrdns helo-ptr reject"),
		.conds = k,
		.nconds = 3,
		.verdict = VERDICT_REJECT };
	k = xcalloc(6, sizeof(*k));
	k[0].kind = COND_FROM_AUTH;
	k[1].kind = COND_AUTH;
	k[2] = (struct cond){ .kind = COND_AUTH, .table = c->tables[0] };
	k[3] = (struct cond){ .kind = COND_DNSBL,
		.table = c->tables[0],
		.dnsbl = 1,
		.score = 7 };
	k[4] = (struct cond){
		.kind = COND_DNSBL, .table = c->tables[1], .score = INT32_MAX
	};
	k[5] = (struct cond){ .kind = COND_EARLY_TALKER, .negate = true };
	c->rules[4] = (struct rule){ .line = 34,
		.text = xstrdup("match from auth ... reject"),
		.conds = k,
		.nconds = 6,
		.verdict = VERDICT_REJECT };
}

static inline struct milter_socket
socket_of(const char *text, const char *path, const char *host, const char *at)
{
	struct milter_socket s = { .text = xstrdup(text) };

	if (path != NULL)
		s.path = xstrdup(path);
	if (host != NULL)
		s.host = xstrdup(host);
	if (at != NULL)
		ck_assert_int_eq(addr_parse(str_of(at), &s.addr), 0);
	s.port = path != NULL ? 0 : 8891;
	return s;
}

/* Two filters; a set of both side by side, one in a row, an empty one. */
static inline void
add_milters(struct config *c)
{
	c->nmilters = 2;
	c->milters = xcalloc(c->nmilters, sizeof(*c->milters));
	c->milters[0] = (struct milter){ .id = 0,
		.line = 40,
		.name = xstrdup("rspamd"),
		.on_failure = MILTER_FAIL_DISCONNECT,
		.shadow = true,
		.lock_step = true,
		.connect_timeout = 1,
		.command_timeout = 2,
		.content_timeout = 3,
		.total_timeout = UINT64_C(5000000000),
		.connections = 5,
		.failures = 6,
		.rest = 7,
		.nsockets = 3 };
	c->milters[0].sockets[0] =
	    socket_of("inet6:8891@2001:db8::7", NULL, NULL, "2001:db8::7");
	c->milters[0].sockets[1] =
	    socket_of("inet6:8891@f.example", NULL, "f.example", NULL);
	c->milters[0].sockets[1].ipv6 = true;
	c->milters[0].sockets[2] =
	    socket_of("unix:/run/f", "/run/f", NULL, NULL);
	c->milters[1] = (struct milter){ .id = 1,
		.line = 41,
		.name = xstrdup("dkim"),
		.after_queue = true,
		.nsockets = 1 };
	c->milters[1].sockets[0] =
	    socket_of("inet:8891@192.0.2.7", NULL, NULL, "192.0.2.7");
	c->nmilter_sets = 3;
	c->milter_sets = xcalloc(c->nmilter_sets, sizeof(*c->milter_sets));
	for (uint32_t i = 0; i < 2; i++)
		c->milter_sets[i] = (struct milter_set){ .id = i,
			.members = { { &c->milters[1], 0 },
			    { &c->milters[0], i } },
			.n = 2 };
	c->milter_sets[2].id = 2;
	c->listeners[0].milters = &c->milter_sets[1];
	c->listeners[1].no_milters_from = c->tables[2];
	c->rules[0].milters = &c->milter_sets[2];
	c->rules[0].verdict = VERDICT_QUARANTINE;
	c->report_milters = &c->milter_sets[0];
}

static inline struct config *
make_config(void)
{
	struct config *c = config_new();
	c->domain = xstrdup("example.com");
	c->postmaster = xstrdup("admin@example.com");
	c->submit_path = xstrdup("/run/postern/submit.sock");
	c->dnssec_signed = xstrdup("signed.example");
	c->dnssec_bogus = xstrdup("bogus.example");
	add_tls_reports(c);
	add_table(c, "domains", "example.com", NULL);
	add_table(c, "routes", "example.com", "smtp://10.0.0.9:25");
	add_table(c, "old", "192.0.2.0/24", NULL);
	c->limits.message_size = 12345678;
	c->limits.rate_per_source_period = 7000;
	c->queue.undo = 4711;
	c->queue.retry_s[0] = 1;
	c->queue.retry_s[1] = 60;
	c->queue.nretry = 2;
	c->ndelivers = 2;
	c->delivers = xcalloc(2, sizeof(*c->delivers));
	c->delivers[0].domains = c->tables[0];
	c->delivers[0].set = 5;
	c->delivers[0].numbers.concurrency = 3;
	c->delivers[0].numbers.rate = 100;
	c->delivers[1].set = 1;
	c->delivers[1].numbers.quit_timeout = 99;
	add_listeners(c);
	add_front(c);
	add_actions(c);
	add_rules(c);
	add_servers(c);
	add_milters(c);
	c->bare_newline_except = c->tables[2];
	return c;
}

#endif
