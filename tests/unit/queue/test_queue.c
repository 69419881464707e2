/*
 * The queue above a real store in a temporary folder, with its channels: the
 * test plays smtpd, the agents and control, all in one loop.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "queue/from_control.h"
#include "queue/from_delivery.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"
#include "queue/store_impl.h"

enum { WATCHDOG_MS = 20000, TEXT = 2000 };

/* What the agent was given. */
struct got {
	uint64_t id;
	struct tell_work head;
	char msgid[ID_LEN + 1], action[65], hops[300];

	struct {
		uint32_t index, attempts;
		char to[100];
	} rcpts[200];

	uint32_t nrcpts;
	char content[TEXT];
	size_t len;
	int file;
};

static struct {
	struct loop *loop;
	struct timer *watchdog;
	char dir[64];
	struct queue *q;
	struct config *config;
	struct channel *smtpd, *agent, *control;
	bool agent_closed;
	/* smtpd's view */
	int naccepted, nrefused, why, space;
	struct answer_bodyfile bodyfile;
	/* the agent's */
	struct got got[8];
	int ngot;
	/* control's */
	char rows[TEXT];
	struct answer_done done;
	bool is_done;
	int until; /* a count to wait for */
	int *counter;
} t;

/* --- waiting --- */

static struct deferred look;

static void
on_look(void *ctx)
{
	(void)ctx;
	if (*t.counter >= t.until)
		loop_stop(t.loop);
}

/* Each event handler of the test calls this. */
static void
seen(void)
{
	loop_after(t.loop, &look);
}

static void
on_watchdog(void *ctx)
{
	(void)ctx;
	ck_abort_msg("nothing happened");
}

static void
wait_for(int *counter, int until)
{
	t.counter = counter;
	t.until = until;
	if (*counter >= until)
		return;
	timer_set(t.watchdog, WATCHDOG_MS);
	loop_run(t.loop);
	timer_stop(t.watchdog);
}

/* --- the peers --- */

static void
on_space(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch, (void)id;
	t.space = ((const struct tell_space *)msg)->state;
}

static const struct handler smtpd_handlers[] = {
	{ TYPE_tell_space, on_space },
	{ 0, NULL },
};

static struct got *
got_of(uint64_t id)
{
	for (int i = 0; i < t.ngot; i++)
		if (t.got[i].id == id)
			return &t.got[i];
	ck_abort_msg("a part of no work");
}

static void
copy(char *out, size_t size, struct str s)
{
	ck_assert_uint_lt(s.len, size);
	memcpy(out, s.p, s.len);
	out[s.len] = '\0';
}

static int nwhole; /* works that came with all their parts */

static void
check_whole(struct got *g)
{
	if (g->nrcpts == g->head.nrcpt && g->len == g->head.inline_size &&
	    (!g->head.in_file || g->file != -1))
		nwhole++;
	seen();
}

static void
on_work(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work *m = msg;
	struct got *g = &t.got[t.ngot++];

	(void)ctx, (void)ch;
	ck_assert_int_le(t.ngot, 8);
	*g = (struct got){ .id = id, .head = *m, .file = -1 };
	copy(g->msgid, sizeof(g->msgid), m->msgid);
	copy(g->action, sizeof(g->action), m->action);
	copy(g->hops, sizeof(g->hops), m->hops);
}

static void
on_work_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_rcpt *m = msg;
	struct got *g = got_of(id);

	(void)ctx, (void)ch;
	g->rcpts[g->nrcpts].index = m->index;
	g->rcpts[g->nrcpts].attempts = m->attempts;
	copy(g->rcpts[g->nrcpts++].to, 100, m->to);
}

static void
on_work_file(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch;
	got_of(id)->file = ((const struct tell_work_file *)msg)->file;
}

static void
on_work_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_content *m = msg;
	struct got *g = got_of(id);

	(void)ctx, (void)ch;
	ck_assert_uint_lt(g->len + m->bytes.len, sizeof(g->content));
	memcpy(g->content + g->len, m->bytes.p, m->bytes.len);
	g->len += m->bytes.len;
	check_whole(g);
}

