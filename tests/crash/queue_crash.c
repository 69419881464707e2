/*
 * Kills the whole queue at every call that changes the disk, while mail comes
 * in, is delivered, fails, is late and is reported; starts it again, and
 * looks whether every recipient of every mail that was accepted has had what
 * is due: a delivery, a report of its failure, its delay or its delivery. None
 * may be lost, and none done more often than one crash excuses. Some mail
 * begins in quarantine, and is released; some is shown to filters, which
 * change it: nobody may get it as it was.
 *
 *   queue_crash [STRIDE [MODE]]   every STRIDE-th call (default 1)
 *
 * The queue runs with its channels in a process of its own, in which this
 * program plays smtpd and the agent. The shim is faultshim.so beside this
 * program, or $FAULTSHIM.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/from_control.h"
#include "queue/from_delivery.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"
#include "queue/report.h"

enum {
	MAILS = 8,
	WORKS = 64,         /* with the agent at a time */
	TURNS_MAX = 100000, /* of a life whose disk fails */
	CONTENT_MAX = 65536,
	WATCHDOG_S = 60, /* for a life that does not end */
	CODE_BROKEN = 3, /* the child's exit codes */
	CODE_NO_START = 2
};

/* The recipients of every mail, and what becomes of them. */
static const struct {
	const char *to;
	enum outcome outcome;
	const char *told; /* Action of its report; NULL: none is due */
	enum notify notify;
	const char *orcpt;
	enum handover handover;
} rcpts[] = {
	{ "good@there.example", OUTCOME_DELIVERED, NULL, NOTIFY_DEFAULT, "",
	    HANDOVER_RELAYED },
	{ "gone@there.example", OUTCOME_FAILED, "failed", NOTIFY_DEFAULT, "",
	    HANDOVER_RELAYED },
	{ "late@there.example", OUTCOME_DEFERRED, "delayed", NOTIFY_DEFAULT, "",
	    HANDOVER_RELAYED },
	{ "closed@there.example", OUTCOME_FAILED, "failed", NOTIFY_FAILURE,
	    "rfc822;shut@old.example", HANDOVER_RELAYED },
	{ "boxed@there.example", OUTCOME_DELIVERED, "delivered", NOTIFY_SUCCESS,
	    "rfc822;box@old.example", HANDOVER_FINAL },
	{ "passed@there.example", OUTCOME_DELIVERED, "relayed", NOTIFY_SUCCESS,
	    "", HANDOVER_RELAYED },
	{ "known@there.example", OUTCOME_DELIVERED, NULL, NOTIFY_SUCCESS, "",
	    HANDOVER_DSN },
	{ "mute@there.example", OUTCOME_FAILED, NULL, NOTIFY_NEVER, "",
	    HANDOVER_RELAYED },
};

#define ENVID "an envelope"

enum { RCPTS = sizeof(rcpts) / sizeof(rcpts[0]) };

/* How the mails of each number begin, in turn. */
static const enum rcpt_start starts[] = { START_WAITING, START_UNFILTERED,
	START_QUARANTINED };

enum { STARTS = sizeof(starts) / sizeof(starts[0]) };

/* One line of the ledger, from a child to the parent. */
struct event {
	uint32_t mail, rcpt;
	char what; /* A accepted, D delivered (or tried), R reported */
};

static const struct {
	const char *mode;
	bool lasting;
	bool dies;
} modes[] = {
	{ "kill", false, true },
	{ "torn", false, true },
	{ "power", false, true },
	{ "eio", false, false },
	{ "enospc", false, false },
	{ "enospc", true, false },
};

enum { MODES = sizeof(modes) / sizeof(modes[0]) };

/* --- the child --- */

struct work_in {
	uint64_t id; /* 0: free */
	bool is_report;
	uint32_t mail, nrcpt, size;
	uint32_t index[RCPTS], which[RCPTS], nindex;
	char content[CONTENT_MAX];
	size_t len;
};

static struct {
	struct loop *loop;
	struct queue *q;
	struct channel *smtpd, *agent, *control;
	int out;
	uint32_t answers;
	bool first;     /* the life in which mail comes in */
	bool releasing; /* asked, and no answer yet */
	bool released;  /* asked ever */
	struct work_in works[WORKS];
} child;

static void
broken(const char *why)
{
	fprintf(stderr, "queue_crash: %s\n", why);
	_exit(CODE_BROKEN);
}

