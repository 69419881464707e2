/* Processes from before a restart in place: who is kept, who is handed on, who
 * is needed by whom, and who has to go. */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "lib/base/clock.h"
#include "posternd/links.h"
#include "posternd/retired.h"
#include "posternd/spawn.h"

enum { FIRST_PID = 5000000 /* beyond what the kernel gives */ };

static struct gateway gw;

/* What the other end of a channel has heard. */
static struct heard {
	struct channel *ch;
	int nstops, npeers;
	struct tell_peer peer;
} ends[64];

static size_t nends;

static void
on_stop(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct heard *h = ctx;
	(void)ch;
	(void)msg;
	(void)id;
	h->nstops++;
}

static void
on_peer(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct heard *h = ctx;
	(void)ch;
	(void)id;
	h->npeers++;
	h->peer = *(const struct tell_peer *)msg;
}

static void
stop(void *ctx)
{
	(void)ctx;
	loop_stop(gw.loop);
}

/* All that is under way arrives. */
static void
run(void)
{
	struct timer *t = timer_new(gw.loop, stop, NULL);
	timer_set(t, 50);
	loop_run(gw.loop);
	timer_free(&t);
}

static const struct role_def *
def_of(enum role role)
{
	for (size_t i = 0; i < role_table_size; i++)
		if (role_table[i].role == role)
			return &role_table[i];
	abort();
}

static const struct handler handlers[] = { { TYPE_tell_stop, on_stop },
	{ TYPE_tell_peer, on_peer }, { 0, NULL } };

/* Our end of a channel whose other end listens; both are in the last phase. */
static int
make_end(struct heard **out)
{
	struct heard *h = &ends[nends++];
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	*h = (struct heard){ .nstops = 0 };
	h->ch = channel_adopt(
	    gw.loop, pair[1], &all_parent_edge, EDGE_A, handlers, NULL, h);
	*out = h;
	return pair[0];
}

static struct heard *
adopt(struct handed_process p)
{
	struct heard *h;
	p.parent = make_end(&h);
	p.pid = FIRST_PID + (pid_t)nends;
	if (p.edges == 0)
		p.edges = edges_hash();
	if (p.role == ROLE_SMTPD)
		p.until_ms = clock_mono_ms() + RETIRED_GRACE_MS;
	retired_adopt(&gw, &p);
	return h;
}

static size_t
count(void)
{
	const struct retired *r;
	size_t n = 0;
	TAILQ_FOREACH(r, &gw.retired, next)
		n++;
	return n;
}

static void
setup(void)
{
	gw = (struct gateway){ .loop = loop_new() };
	TAILQ_INIT(&gw.retired);
	nends = 0;
}

static void
teardown(void)
{
	struct retired *r;
	while ((r = TAILQ_FIRST(&gw.retired)) != NULL)
		retired_reap(&gw, r->p.pid, 0);
	for (size_t i = 0; i < nends; i++)
		channel_free(&ends[i].ch);
	loop_settle(gw.loop);
	loop_free(&gw.loop);
}

static void
fill(struct process *p, enum role role, uint16_t instance)
{
	*p = (struct process){ .gw = &gw,
		.def = def_of(role),
		.instance = instance,
		.pid = FIRST_PID + instance,
		.state = PROCESS_READY,
		.leave = LEAVE_FOR_GOOD,
		.started_ms = 7 };
	p->timer = timer_new(gw.loop, stop, NULL);
	timer_set(p->timer, 100000);
}

START_TEST(from_ours)
{
	struct process p[3];
	struct handover h = { .pid = 1 };
	struct heard *heard;

	gw.restarts = 4;
	fill(&p[0], ROLE_SMTPD, 0);
	fill(&p[1], ROLE_SMTPD, 1);
	fill(&p[2], ROLE_VAULT, 1);
	p[0].queue_end = links_keep(dup(STDERR_FILENO), 9);
	for (size_t i = 0; i < 3; i++) {
		retired_add(&p[i], i == 2 ? -1 : make_end(&heard));
		ck_assert_int_eq(p[i].pid, 0);
		ck_assert_int_eq(p[i].state, PROCESS_DOWN);
		ck_assert_int_eq(p[i].leave, LEAVE_NOT);
		ck_assert_ptr_null(p[i].queue_end);
		/* It was for the one that was. */
		ck_assert(!timer_is_set(p[i].timer));
		timer_free(&p[i].timer);
	}
	/* No name of an smtpd that is to come; others have none to mix up. */
	ck_assert_ptr_nonnull(retired_find(&gw, ROLE_SMTPD, 1000));
	ck_assert_ptr_nonnull(retired_find(&gw, ROLE_SMTPD, 1001));
	ck_assert_ptr_nonnull(retired_find(&gw, ROLE_VAULT, 1));
	ck_assert_ptr_null(retired_find(&gw, ROLE_SMTPD, 0));
	retired_hand_over(&gw, &h);
	ck_assert_uint_eq(h.nprocesses, 3);
	ck_assert_uint_eq(h.processes[0].edges, edges_hash());
	ck_assert_uint_eq(h.processes[0].generation, 4);
	ck_assert_uint_eq(h.processes[0].number, 9);
	ck_assert_int_ne(h.processes[0].queue, -1);
	ck_assert_int_eq(h.processes[1].queue, -1);
	ck_assert_int_eq(h.processes[2].parent, -1);
	ck_assert_uint_gt(h.processes[0].until_ms, clock_mono_ms());
	ck_assert_uint_eq(h.processes[2].until_ms, 0);
	handover_clear(&h);
}