static const struct handler agent_handlers[] = {
	{ TYPE_tell_work, on_work },
	{ TYPE_tell_work_rcpt, on_work_rcpt },
	{ TYPE_tell_work_file, on_work_file },
	{ TYPE_tell_work_content, on_work_content },
	{ 0, NULL },
};

static void
on_row_message(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_message *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "[%.*s %u]", (int)m->from.len,
	    m->from.p, (unsigned int)m->state);
}

static void
on_row_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_rcpt *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "(%.*s %u %u %.*s)",
	    (int)m->to.len, m->to.p, (unsigned int)m->state, m->attempts,
	    (int)m->reply.len, m->reply.p);
}

static void
on_row_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_content *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "%.*s", (int)m->bytes.len,
	    m->bytes.p);
}

static void
on_row_stat(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_stat *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "%.*s=%llu ", (int)m->name.len,
	    m->name.p, (unsigned long long)m->value);
}

static const struct handler control_handlers[] = {
	{ TYPE_row_message, on_row_message },
	{ TYPE_row_rcpt, on_row_rcpt },
	{ TYPE_row_content, on_row_content },
	{ TYPE_row_stat, on_row_stat },
	{ 0, NULL },
};

static void
on_agent_closed(void *ctx, struct channel *ch)
{
	(void)ctx, (void)ch;
	t.agent_closed = true;
}

/* --- set up --- */

static struct channel *
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

static void
new_agent(uint32_t capacity)
{
	struct tell_capacity m = { .mails = capacity };

	t.agent = connect_to(
	    ROLE_DELIVERY, &queue_delivery_edge, EDGE_B, agent_handlers);
	channel_tell(t.agent, TYPE_tell_capacity, &m, 0);
}

static void
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

static void
setup(void)
{
	memset(&t, 0, sizeof(t));
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
static void
stop_queue(bool orderly)
{
	channel_free(&t.smtpd);
	channel_free(&t.control);
	channel_free(&t.agent);
	if (orderly)
		pace_now(&t.q->pace);
	store_close(&t.q->store);
	t.ngot = 0;
	nwhole = 0;
}

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *f)
{
	(void)st, (void)what, (void)f;
	return remove(path);
}

static void
teardown(void)
{
	stop_queue(false);
	nftw(t.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- mail --- */

static void
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
static void
send_as(const char *msgid, const char *from, const char *const *to)
{
	static const char content[] = "Received: x\r\n\r\nbody\r\n";
	struct ask_commit m = {
		.msgid = str_of(msgid),
		.from = str_of(from),
		.received_ms = clock_wall_ms(),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.header_size = 15,
		.inline_size = sizeof(content) - 1,
		.bodyfile = bodyfile_number,
		.body_size = bodyfile_size,
	};
	struct tell_content c = { .bytes = { content, sizeof(content) - 1 } };
	uint64_t id;

	if (bodyfile_number != 0)
		c.bytes.len = m.inline_size = m.header_size;
	while (to[m.nrcpt * 2] != NULL)
		m.nrcpt++;
	id = channel_ask(t.smtpd, TYPE_ask_commit, &m, on_answer, NULL);
	for (; to[0] != NULL; to += 2) {
		struct tell_rcpt r = { .to = str_of(to[0]),
			.action = str_of(to[1]) };

		channel_tell(t.smtpd, TYPE_tell_rcpt, &r, id);
	}
	channel_tell(t.smtpd, TYPE_tell_content, &c, id);
}

#define MAIL(...) ((const char *const[]){ __VA_ARGS__, NULL })

static char last_id[ID_LEN + 1];

static void
send_mail(const char *from, const char *const *to)
{
	id_new(clock_wall_ms(), last_id);
	send_as(last_id, from, to);
}

static void
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
	};

	channel_tell(t.agent, TYPE_tell_result, &m, g->id);
}