static void
tell_parent(char what, uint32_t mail, uint32_t rcpt)
{
	struct event e = { .mail = mail, .rcpt = rcpt, .what = what };

	if (write(child.out, &e, sizeof(e)) != sizeof(e))
		broken("no parent");
}

static uint32_t
rcpt_of(struct str to)
{
	for (uint32_t i = 0; i < RCPTS; i++)
		if (str_eq(to, str_of(rcpts[i].to)))
			return i;
	broken("an unknown recipient");
	return 0;
}

static uint32_t
mail_of(struct str msgid)
{
	uint64_t n;

	if (str_to_u64(msgid, MAILS - 1, &n) != 0)
		broken("an unknown message");
	return (uint32_t)n;
}

static struct work_in *
work_of(uint64_t id)
{
	for (int i = 0; i < WORKS; i++)
		if (child.works[i].id == id)
			return &child.works[i];
	broken("no such work, or too many");
	return NULL;
}

/* What stands between `before` and the end of the line, from *at on, which is
 * moved behind it. */
static bool
next_field(const char **at, const char *before, struct str *value)
{
	const char *p = strstr(*at, before);

	if (p == NULL)
		return false;
	p += strlen(before);
	*value = (struct str){ p, strcspn(p, "\r") };
	*at = p + value->len;
	return true;
}

/* Does the text in front of a recipient's address name the one that its sender
 * had? */
static void
see_original(const char *from, const char *to, uint32_t i)
{
	struct str orcpt = str_of(rcpts[i].orcpt), original = STR("");
	size_t type = str_find(orcpt, ';');

	if (!next_field(&from, "\r\nOriginal-Recipient: rfc822; ", &original) ||
	    original.p > to)
		original = STR("");
	if (!str_eq(original, str_skip(orcpt, type + 1)))
		broken("a report about another recipient");
}

static void
see_report(const struct work_in *w)
{
	const char *at = w->content, *from;
	struct str envid, id, to, action;

	if (!next_field(&at, "\r\nOriginal-Envelope-Id: ", &envid) ||
	    !str_eq(envid, STR(ENVID)))
		broken("a report about another envelope");
	if (!next_field(&at, "\r\nX-Postern-Queue-ID: ", &id))
		broken("a report about nothing");
	from = at;
	while (next_field(&at, "\r\nFinal-Recipient: rfc822; ", &to)) {
		uint32_t i = rcpt_of(to);

		see_original(from, to.p, i);
		from = at;
		if (!next_field(&at, "\r\nAction: ", &action))
			broken("a report without an action");
		/* Who fails or is delivered late may be late before. */
		if (rcpts[i].told != NULL &&
		    str_eq(action, str_of(rcpts[i].told)))
			tell_parent('R', mail_of(id), i);
		else if (!str_eq(action, STR("delayed")) ||
			 rcpts[i].notify != NOTIFY_DEFAULT)
			broken("a report that is not due");
	}
}

static void
answer_rcpt(const struct work_in *w, uint32_t n)
{
	enum outcome o =
	    w->is_report ? OUTCOME_DELIVERED : rcpts[w->which[n]].outcome;
	struct tell_result m = {
		.index = w->index[n],
		.outcome = (uint8_t)o,
		.code = o == OUTCOME_DELIVERED ? 250 :
			o == OUTCOME_FAILED    ? 550 :
						 451,
		.status = o == OUTCOME_DELIVERED ? STR("2.0.0") :
			  o == OUTCOME_FAILED    ? STR("5.1.1") :
						   STR("4.2.0"),
		.relay = STR("127.0.0.1:2"),
		.reply = STR("so it is"),
		.handover = (uint8_t)rcpts[w->which[n]].handover,
	};

	if (!w->is_report && rcpts[w->which[n]].told == NULL)
		tell_parent('D', w->mail, w->which[n]);
	channel_tell(child.agent, TYPE_tell_result, &m, w->id);
}

/* Did it leave as it may? */
static void
see_mail(const struct work_in *w)
{
	enum rcpt_start start = starts[w->mail % STARTS];

	if (start == START_UNFILTERED && strstr(w->content, "filtered") == NULL)
		broken("nobody filtered it");
	if (start == START_QUARANTINED && child.first && !child.released)
		broken("nobody released it");
}

static void
finish(struct work_in *w)
{
	struct tell_done m = { .unreachable = false };

	if (w->is_report)
		see_report(w);
	else
		see_mail(w);
	for (uint32_t i = 0; i < w->nindex; i++)
		answer_rcpt(w, i);
	channel_tell(child.agent, TYPE_tell_done, &m, w->id);
	w->id = 0;
}