END_TEST

START_TEST(from_another_build)
{
	int pair[2];
	char c;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct heard *old = adopt((struct handed_process){ .role = ROLE_SMTPD,
	    .instance = 1000,
	    .edges = 1,
	    .queue = pair[0] });
	struct heard *new = adopt((struct handed_process){
	    .role = ROLE_SMTPD, .instance = 1001, .queue = -1 });
	retired_resume(&gw);
	/* Its mail is not taken, and it is not spoken to. */
	ck_assert_int_eq(read(pair[1], &c, 1), 0);
	close(pair[1]);
	ck_assert_ptr_null(retired_find(&gw, ROLE_SMTPD, 1000)->ch);
	ck_assert_ptr_nonnull(retired_find(&gw, ROLE_SMTPD, 1001)->ch);
	retired_stop(&gw, true, 1000);
	run();
	ck_assert_int_eq(new->nstops, 1);
	ck_assert_int_eq(old->nstops, 0);
	/* It has heard that its parent is gone. */
	ck_assert(!channel_is_open(old->ch));
	ck_assert(channel_is_open(new->ch));
}

END_TEST

/* Who serves smtpds goes with the last of its time. */
START_TEST(who_is_needed)
{
	struct heard *resolver[2], *smtpd[3];

	for (uint32_t g = 0; g < 2; g++)
		resolver[g] = adopt((struct handed_process){
		    .role = ROLE_RESOLVER, .generation = g, .queue = -1 });
	for (uint32_t i = 0; i < 3; i++)
		smtpd[i] = adopt((struct handed_process){ .role = ROLE_SMTPD,
		    .instance = (uint16_t)(1000 + i),
		    .generation = i / 2,
		    .queue = -1 });
	retired_resume(&gw);
	pid_t first = retired_find(&gw, ROLE_SMTPD, 1000)->pid;
	pid_t second = retired_find(&gw, ROLE_SMTPD, 1001)->pid;
	ck_assert(!retired_reap(&gw, 1, 0));
	ck_assert(retired_reap(&gw, first, 0));
	ck_assert(!retired_reap(&gw, first, 0));
	run();
	ck_assert_int_eq(resolver[0]->nstops, 0);
	ck_assert(retired_reap(&gw, second, 9));
	run();
	ck_assert_int_eq(resolver[0]->nstops, 1);
	ck_assert_int_eq(resolver[1]->nstops + smtpd[2]->nstops, 0);
	ck_assert(!retired_are_gone(&gw, true));
	ck_assert_uint_eq(count(), 3);
}

END_TEST

START_TEST(too_many)
{
	struct heard *h[RETIRED_GENERATIONS_MAX + 2];

	for (uint32_t g = 0; g < RETIRED_GENERATIONS_MAX + 2; g++)
		h[g] = adopt((struct handed_process){ .role = ROLE_SMTPD,
		    .instance = (uint16_t)(1000 + g),
		    .generation = g * 3,
		    .queue = -1 });
	retired_resume(&gw);
	retired_check(&gw);
	run();
	for (uint32_t g = 0; g < RETIRED_GENERATIONS_MAX + 2; g++)
		ck_assert_int_eq(h[g]->nstops, g < 2);
}

END_TEST

START_TEST(the_next_queue)
{
	struct process queue;
	struct heard *parent;
	int pair[2];
	char c;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	adopt((struct handed_process){ .role = ROLE_SMTPD,
	    .instance = 1003,
	    .queue = pair[0],
	    .number = 6 });
	retired_resume(&gw);
	fill(&queue, ROLE_QUEUE, 0);
	queue.ch = channel_adopt(gw.loop, make_end(&parent), &all_parent_edge,
	    EDGE_B, from_children_handlers, NULL, &queue);
	retired_connect(&gw, &queue);
	run();
	ck_assert_int_eq(parent->npeers, 1);
	ck_assert_uint_eq(parent->peer.role, ROLE_SMTPD);
	ck_assert_uint_eq(parent->peer.instance, 1003);
	ck_assert_uint_eq(parent->peer.number, 6);
	/* What the smtpd said meanwhile is there. */
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	ck_assert_int_eq(read(parent->peer.socket, &c, 1), 1);
	close(parent->peer.socket);
	close(pair[1]);
	/* One that is started later has a channel of its own to it. */
	retired_connect(&gw, &queue);
	run();
	ck_assert_int_eq(parent->npeers, 2);
	ck_assert_uint_eq(parent->peer.number, 7);
	ck_assert_int_eq(ends[0].npeers, 1);
	ck_assert_uint_eq(ends[0].peer.role, ROLE_QUEUE);
	close(parent->peer.socket);
	close(ends[0].peer.socket);
	links_forget(&queue);
	channel_free(&queue.ch);
	timer_free(&queue.timer);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("retired");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, from_ours);
	tcase_add_test(c, from_another_build);
	tcase_add_test(c, who_is_needed);
	tcase_add_test(c, too_many);
	tcase_add_test(c, the_next_queue);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
