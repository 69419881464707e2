/*
 * What a resolver says, through the routes to a work's way over its next
 * hops. The input is a list of frames: a byte of length, a byte that says
 * what it is (an address, the end, or other URLs to begin with), the rest.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "delivery/result.h"
#include "delivery/way_walk.h"
#include "lib/base/log.h"
#include "lib/mail/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct timer *round_over;
static struct channel *names;
static uint64_t question; /* its id; 0: nothing is asked */
static struct work *work;
static bool over, waits;
static size_t nplaces;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
rounds(void)
{
	for (int i = 0; i < 3; i++) {
		timer_set(round_over, 0);
		loop_run(loop);
	}
}

static void
on_round_over(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
on_ask_way(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_way *m = msg;

	(void)ctx;
	(void)ch;
	check(m->name.len > 0 && m->port != 0);
	question = id;
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

/* Nothing of a place may break a log line, a header or a command. */
static void
check_place(const struct place *p)
{
	char text[PLACE_TEXT_MAX];

	check(p->at.port != 0);
	check(p->at.addr.family == ADDR_V4 || p->at.addr.family == ADDR_V6);
	check(p->host == NULL || path_is_domain(str_of(p->host), false));
	check(strlen(place_format(p, text)) < PLACE_TEXT_MAX);
	for (const char *c = text; *c != '\0'; c++)
		check(*c > ' ' && *c < 0x7f);
}

/* Every place fails; some are dead from then on. */
static void
walk(struct work *w)
{
	struct place p;
	struct verdict v = { 0 };
	enum walk_result r;

	check(!over);
	while ((r = walk_next(w, NULL, &p)) == WALK_PLACE) {
		check(++nplaces <= WAY_ALL_MAX);
		check_place(&p);
		verdict_set(&v, "4.4.1", "no");
		work_set_failure(w, &v);
	}
	waits = r == WALK_WAIT;
	over = r == WALK_END;
	check(!over || w->failure != NULL);
	if (!over)
		return;
	for (const char *c = w->failure->text; *c != '\0'; c++)
		check(*c >= ' ' && *c < 0x7f);
}

static void
begin(struct str urls)
{
	struct tell_work m = { .msgid = STR("0123456789abcdef"),
		.hops = urls,
		.domain = STR("d.test"),
		.nrcpt = 1 };

	work_free(&work);
	work = work_new(&m, 1, 0);
	over = false;
	nplaces = 0;
	question = 0;
	walk_begin(work);
	walk(work);
	rounds();
}

/* HOST, a blank, ADDRESS. */
static void
say_addr(uint8_t preference, struct str rest)
{
	size_t end = str_find(rest, ' ');
	struct tell_way_addr m = { .host = str_head(rest, end),
		.preference = preference,
		.address = str_head(str_skip(rest, end + 1), 64) };

	(void)channel_tell(names, TYPE_tell_way_addr, &m, question);
}

static void
say_end(uint8_t how, struct str text)
{
	struct answer_way m = { .result = how % (WAY_LOOP + 1),
		.ttl_s = how & 0x40 ? 300 : 0,
		.text = str_head(text, 200) };

	(void)channel_tell(names, TYPE_answer_way, &m, question);
	question = 0;
	rounds();
}

static void
frame(const uint8_t *p, size_t n)
{
	struct str rest = { (const char *)p + 1, n - 1 };

	if (memchr(rest.p, '\0', rest.len) != NULL)
		return;
	if ((*p & 0x80) == 0) {
		begin(rest);
	} else if (question != 0) {
		check(waits);
		if ((*p & 0x20) != 0)
			say_end(*p, rest);
		else
			say_addr(*p & 3, rest);
	}
}

static void
prepare(void)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_way, on_ask_way },
		{ 0, NULL },
	};
	int sv[2];

	if (loop == NULL) {
		log_set_level(LOG_LEVEL_WARN);
		loop = loop_new();
		round_over = timer_new(loop, on_round_over, NULL);
		from_resolver_init(loop, QUESTION_PATIENCE_MS);
		routes_init(loop);
		walk_init(loop, walk);
	}
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	names = channel_new(loop, sv[0], &delivery_resolver_edge, EDGE_B,
	    handlers, on_closed, NULL);
	from_resolver_open(sv[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	prepare();
	begin(STR("mx://a.test smtp://b.test:26 smtp://192.0.2.1"));
	for (size_t i = 0; i < size;) {
		size_t n = data[i++];

		n = n < size - i ? n : size - i;
		if (n > 0)
			frame(data + i, n);
		i += n;
	}
	work_free(&work);
	from_resolver_close();
	routes_clear();
	channel_free(&names);
	rounds();
	return 0;
}
