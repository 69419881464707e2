/* A configuration goes through a channel and comes out the same. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"
#include "lib/proc/conf_wire.h"
#include "lib/rules/instance.h"

static struct loop *loop;
static struct config *got, *building;
static int result;

/* --- a configuration with one of everything --- */

static void
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

static void
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
static void
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

static void
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

static void
add_tls_reports(struct config *c)
{
	c->tls_reports = xcalloc(1, sizeof(*c->tls_reports));
	c->tls_reports->from = xstrdup("noreply@example.com");
	c->tls_reports->organization = xstrdup("Example");
	c->tls_reports->contact = xstrdup("tls@example.com");
}

static void
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

static void
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

static struct milter_socket
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
static void
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

static struct config *
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

/* --- the channel --- */

static void
take(uint16_t type, const void *msg)
{
	if (result == 0)
		result = conf_receive(&building, type, msg);
	if (result == 1) {
		got = building;
		building = NULL;
		loop_stop(loop);
	}
}

#define PARTS(C)                   \
	C(tell_conf)               \
	C(tell_conf_numbers)       \
	C(tell_conf_retry)         \
	C(tell_conf_server)        \
	C(tell_conf_table)         \
	C(tell_conf_milter)        \
	C(tell_conf_milter_socket) \
	C(tell_conf_milter_set)    \
	C(tell_conf_pki)           \
	C(tell_conf_cert)          \
	C(tell_conf_dnsbl)         \
	C(tell_conf_listener)      \
	C(tell_conf_client_ca)     \
	C(tell_conf_action)        \
	C(tell_conf_rule)          \
	C(tell_conf_cond)          \
	C(tell_conf_tls_reports)   \
	C(tell_conf_end)
#define HANDLER(name)                                                    \
	static void on_##name(                                           \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		(void)ctx;                                               \
		(void)ch;                                                \
		(void)id;                                                \
		take(TYPE_##name, msg);                                  \
	}
PARTS(HANDLER)
#define ROW(name) { TYPE_##name, on_##name },

static unsigned int nkeys;
static int key_fd = -1;

static void
on_key(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_conf_key *m = msg;
	(void)ctx;
	(void)ch;
	(void)id;
	ck_assert(str_eq(m->name, STR("/ec.key")));
	/* Behind its certificate. */
	ck_assert_uint_eq(building->npkis, 1);
	ck_assert_uint_eq(building->pkis[0].ncerts, 1);
	nkeys++;
	key_fd = m->key;
}

static const struct handler handlers[] = {
	PARTS(ROW){ TYPE_tell_conf_key, on_key }, { 0, NULL }
};

static void
send_over(const struct config *c, enum conf_secrets secrets)
{
	int pair[2];
	loop = loop_new();
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct channel *parent = channel_new(
	    loop, pair[0], &all_parent_edge, EDGE_B, NULL, NULL, NULL);
	struct channel *child = channel_new(
	    loop, pair[1], &all_parent_edge, EDGE_A, handlers, NULL, NULL);
	ck_assert_int_eq(conf_send(parent, c, secrets), 0);
	loop_run(loop);
	channel_free(&parent);
	channel_free(&child);
	loop_settle(loop);
	loop_free(&loop);
}

/* --- the same? --- */

static void
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		ck_assert_ptr_eq(a, b);
	else
		ck_assert_str_eq(a, b);
}

static void
same_table(const struct table *a, const struct table *b)
{
	if (a == NULL || b == NULL) {
		ck_assert_ptr_eq(a, b);
		return;
	}
	ck_assert_str_eq(table_name(a), table_name(b));
	ck_assert_uint_eq(table_count(a), table_count(b));
}

static void
same_sockets(const struct milter *a, const struct milter *b)
{
	ck_assert_uint_eq(a->nsockets, b->nsockets);
	for (size_t i = 0; i < a->nsockets; i++) {
		const struct milter_socket *x = &a->sockets[i];
		const struct milter_socket *y = &b->sockets[i];
		same_text(x->text, y->text);
		same_text(x->path, y->path);
		same_text(x->host, y->host);
		ck_assert_int_eq(x->ipv6, y->ipv6);
		ck_assert_int_eq(x->addr.family, y->addr.family);
		ck_assert(
		    x->addr.family == ADDR_NONE || addr_eq(&x->addr, &y->addr));
		ck_assert_uint_eq(x->port, y->port);
	}
}

