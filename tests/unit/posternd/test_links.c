/* Channels between children: who is handed what, and what is made anew. */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "edges/edges.h"
#include "lib/base/loop.h"
#include "posternd/links.h"
#include "posternd/spawn.h"

enum { QUEUE, SMTPD, VAULT, ALL };

/* A child as the parent sees it, and as it sees itself. */
static struct child {
	struct channel *parent;
	int npeers; /* told of */
	struct tell_peer last;
} kids[ALL];
static struct process processes[ALL];
static struct gateway gw;
static int awaited; /* peers, over all children, then the loop stops */

static void
on_peer(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct child *c = ctx;

	(void)ch;
	(void)id;
	if (c->npeers++ > 0)
		close(c->last.socket);
	c->last = *(const struct tell_peer *)msg;
	if (--awaited == 0)
		loop_stop(gw.loop);
}

static const struct role_def *
def_of(enum role role)
{
	for (size_t i = 0; i < role_table_size; i++)
		if (role_table[i].role == role)
			return &role_table[i];
	abort();
}

static void
setup(void)
{
	static const enum role roles[ALL] = { ROLE_QUEUE, ROLE_SMTPD,
		ROLE_VAULT };
	static const struct handler handlers[] = { { TYPE_tell_peer, on_peer },
		{ 0, NULL } };

	gw.loop = loop_new();
	gw.processes = processes;
	gw.nprocesses = ALL;
	for (size_t i = 0; i < ALL; i++) {
		struct process *p = &processes[i];
		int sv[2];
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		p->gw = &gw;
		p->def = def_of(roles[i]);
		p->state = PROCESS_READY;
		p->ch = channel_new(gw.loop, sv[0], &all_parent_edge, EDGE_B,
		    from_children_handlers, NULL, p);
		channel_set_phase(p->ch, PHASE_RUN);
		kids[i].parent = channel_new(gw.loop, sv[1], &all_parent_edge,
		    EDGE_A, handlers, NULL, &kids[i]);
	}
}

static void
run_until(int npeers)
{
	awaited = npeers;
	loop_run(gw.loop);
	ck_assert_int_eq(awaited, 0);
}

/* The end of the channel that it was told of last, or of the one before. */
static void
say_lost(int kid, uint32_t number)
{
	struct tell_lost m = { .role = kids[kid].last.role,
		.instance = kids[kid].last.instance,
		.number = number };

	ck_assert_int_eq(
	    channel_tell(kids[kid].parent, TYPE_tell_lost, &m, 0), 0);
}

static void
stop(void *ctx)
{
	(void)ctx;
	loop_stop(gw.loop);
}

/* Longer than anything is put off. */
static void
run_out(void)
{
	struct timer *t = timer_new(gw.loop, stop, NULL);

	awaited = 0;
	timer_set(t, 1500);
	loop_run(gw.loop);
	ck_assert_int_eq(awaited, 0); /* nothing came */
	timer_free(&t);
}

static void
join(void)
{
	links_join(&processes[QUEUE], &processes[SMTPD]);
	run_until(2);
	ck_assert_uint_eq(kids[QUEUE].last.role, ROLE_SMTPD);
	ck_assert_uint_eq(kids[SMTPD].last.role, ROLE_QUEUE);
	ck_assert_uint_eq(kids[QUEUE].last.number, kids[SMTPD].last.number);
}

/* They can talk over what they have. */
static void
check_joined(void)
{
	char c;

	ck_assert_int_eq(write(kids[QUEUE].last.socket, "x", 1), 1);
	ck_assert_int_eq(read(kids[SMTPD].last.socket, &c, 1), 1);
}

START_TEST(who_has_no_edge)
{
	links_join(&processes[QUEUE], &processes[VAULT]);
	run_out();
}

END_TEST

/* Both say it, and there is one new channel. */
START_TEST(made_anew)
{
	join();
	uint32_t first = kids[QUEUE].last.number;
	say_lost(QUEUE, first);
	say_lost(SMTPD, first);
	run_until(2);
	check_joined();
	ck_assert_uint_ne(kids[QUEUE].last.number, first);
	ck_assert_uint_eq(kids[QUEUE].last.number, kids[SMTPD].last.number);
	/* One of them comes late. */
	say_lost(SMTPD, first);
	run_out();
	ck_assert_int_eq(kids[VAULT].npeers, 0);
}

END_TEST

/* At most one a second: what comes sooner is put off, not forgotten. */
START_TEST(not_at_once)
{
	join();
	uint64_t since = loop_now_ms(gw.loop);
	for (int i = 0; i < 2; i++) {
		say_lost(QUEUE, kids[QUEUE].last.number);
		run_until(2);
	}
	check_joined();
	ck_assert_uint_ge(loop_now_ms(gw.loop) - since, 1900);
}

END_TEST

/* The one who died is started again, and gets all his channels then. */
START_TEST(one_has_died)
{
	join();
	uint32_t first = kids[SMTPD].last.number;
	say_lost(SMTPD, first);
	processes[QUEUE].state = PROCESS_DOWN;
	run_out();
	processes[QUEUE].state = PROCESS_STARTING;
	say_lost(SMTPD, first);
	join();
	ck_assert_uint_ne(kids[SMTPD].last.number, first);
	run_out();
	check_joined();
}

END_TEST

START_TEST(while_stopping)
{
	join();
	gw.stopping = true;
	say_lost(SMTPD, kids[SMTPD].last.number);
	run_out();
}

END_TEST

/* A child cannot have channels that it has not been given. */
START_TEST(nonsense)
{
	struct tell_lost m = { .role = ROLE_VAULT };

	join();
	for (unsigned int role = 0; role <= 15; role++) {
		m.role = (uint8_t)role;
		m.instance = role == ROLE_QUEUE ? 7 : 0;
		ck_assert_int_eq(
		    channel_tell(kids[SMTPD].parent, TYPE_tell_lost, &m, 0), 0);
	}
	say_lost(SMTPD, kids[SMTPD].last.number + 1);
	run_out();
	ck_assert(channel_is_open(processes[SMTPD].ch));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("links");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, who_has_no_edge);
	tcase_add_test(c, made_anew);
	tcase_add_test(c, not_at_once);
	tcase_add_test(c, one_has_died);
	tcase_add_test(c, while_stopping);
	tcase_add_test(c, nonsense);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
