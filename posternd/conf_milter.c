/* `milter`, and the sets of filters that listeners and rules name. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/rules/hop.h"
#include "posternd/conf_parse.h"

enum { PATH_BYTES_MAX = 107, TEXT_BYTES_MAX = 255, MILTERS_MAX = 1000 };

/* --- sockets, in libmilter's notation --- */

/* Does s start with this word and a colon? Then it goes on behind it. */
static bool
take_scheme(struct str *s, struct str scheme)
{
	if (!str_starts_nocase(*s, scheme))
		return false;
	*s = str_skip(*s, scheme.len);
	return true;
}

static int
parse_path(struct conf_parser *p, struct str s, struct milter_socket *out)
{
	if (s.len == 0 || s.p[0] != '/')
		return conf_error(p, "`%.*s' is not an absolute path",
		    (int)str_head(s, 200).len, s.p);
	if (s.len > PATH_BYTES_MAX)
		return conf_error(
		    p, "the path is longer than %d bytes", PATH_BYTES_MAX);
	out->path = str_dup(s);
	return 0;
}

/* PORT@HOST; the host a name, or an address, perhaps in brackets. */
static int
parse_inet(struct conf_parser *p, struct str s, struct milter_socket *out)
{
	size_t at = str_find(s, '@');
	struct str host = str_skip(s, at + 1);
	uint64_t port;

	if (at >= s.len || host.len == 0 ||
	    str_to_u64(str_head(s, at), 65535, &port) == -1 || port == 0)
		return conf_error(p, "expected PORT@HOST, not `%.*s'",
		    (int)str_head(s, 200).len, s.p);
	out->port = (uint16_t)port;
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = (struct str){ host.p + 1, host.len - 2 };
	/* By no name server (RFC 6761 6.3). */
	if (str_eq_nocase(host, STR("localhost")))
		host = out->ipv6 ? STR("::1") : STR("127.0.0.1");
	if (conf_parse_address(host, &out->addr) == 0) {
		if ((out->addr.family == ADDR_V6) == out->ipv6)
			return 0;
		return conf_error(p, "`%.*s' is not an IPv%c address",
		    (int)host.len, host.p, out->ipv6 ? '6' : '4');
	}
	out->addr.family = ADDR_NONE;
	if (!hop_is_host_name(host))
		return conf_error(p,
		    "`%.*s' is neither an address nor a host "
		    "name",
		    (int)str_head(host, 200).len, host.p);
	out->host = str_dup(host);
	return 0;
}

int
conf_parse_socket(
    struct conf_parser *p, struct str s, struct milter_socket *out)
{
	if (s.len > TEXT_BYTES_MAX)
		return conf_error(
		    p, "a socket has at most %d bytes", TEXT_BYTES_MAX);
	out->text = str_dup(s);
	if (take_scheme(&s, STR("unix:")) || take_scheme(&s, STR("local:")) ||
	    (s.len > 0 && s.p[0] == '/'))
		return parse_path(p, s, out);
	out->ipv6 = take_scheme(&s, STR("inet6:"));
	if (out->ipv6 || take_scheme(&s, STR("inet:")))
		return parse_inet(p, s, out);
	return conf_error(p,
	    "expected `unix:PATH', `local:PATH', `inet:PORT@HOST' or "
	    "`inet6:PORT@HOST', not `%.*s'",
	    (int)str_head(s, 200).len, s.p);
}

static int
set_socket(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct milter *m = into;
	struct str s;
	int r;

	(void)k;
	if (conf_take_text(p, "a socket", &s) == -1)
		return -1;
	p->at--; /* errors name its line */
	for (size_t i = 0; i < m->nsockets; i++)
		if (str_eq(str_of(m->sockets[i].text), s))
			return conf_error(p, "the same socket twice");
	if (m->nsockets == MILTER_SOCKETS_MAX)
		return conf_error(
		    p, "more than %d sockets", MILTER_SOCKETS_MAX);
	r = conf_parse_socket(p, s, &m->sockets[m->nsockets++]);
	if (r == 0)
		conf_advance(p);
	return r;
}

/* --- the other options --- */

static int
set_failure(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct milter *m = into;

	(void)p;
	m->on_failure = (enum milter_failure)k->value;
	return 0;
}

