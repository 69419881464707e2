/* What the gateway is as a whole: control socket, users, workers, log. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/rules/hop.h"
#include "posternd/conf_parse.h"

enum {
	SOCKET_PATH_MAX = 107,
	WORKERS_MAX = 64,
	DIAL_GROUPS_MAX = 32,
	DIAL_NAMES_BYTES = DIAL_GROUPS_MAX * 65 /* with a blank each */
};

/* --- control PATH [group G] [view-group G] --- */

/* clang-format off */
static const struct conf_keyword control_options[] = {
	CONF_TEXT("group", conf_set_text, struct config, control_group, 64),
	CONF_TEXT("view-group", conf_set_text, struct config, control_view_group, 64),
	CONF_NO_MORE
};

/* clang-format on */

int
conf_control(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_keyword path = { .offset = offsetof(
					       struct config, control_path),
		.max = SOCKET_PATH_MAX };

	if (conf_once(p, k, 0) == -1)
		return -1;
	if (conf_set_path(p, &path, into) == -1)
		return -1;
	return conf_options(p, control_options, into, CONF_ONCE_A_FILE);
}

/* --- user U queue-user U ... --- */

static int set_dial_groups(
    struct conf_parser *p, const struct conf_keyword *k, void *into);

/* clang-format off */
static const struct conf_keyword user_options[] = {
	CONF_TEXT("user", conf_set_text, struct config, user, 64),
	CONF_TEXT("queue-user", conf_set_text, struct config, queue_user, 64),
	CONF_TEXT("smtpd-user", conf_set_text, struct config, smtpd_user, 64),
	CONF_TEXT("resolver-user", conf_set_text, struct config, resolver_user, 64),
	CONF_TEXT("delivery-user", conf_set_text, struct config, delivery_user, 64),
	CONF_TEXT("control-user", conf_set_text, struct config, control_user, 64),
	CONF_TEXT("dialer-user", conf_set_text, struct config, dialer_user, 64),
	CONF_TEXT("vault-user", conf_set_text, struct config, vault_user, 64),
	CONF_TEXT("fetch-user", conf_set_text, struct config, fetch_user, 64),
	CONF_TEXT("web-user", conf_set_text, struct config, web_user, 64),
	CONF_TEXT("dial-group", set_dial_groups, struct config, dial_groups, 0),
	CONF_NO_MORE
};

/* clang-format on */

/* Another name: a word that is no option of users, or a text. */
static bool
has_name(struct conf_parser *p)
{
	const struct conf_token *t = conf_peek_word(p);

	return t->kind == CONF_STRING || t->kind == CONF_MACRO ||
	       (t->kind == CONF_WORD &&
		   conf_find_keyword(user_options, t->text) == NULL);
}

/* dial-group NAME ... */
static int
set_dial_groups(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;
	struct buf names;
	struct str name;
	size_t n = 0;
	int r;

	(void)k;
	buf_init(&names, DIAL_NAMES_BYTES);
	do {
		r = conf_take_name(p, "the name of a group", &name);
		if (r == 0 && n++ == DIAL_GROUPS_MAX)
			r = conf_error(
			    p, "more than %d groups", DIAL_GROUPS_MAX);
		if (r == 0)
			buf_addf(&names, "%s%.*s", n > 1 ? " " : "",
			    (int)name.len, name.p);
	} while (r == 0 && has_name(p));
	if (r == 0)
		c->dial_groups = str_dup(buf_str(&names));
	buf_clear(&names);
	return r;
}

int
conf_users(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	(void)k;
	p->at = 0; /* the statement's own word is the first option */
	return conf_options(p, user_options, into, CONF_ONCE_A_FILE);
}

/* --- workers smtpd N delivery N --- */

static int
set_workers(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	uint64_t n;

	if (conf_take_count(p, 1, WORKERS_MAX, &n) == -1)
		return -1;
	*(uint32_t *)(void *)((char *)into + k->offset) = (uint32_t)n;
	return 0;
}

/* clang-format off */
static const struct conf_keyword worker_options[] = {
	CONF_TEXT("smtpd", set_workers, struct config, smtpd_workers, WORKERS_MAX),
	CONF_TEXT("delivery", set_workers, struct config, delivery_workers, WORKERS_MAX),
	CONF_NO_MORE
};

/* clang-format on */

/* A statement that is nothing but its options has to have one. */
static int
some_options(
    struct conf_parser *p, const struct conf_keyword *table, void *into)
{
	if (conf_at_end(p))
		return conf_error(p, "expected an option, not %s",
		    conf_kind_text(conf_peek(p)->kind));
	return conf_options(p, table, into, CONF_ONCE_A_FILE);
}