static void
tell_done(struct got *g, bool unreachable)
{
	struct tell_done m = { .unreachable = unreachable };

	channel_tell(t.agent, TYPE_tell_done, &m, g->id);
}

/* --- questions --- */

static int ndone;

static void
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

static void
term(enum term_kind kind, const char *text, uint64_t number)
{
	struct tell_term m = {
		.kind = (uint8_t)kind, .text = str_of(text), .number = number
	};

	channel_tell(t.control, TYPE_tell_term, &m, 0);
}

static const char *
ask(uint16_t type, const void *msg)
{
	ndone = 0;
	t.rows[0] = '\0';
	channel_ask(t.control, type, msg, on_control_answer, NULL);
	wait_for(&ndone, 1);
	return t.rows;
}

static const char *
show(void)
{
	struct ask_queue m = { 0 };

	return ask(TYPE_ask_queue, &m);
}

static void
change(enum change kind)
{
	struct ask_change m = {
		.change = (uint8_t)kind, .reason = STR("t"), .uid = 7
	};

	ask(TYPE_ask_change, &m);
}

/* Rounds go by until the listing reads like this. */
static void
wait_shown(const char *rows)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;

	while (strcmp(show(), rows) != 0)
		ck_assert_msg(clock_mono_ms() < end, "shown: %s", t.rows);
}

/* --- the tests --- */

START_TEST(delivers_and_forgets)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].msgid, last_id);
	ck_assert_str_eq(t.got[0].action, "inside");
	ck_assert_str_eq(t.got[0].hops, "smtp://127.0.0.1:2");
	ck_assert_str_eq(t.got[0].rcpts[0].to, "b@y");
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\nbody\r\n");
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )");
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "2.0.0 ok");
	tell_done(&t.got[0], false);
	wait_shown("");
	while (t.q->index.count > 0)
		show(); /* until the record of the end is made */
}

END_TEST

START_TEST(groups_by_destination)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside", "d@z", "other",
			     "e@y", "inside", "f@y", "drop"));
	wait_for(&nwhole, 2);
	ck_assert_uint_eq(t.got[0].nrcpts + t.got[1].nrcpts, 4);
	for (int i = 0; i < 2; i++)
		for (uint32_t n = 0; n < t.got[i].nrcpts; n++)
			tell_result(
			    &t.got[i], n, OUTCOME_DELIVERED, "2.0.0 ok");
	tell_done(&t.got[0], false);
	tell_done(&t.got[1], false);
	wait_shown("");
}

END_TEST

START_TEST(every_outcome_survives_a_restart)
{
	new_agent(10);
	send_mail(
	    "a@x", MAIL("b@y", "inside", "c@y", "inside", "d@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_result(&t.got[0], 1, OUTCOME_DEFERRED, "later");
	tell_result(&t.got[0], 2, OUTCOME_FAILED, "5.1.1 never");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 3 1 250 2.0.0 ok)(c@y 1 1 451 4.3.0 later)"
		   "(d@y 4 1 550 5.1.1 never)");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(),
	    "[a@x 1](b@y 3 1 250 2.0.0 ok)(c@y 1 1 451 4.3.0 later)"
	    "(d@y 4 1 550 5.1.1 never)");
	/* Released from its wait: once more, read back from the store. */
	new_agent(10);
	change(CHANGE_FLUSH);
	ck_assert_uint_eq(t.done.matched, 1);
	ck_assert_uint_eq(t.done.changed, 1);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\nbody\r\n");
	ck_assert_uint_eq(t.got[0].rcpts[0].index, 1);
	ck_assert_uint_eq(t.got[0].rcpts[0].attempts, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 2](b@y 3 1 250 2.0.0 ok)(c@y 3 2 250 2.0.0 ok)"
		   "(d@y 4 1 550 5.1.1 never)");
}

END_TEST

