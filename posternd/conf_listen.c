/* `listen`: where mail comes in. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "posternd/conf_parse.h"
#include "posternd/conf_pki.h"

enum {
	SOCKET_PATH_MAX = 107,
	LISTENERS_MAX = 256,
	SMTP_PORT = 25,
	GREET_DELAY_MIN = 10, /* ms */
	GREET_DELAY_MAX = 60000
};

/* A listener in the making. */
struct making {
	struct listener listener;
};

/* on ADDRESS | on socket PATH */
static int
set_on(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_keyword path = { .offset =
					       offsetof(struct listener, path),
		.max = SOCKET_PATH_MAX };
	struct making *m = into;

	(void)k;
	if (conf_take_word(p, "socket")) {
		m->listener.addr.family = ADDR_LOCAL;
		m->listener.flags |= LISTENER_SUBMIT;
		return conf_set_path(p, &path, &m->listener);
	}
	return conf_take_address(
	    p, "an address or `socket'", &m->listener.addr);
}

static int
set_tag(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;
	struct str tag;

	(void)k;
	if (conf_take_name(p, "a tag", &tag) == -1)
		return -1;
	m->listener.tag = str_dup(tag);
	return 0;
}

static int
set_milters(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)k;
	m->listener.milters = conf_take_milters(p);
	return m->listener.milters == NULL ? -1 : 0;
}

/* no-milters [from SOURCES] */
static int
set_no_milters(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)k;
	if (!conf_take_word(p, "from")) {
		m->listener.flags |= LISTENER_NO_MILTERS;
		return 0;
	}
	m->listener.no_milters_from = conf_take_table(p, TABLE_FOR_SOURCE);
	return m->listener.no_milters_from == NULL ? -1 : 0;
}

static int
set_flag(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)p;
	m->listener.flags |= (uint32_t)k->value;
	return 0;
}

/* --- TLS --- */

static conf_parse_fn set_pki;

/* client-certificate [ca FILE] */
static int
set_client_cert(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;
	char *path;

	(void)k;
	m->listener.flags |= LISTENER_CLIENT_CERT;
	if (!conf_take_word(p, "ca"))
		return 0;
	m->listener.client_ca = conf_take_certs(p, &path);
	free(path);
	return m->listener.client_ca == NULL ? -1 : 0;
}

/* --- AUTH --- */

/* auth USERS [senders TABLE] [without-tls] */
static int
set_auth(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct listener *l = &((struct making *)into)->listener;

	(void)k;
	l->auth = conf_take_table(p, TABLE_FOR_AUTH);
	if (l->auth == NULL)
		return -1;
	if (conf_table_of(p, l->auth)->scram)
		l->flags |= LISTENER_SCRAM;
	if (conf_take_word(p, "senders")) {
		l->senders = conf_take_table(p, TABLE_FOR_SENDERS);
		if (l->senders == NULL)
			return -1;
	}
	if (conf_take_word(p, "without-tls"))
		l->flags |= LISTENER_AUTH_CLEAR;
	return 0;
}

/* --- who stands in front of us --- */

/* xclient from SOURCES */
static int
set_xclient(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)k;
	if (!conf_take_word(p, "from"))
		return conf_error(p, "expected `from' behind `xclient'");
	m->listener.xclient_from = conf_take_table(p, TABLE_FOR_SOURCE);
	return m->listener.xclient_from == NULL ? -1 : 0;
}

/* proxy-protocol [from SOURCES] */
static int
set_proxy(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)k;
	if (!conf_take_word(p, "from")) {
		m->listener.flags |= LISTENER_PROXY;
		return 0;
	}
	m->listener.proxy_from = conf_take_table(p, TABLE_FOR_SOURCE);
	return m->listener.proxy_from == NULL ? -1 : 0;
}

/* greet-delay TIME [flag] [except SOURCES] */
static int
set_greet_delay(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct listener *l = &((struct making *)into)->listener;

	(void)k;
	if (conf_take_time(
		p, GREET_DELAY_MIN, GREET_DELAY_MAX, &l->greet_delay_ms) == -1)
		return -1;
	if (conf_take_word(p, "flag"))
		l->flags |= LISTENER_GREET_FLAG;
	if (!conf_take_word(p, "except"))
		return 0;
	l->no_delay_for = conf_take_table(p, TABLE_FOR_SOURCE);
	return l->no_delay_for == NULL ? -1 : 0;
}