static void
on_work(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work *m = msg;
	struct work_in *w = work_of(0);

	(void)ctx, (void)ch;
	if (m->nrcpt > RCPTS || m->inline_size >= CONTENT_MAX)
		broken("a work that is too large");
	*w = (struct work_in){ .id = id,
		.is_report = m->from.len == 0,
		.nrcpt = m->nrcpt,
		.size = m->inline_size };
	if (!w->is_report)
		w->mail = mail_of(m->msgid);
}

static void
on_work_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_rcpt *m = msg;
	struct work_in *w = work_of(id);

	(void)ctx, (void)ch;
	w->which[w->nindex] = w->is_report ? 0 : rcpt_of(m->to);
	w->index[w->nindex++] = m->index;
}

static void
on_work_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_content *m = msg;
	struct work_in *w = work_of(id);

	(void)ctx, (void)ch;
	memcpy(w->content + w->len, m->bytes.p, m->bytes.len);
	w->len += m->bytes.len;
	w->content[w->len] = '\0';
	if (w->len == w->size && w->nindex == w->nrcpt)
		finish(w);
}

static const struct handler agent_handlers[] = {
	{ TYPE_tell_work, on_work },
	{ TYPE_tell_work_rcpt, on_work_rcpt },
	{ TYPE_tell_work_content, on_work_content },
	{ 0, NULL },
};

static void
on_space(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch, (void)msg, (void)id;
}

/* --- the filters --- */

/* What they are asked about. */
struct question {
	uint64_t id; /* 0: free */
	char msgid[ID_LEN + 1];
	uint32_t rcpts[RCPTS], nrcpt, nexpected;
};

static struct question questions[2 * MAILS];

static struct question *
question_of(uint64_t id)
{
	for (int i = 0; i < 2 * MAILS; i++)
		if (questions[i].id == id)
			return &questions[i];
	broken("no such question, or too many");
	return NULL;
}

static void
answer_filtered(struct question *a, bool replaced, enum filtered verdict)
{
	struct answer_filtered m = {
		.verdict = (uint8_t)verdict,
		.replaced = replaced,
		.filter = STR("scan"),
	};

	channel_tell(child.smtpd, TYPE_answer_filtered, &m, a->id);
	a->id = 0;
}

static void
on_replaced(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	bool kept = fault == NULL && type == TYPE_answer_commit;

	(void)msg;
	answer_filtered(ctx, kept, kept ? FILTERED_PASS : FILTERED_TEMPFAIL);
}

/* The same mail, which says that it was filtered. */
static void
replace(struct question *a)
{
	static const char content[] = "Received: x\r\n\r\nfiltered\r\n";
	struct ask_commit m = {
		.msgid = str_of(a->msgid),
		.from = STR("anna@here.example"),
		.received_ms = clock_wall_ms(),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.nrcpt = a->nrcpt,
		.header_size = 15,
		.inline_size = sizeof(content) - 1,
		.replaces = 1,
		.envid = STR(ENVID),
	};
	struct tell_content c = { .bytes = { content, sizeof(content) - 1 } };
	uint64_t id =
	    channel_ask(child.smtpd, TYPE_ask_commit, &m, on_replaced, a);

	for (uint32_t i = 0; i < a->nrcpt; i++) {
		struct tell_rcpt r = { .to = str_of(rcpts[a->rcpts[i]].to),
			.action = STR("out"),
			.start = START_UNFILTERED,
			.notify = (uint8_t)rcpts[a->rcpts[i]].notify,
			.orcpt = str_of(rcpts[a->rcpts[i]].orcpt) };

		channel_tell(child.smtpd, TYPE_tell_rcpt, &r, id);
	}
	channel_tell(child.smtpd, TYPE_tell_content, &c, id);
}

static void
on_ask_filter(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_filter *m = msg;
	struct question *a = question_of(0);

	(void)ctx, (void)ch;
	if (!str_eq(m->envid, STR(ENVID)))
		broken("a question about another envelope");
	*a = (struct question){ .id = id, .nexpected = m->nrcpt };
	memcpy(a->msgid, m->msgid.p, ID_LEN);
}