static void
same_milters(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->nmilters, b->nmilters);
	for (size_t i = 0; i < a->nmilters; i++) {
		const struct milter *x = &a->milters[i], *y = &b->milters[i];
		ck_assert_uint_eq(x->id, y->id);
		ck_assert_uint_eq(x->line, y->line);
		same_text(x->name, y->name);
		ck_assert_int_eq(x->on_failure, y->on_failure);
		ck_assert_int_eq(x->shadow, y->shadow);
		ck_assert_int_eq(x->lock_step, y->lock_step);
		ck_assert_int_eq(x->after_queue, y->after_queue);
		ck_assert_uint_eq(x->connect_timeout, y->connect_timeout);
		ck_assert_uint_eq(x->command_timeout, y->command_timeout);
		ck_assert_uint_eq(x->content_timeout, y->content_timeout);
		ck_assert_uint_eq(x->total_timeout, y->total_timeout);
		ck_assert_uint_eq(x->connections, y->connections);
		ck_assert_uint_eq(x->failures, y->failures);
		ck_assert_uint_eq(x->rest, y->rest);
		same_sockets(x, y);
	}
}

static void
same_set(const struct milter_set *a, const struct milter_set *b)
{
	if (a == NULL || b == NULL) {
		ck_assert_ptr_eq(a, b);
		return;
	}
	ck_assert_uint_eq(a->id, b->id);
	ck_assert_uint_eq(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		ck_assert_uint_eq(a->members[i].step, b->members[i].step);
		ck_assert_str_eq(
		    a->members[i].milter->name, b->members[i].milter->name);
	}
}

static void
same_sets(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->nmilter_sets, b->nmilter_sets);
	for (size_t i = 0; i < a->nmilter_sets; i++) {
		same_set(&a->milter_sets[i], &b->milter_sets[i]);
		for (size_t k = 0; k < b->milter_sets[i].n; k++)
			ck_assert_ptr_eq(b->milter_sets[i].members[k].milter,
			    config_find_milter(b, str_of(a->milter_sets[i]
							     .members[k]
							     .milter->name)));
	}
	same_set(a->report_milters, b->report_milters);
}

static void
same_rules(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->nrules, b->nrules);
	for (size_t i = 0; i < a->nrules; i++) {
		const struct rule *x = &a->rules[i], *y = &b->rules[i];
		ck_assert_uint_eq(x->line, y->line);
		same_text(x->text, y->text);
		same_text(x->reply, y->reply);
		ck_assert_int_eq(x->verdict, y->verdict);
		if (x->action == NULL)
			ck_assert_ptr_null(y->action);
		else
			ck_assert_str_eq(x->action->name, y->action->name);
		same_set(x->milters, y->milters);
		ck_assert_uint_eq(x->nconds, y->nconds);
		for (size_t k = 0; k < x->nconds; k++) {
			ck_assert_int_eq(x->conds[k].kind, y->conds[k].kind);
			ck_assert_int_eq(
			    x->conds[k].negate, y->conds[k].negate);
			same_table(x->conds[k].table, y->conds[k].table);
			ck_assert_uint_eq(x->conds[k].dnsbl, y->conds[k].dnsbl);
			ck_assert_int_eq(x->conds[k].score, y->conds[k].score);
			if (x->conds[k].text != NULL)
				ck_assert_str_eq(
				    x->conds[k].text, y->conds[k].text);
		}
	}
}

static void
same_way(const struct action *x, const struct action *y)
{
	ck_assert_uint_eq(x->tls, y->tls);
	same_table(x->auth, y->auth);
	same_text(x->auth_label, y->auth_label);
	same_text(x->pki == NULL ? NULL : x->pki->name,
	    y->pki == NULL ? NULL : y->pki->name);
	ck_assert_uint_eq(x->nsources, y->nsources);
	for (size_t i = 0; i < x->nsources; i++)
		ck_assert(addr_eq(&x->sources[i], &y->sources[i]));
	same_text(x->command, y->command);
	ck_assert_uint_eq(x->timeout_ms, y->timeout_ms);
}

static void
same_tls_reports(const struct tls_reports *x, const struct tls_reports *y)
{
	ck_assert_ptr_nonnull(y);
	same_text(x->from, y->from);
	same_text(x->organization, y->organization);
	same_text(x->contact, y->contact);
}