/* clang-format off */
static const struct conf_keyword failures[] = {
	CONF_CHOICE("tempfail", set_failure, MILTER_FAIL_TEMPFAIL),
	CONF_CHOICE("accept", set_failure, MILTER_FAIL_ACCEPT),
	CONF_CHOICE("reject", set_failure, MILTER_FAIL_REJECT),
	CONF_CHOICE("quarantine", set_failure, MILTER_FAIL_QUARANTINE),
	CONF_CHOICE("disconnect", set_failure, MILTER_FAIL_DISCONNECT),
	CONF_NO_MORE
};

/* clang-format on */

static int
set_on_failure(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	const struct conf_keyword *word =
	    conf_take_keyword(p, failures, "word behind `on-failure'");

	(void)k;
	return word == NULL ? -1 : word->parse(p, word, into);
}

static int
set_phase(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct milter *m = into;

	(void)k;
	m->after_queue = true;
	return conf_take_word(p, "queue") ?
		   0 :
		   conf_error(p, "expected `queue' behind `phase'");
}

static int
set_u32(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	uint64_t n;

	if (conf_take_count(p, k->min, k->max, &n) == -1)
		return -1;
	*(uint32_t *)(void *)((char *)into + k->offset) = (uint32_t)n;
	return 0;
}

/* clang-format off */
static const struct conf_keyword options[] = {
	{ .name = "socket", .parse = set_socket, .again = true },
	CONF_OPTION("on-failure", set_on_failure),
	CONF_TEXT("shadow", conf_set_true, struct milter, shadow, 0),
	CONF_TEXT("lock-step", conf_set_true, struct milter, lock_step, 0),
	CONF_OPTION("phase", set_phase),
	CONF_NUMBER("connect-timeout", conf_set_time, struct milter, connect_timeout, 10, 3600000),
	CONF_NUMBER("command-timeout", conf_set_time, struct milter, command_timeout, 10, 3600000),
	CONF_NUMBER("content-timeout", conf_set_time, struct milter, content_timeout, 10, 3600000),
	CONF_NUMBER("total-timeout", conf_set_time, struct milter, total_timeout, 10, 3600000),
	CONF_NUMBER("connections", set_u32, struct milter, connections, 1, 100000),
	CONF_NUMBER("failures", set_u32, struct milter, failures, 1, 100000),
	CONF_NUMBER("rest", conf_set_time, struct milter, rest, 10, 86400000),
	CONF_NO_MORE
};

/* clang-format on */

/* --- the statement --- */

static int
check_milter(struct conf_parser *p, const struct milter *m)
{
	if (m->nsockets == 0)
		return conf_error(p, "a milter needs a `socket'");
	if (m->after_queue && m->on_failure == MILTER_FAIL_DISCONNECT)
		return conf_error(p, "`disconnect' in `phase queue': nobody "
				     "is connected by then");
	return 0;
}

int
conf_milter(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct milter m = { .line = p->st->line,
		.connect_timeout = 30000,
		.command_timeout = 30000,
		.content_timeout = 300000,
		.total_timeout = 600000,
		.connections = 1000,
		.failures = 5,
		.rest = 30000 };
	struct config *c = into;
	const struct milter *same;
	struct str name;
	int r;

	(void)k;
	if (conf_take_name(p, "the name of a milter", &name) == -1)
		return -1;
	same = config_find_milter(c, name);
	if (same != NULL)
		return conf_error(p, "milter `%s' is there already, in %s:%u",
		    same->name, p->milter_notes[same->id].file, same->line);
	if (c->nmilters == MILTERS_MAX)
		return conf_error(p, "more than %d milters", MILTERS_MAX);
	r = conf_options(p, options, &m, CONF_ONCE_A_STATEMENT);
	if (r == 0)
		r = check_milter(p, &m);
	/* One that is half wrong is there too: its name is not unknown. */
	m.id = (uint32_t)c->nmilters;
	m.name = str_dup(name);
	c->milters =
	    xreallocarray(c->milters, c->nmilters + 1, sizeof(*c->milters));
	conf_note(p, &p->milter_notes, c->nmilters);
	c->milters[c->nmilters++] = m;
	return r;
}

/* --- sets: { a, { b, c }, d } --- */

static int
unknown_milter(struct conf_parser *p, struct str name)
{
	const struct config *c = p->config;
	const char **names = xcalloc(c->nmilters + 1, sizeof(*names));

	for (size_t i = 0; i < c->nmilters; i++)
		names[i] = c->milters[i].name;
	conf_error(p, "unknown milter `%.*s'%s", (int)name.len, name.p,
	    conf_nearest_name(name, names, c->nmilters));
	free(names);
	return -1;
}

