/* An administrator who pauses, holds, removes and takes back without rest while
 * mail is delivered: nothing leaves that stands still, nobody gets a mail
 * twice, and in the end, with everything taken back, everybody has had his. */
#include "tests/unit/queue/house.h"

enum {
	MAILS = 60,
	RCPTS = 3,
	WORKS = 16, /* with the agent at a time */
	STEPS = 1500,
	DOMAINS = 3,
	OPERATIONS = STEPS,
	LIMIT = 20 /* messages of one change */
};

struct delivery {
	uint64_t id; /* 0: free */
	uint32_t mail, nrcpt, nindex, size, seen;
	uint32_t index[RCPTS];
};

static const char *const domains[DOMAINS] = { "one.example", "two.example",
	"three.example" };

static struct {
	uint32_t chance;
	char ids[MAILS][ID_LEN + 1];
	bool is_done[MAILS][RCPTS];
	struct delivery works[WORKS];
	uint64_t operations[OPERATIONS];
	size_t noperations;
	bool paused, domain_paused[DOMAINS];
	unsigned int ndone, nworks;
} storm;

static uint32_t
chance(uint32_t n)
{
	storm.chance = storm.chance * 1664525U + 1013904223U;
	return (storm.chance >> 8) % n;
}

/* --- the agent --- */

static uint32_t
mail_of(struct str msgid)
{
	for (uint32_t i = 0; i < MAILS; i++)
		if (str_eq(msgid, str_of(storm.ids[i])))
			return i;
	ck_abort_msg("an unknown mail");
}

static struct delivery *
delivery_of(uint64_t id)
{
	for (int i = 0; i < WORKS; i++)
		if (storm.works[i].id == id)
			return &storm.works[i];
	ck_abort_msg("no such work, or too many");
}

static void
on_storm_work(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work *m = msg;

	(void)ctx, (void)ch;
	ck_assert_msg(!storm.paused, "deliveries are paused");
	*delivery_of(0) = (struct delivery){ .id = id,
		.mail = mail_of(m->msgid),
		.nrcpt = m->nrcpt,
		.size = m->inline_size };
	storm.nworks++;
}

static bool
is_of(struct str to, const char *domain)
{
	return str_eq(str_skip(to, str_find(to, '@') + 1), str_of(domain));
}

static void
on_storm_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_rcpt *m = msg;
	struct delivery *d = delivery_of(id);

	(void)ctx, (void)ch;
	ck_assert_msg(!storm.is_done[d->mail][m->index], "a second time");
	for (int i = 0; i < DOMAINS; i++)
		ck_assert(!storm.domain_paused[i] || !is_of(m->to, domains[i]));
	d->index[d->nindex++] = m->index;
}

static void
on_storm_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_content *m = msg;

	(void)ctx, (void)ch;
	delivery_of(id)->seen += (uint32_t)m->bytes.len;
	seen();
}

static const struct handler storm_handlers[] = {
	{ TYPE_tell_work, on_storm_work },
	{ TYPE_tell_work_rcpt, on_storm_rcpt },
	{ TYPE_tell_work_content, on_storm_content },
	{ 0, NULL },
};

static void
new_storm_agent(void)
{
	struct tell_capacity m = { .mails = WORKS };

	t.agent = connect_to(
	    ROLE_DELIVERY, &queue_delivery_edge, EDGE_B, storm_handlers);
	channel_tell(t.agent, TYPE_tell_capacity, &m, 0);
}

/* All that was told before has been heard, by both. */
static void
hear(void)
{
	for (int i = 0; i < 3; i++)
		show();
}

static void
finish(struct delivery *d, bool well)
{
	struct tell_done done = { .unreachable = !well && chance(4) == 0 };

	for (uint32_t i = 0; i < d->nindex; i++) {
		bool is_done = well || chance(3) == 0;
		struct tell_result m = {
			.index = d->index[i],
			.outcome =
			    is_done ? OUTCOME_DELIVERED : OUTCOME_DEFERRED,
			.code = is_done ? 250 : 451,
			.status = is_done ? STR("2.0.0") : STR("4.3.0"),
			.relay = STR("127.0.0.1:2"),
			.reply = STR("so it is"),
		};

		channel_tell(t.agent, TYPE_tell_result, &m, d->id);
		storm.is_done[d->mail][d->index[i]] |= is_done;
		storm.ndone += is_done;
	}
	channel_tell(t.agent, TYPE_tell_done, &done, d->id);
	d->id = 0;
}

static void
some_delivery(bool well)
{
	struct delivery *d = &storm.works[chance(WORKS)];

	if (d->id != 0 && d->seen == d->size && d->nindex == d->nrcpt)
		finish(d, well);
}

/* It dies with what it is at. */
static void
agent_dies(void)
{
	hear();
	channel_free(&t.agent);
	memset(storm.works, 0, sizeof(storm.works));
	hear();
	new_storm_agent();
}

/* --- the administrator --- */