static void
on_asked_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_rcpt *m = msg;
	struct question *a = question_of(id);
	uint32_t i;

	(void)ctx, (void)ch;
	if (a->nrcpt == RCPTS)
		broken("too many recipients");
	i = rcpt_of(m->to);
	if (m->notify != rcpts[i].notify ||
	    !str_eq(m->orcpt, str_of(rcpts[i].orcpt)))
		broken("a question about another's wishes");
	a->rcpts[a->nrcpt++] = i;
}

/* What was changed and is asked about again (the answer was not heard) is as
 * it should be. */
static void
on_asked_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_content *m = msg;
	struct question *a = question_of(id);

	(void)ctx, (void)ch;
	if (a->nrcpt != a->nexpected)
		broken("half a question");
	if (memmem(m->bytes.p, m->bytes.len, "filtered", 8) != NULL)
		answer_filtered(a, false, FILTERED_PASS);
	else
		replace(a);
}

static const struct handler smtpd_handlers[] = {
	{ TYPE_tell_space, on_space },
	{ TYPE_tell_blocks, on_space },
	{ TYPE_tell_block, on_space },
	{ TYPE_ask_filter, on_ask_filter },
	{ TYPE_tell_rcpt, on_asked_rcpt },
	{ TYPE_tell_content, on_asked_content },
	{ 0, NULL },
};

/* --- the administrator --- */

static const struct handler control_handlers[] = {
	{ 0, NULL },
};

static void
on_released(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx, (void)fault, (void)type, (void)msg;
	child.releasing = false;
}

/* What filters were to see later, because a changed mail could not be kept. */
static void
flush_unfiltered(void)
{
	struct tell_term term = { .kind = TERM_REPLY,
		.text = STR("451 4.7.1") };
	struct ask_change m = { .change = CHANGE_FLUSH, .reason = STR("test") };

	child.releasing = true;
	channel_tell(child.control, TYPE_tell_term, &term, 0);
	channel_ask(child.control, TYPE_ask_change, &m, on_released, NULL);
}

static void
release_all(void)
{
	struct ask_change m = { .change = CHANGE_UNQUARANTINE,
		.reason = STR("test") };

	if (child.releasing || child.q->index.nstate[STATE_QUARANTINED] == 0)
		return;
	child.releasing = child.released = true;
	channel_ask(child.control, TYPE_ask_change, &m, on_released, NULL);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx, (void)ch;
	broken("a channel was closed");
}

static const uint32_t numbers[MAILS] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const uint32_t *mail = ctx;

	(void)msg;
	child.answers++;
	if (fault == NULL && type == TYPE_answer_commit)
		tell_parent('A', *mail, 0);
}

static void
hand_in(uint32_t mail)
{
	static const char content[] = "Received: x\r\n\r\nbody\r\n";
	char msgid[ID_LEN + 1];
	struct ask_commit m = {
		.from = STR("anna@here.example"),
		.received_ms = clock_wall_ms(),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.nrcpt = RCPTS,
		.header_size = 15,
		.inline_size = sizeof(content) - 1,
		.filter = STR("scan"),
		.reason = STR("it smells"),
		.context = STR("context"),
		.envid = STR(ENVID),
	};
	struct tell_content c = { .bytes = { content, sizeof(content) - 1 } };
	uint64_t id;

	snprintf(msgid, sizeof(msgid), "%0*" PRIu32, ID_LEN, mail);
	m.msgid = str_of(msgid);
	id = channel_ask(child.smtpd, TYPE_ask_commit, &m, on_answer,
	    (void *)(uintptr_t)&numbers[mail]);
	for (uint32_t i = 0; i < RCPTS; i++) {
		struct tell_rcpt r = { .to = str_of(rcpts[i].to),
			.action = STR("out"),
			.start = (uint8_t)starts[mail % STARTS],
			.notify = (uint8_t)rcpts[i].notify,
			.orcpt = str_of(rcpts[i].orcpt) };

		channel_tell(child.smtpd, TYPE_tell_rcpt, &r, id);
	}
	channel_tell(child.smtpd, TYPE_tell_content, &c, id);
}

static void
on_turn(void *ctx)
{
	loop_stop(ctx);
}

/* One round of the loop, with what is due. */
static void
turn(struct timer *t)
{
	timer_set(t, 0);
	loop_run(child.loop);
}

