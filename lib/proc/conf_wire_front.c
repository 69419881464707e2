/* The front door of a configuration on the wire: certificates, DNS lists,
 * listeners. */
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/proc/conf_wire_parts.h"

enum {
	/* Far beyond any real configuration. */
	PKIS_MAX = 65536,
	LISTENERS_MAX = 65536,
	PKI_IDS_BYTES = LISTENER_PKIS_MAX * sizeof(uint32_t)
};

/* --- certificates --- */

static int
send_certs(struct channel *ch, const struct pki *pki, enum conf_secrets secrets)
{
	for (size_t i = 0; i < pki->ncerts; i++) {
		const struct cert *cert = &pki->certs[i];
		struct tell_conf_cert m = { .chain = str_of(cert->chain) };
		struct tell_conf_key key = { .name = str_of(cert->key_path),
			.key = cert->key_fd };
		if (channel_tell(ch, TYPE_tell_conf_cert, &m, 0) == -1)
			return -1;
		if (secrets == CONF_KEYS && cert->key_fd > 0 &&
		    channel_tell(ch, TYPE_tell_conf_key, &key, 0) == -1)
			return -1;
	}
	return 0;
}

int
part_send_pkis(
    struct channel *ch, const struct config *c, enum conf_secrets secrets)
{
	for (size_t i = 0; i < c->npkis; i++) {
		const struct pki *pki = &c->pkis[i];
		struct tell_conf_pki m = { .id = (uint32_t)i,
			.line = pki->line,
			.name = str_of(pki->name) };
		if (channel_tell(ch, TYPE_tell_conf_pki, &m, 0) == -1 ||
		    send_certs(ch, pki, secrets) == -1)
			return -1;
	}
	return 0;
}

bool
part_has_all_certs(const struct config *c)
{
	return c->npkis == 0 || c->pkis[c->npkis - 1].ncerts > 0;
}

int
part_take_pki(struct config *c, const void *msg)
{
	const struct tell_conf_pki *m = msg;
	/* Listeners and actions point into the array: it may not move any
	 * more. */
	if (m->id != c->npkis || c->npkis >= PKIS_MAX || c->nlisteners > 0 ||
	    c->nactions > 0 || m->name.len == 0 || !part_has_all_certs(c))
		return -1;
	c->pkis = part_one_more(c->pkis, c->npkis, sizeof(struct pki));
	c->pkis[c->npkis++] = (struct pki){
		.id = m->id, .line = m->line, .name = str_dup(m->name)
	};
	return 0;
}

/* PEM, which is text. */
static bool
is_pem(struct str s)
{
	return s.len > 0 && memchr(s.p, '\0', s.len) == NULL;
}

int
part_take_cert(struct config *c, const void *msg)
{
	const struct tell_conf_cert *m = msg;
	if (c->npkis == 0 || c->nlisteners > 0 || c->nactions > 0 ||
	    !is_pem(m->chain))
		return -1;
	struct pki *pki = &c->pkis[c->npkis - 1];
	if (pki->ncerts == PKI_CERTS_MAX)
		return -1;
	pki->certs[pki->ncerts++].chain = str_dup(m->chain);
	return 0;
}

/* --- DNS lists --- */

int
part_send_dnsbls(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->ndnsbls; i++) {
		struct tell_conf_dnsbl m = { .table = part_table_id(
						 c, c->dnsbls[i]) };
		if (channel_tell(ch, TYPE_tell_conf_dnsbl, &m, 0) == -1)
			return -1;
	}
	return 0;
}

int
part_take_dnsbl(struct config *c, const void *msg)
{
	const struct tell_conf_dnsbl *m = msg;
	struct table *t;
	if (c->ndnsbls >= CONFIG_DNSBLS_MAX || c->nrules > 0 ||
	    part_table_of(c, m->table, &t) == -1 || t == NULL)
		return -1;
	c->dnsbls[c->ndnsbls++] = t;
	return 0;
}

/* --- listeners --- */

static struct str
put_pkis(const struct listener *l, uint8_t bytes[static PKI_IDS_BYTES])
{
	for (size_t i = 0; i < l->npkis; i++)
		put_le32(bytes + i * sizeof(uint32_t), l->pkis[i]->id);
	return (struct str){ (const char *)bytes, l->npkis * sizeof(uint32_t) };
}