static int
take_member(struct conf_parser *p, struct milter_set *set, uint32_t step)
{
	const struct milter *m;
	struct str name;

	if (conf_take_name(p, "the name of a milter", &name) == -1)
		return -1;
	p->at--; /* errors name its line */
	m = config_find_milter(p->config, name);
	if (m == NULL)
		return unknown_milter(p, name);
	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].milter == m)
			return conf_error(
			    p, "milter `%s' twice in one set", m->name);
	if (set->n == MILTER_SET_MAX)
		return conf_error(
		    p, "more than %d milters in one set", MILTER_SET_MAX);
	set->members[set->n++] = (struct milter_member){ m, step };
	p->milter_notes[m->id].used = true;
	conf_advance(p);
	return 0;
}

/* Behind the group that begins with that member: its end. */
static int
end_group(struct conf_parser *p, const struct milter_set *set, size_t first)
{
	if (first == set->n)
		return conf_error(p, "a group without a milter");
	for (size_t i = first + 1; i < set->n; i++)
		if (set->members[i].milter->after_queue !=
		    set->members[first].milter->after_queue)
			return conf_error(p,
			    "`%s' and `%s' cannot be asked side by side: one "
			    "is `phase queue'",
			    set->members[first].milter->name,
			    set->members[i].milter->name);
	return 0;
}

/* A brace, or a name; *group is the first member of the group that is open,
 * SIZE_MAX: none. 1: the set is at its end. */
static int
take_part(struct conf_parser *p, struct milter_set *set, uint32_t *step,
    size_t *group)
{
	switch (conf_peek_word(p)->kind) {
	case CONF_OPEN:
		if (*group != SIZE_MAX)
			return conf_error(p, "a group in a group");
		*group = set->n;
		break;
	case CONF_CLOSE:
		if (*group == SIZE_MAX)
			return 1;
		if (end_group(p, set, *group) == -1)
			return -1;
		*group = SIZE_MAX;
		++*step;
		break;
	case CONF_COMMA:
	case CONF_EOL:
		break;
	case CONF_WORD:
	case CONF_STRING:
	case CONF_MACRO:
	case CONF_EQUALS:
	case CONF_NOT:
	case CONF_END:
	case CONF_BAD:
		if (take_member(p, set, *step) == -1)
			return -1;
		*step += *group == SIZE_MAX;
		return 0;
	}
	conf_advance(p);
	return 0;
}

/* The one that has these members already, else a new one. */
static const struct milter_set *
keep_set(struct conf_parser *p, const struct milter_set *set)
{
	struct config *c = p->config;
	struct milter_set *s;

	for (size_t i = 0; i < c->nmilter_sets; i++) {
		s = &c->milter_sets[i];
		size_t same = 0;
		while (same < set->n && same < s->n &&
		       s->members[same].milter == set->members[same].milter &&
		       s->members[same].step == set->members[same].step)
			same++;
		if (same == set->n && same == s->n)
			return s;
	}
	/* A statement has one at most; they are pointed at, and may not
	 * move. */
	if (c->milter_sets == NULL)
		c->milter_sets =
		    xcalloc(p->nstatements, sizeof(*c->milter_sets));
	s = &c->milter_sets[c->nmilter_sets];
	*s = *set;
	s->id = (uint32_t)c->nmilter_sets++;
	return s;
}

/* Past the rest of a set that is wrong: it may go over lines. */
static void
skip_set(struct conf_parser *p, int depth)
{
	enum conf_kind kind;

	for (; depth > 0 && (kind = conf_peek(p)->kind) != CONF_END;
	     conf_advance(p))
		depth += (kind == CONF_OPEN) - (kind == CONF_CLOSE);
}

const struct milter_set *
conf_take_milters(struct conf_parser *p)
{
	struct milter_set set = { .n = 0 };
	size_t group = SIZE_MAX;
	uint32_t step = 0;
	int r;

	if (conf_peek_word(p)->kind != CONF_OPEN) {
		conf_error(p, "expected milters in braces, not %s",
		    conf_kind_text(conf_peek(p)->kind));
		return NULL;
	}
	conf_advance(p);
	do {
		r = take_part(p, &set, &step, &group);
	} while (r == 0);
	if (r == -1) {
		skip_set(p, group == SIZE_MAX ? 1 : 2);
		return NULL;
	}
	conf_advance(p);
	return keep_set(p, &set);
}
