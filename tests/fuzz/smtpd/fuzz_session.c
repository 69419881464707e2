/*
 * A whole transcript through the real session, command and body code, with a
 * client, a queue and a resolver that are played. The input is what the
 * client says; a byte 0xfe begins a new piece (the loop runs in between), 0xfd
 * changes what the queue answers, and 0xfc and one more byte is what the
 * resolver answers (who is asked once, and answers by itself when the input
 * does not begin so). One that begins with 0xfb comes from a balancer. All may
 * say XCLIENT. Whatever comes: replies are replies, what the queue is
 * handed is clean, nobody is told 250 for what was not kept, and all memory
 * is given back.
 */
#include <stdint.h>

#include "tests/unit/smtpd/fake_names.h"
#include "tests/unit/smtpd/harness.h"
#include "tests/unit/smtpd/sources_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_replies(struct str got, unsigned int ncommits)
{
	unsigned int queued = 0;

	while (got.len > 0) {
		size_t lf = str_find(got, '\n');

		if (lf == got.len)
			break; /* cut short by the end */
		MUST(lf >= 5 && got.p[lf - 1] == '\r');
		MUST(got.p[0] >= '2' && got.p[0] <= '5');
		MUST(chr_is_digit(got.p[1]) && chr_is_digit(got.p[2]));
		MUST(got.p[3] == ' ' || got.p[3] == '-');
		queued += str_starts_nocase(got, STR("250 2.0.0 Ok: queued"));
		got = str_skip(got, lf + 1);
	}
	MUST(queued <= ncommits);
}

static void
check_mail(const struct fake *f)
{
	struct str c = buf_str(&f->content);

	if (f->ncommits == 0)
		return;
	MUST(f->nrcpt > 0 && f->to[0] != '\0');
	MUST(f->header_size <= f->inline_size);
	MUST(str_starts_nocase(c, STR("Received: from ")));
	MUST(memchr(c.p, '\033', str_find(c, '\n')) == NULL);
	for (size_t i = 0; i < c.len; i++) {
		MUST(c.p[i] != '\0');
		MUST(c.p[i] != '\r' || (i + 1 < c.len && c.p[i + 1] == '\n'));
		MUST(c.p[i] != '\n' || (i > 0 && c.p[i - 1] == '\r'));
	}
}

static void
change_queue(struct harness *h)
{
	static const enum fake_answer turns[] = { FAKE_COMMIT, FAKE_REFUSE,
		FAKE_DIE };
	static const struct tell_space full = { .state = SPACE_SHORT };

	h->fake.answer = turns[(h->fake.answer + 1) % 3];
	h->fake.file = h->fake.answer;
	h->fake.why = REFUSED_SPACE;
	if (h->fake.ch == NULL)
		fake_start(h);
	else if (h->fake.answer == FAKE_REFUSE)
		channel_tell(h->fake.ch, TYPE_tell_space, &full, 0);
}

static void
answer_names(uint8_t which)
{
	static const struct {
		enum client_name state;
		const char *name;
	} turns[] = {
		{ CLIENT_NAME_CONFIRMED, "client.example" },
		{ CLIENT_NAME_CONFIRMED, "\033[2J\r\nX: y" },
		{ CLIENT_NAME_UNCONFIRMED, "" },
		{ CLIENT_NAME_NONE, "" },
		{ CLIENT_NAME_FAULT, "" },
		{ CLIENT_NAME_PENDING, "" },
	};

	enum { NTURNS = sizeof(turns) / sizeof(turns[0]) };

	if (names.ch == NULL || names.nasked == 0)
		return;
	if (which % (NTURNS + 1) == NTURNS) {
		channel_free(&names.ch);
		return;
	}
	names.answer.state = (uint8_t)turns[which % (NTURNS + 1)].state;
	names.answer.name = str_of(turns[which % (NTURNS + 1)].name);
	tell_name(names.ids[0]);
}

static void
play(struct harness *h, const uint8_t *data, size_t size)
{
	size_t from = 0;

	for (size_t i = 0; i < size && !h->eof; i++) {
		if (data[i] < 0xfc || data[i] > 0xfe)
			continue;
		stream_write(h->client, data + from, i - from);
		harness_settle(h);
		if (data[i] == 0xfd)
			change_queue(h);
		if (data[i] == 0xfc && ++i < size)
			answer_names(data[i]);
		from = i + 1;
	}
	if (!h->eof && from < size)
		stream_write(h->client, data + from, size - from);
	harness_settle(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct harness h;
	struct rule *r;
	struct table *gateways;
	bool proxied;

	if (size > 16384)
		return 0;
	log_set_level(LOG_LEVEL_WARN);
	harness_open(&h);
	names_start(&h, CLIENT_NAME_CONFIRMED, "client.example");
	names.hold = size > 0 && data[0] == 0xfc;
	r = harness_rule(h.config, VERDICT_TEMPFAIL, NULL);
	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = COND_FCRDNS;
	r->conds[0].negate = true;
	r->nconds = 1;
	harness_rule(h.config, VERDICT_ACTION, NULL);
	/* Small enough for a fuzzer to reach. */
	h.config->limits.message_size = 4096;
	h.config->limits.recipients = 4;
	h.config->limits.header_size = 1024;
	h.config->limits.header_field = 512;
	h.config->limits.header_fields = 10;
	h.config->limits.hops = 3;
	h.config->limits.soft_errors = 100;
	gateways = sources_table("192.0.2.0/24");
	h.config->listeners[0].xclient_from = gateways;
	proxied = size > 0 && data[0] == 0xfb;
	if (proxied)
		h.config->listeners[0].flags |= LISTENER_PROXY;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	play(
	    &h, data + (names.hold || proxied), size - (names.hold || proxied));
	check_replies(buf_str(&h.got), h.fake.ncommits);
	check_mail(&h.fake);
	channel_free(&names.ch);
	h.config->listeners[0].xclient_from = NULL;
	table_free(&gateways);
	harness_close(&h);
	MUST(sessions_count() == 0);
	return 0;
}