/* Is nothing under way, and nothing left to tell? */
static bool
is_quiet(struct queue *q)
{
	return q->nworks == 0 && q->nintakes == 0 &&
	       q->index.nstate[STATE_ACTIVE] == 0 &&
	       q->index.nstate[STATE_QUARANTINED] == 0 &&
	       q->refilter.njobs == 0 && !child.releasing &&
	       q->reports.count == 0 && q->changes.first == NULL &&
	       !store_is_dirty(q->store) &&
	       index_from_seq(&q->index, q->reports.warn_seq) == NULL &&
	       !timer_is_set(q->pace.later) && !q->pace.now.queued;
}

static struct config *
make_config(void)
{
	struct config *c = config_new();

	c->queue.segment_size = 1 << 20;
	c->queue.disk_reserve = 0;
	c->queue.retry_s[0] = 3600;
	c->queue.nretry = 1;
	c->queue.warn = 1;
	c->actions = xcalloc(1, sizeof(struct action));
	c->nactions = 1;
	c->actions[0] = (struct action){ .name = xstrdup("out"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtp://127.0.0.1:2") };
	return c;
}

static struct channel *
connect_to(
    const struct edge *edge, enum edge_end end, const struct handler *handlers)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) == -1)
		broken("no sockets");
	if (handlers == smtpd_handlers)
		from_smtpd_add(child.q, 0, s[0]);
	else if (handlers == control_handlers)
		from_control_add(child.q, 0, s[0]);
	else
		from_delivery_add(child.q, ROLE_DELIVERY, 0, s[0]);
	return channel_new(
	    child.loop, s[1], edge, end, handlers, on_closed, NULL);
}

/* One life of the queue. */
static int
live(const char *dir, int out, bool first, bool bounded)
{
	struct tell_capacity capacity = { .mails = 4 };
	struct fault why;
	struct timer *t;

	alarm(WATCHDOG_S);
	child.out = out;
	child.loop = loop_new();
	child.q = queue_new(child.loop);
	child.q->spool = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	queue_set_config(child.q, make_config());
	child.first = first;
	child.smtpd = connect_to(&smtpd_queue_edge, EDGE_A, smtpd_handlers);
	child.control = connect_to(&control_all_edge, EDGE_A, control_handlers);
	if (queue_start(child.q, &why) == -1)
		return CODE_NO_START;
	child.agent = connect_to(&queue_delivery_edge, EDGE_B, agent_handlers);
	channel_tell(child.agent, TYPE_tell_capacity, &capacity, 0);
	t = timer_new(child.loop, on_turn, child.loop);
	for (uint32_t i = 0; first && i < MAILS; i++) {
		hand_in(i);
		for (int k = 0; k < 20; k++)
			turn(t);
	}
	if (!first)
		flush_unfiltered();
	for (int i = 0; !bounded || i < TURNS_MAX; i++) {
		if ((!first || child.answers == MAILS) && is_quiet(child.q))
			break;
		turn(t);
		if (!first || child.answers == MAILS)
			release_all();
	}
	return 0;
}

/* --- the parent --- */

struct line {
	unsigned int accepted;
	unsigned int done[RCPTS]; /* as due: delivered or reported */
};

static struct line ledger[MAILS];
static unsigned int passed, failed;

/* Runs one life; its exit status, or that it was killed: -1. */
static int
run_life(const char *dir, size_t mode, long at, const char *shim, bool *hit)
{
	const char *bounded;
	char n[32], out[16], told[16], byte;
	int events[2], tell[2], status;
	struct event e;
	pid_t pid;

	if (pipe(events) == -1 || pipe(tell) == -1)
		exit(2);
	pid = fork();
	if (pid == 0) {
		snprintf(n, sizeof(n), "%ld", at);
		snprintf(out, sizeof(out), "%d", events[1]);
		snprintf(told, sizeof(told), "%d", tell[1]);
		bounded = at > 0 && !modes[mode].dies ? "bounded" : "";
		if (at > 0) {
			setenv("LD_PRELOAD", shim, 1);
			setenv("FAULTSHIM_AT", n, 1);
			setenv("FAULTSHIM_SEED", n, 1);
			setenv("FAULTSHIM_DO", modes[mode].mode, 1);
			setenv("FAULTSHIM_COUNT",
			    modes[mode].lasting ? "0" : "1", 1);
			setenv("FAULTSHIM_FD", told, 1);
		}
		close(events[0]);
		close(tell[0]);
		execl("/proc/self/exe", "queue_crash", "--child", dir, out,
		    at > 0 ? "first" : "", bounded, (char *)NULL);
		_exit(127);
	}
	close(events[1]);
	close(tell[1]);
	while (read(events[0], &e, sizeof(e)) == sizeof(e)) {
		if (e.what == 'A')
			ledger[e.mail].accepted = 1;
		else
			ledger[e.mail].done[e.rcpt]++;
	}
	*hit = read(tell[0], &byte, 1) == 1;
	close(events[0]);
	close(tell[0]);
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		exit(2);
	return WIFEXITED(status)           ? WEXITSTATUS(status) :
	       WTERMSIG(status) == SIGKILL ? -1 :
					     CODE_BROKEN;
}