static void
same_actions(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->nactions, b->nactions);
	for (size_t i = 0; i < a->nactions; i++) {
		const struct action *x = &a->actions[i], *y = &b->actions[i];
		ck_assert_uint_eq(x->id, y->id);
		ck_assert_uint_eq(x->line, y->line);
		ck_assert_int_eq(x->kind, y->kind);
		ck_assert_uint_eq(x->ttl_ms, y->ttl_ms);
		ck_assert_uint_eq(x->mx_port, y->mx_port);
		ck_assert_int_eq(x->vrfy, y->vrfy);
		same_text(x->name, y->name);
		same_text(x->hops, y->hops);
		same_text(x->helo, y->helo);
		same_text(x->path, y->path);
		same_text(x->base, y->base);
		same_text(x->user, y->user);
		same_table(x->routes, y->routes);
		same_way(x, y);
	}
}

static void
same_listeners(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->nlisteners, b->nlisteners);
	for (size_t i = 0; i < a->nlisteners; i++) {
		const struct listener *x = &a->listeners[i];
		const struct listener *y = &b->listeners[i];
		ck_assert_uint_eq(x->id, y->id);
		ck_assert_uint_eq(x->line, y->line);
		ck_assert(x->addr.family == ADDR_LOCAL ?
			      y->addr.family == ADDR_LOCAL :
			      addr_eq(&x->addr, &y->addr));
		ck_assert_uint_eq(x->port, y->port);
		ck_assert_uint_eq(x->max_size, y->max_size);
		ck_assert_uint_eq(x->flags, y->flags);
		same_text(x->path, y->path);
		same_text(x->hostname, y->hostname);
		same_text(x->tag, y->tag);
		same_set(x->milters, y->milters);
		same_table(x->no_milters_from, y->no_milters_from);
		same_table(x->auth, y->auth);
		same_table(x->senders, y->senders);
		same_table(x->xclient_from, y->xclient_from);
		same_table(x->proxy_from, y->proxy_from);
		same_table(x->no_delay_for, y->no_delay_for);
		ck_assert_uint_eq(x->greet_delay_ms, y->greet_delay_ms);
		same_text(x->client_ca, y->client_ca);
		ck_assert_uint_eq(x->npkis, y->npkis);
		for (size_t k = 0; k < x->npkis; k++)
			ck_assert_ptr_eq(y->pkis[k], &b->pkis[x->pkis[k]->id]);
	}
}

static void
same_front(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->npkis, b->npkis);
	for (size_t i = 0; i < a->npkis; i++) {
		const struct pki *x = &a->pkis[i], *y = &b->pkis[i];
		ck_assert_uint_eq(x->id, y->id);
		ck_assert_uint_eq(x->line, y->line);
		same_text(x->name, y->name);
		ck_assert_uint_eq(x->ncerts, y->ncerts);
		for (size_t k = 0; k < x->ncerts; k++) {
			same_text(x->certs[k].chain, y->certs[k].chain);
			ck_assert_ptr_null(y->certs[k].key_path);
		}
	}
	ck_assert_uint_eq(a->ndnsbls, b->ndnsbls);
	for (size_t i = 0; i < a->ndnsbls; i++)
		same_table(a->dnsbls[i], b->dnsbls[i]);
	same_table(a->allow_from, b->allow_from);
	same_table(a->deny_from, b->deny_from);
	same_text(a->deny_reply, b->deny_reply);
}

static void
same_servers(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->nservers, b->nservers);
	for (size_t i = 0; i < a->nservers; i++) {
		const struct server *x = &a->servers[i], *y = &b->servers[i];
		ck_assert(addr_eq(&x->addr, &y->addr));
		ck_assert_uint_eq(x->addr.scope, y->addr.scope);
		ck_assert_uint_eq(x->port, y->port);
		ck_assert_uint_eq(x->timeout_ms, y->timeout_ms);
		ck_assert_int_eq(x->trust_ad, y->trust_ad);
	}
}

static void
same_numbers(const struct config *a, const struct config *b)
{
	ck_assert_mem_eq(&a->limits, &b->limits, sizeof(a->limits));
	ck_assert_uint_eq(a->queue.nretry, b->queue.nretry);
	for (size_t i = 0; i < a->queue.nretry; i++)
		ck_assert_uint_eq(a->queue.retry_s[i], b->queue.retry_s[i]);
#define SAME(name, keyword, unit, def, min, max) \
	ck_assert_uint_eq(a->queue.name, b->queue.name);
	QUEUE_NUMBERS(SAME)
	ck_assert_uint_eq(a->ndelivers, b->ndelivers);
	for (size_t i = 0; i < a->ndelivers; i++) {
		ck_assert_uint_eq(a->delivers[i].set, b->delivers[i].set);
		ck_assert_mem_eq(&a->delivers[i].numbers,
		    &b->delivers[i].numbers, sizeof(struct deliver_numbers));
		same_table(a->delivers[i].domains, b->delivers[i].domains);
	}
}

