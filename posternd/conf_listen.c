/* `listen`: where mail comes in. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "posternd/conf_parse.h"

enum { SOCKET_PATH_MAX = 107, LISTENERS_MAX = 256, SMTP_PORT = 25 };

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
set_no_rdns(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct making *m = into;

	(void)p;
	(void)k;
	m->listener.flags |= LISTENER_NO_RDNS;
	return 0;
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
	CONF_LATER("pki"),
	CONF_LATER("tls-require"),
	CONF_LATER("smtps"),
	CONF_LATER("auth"),
	CONF_LATER("xclient"),
	CONF_LATER("proxy-protocol"),
	CONF_OPTION("milters", set_milters),
	CONF_OPTION("no-milters", set_no_milters),
	CONF_OPTION("no-rdns", set_no_rdns),
	CONF_LATER("greet-delay"),
	CONF_NO_MORE
};

/* clang-format on */

static int
check_listener(struct conf_parser *p, struct making *m)
{
	if (m->listener.addr.family == ADDR_NONE)
		return conf_error(p, "listen on which address or socket?");
	if (m->listener.addr.family == ADDR_LOCAL && m->listener.port != 0)
		return conf_error(p, "a socket of the file system has no "
				     "port");
	if (m->listener.addr.family == ADDR_LOCAL &&
	    (m->listener.flags & LISTENER_NO_RDNS) != 0)
		return conf_error(p, "whoever calls at a socket of the file "
				     "system has no name anyway");
	if ((m->listener.flags & LISTENER_NO_MILTERS) != 0 &&
	    m->listener.milters != NULL)
		return conf_error(p, "`milters' beside `no-milters'");
	return 0;
}

static void
add_listener(struct conf_parser *p, struct config *c, struct listener *l)
{
	c->listeners = xreallocarray(
	    c->listeners, c->nlisteners + 1, sizeof(*c->listeners));
	conf_note(p, &p->listener_notes, c->nlisteners);
	l->id = (uint32_t)c->nlisteners;
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
		r = check_listener(p, &m);
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