static int
send_client_ca(struct channel *ch, const struct listener *l)
{
	struct tell_conf_client_ca m = { .pem = str_of(l->client_ca) };
	if (l->client_ca == NULL)
		return 0;
	return channel_tell(ch, TYPE_tell_conf_client_ca, &m, 0);
}

static int
send_listener(
    struct channel *ch, const struct config *c, const struct listener *l)
{
	char text[ADDR_TEXT_MAX];
	uint8_t pkis[PKI_IDS_BYTES];
	struct tell_conf_listener m = { .id = l->id,
		.line = l->line,
		.slot = l->slot,
		.port = l->port,
		.path = str_of(l->path),
		.hostname = str_of(l->hostname),
		.tag = str_of(l->tag),
		.max_size = l->max_size,
		.milters = part_set_id(l->milters),
		.no_milters_from = part_table_id(c, l->no_milters_from),
		.pkis = put_pkis(l, pkis),
		.auth = part_table_id(c, l->auth),
		.senders = part_table_id(c, l->senders),
		.xclient_from = part_table_id(c, l->xclient_from),
		.proxy_from = part_table_id(c, l->proxy_from),
		.no_delay_for = part_table_id(c, l->no_delay_for),
		.greet_delay_ms = l->greet_delay_ms,
		.flags = l->flags };
	if (l->addr.family != ADDR_LOCAL)
		m.address = str_of(addr_format(&l->addr, text));
	if (channel_tell(ch, TYPE_tell_conf_listener, &m, 0) == -1)
		return -1;
	return send_client_ca(ch, l);
}

int
part_send_listeners(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (send_listener(ch, c, &c->listeners[i]) == -1)
			return -1;
	return 0;
}

static int
take_pkis(const struct config *c, struct str bytes, struct listener *l)
{
	if (bytes.len % sizeof(uint32_t) != 0 || bytes.len > PKI_IDS_BYTES)
		return -1;
	for (size_t at = 0; at < bytes.len; at += sizeof(uint32_t)) {
		uint32_t id = get_le32((const uint8_t *)bytes.p + at);
		if (id >= c->npkis)
			return -1;
		l->pkis[l->npkis++] = &c->pkis[id];
	}
	if (l->npkis == 0 &&
	    (l->flags & (LISTENER_SMTPS | LISTENER_TLS_REQUIRE)) != 0)
		return -1;
	return 0;
}

static int
take_tables(const struct config *c, const struct tell_conf_listener *m,
    struct listener *l)
{
	const struct {
		uint32_t id;
		struct table **to;
	} tables[] = {
		{ m->no_milters_from, &l->no_milters_from },
		{ m->auth, &l->auth },
		{ m->senders, &l->senders },
		{ m->xclient_from, &l->xclient_from },
		{ m->proxy_from, &l->proxy_from },
		{ m->no_delay_for, &l->no_delay_for },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (part_table_of(c, tables[i].id, tables[i].to) == -1)
			return -1;
	return 0;
}

int
part_take_listener(struct config *c, const void *msg)
{
	const struct tell_conf_listener *m = msg;
	struct listener l = { .id = m->id,
		.line = m->line,
		.slot = m->slot,
		.addr = { .family = ADDR_LOCAL },
		.port = m->port,
		.max_size = m->max_size,
		.greet_delay_ms = m->greet_delay_ms,
		.flags = m->flags };
	if (m->id != c->nlisteners || c->nlisteners >= LISTENERS_MAX ||
	    !part_has_all_certs(c) ||
	    part_set_of(c, m->milters, &l.milters) == -1 ||
	    take_tables(c, m, &l) == -1 || take_pkis(c, m->pkis, &l) == -1)
		return -1;
	if (m->address.len > 0 ? addr_parse(m->address, &l.addr) == -1 :
				 m->path.len == 0)
		return -1;
	l.path = part_text_or_null(m->path);
	l.hostname = part_text_or_null(m->hostname);
	l.tag = part_text_or_null(m->tag);
	c->listeners =
	    part_one_more(c->listeners, c->nlisteners, sizeof(struct listener));
	c->listeners[c->nlisteners++] = l;
	return 0;
}

int
part_take_client_ca(struct config *c, const void *msg)
{
	const struct tell_conf_client_ca *m = msg;
	if (c->nlisteners == 0 || !is_pem(m->pem))
		return -1;
	struct listener *l = &c->listeners[c->nlisteners - 1];
	if (l->client_ca != NULL)
		return -1;
	l->client_ca = str_dup(m->pem);
	return 0;
}