/* clang-format off */
static const struct conf_keyword listen_options[] = {
	CONF_OPTION("on", set_on),
	CONF_TEXT("port", conf_set_port, struct making, listener.port, 0),
	CONF_TEXT("hostname", conf_set_domain, struct making, listener.hostname, 255),
	CONF_OPTION("tag", set_tag),
	{ .name = "max-size", .parse = conf_set_size,
	    .offset = offsetof(struct making, listener.max_size),
	    .min = 65536, .max = UINT64_C(4294967296) },
	CONF_OPTION("pki", set_pki),
	CONF_CHOICE("tls-require", set_flag, LISTENER_TLS_REQUIRE),
	CONF_CHOICE("smtps", set_flag, LISTENER_SMTPS),
	CONF_OPTION("client-certificate", set_client_cert),
	CONF_OPTION("auth", set_auth),
	CONF_OPTION("xclient", set_xclient),
	CONF_OPTION("proxy-protocol", set_proxy),
	CONF_OPTION("greet-delay", set_greet_delay),
	CONF_OPTION("milters", set_milters),
	CONF_OPTION("no-milters", set_no_milters),
	CONF_CHOICE("no-rdns", set_flag, LISTENER_NO_RDNS),
	CONF_NO_MORE
};

/* clang-format on */

static int
set_pki(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)k;
	return conf_take_pkis(p, listen_options, &m->listener);
}

/* --- what goes together --- */

/* An option that means nothing at a socket of the file system; NULL: none is
 * there. */
static const char *
network_option(const struct listener *l)
{
	if (l->port != 0)
		return "port";
	if (l->npkis > 0)
		return "pki";
	if (l->auth != NULL)
		return "auth";
	if (l->xclient_from != NULL)
		return "xclient";
	if (l->proxy_from != NULL || (l->flags & LISTENER_PROXY) != 0)
		return "proxy-protocol";
	return l->greet_delay_ms > 0 ? "greet-delay" : NULL;
}

/* An option that needs TLS where there is none; NULL: none is there. */
static const char *
tls_option(const struct listener *l)
{
	if (l->npkis > 0)
		return NULL;
	if ((l->flags & LISTENER_SMTPS) != 0)
		return "smtps";
	if ((l->flags & LISTENER_TLS_REQUIRE) != 0)
		return "tls-require";
	return (l->flags & LISTENER_CLIENT_CERT) != 0 ? "client-certificate" :
							NULL;
}

static int
check_socket(struct conf_parser *p, const struct listener *l)
{
	if (network_option(l) != NULL)
		return conf_error(p, "a socket of the file system has no `%s'",
		    network_option(l));
	if ((l->flags & LISTENER_NO_RDNS) != 0)
		return conf_error(p, "whoever calls at a socket of the file "
				     "system has no name anyway");
	return 0;
}

static int
check_auth(struct conf_parser *p, const struct listener *l)
{
	bool clear = (l->flags & LISTENER_AUTH_CLEAR) != 0;

	if (clear && !addr_is_loopback(&l->addr))
		return conf_error(p, "`without-tls' on an address that is not "
				     "of loopback: passwords would go in the "
				     "clear");
	if (l->auth != NULL && l->npkis == 0 && !clear)
		return conf_error(p, "`auth' without a pki: passwords go over "
				     "TLS only");
	return 0;
}

static int
check_listener(struct conf_parser *p, const struct listener *l)
{
	if (l->addr.family == ADDR_NONE)
		return conf_error(p, "listen on which address or socket?");
	if ((l->flags & LISTENER_NO_MILTERS) != 0 && l->milters != NULL)
		return conf_error(p, "`milters' beside `no-milters'");
	if (tls_option(l) != NULL)
		return conf_error(p, "`%s' without a pki", tls_option(l));
	if (l->addr.family == ADDR_LOCAL)
		return check_socket(p, l);
	return check_auth(p, l);
}

static void
add_listener(struct conf_parser *p, struct config *c, struct listener *l)
{
	c->listeners = xreallocarray(
	    c->listeners, c->nlisteners + 1, sizeof(*c->listeners));
	conf_note(p, &p->listener_notes, c->nlisteners);
	l->id = l->slot = (uint32_t)c->nlisteners;
	c->listeners[c->nlisteners++] = *l;
}

int
conf_listen(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making m = { .listener = { .line = p->st->line } };
	struct config *c = into;
	int r;

	(void)k;
	r = conf_options(p, listen_options, &m, CONF_ONCE_A_STATEMENT);
	if (r == 0)
		r = check_listener(p, &m.listener);
	if (r == 0 && c->nlisteners == LISTENERS_MAX)
		r = conf_error(p, "more than %d listeners", LISTENERS_MAX);
	if (m.listener.addr.family == ADDR_LOCAL)
		m.listener.port = 0;
	else if (m.listener.port == 0)
		m.listener.port = SMTP_PORT;
	/* One that is half wrong counts too: there is a listener, but nobody
	 * is the same. */
	if (r == -1)
		m.listener.addr.family = ADDR_NONE;
	add_listener(p, c, &m.listener);
	return r;
}