START_TEST(a_crash_keeps_what_was_answered)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	stop_queue(false);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )");
	new_agent(1);
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "");
}

END_TEST

START_TEST(refuses_what_it_must)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	send_as(last_id, "a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	wait_for(&t.nrefused, 1);
	ck_assert_int_eq(t.why, REFUSED_MALFORMED);
	send_as("not an id", "a@x", MAIL("b@y", "inside"));
	wait_for(&t.nrefused, 2);
	ck_assert_int_eq(t.why, REFUSED_MALFORMED);
	t.config->queue.messages = 1;
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nrefused, 3);
	ck_assert_int_eq(t.why, REFUSED_SPACE);
}

END_TEST

START_TEST(a_dead_agent_gives_all_back)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	channel_drain(t.agent, 1000);
	channel_free(&t.agent);
	t.ngot = 0;
	new_agent(10);
	wait_for(&nwhole, 2);
	ck_assert_uint_eq(t.got[0].nrcpts, 1);
	ck_assert_uint_eq(t.got[0].rcpts[0].index, 1);
	ck_assert_uint_eq(t.got[0].rcpts[0].attempts, 0);
	ck_assert_uint_eq(t.q->index.count, 1);
}

END_TEST

START_TEST(holds_releases_removes)
{
	send_mail("a@x", MAIL("b@y", "inside", "c@z", "inside"));
	wait_for(&t.naccepted, 1);
	term(TERM_DOMAIN, "z", 0);
	change(CHANGE_HOLD);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_uint_ne(t.done.operation, 0);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(c@z 2 0 )");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(c@z 2 0 )");
	new_agent(5);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].nrcpts, 1);
	/* In the agent's hands: removed once it comes back undelivered. */
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REMOVE);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 2](b@y 5 1 451 4.3.0 later)(c@z 2 0 )");
	term(TERM_ID, last_id, 0);
	change(CHANGE_RELEASE);
	ck_assert_uint_eq(t.done.changed, 1);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "c@z");
	tell_result(&t.got[1], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[1], false);
	wait_shown("[a@x 1](b@y 5 1 451 4.3.0 later)"
		   "(c@z 1 1 451 4.3.0 later)");
	change(CHANGE_REMOVE);
	ck_assert_str_eq(show(), "");
	ck_assert_uint_eq(t.q->index.count, 1);
	term(TERM_ID, last_id, 0);
	change(CHANGE_REMOVE);
	ck_assert_int_eq(t.done.code, ANSWER_NOT_FOUND);
}

END_TEST

START_TEST(a_wish_outlives_its_attempt)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	/* Both are with the agent, which dies. */
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REMOVE);
	term(TERM_TO, "c@y", 0);
	change(CHANGE_HOLD);
	channel_free(&t.agent);
	wait_shown("[a@x 2](b@y 5 0 )(c@y 2 0 )");
	term(TERM_ID, last_id, 0);
	change(CHANGE_RELEASE);
	t.ngot = 0;
	new_agent(10);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "c@y");
	/* With the agent again, and now the queue dies. */
	term(TERM_ID, last_id, 0);
	change(CHANGE_HOLD);
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 2](b@y 5 0 )(c@y 2 0 )");
}

END_TEST

/* The spool is full beyond its reserve: an operation is done, but not said to
 * be kept; later it is. */
START_TEST(an_operation_that_cannot_be_kept)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	t.q->store->no_room = true;
	term(TERM_ID, last_id, 0);
	change(CHANGE_HOLD);
	ck_assert_int_eq(t.done.code, ANSWER_UNAVAILABLE);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
	space_has_spare(t.q->store);
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
}

END_TEST