static unsigned int wrong;

static void
complain(uint32_t mail, uint32_t rcpt, const char *what, unsigned int n)
{
	if (wrong++ < 5)
		printf("  mail %" PRIu32 " %s: %s (%u)\n", mail, rcpts[rcpt].to,
		    what, n);
}

/* Who comes out of quarantine is told of a delay with a later try. */
static bool
is_excused(uint32_t m, uint32_t r)
{
	return rcpts[r].outcome == OUTCOME_DEFERRED &&
	       starts[m % STARTS] == START_QUARANTINED;
}

static void
forget_excused(void)
{
	for (uint32_t m = 0; m < MAILS; m++)
		for (uint32_t r = 0; r < RCPTS; r++)
			if (is_excused(m, r))
				ledger[m].done[r] = 0;
}

static void
check_ledger(unsigned int most)
{
	for (uint32_t m = 0; m < MAILS; m++)
		for (uint32_t r = 0; r < RCPTS; r++) {
			unsigned int n = ledger[m].done[r];

			if (is_excused(m, r))
				continue;
			if (ledger[m].accepted > 0 && n == 0)
				complain(m, r, "LOST", n);
			if (n > most)
				complain(m, r, "too often", n);
		}
}

static bool
run_one(const char *shim, size_t mode, long n)
{
	char dir[] = "/tmp/queue_crash.XXXXXX", command[64];
	struct line before[MAILS];
	bool happened, never;
	int rc;

	if (mkdtemp(dir) == NULL)
		exit(2);
	memset(ledger, 0, sizeof(ledger));
	wrong = 0;
	rc = run_life(dir, mode, n, shim, &happened);
	if (rc != 0 && rc != (modes[mode].dies ? -1 : CODE_NO_START))
		complain(0, 0, "the first life", (unsigned int)rc);
	if (run_life(dir, mode, 0, shim, &never) != 0)
		complain(0, 0, "the second life", 0);
	check_ledger(happened ? 2 : 1);
	forget_excused();
	/* What is over is over. */
	memcpy(before, ledger, sizeof(before));
	if (run_life(dir, mode, 0, shim, &never) != 0)
		complain(0, 0, "the third life", 0);
	forget_excused();
	if (memcmp(before, ledger, sizeof(before)) != 0)
		complain(0, 0, "it began again", 0);
	if (wrong == 0) {
		passed++;
		snprintf(command, sizeof(command), "rm -rf '%s'", dir);
		if (system(command) != 0)
			exit(2);
	} else {
		failed++;
		printf("not ok %s at %ld: %u wrong, see %s\n", modes[mode].mode,
		    n, wrong, dir);
	}
	return happened;
}

int
main(int argc, char **argv)
{
	const char *shim = getenv("FAULTSHIM");
	char beside[512], *slash;
	long stride = argc > 1 ? strtol(argv[1], NULL, 10) : 1;

	if (getenv("QUEUE_CRASH_LOG") == NULL)
		log_set_fd(
		    open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	if (argc == 6 && strcmp(argv[1], "--child") == 0)
		_exit(live(argv[2], (int)strtol(argv[3], NULL, 10),
		    *argv[4] != '\0', *argv[5] != '\0'));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (shim == NULL) {
		snprintf(beside, sizeof(beside), "%s", argv[0]);
		slash = strrchr(beside, '/');
		snprintf(
		    slash == NULL ? beside : slash + 1, 16, "faultshim.so");
		shim = realpath(beside, NULL);
	}
	for (size_t i = 0; i < MODES; i++) {
		unsigned int before = passed + failed;

		if (argc > 2 && strcmp(argv[2], modes[i].mode) != 0)
			continue;
		for (long n = 1; run_one(shim, i, n);
		     n += stride < 1 ? 1 : stride)
			;
		printf("%s%s: %u points\n", modes[i].mode,
		    modes[i].lasting ? " for good" : "",
		    passed + failed - before);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