static void
some_change(void)
{
	static const enum change kinds[] = { CHANGE_HOLD, CHANGE_RELEASE,
		CHANGE_REMOVE, CHANGE_REMOVE, CHANGE_REQUEUE, CHANGE_FLUSH,
		CHANGE_UNQUARANTINE };

	if (chance(2) == 0)
		term(TERM_TO, domains[chance(DOMAINS)], 0);
	term(TERM_LIMIT, NULL, 1 + chance(LIMIT));
	change(kinds[chance(sizeof(kinds) / sizeof(kinds[0]))]);
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	if (t.done.operation != 0)
		storm.operations[storm.noperations++] = t.done.operation;
}

static void
undo(uint64_t operation)
{
	struct ask_undo m = { .operation = operation, .reason = STR("u") };

	ask(TYPE_ask_undo, &m);
}

static void
some_undo(void)
{
	if (storm.noperations > 0)
		undo(storm.operations[chance((uint32_t)storm.noperations)]);
}

static void
pause_it(enum pause_what what, uint32_t domain, bool resume)
{
	struct ask_pause m = {
		.what = (uint8_t)what, .resume = resume, .reason = STR("p")
	};
	bool *is =
	    what == PAUSE_DOMAIN ? &storm.domain_paused[domain] : &storm.paused;

	if (what == PAUSE_DOMAIN)
		m.domain = str_of(domains[domain]);
	if (resume)
		*is = false;
	ask(TYPE_ask_pause, &m);
	if (resume)
		return;
	hear();
	*is = true;
}

static void
some_pause(void)
{
	pause_it(chance(3) == 0 ? PAUSE_DELIVERY : PAUSE_DOMAIN,
	    chance(DOMAINS), chance(2) == 0);
}

/* Orderly: what was told is known to the next one. */
static void
restarted(void)
{
	hear();
	stop_queue(true);
	memset(storm.works, 0, sizeof(storm.works));
	start_queue();
	new_storm_agent();
}

static void
some_reload(void)
{
	t.config->queue.undo = 3600000 + chance(3) * 1000;
	queue_set_config(t.q, t.config);
}

static void
step(void)
{
	uint32_t what = chance(100);

	if (what < 45)
		some_delivery(false);
	else if (what < 65)
		some_change();
	else if (what < 80)
		some_undo();
	else if (what < 92)
		some_pause();
	else if (what < 95)
		some_reload();
	else if (what < 97)
		agent_dies();
	else if (what < 98)
		restarted();
	else
		show();
}

/* --- mail --- */

static void
hand_in(uint32_t mail)
{
	static const enum rcpt_start starts[] = { START_WAITING, START_WAITING,
		START_QUARANTINED };

	char to[RCPTS][40];

	for (uint32_t i = 0; i < RCPTS; i++)
		snprintf(to[i], sizeof(to[i]), "r%u@%s", i,
		    domains[chance(DOMAINS)]);
	how.start = starts[mail % 3];
	how.filter = "scan";
	how.reason = "bad";
	send_mail(
	    "a@x", MAIL(to[0], "inside", to[1], "other", to[2], "inside"));
	memcpy(storm.ids[mail], last_id, sizeof(last_id));
	wait_for(&t.naccepted, (int)mail + 1);
}

static void
take_all_back(void)
{
	for (size_t i = storm.noperations; i > 0; i--)
		undo(storm.operations[i - 1]);
	change(CHANGE_RELEASE);
	change(CHANGE_UNQUARANTINE);
	pause_it(PAUSE_DELIVERY, 0, true);
	for (uint32_t i = 0; i < DOMAINS; i++)
		pause_it(PAUSE_DOMAIN, i, true);
}

static void
deliver_all(void)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;

	while (t.q->index.count > t.q->index.nkept) {
		for (int i = 0; i < WORKS; i++)
			some_delivery(true);
		change(CHANGE_FLUSH);
		ck_assert_uint_lt(clock_mono_ms(), end);
	}
}

static void
storms(uint32_t seed)
{
	memset(&storm, 0, sizeof(storm));
	storm.chance = seed;
	t.config->queue.retry_s[0] = 1;
	new_storm_agent();
	for (uint32_t i = 0; i < MAILS; i++)
		hand_in(i);
	for (int i = 0; i < STEPS; i++)
		step();
	take_all_back();
	deliver_all();
	for (uint32_t i = 0; i < MAILS; i++)
		for (uint32_t k = 0; k < RCPTS; k++)
			ck_assert_msg(storm.is_done[i][k], "mail %u: %u", i, k);
	ck_assert_uint_eq(storm.ndone, MAILS * RCPTS);
}

START_TEST(a_storm)
{
	storms(4711U + (uint32_t)_i);
}

END_TEST

int
main(void)
{
	TCase *c = tests_new("storm", NULL, 0, setup, teardown, 120);

	tcase_add_loop_test(c, a_storm, 0, 6);
	return tests_run_case("storm", c);
}