START_TEST(shows_content_and_numbers)
{
	struct ask_content m = { .headers_only = 1 };
	struct ask_stats s = { 0 };

	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	m.msgid = str_of(last_id);
	ck_assert_str_eq(ask(TYPE_ask_content, &m), "Received: x\r\n\r\n");
	m.headers_only = 0;
	ck_assert_str_eq(
	    ask(TYPE_ask_content, &m), "Received: x\r\n\r\nbody\r\n");
	cache_clear(&t.q->cache);
	ck_assert_str_eq(
	    ask(TYPE_ask_content, &m), "Received: x\r\n\r\nbody\r\n");
	ck_assert_ptr_nonnull(strstr(ask(TYPE_ask_stats, &s),
	    "queue.messages=1 queue.active=1 queue.deferred=0 "));
	m.msgid = STR("0000000000000000");
	ask(TYPE_ask_content, &m);
	ck_assert_int_eq(t.done.code, ANSWER_NOT_FOUND);
}

END_TEST

static int nfiles;

static void
on_bodyfile(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(type, TYPE_answer_bodyfile);
	t.bodyfile = *(const struct answer_bodyfile *)msg;
	nfiles++;
	seen();
}

START_TEST(large_bodies_go_by_file)
{
	struct ask_bodyfile ask_file = { 0 };
	struct ask_content m = { 0 };
	char body[6] = "";

	nfiles = 0;
	channel_ask(t.smtpd, TYPE_ask_bodyfile, &ask_file, on_bodyfile, NULL);
	wait_for(&nfiles, 1);
	ck_assert_int_eq(write(t.bodyfile.file, "large", 5), 5);
	close(t.bodyfile.file);
	bodyfile_number = t.bodyfile.bodyfile;
	bodyfile_size = 5;
	send_mail("a@x", MAIL("b@y", "inside"));
	/* It is ours now: a second mail cannot have it. */
	send_mail("a@x", MAIL("b@y", "inside"));
	bodyfile_number = bodyfile_size = 0;
	wait_for(&t.nrefused, 1);
	wait_for(&t.naccepted, 1);
	new_agent(3);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\n");
	ck_assert_int_eq(pread(t.got[0].file, body, 5, 0), 5);
	ck_assert_str_eq(body, "large");
	close(t.got[0].file);
	m.msgid = (struct str){ t.got[0].msgid, ID_LEN };
	ck_assert_str_eq(ask(TYPE_ask_content, &m), "Received: x\r\n\r\nlarge");
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("");
}

END_TEST

START_TEST(old_mail_expires)
{
	t.config->queue.ttl = 1;
	new_agent(1);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], true);
	wait_shown("[a@x 2](b@y 4 1 451 4.3.0 later)");
}

END_TEST

START_TEST(actions_that_are_gone_hold_the_mail)
{
	send_mail("a@x", MAIL("b@y", "vanished"));
	wait_for(&t.naccepted, 1);
	ck_assert_str_eq(show(),
	    "[a@x 2](b@y 2 0 4.3.5 its action is not configured any more)");
}

END_TEST

START_TEST(a_reload_routes_what_waits_again)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	free(t.config->actions[0].hops);
	t.config->actions[0].hops = xstrdup("smtp://127.0.0.1:9");
	queue_set_config(t.q, t.config);
	new_agent(1);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].hops, "smtp://127.0.0.1:9");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("queue");
	TCase *c = tcase_create("queue");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, delivers_and_forgets);
	tcase_add_test(c, groups_by_destination);
	tcase_add_test(c, every_outcome_survives_a_restart);
	tcase_add_test(c, a_crash_keeps_what_was_answered);
	tcase_add_test(c, refuses_what_it_must);
	tcase_add_test(c, a_dead_agent_gives_all_back);
	tcase_add_test(c, holds_releases_removes);
	tcase_add_test(c, a_wish_outlives_its_attempt);
	tcase_add_test(c, an_operation_that_cannot_be_kept);
	tcase_add_test(c, shows_content_and_numbers);
	tcase_add_test(c, large_bodies_go_by_file);
	tcase_add_test(c, old_mail_expires);
	tcase_add_test(c, actions_that_are_gone_hold_the_mail);
	tcase_add_test(c, a_reload_routes_what_waits_again);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
