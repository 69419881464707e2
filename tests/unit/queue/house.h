/*
 * The queue above a real store in a temporary folder, with its channels: the
 * test plays smtpd, the agents and control, all in one loop.
 */
#ifndef POSTERN_TESTS_UNIT_QUEUE_HOUSE_H
#define POSTERN_TESTS_UNIT_QUEUE_HOUSE_H

#include "tests/unit/queue/house_peers.h"
#include "tests/unit/queue/running.h"

/* --- set up --- */

static inline struct channel *
connect_to(enum role role, const struct edge *edge, enum edge_end end,
    const struct handler *handlers)
{
	int s[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	if (role == ROLE_SMTPD)
		from_smtpd_add(t.q, 0, s[0]);
	else if (role == ROLE_CONTROL)
		from_control_add(t.q, 0, s[0]);
	else
		from_delivery_add(t.q, role, 0, s[0]);
	return channel_new(
	    t.loop, s[1], edge, end, handlers, on_agent_closed, NULL);
}

static inline void
new_agent(uint32_t capacity)
{
	struct tell_capacity m = { .mails = capacity };

	t.agent = connect_to(
	    ROLE_DELIVERY, &queue_delivery_edge, EDGE_B, agent_handlers);
	channel_tell(t.agent, TYPE_tell_capacity, &m, 0);
}

static inline void
start_queue(void)
{
	struct fault why = { 0 };

	t.q = queue_new(t.loop);
	t.q->spool = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ne(t.q->spool, -1);
	queue_set_config(t.q, t.config);
	t.smtpd =
	    connect_to(ROLE_SMTPD, &smtpd_queue_edge, EDGE_A, smtpd_handlers);
	t.control = connect_to(
	    ROLE_CONTROL, &control_all_edge, EDGE_A, control_handlers);
	ck_assert_msg(queue_start(t.q, &why) == 0, "%s", why.text);
}

static struct action actions[3];

static inline void
setup(void)
{
	memset(&t, 0, sizeof(t));
	memset(&how, 0, sizeof(how));
	nwhole = 0;
	snprintf(t.dir, sizeof(t.dir), "/tmp/postern-queue.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t.dir));
	t.loop = loop_new();
	t.watchdog = timer_new(t.loop, on_watchdog, NULL);
	deferred_init(&look, on_look, NULL);
	t.config = config_new();
	t.config->queue.segment_size = 1 << 20;
	t.config->queue.disk_reserve = 0;
	t.config->queue.retry_s[0] = 3600;
	t.config->queue.nretry = 1;
	actions[0] = (struct action){ .name = xstrdup("inside"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtp://127.0.0.1:2") };
	actions[1] = (struct action){
		.id = 1, .name = xstrdup("drop"), .kind = ACTION_DISCARD
	};
	actions[2] = (struct action){ .id = 2,
		.name = xstrdup("other"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtp://127.0.0.1:3") };
	t.config->actions = xcalloc(3, sizeof(struct action));
	memcpy(t.config->actions, actions, sizeof(actions));
	t.config->nactions = 3;
	start_queue();
}

/* As a crash would: what the store did not sync is not there. */
static inline void
stop_queue(bool orderly)
{
	struct agent_peer *a;

	channel_free(&t.smtpd);
	channel_free(&t.control);
	channel_free(&t.agent);
	if (orderly) {
		pace_now(&t.q->pace);
		tls_report_stop(t.q);
	}
	/* It is not freed: nothing of it may come back, nor hear that its
	 * agents are gone. */
	LIST_FOREACH(a, &t.q->agents, next)
		channel_free(&a->channel);
	loop_after_cancel(t.loop, &t.q->run);
	timer_stop(t.q->pace.later);
	loop_after_cancel(t.loop, &t.q->pace.now);
	timer_stop(t.q->reports.timer);
	timer_stop(t.q->blocks.timer);
	timer_stop(t.q->blocks.list.again);
	timer_stop(t.q->pauses.list.again);
	timer_stop(t.q->tls_reporting.save);
	timer_stop(t.q->tls_reporting.look);
	loop_after_cancel(t.loop, &t.q->refilter.run);
	timer_stop(t.q->refilter.go_on);
	timer_stop(t.q->due_timer);
	timer_stop(t.q->run_timer);
	store_close(&t.q->store);
	t.ngot = 0;
	nwhole = 0;
}

static inline int
remove_one(const char *path, const struct stat *st, int what, struct FTW *f)
{
	(void)st, (void)what, (void)f;
	return remove(path);
}

static inline void
teardown(void)
{
	stop_queue(false);
	nftw(t.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define HOUSE_RUN(name, tests) TESTS_RUN((name), (tests), setup, teardown, 120)

/* --- mail --- */

static inline void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	ck_assert_ptr_null(fault);
	if (type == TYPE_answer_commit) {
		t.naccepted++;
	} else {
		ck_assert_uint_eq(type, TYPE_answer_refused);
		t.nrefused++;
		t.why = ((const struct answer_refused *)msg)->why;
	}
	seen();
}

static uint64_t bodyfile_number, bodyfile_size;

/* Hands a mail in: to lists "address action" pairs. */
static inline void
send_as(const char *msgid, const char *from, const char *const *to)
{
	const char *content =
	    how.content != NULL ? how.content : "Received: x\r\n\r\nbody\r\n";
	struct ask_commit m = {
		.msgid = str_of(msgid),
		.from = str_of(from),
		.received_ms =
		    t.received_ms != 0 ? t.received_ms : clock_wall_ms(),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.header_size = 15,
		.inline_size = (uint32_t)strlen(content),
		.bodyfile = bodyfile_number,
		.body_size =
		    bodyfile_number != 0 ? bodyfile_size : how.body_size,
		.replaces = how.replaces,
		.filter = str_of(how.filter),
		.reason = str_of(how.reason),
		.context = str_of(how.context),
		.flags = how.flags,
		.envid = str_of(how.envid),
		.auth_user = str_of(how.user),
	};
	struct tell_content c = { .bytes = str_of(content) };
	struct tell_event e = { .when_ms = m.received_ms,
		.event = STR("milter"),
		.text = str_of(how.event) };
	uint64_t id;

	if (bodyfile_number != 0 || how.body_size != 0)
		c.bytes.len = m.inline_size = m.header_size;
	while (to[m.nrcpt * 2] != NULL)
		m.nrcpt++;
	id = channel_ask(t.smtpd, TYPE_ask_commit, &m, on_answer, NULL);
	for (; to[0] != NULL; to += 2) {
		struct tell_rcpt r = { .to = str_of(to[0]),
			.action = str_of(to[1]),
			.start = (uint8_t)how.start,
			.notify = how.notify,
			.orcpt = str_of(how.orcpt) };

		channel_tell(t.smtpd, TYPE_tell_rcpt, &r, id);
	}
	if (how.event != NULL)
		channel_tell(t.smtpd, TYPE_tell_event, &e, id);
	channel_tell(t.smtpd, TYPE_tell_content, &c, id);
}

#define MAIL(...) ((const char *const[]){ __VA_ARGS__, NULL })

static char last_id[ID_LEN + 1];

static inline void
send_mail(const char *from, const char *const *to)
{
	id_new(clock_wall_ms(), last_id);
	send_as(last_id, from, to);
}

static inline void
tell_result(struct got *g, uint32_t n, enum outcome outcome, const char *text)
{
	struct tell_result m = {
		.index = g->rcpts[n].index,
		.outcome = (uint8_t)outcome,
		.code = outcome == OUTCOME_DELIVERED ? 250 :
			outcome == OUTCOME_FAILED    ? 550 :
						       451,
		.status = outcome == OUTCOME_DELIVERED ? STR("2.0.0") :
			  outcome == OUTCOME_FAILED    ? STR("5.1.1") :
							 STR("4.3.0"),
		.relay = STR("127.0.0.1:2"),
		.reply = str_of(text),
		.handover = (uint8_t)how.handover,
	};

	channel_tell(t.agent, TYPE_tell_result, &m, g->id);
}

static inline void
tell_done(struct got *g, bool unreachable)
{
	struct tell_done m = { .unreachable = unreachable };

	channel_tell(t.agent, TYPE_tell_done, &m, g->id);
}

/* --- questions --- */

static int ndone;

static inline void
on_control_answer(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(type, TYPE_answer_done);
	t.done = *(const struct answer_done *)msg;
	ndone++;
	seen();
}

static inline void
term(enum term_kind kind, const char *text, uint64_t number)
{
	struct tell_term m = {
		.kind = (uint8_t)kind, .text = str_of(text), .number = number
	};

	channel_tell(t.control, TYPE_tell_term, &m, 0);
}

static inline const char *
ask(uint16_t type, const void *msg)
{
	ndone = 0;
	t.rows[0] = '\0';
	channel_ask(t.control, type, msg, on_control_answer, NULL);
	wait_for(&ndone, 1);
	return t.rows;
}

static inline const char *
show(void)
{
	struct ask_queue m = { 0 };

	return ask(TYPE_ask_queue, &m);
}

static inline void
change(enum change kind)
{
	struct ask_change m = {
		.change = (uint8_t)kind, .reason = STR("t"), .uid = 7
	};

	ask(TYPE_ask_change, &m);
}

/* smtpd's word about what it was asked last. */
static inline void
tell_filtered(enum filtered verdict, const char *reply, bool replaced)
{
	struct answer_filtered m = {
		.verdict = (uint8_t)verdict,
		.replaced = replaced,
		.filter = str_of(how.filter != NULL ? how.filter : "scan"),
		.reply = str_of(reply),
	};

	channel_tell(t.smtpd, TYPE_answer_filtered, &m, t.asked_id);
}

static inline const char *
trace(const char *msgid)
{
	struct ask_trace m = { .msgid = str_of(msgid) };

	return ask(TYPE_ask_trace, &m);
}

static inline const char *
quarantine(void)
{
	struct ask_quarantine m = { 0 };

	return ask(TYPE_ask_quarantine, &m);
}

/* Rounds go by until the listing reads like this. */
static inline void
wait_shown(const char *rows)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;

	while (strcmp(show(), rows) != 0)
		ck_assert_msg(clock_mono_ms() < end, "shown: %s", t.rows);
}

#endif