int
conf_workers(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	(void)k;
	return some_options(p, worker_options, into);
}

/* --- log stderr|syslog|file PATH, log format text|json --- */

static int
set_log_sink(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_keyword path = {
		.offset = offsetof(struct config, log_path), .max = 1024
	};
	struct config *c = into;

	if (p->has_log)
		return conf_error(p, "where the log goes is set already");
	p->has_log = true;
	c->log_kind = (enum log_kind)k->value;
	if (c->log_kind == LOG_KIND_FILE)
		return conf_set_path(p, &path, c);
	return 0;
}

static int
set_json(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;

	(void)p;
	c->log_json = k->value != 0;
	return 0;
}

/* clang-format off */
static const struct conf_keyword log_formats[] = {
	CONF_CHOICE("text", set_json, 0),
	CONF_CHOICE("json", set_json, 1),
	CONF_NO_MORE
};

/* clang-format on */

static int
set_log_format(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_keyword *format =
	    conf_take_keyword(p, log_formats, "log format");

	(void)k;
	return format == NULL ? -1 : format->parse(p, format, into);
}

/* clang-format off */
static const struct conf_keyword log_options[] = {
	CONF_CHOICE("stderr", set_log_sink, LOG_KIND_STDERR),
	CONF_CHOICE("syslog", set_log_sink, LOG_KIND_SYSLOG),
	CONF_CHOICE("file", set_log_sink, LOG_KIND_FILE),
	CONF_OPTION("format", set_log_format),
	CONF_NO_MORE
};

/* clang-format on */

int
conf_log(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	(void)k;
	return some_options(p, log_options, into);
}

/* --- resolver ADDRESS [port N] [timeout T] [trust-ad] --- */

/* clang-format off */
static const struct conf_keyword server_options[] = {
	CONF_TEXT("port", conf_set_port, struct server, port, 0),
	{ .name = "timeout", .parse = conf_set_time,
	    .offset = offsetof(struct server, timeout_ms),
	    .min = 100, .max = 60000 },
	CONF_TEXT("trust-ad", conf_set_true, struct server, trust_ad, 0),
	CONF_NO_MORE
};

/* clang-format on */

/* Nobody can be asked there, or he is asked already. */
static int
check_server(
    struct conf_parser *p, const struct config *c, const struct server *s)
{
	if (hop_is_unusable(&s->addr))
		return conf_error(p, "no name server can have that address");
	for (size_t i = 0; i < c->nservers; i++)
		if (addr_eq(&c->servers[i].addr, &s->addr) &&
		    c->servers[i].port == s->port)
			return conf_error(p, "the same name server twice");
	if (c->nservers == CONFIG_SERVERS_MAX)
		return conf_error(
		    p, "more than %d name servers", CONFIG_SERVERS_MAX);
	return 0;
}

int
conf_resolver(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct server s = { .port = SERVER_PORT,
		.timeout_ms = SERVER_TIMEOUT_MS };
	struct config *c = into;

	(void)k;
	if (conf_take_address(p, "an address", &s.addr) == -1 ||
	    conf_options(p, server_options, &s, CONF_ONCE_A_STATEMENT) == -1 ||
	    check_server(p, c, &s) == -1)
		return -1;
	c->servers[c->nservers++] = s;
	return 0;
}

/* --- http ADDRESS port N --- */

/* clang-format off */
static const struct conf_keyword http_options[] = {
	CONF_TEXT("port", conf_set_port, struct config, http_port, 0),
	CONF_LATER("allow-changes"),
	CONF_NO_MORE
};

/* clang-format on */

int
conf_http(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;
	uint32_t line = p->st->line;
	char text[ADDR_TEXT_MAX];

	c->http_port = 0;
	if (conf_take_address(p, "an address", &c->http_addr) == -1 ||
	    conf_options(p, http_options, c, CONF_ONCE_A_STATEMENT) == -1)
		return -1;
	if (c->http_port == 0)
		return conf_error(p, "`http' needs a `port'");
	if (conf_once(p, k, 0) == -1)
		return -1;
	if (!addr_is_loopback(&c->http_addr))
		conf_warn_at(p, p->st->source->name, line,
		    conf_order(p->st, line),
		    "`http' on %s: whoever reaches that address reads its "
		    "numbers, without TLS or password",
		    addr_format(&c->http_addr, text));
	return 0;
}
