/* Whether two configurations say the same. */
#ifndef POSTERN_TESTS_UNIT_LIB_CONF_SAME_H
#define POSTERN_TESTS_UNIT_LIB_CONF_SAME_H

#include <check.h>

#include "lib/rules/config.h"

static inline void
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		ck_assert_ptr_eq(a, b);
	else
		ck_assert_str_eq(a, b);
}

static inline void
same_table(const struct table *a, const struct table *b)
{
	if (a == NULL || b == NULL) {
		ck_assert_ptr_eq(a, b);
		return;
	}
	ck_assert_str_eq(table_name(a), table_name(b));
	ck_assert_uint_eq(table_count(a), table_count(b));
}

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
same_tls_reports(const struct tls_reports *x, const struct tls_reports *y)
{
	ck_assert_ptr_nonnull(y);
	same_text(x->from, y->from);
	same_text(x->organization, y->organization);
	same_text(x->contact, y->contact);
}

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
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

#endif
