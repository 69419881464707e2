/* Questions to the resolver, and what is believed of its answers. */
#include "smtpd/from_resolver.h"

#include "edges/smtpd_resolver.h"
#include "lib/base/log.h"
#include "lib/mail/path.h"
#include "smtpd/client_name.h"
#include "smtpd/listing.h"
#include "smtpd/stats.h"

enum {
	/* Questions without their answer, of each kind: names that are slow
	 * to be found leave room for lists. */
	PENDING_MAX = 1024,
	TTL_MAX_S = 60, /* a name is believed at most so long */
	LISTS_TTL_MAX_S = 3600
};

enum kind { NAMES, LISTS, KINDS };

static struct channel *channel;
static size_t npending[KINDS];

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == channel)
		channel_free(&channel);
}

static const struct handler handlers[] = { { 0, NULL } };

struct channel *
from_resolver_start(struct loop *l, int fd)
{
	from_resolver_stop();
	channel = channel_new(
	    l, fd, &smtpd_resolver_edge, EDGE_A, handlers, on_closed, NULL);
	return channel;
}

void
from_resolver_stop(void)
{
	channel_free(&channel);
}

/* It will stand in headers and in the log: a host name, and not one that
 * could be taken for an address. */
static bool
is_host_name(struct str s)
{
	struct addr a;

	return s.len <= PATH_DOMAIN_MAX && path_is_domain(s, false) &&
	       addr_parse(s, &a) < 0;
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_client *m = msg;
	enum client_name state;
	struct str name = STR("");
	uint32_t ttl_s;

	npending[NAMES]--;
	if (fault != NULL || type != TYPE_answer_client ||
	    m->state == CLIENT_NAME_PENDING) {
		caller_set(ctx, CLIENT_NAME_FAULT, name, 0);
		return;
	}
	state = (enum client_name)m->state;
	if (is_host_name(m->name))
		name = m->name;
	else if (state == CLIENT_NAME_CONFIRMED)
		state = CLIENT_NAME_UNCONFIRMED;
	ttl_s = m->ttl_s < TTL_MAX_S ? m->ttl_s : TTL_MAX_S;
	caller_set(ctx, state, name, ttl_s);
}

/* Is there somebody who can be asked? It is said once when there is not. */
static bool
is_there(enum kind kind)
{
	static bool was_missed[KINDS];
	bool there = channel != NULL && channel_is_open(channel) &&
		     !channel_is_full(channel) && npending[kind] < PENDING_MAX;

	if (!there && !was_missed[kind])
		log_warn(NULL, "resolver-missed", "why=%s",
		    log_cstr(channel == NULL ? "gone" : "busy"));
	was_missed[kind] = !there;
	return there;
}

int
from_resolver_ask(const struct addr *a, struct caller *c)
{
	char text[ADDR_TEXT_MAX];
	struct ask_client m = { .address = str_of(addr_format(a, text)) };

	if (!is_there(NAMES))
		return -1;
	npending[NAMES]++;
	channel_ask(channel, TYPE_ask_client, &m, on_answer, c);
	stats_add(STAT_RDNS_ASKED, 1);
	return 0;
}

/* Printable, and of a length that the log takes: it is made of what name
 * servers say. */
static struct str
checked_lists(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return str_head(s, i);
	return s;
}

static void
on_lists(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_dnsbl *m = msg;
	uint32_t ttl_s;

	npending[LISTS]--;
	if (fault != NULL || type != TYPE_answer_dnsbl) {
		listed_set(ctx, 0, STR(""), 0);
		return;
	}
	stats_add(STAT_DNSBL_SILENT, m->silent);
	ttl_s = m->ttl_s < LISTS_TTL_MAX_S ? m->ttl_s : LISTS_TTL_MAX_S;
	listed_set(ctx, (int32_t)m->score - DNSBL_SCORE_MAX,
	    checked_lists(m->lists), ttl_s);
}

int
from_resolver_ask_lists(
    const struct addr *a, const char *table, struct listed *l)
{
	char text[ADDR_TEXT_MAX];
	struct ask_dnsbl m = { .address = str_of(addr_format(a, text)),
		.table = str_head(str_of(table), 255) };

	if (!is_there(LISTS))
		return -1;
	npending[LISTS]++;
	channel_ask(channel, TYPE_ask_dnsbl, &m, on_lists, l);
	stats_add(STAT_DNSBL_ASKED, 1);
	return 0;
}