START_TEST(round_trip)
{
	struct config *c = make_config();
	result = 0;
	send_over(c, CONF_NO_SECRETS);
	ck_assert_int_eq(result, 1);
	ck_assert_str_eq(c->hostname, got->hostname);
	same_text(c->domain, got->domain);
	same_text(c->postmaster, got->postmaster);
	same_text(c->submit_path, got->submit_path);
	same_text(c->dnssec_signed, got->dnssec_signed);
	same_text(c->dnssec_bogus, got->dnssec_bogus);
	same_tls_reports(c->tls_reports, got->tls_reports);
	same_numbers(c, got);
	same_servers(c, got);
	ck_assert_uint_eq(c->ntables, got->ntables);
	for (size_t i = 0; i < c->ntables; i++)
		same_table(c->tables[i], got->tables[i]);
	ck_assert(table_find(got->tables[0], STR("example.com"), NULL));
	same_front(c, got);
	same_listeners(c, got);
	same_actions(c, got);
	same_rules(c, got);
	same_milters(c, got);
	same_sets(c, got);
	same_table(c->bare_newline_except, got->bare_newline_except);
	config_unref(&c);
	config_unref(&got);
}

END_TEST

/* Who gets what of a configuration with a key and a password. */
START_TEST(secrets)
{
	static const struct {
		enum conf_secrets secrets;
		unsigned int nkeys;
		const char *value;
	} cases[] = {
		{ CONF_NO_SECRETS, 0, "" },
		{ CONF_KEYS, 1, "" },
		{ CONF_PASSWORDS, 0, "secret" },
	};
	struct config *c = make_config();
	struct str value;
	char text[4] = "";
	int pair[2];

	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_eq(write(pair[1], "key", 3), 3);
	close(pair[1]);
	c->pkis[0].certs[0].key_fd = pair[0];
	c->secret_fds = xcalloc(c->ntables + 2, sizeof(int));
	for (size_t i = 0; i < c->ntables; i++)
		c->secret_fds[i] = -1;
	/* Only the memfd of the second has a value. */
	add_table(c, "accounts", "luke", NULL);
	add_table(c, "full", "luke", "secret");
	c->ntables--;
	c->secret_fds[c->ntables - 1] = c->table_fds[c->ntables];
	table_free(&c->tables[c->ntables]);
	for (size_t i = 0; i < 3; i++) {
		result = 0;
		nkeys = 0;
		send_over(c, cases[i].secrets);
		ck_assert_int_eq(result, 1);
		ck_assert_uint_eq(nkeys, cases[i].nkeys);
		ck_assert(table_find(
		    got->tables[c->ntables - 1], STR("luke"), &value));
		ck_assert(str_eq(value, str_of(cases[i].value)));
		config_unref(&got);
	}
	ck_assert_int_eq(read(key_fd, text, sizeof(text)), 3);
	ck_assert_str_eq(text, "key");
	close(key_fd);
	config_unref(&c);
}

END_TEST

START_TEST(defaults_round_trip)
{
	struct config *c = config_new();
	result = 0;
	send_over(c, CONF_NO_SECRETS);
	ck_assert_int_eq(result, 1);
	same_numbers(c, got);
	ck_assert_ptr_null(got->domain);
	ck_assert_ptr_null(got->bare_newline_except);
	ck_assert_ptr_null(got->tls_reports);
	ck_assert_ptr_null(got->dnssec_signed);
	ck_assert_uint_eq(got->nrules, 0);
	config_unref(&c);
	config_unref(&got);
}

END_TEST

START_TEST(maildir_instances)
{
	struct config *c = config_new();
	static const char *const users[] = { "a", NULL, "b", "a", NULL };
	static const uint16_t expected[] = { 0, 1, 2, 0, 1 };
	c->nactions = 5;
	c->actions = xcalloc(c->nactions, sizeof(*c->actions));
	for (size_t i = 0; i < c->nactions; i++) {
		c->actions[i].kind = ACTION_MAILDIR;
		if (users[i] != NULL)
			c->actions[i].user = xstrdup(users[i]);
	}
	ck_assert_uint_eq(config_agent_count(c, ACTION_MAILDIR), 3);
	for (size_t i = 0; i < c->nactions; i++)
		ck_assert_uint_eq(
		    config_agent_instance(c, &c->actions[i]), expected[i]);
	config_unref(&c);
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_wire");
	TCase *tc = tcase_create("conf_wire");
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, secrets);
	tcase_add_test(tc, defaults_round_trip);
	tcase_add_test(tc, maildir_instances);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
