/* The resolver at the other end of a channel, by a table; brings world.c. */
#include "edges/delivery_resolver.h"
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/world.c"

enum { ZONE_ADDRS = 8 };

struct zone {
	const char *name;
	enum way_kind kind;
	enum way_result result;
	uint32_t ttl_s;
	const char *text;

	struct {
		const char *host;
		uint16_t preference;
		const char *address;
	} addrs[ZONE_ADDRS];
};

/* What it does with a question. */
enum manner { ANSWERS, KEEPS_SILENT, DIES };

/* What DNSSEC says of hosts, for who asks for it; one record each. */
struct host_said {
	const char *host;
	enum way_dane is;
};

enum { HOSTS_SAID = 4 };

static struct channel *names;
static struct host_said hosts_said[HOSTS_SAID];
static const struct zone *zones;
static size_t nzones;
static enum manner manner;
static bool in_part;      /* so are the answers */
static bool mx_is_secure; /* to who asks for DANE */
static unsigned int nquestions;
static uint64_t last_question;
static uint16_t last_port;

static const struct zone *
find_zone(const struct ask_way *m)
{
	for (size_t i = 0; i < nzones; i++)
		if (str_eq(str_of(zones[i].name), m->name) &&
		    zones[i].kind == m->kind)
			return &zones[i];
	ck_abort_msg("nobody has %.*s", (int)m->name.len, m->name.p);
	return NULL;
}

static void
tell_addrs(const struct zone *z, uint64_t id)
{
	for (size_t i = 0; i < ZONE_ADDRS && z->addrs[i].host != NULL; i++) {
		struct tell_way_addr m = { .host = str_of(z->addrs[i].host),
			.preference = z->addrs[i].preference,
			.address = str_of(z->addrs[i].address) };

		channel_tell(names, TYPE_tell_way_addr, &m, id);
	}
}

static void
tell_danes(uint64_t id)
{
	for (size_t i = 0; i < HOSTS_SAID && hosts_said[i].host != NULL; i++) {
		struct tell_way_dane m = { .host = str_of(hosts_said[i].host),
			.dane = (uint8_t)hosts_said[i].is };
		struct tell_way_tlsa t = { .usage = 3,
			.selector = 1,
			.matching = 1,
			.data = STR("0123456789abcdef0123456789abcdef") };

		channel_tell(names, TYPE_tell_way_dane, &m, id);
		if (hosts_said[i].is == DANE_RECORDS)
			channel_tell(names, TYPE_tell_way_tlsa, &t, id);
	}
}

static void
answer_question(const struct zone *z, uint64_t id, bool dane)
{
	struct answer_way m = { .result = (uint8_t)z->result,
		.ttl_s = z->ttl_s,
		.ad = dane && mx_is_secure,
		.partial = in_part,
		.text = str_of(z->text) };

	tell_addrs(z, id);
	if (dane)
		tell_danes(id);
	channel_tell(names, TYPE_answer_way, &m, id);
}

static void
on_ask_way(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_way *m = msg;

	(void)ctx;
	(void)ch;
	nquestions++;
	last_question = id;
	last_port = m->port;
	if (manner == ANSWERS)
		answer_question(find_zone(m), id, m->dane);
	else if (manner == DIES)
		tell_addrs(find_zone(m), id); /* half an answer */
	check_until();
}

static void
on_names_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&names);
}

static void
disconnect_names(void)
{
	channel_free(&names);
}

static void
connect_names(void)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_way, on_ask_way },
		{ 0, NULL },
	};
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	channel_free(&names);
	at_end = disconnect_names;
	names = channel_new(loop, sv[0], &delivery_resolver_edge, EDGE_B,
	    handlers, on_names_closed, NULL);
	from_resolver_open(sv[1]);
}

static void
use_zones(const struct zone *z, size_t n)
{
	zones = z;
	nzones = n;
	nquestions = 0;
	manner = ANSWERS;
	in_part = mx_is_secure = false;
	memset(hosts_said, 0, sizeof(hosts_said));
	connect_names();
}

static bool
was_asked(void)
{
	return nquestions > 0;
}

/* Until it was asked for the first time. */
__attribute__((unused)) static void
await_question(void)
{
	until = was_asked;
	loop_run(loop);
	until = NULL;
}
