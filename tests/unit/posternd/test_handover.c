/* What one program leaves to the next: written and read, and what is damaged
 * or of somebody else. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "posternd/handover.h"
#include "posternd/inherited.h"

/* All kinds of lines; the descriptors are given. */
static void
fill(struct handover *h, int tcp, int local, int parent, int queue)
{
	*h = (struct handover){ .pid = getpid(),
		.started_ms = 12345678901,
		.restarts = 7,
		.log_level = 2,
		.oom_others = 300,
		.log_fd = -1,
		.ntickets = (size_t)2 * TICKET_KEY_SIZE };
	for (size_t i = 0; i < h->ntickets; i++)
		h->tickets[i] = (uint8_t)(i * 37);
	h->nsockets = 3;
	h->sockets = xcalloc(3, sizeof(*h->sockets));
	h->sockets[0] = (struct inherited){
		.kind = INHERITED_LISTEN, .fd = tcp, .port = 2525, .smtps = true
	};
	ck_assert_int_eq(
	    addr_parse(STR("2001:db8::1"), &h->sockets[0].addr), 0);
	h->sockets[1] = (struct inherited){ .kind = INHERITED_SUBMIT,
		.fd = local,
		.path = xstrdup("/tmp/a path with spaces") };
	h->sockets[2] = (struct inherited){
		.kind = INHERITED_HTTP, .fd = tcp + 1, .port = 9100
	};
	ck_assert_int_eq(addr_parse(STR("127.0.0.1"), &h->sockets[2].addr), 0);
	h->nprocesses = 2;
	h->processes = xcalloc(2, sizeof(*h->processes));
	h->processes[0] = (struct handed_process){ .role = ROLE_SMTPD,
		.instance = 1000,
		.edges = UINT64_MAX,
		.generation = 3,
		.pid = 4711,
		.started_ms = 99,
		.until_ms = UINT64_MAX,
		.parent = parent,
		.queue = queue,
		.number = 5 };
	h->processes[1] = (struct handed_process){ .role = ROLE_VAULT,
		.instance = 1,
		.pid = 4712,
		.parent = parent + 1,
		.queue = -1 };
}

static void
check_same(const struct handover *a, const struct handover *b)
{
	ck_assert_int_eq(a->pid, b->pid);
	ck_assert_uint_eq(a->started_ms, b->started_ms);
	ck_assert_uint_eq(a->restarts, b->restarts);
	ck_assert_uint_eq(a->log_level, b->log_level);
	ck_assert_int_eq(a->oom_others, b->oom_others);
	ck_assert_int_eq(a->log_fd, b->log_fd);
	ck_assert_int_eq(a->log_sink, b->log_sink);
	ck_assert_int_eq(a->log_json, b->log_json);
	ck_assert_uint_eq(a->ntickets, b->ntickets);
	ck_assert_mem_eq(a->tickets, b->tickets, a->ntickets);
	ck_assert_uint_eq(a->nsockets, b->nsockets);
	for (size_t i = 0; i < a->nsockets; i++) {
		ck_assert_int_eq(a->sockets[i].kind, b->sockets[i].kind);
		ck_assert_int_eq(a->sockets[i].fd, b->sockets[i].fd);
		ck_assert_int_eq(a->sockets[i].port, b->sockets[i].port);
		ck_assert_int_eq(a->sockets[i].smtps, b->sockets[i].smtps);
		if (a->sockets[i].path != NULL)
			ck_assert_str_eq(
			    a->sockets[i].path, b->sockets[i].path);
		else
			ck_assert(
			    addr_eq(&a->sockets[i].addr, &b->sockets[i].addr));
	}
	ck_assert_uint_eq(a->nprocesses, b->nprocesses);
	for (size_t i = 0; i < a->nprocesses; i++) {
		const struct handed_process *p = &a->processes[i];
		const struct handed_process *q = &b->processes[i];
		ck_assert_int_eq(p->role, q->role);
		ck_assert_int_eq(p->instance, q->instance);
		ck_assert_uint_eq(p->edges, q->edges);
		ck_assert_uint_eq(p->generation, q->generation);
		ck_assert_int_eq(p->pid, q->pid);
		ck_assert_uint_eq(p->started_ms, q->started_ms);
		ck_assert_uint_eq(p->until_ms, q->until_ms);
		ck_assert_int_eq(p->parent, q->parent);
		ck_assert_int_eq(p->queue, q->queue);
		ck_assert_uint_eq(p->number, q->number);
	}
}

START_TEST(there_and_back)
{
	struct handover h, got;
	struct fault why = { 0 };
	struct buf text;

	fill(&h, 10, 20, 30, 40);
	h.log_fd = 50;
	h.log_sink = (enum log_sink)_i;
	h.log_json = true;
	buf_init(&text, 1 << 20);
	handover_format(&h, &text);
	ck_assert_int_eq(handover_parse(buf_str(&text), &got, &why), 0);
	check_same(&h, &got);
	handover_clear(&got);
	/* No end of it is mistaken for all of it. */
	for (size_t n = 0; n + 1 < text.len; n++)
		ck_assert_int_eq(
		    handover_parse(str_head(buf_str(&text), n), &got, &why),
		    -1);
	buf_clear(&text);
	handover_clear(&h);
}

END_TEST

START_TEST(lines_that_nobody_knows)
{
	struct handover h;
	struct fault why = { 0 };

	ck_assert_int_eq(handover_parse(STR("postern-handover 1\npid 5\n"
					    "colour blue\n\nend\n"),
			     &h, &why),
	    0);
	ck_assert_int_eq(h.pid, 5);
	ck_assert_uint_eq(h.nsockets + h.nprocesses, 0);
	ck_assert_int_eq(h.log_fd, -1);
	ck_assert_int_eq(h.oom_others, -1);
	handover_clear(&h);
	ck_assert_int_eq(
	    handover_parse(STR("postern-handover 1\npid 5\n"
			       "log 7 0 0 blue journal green\n"
			       "listen 8 127.0.0.1 465 blue smtps green\n"
			       "listen 9 127.0.0.1 25 blue\nend\n"),
		&h, &why),
	    0);
	ck_assert_int_eq(h.log_sink, LOG_SINK_JOURNAL);
	ck_assert(h.sockets[0].smtps && !h.sockets[1].smtps);
	ck_assert_int_eq(h.oom_others, -1);
	handover_clear(&h);
}

END_TEST

START_TEST(nonsense)
{
	static const char *const bad[] = { "pid x", "pid", "pid -1",
		"pid 99999999999", "log-level 3", "log x 0 0", "log 5",
		"log 5 2 0", "log 5 0 2", "oom-others 1001", "oom-others -1",
		"tickets abc", "tickets 0g", "tickets 00",
		"listen 5 nowhere 25", "listen 5 127.0.0.1",
		"listen 5 127.0.0.1 65536", "listen x 127.0.0.1 25", "submit 5",
		"submit 5 ", "control -1 /x", "process smtpd 1 1 1 1 1 1 1 1 1",
		"process nobody 1 1 1 77 1 1 1 1 1", "process",
		"process smtpd 1 1 1 77 1 1 1 1",
		"process smtpd 70000 1 1 77 1 1 1 1 1" };
	struct handover h;
	struct fault why = { 0 };
	char text[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text),
		    "postern-handover 1\nsubmit 9 /kept\n%s\nend\n", bad[i]);
		ck_assert_msg(
		    handover_parse(str_of(text), &h, &why) == -1, "%s", bad[i]);
	}
	ck_assert_int_eq(
	    handover_parse(STR("postern-handover 2\nend\n"), &h, &why), -1);
	ck_assert_int_eq(handover_parse(STR(""), &h, &why), -1);
}

END_TEST

/* --- over a memfd --- */

static int
listening(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

static void
name(int fd)
{
	char text[20];
	snprintf(text, sizeof(text), "%d", fd);
	ck_assert_int_eq(setenv(HANDOVER_VARIABLE, text, 1), 0);
}

static bool
has_cloexec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

START_TEST(with_its_descriptors)
{
	struct handover h, got;
	struct fault why = { 0 };
	int pair[2], fd, *all, log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	size_t n;

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int tcp = listening();
	fill(&h, tcp, pair[0], pair[0], pair[1]);
	/* One that does not listen, one that is none, one that is no socket. */
	h.sockets[2].fd = 900;
	h.processes[1].parent = STDERR_FILENO;
	h.log_fd = log;
	fd = handover_write(&h, &why);
	ck_assert_int_ge(fd, 0);
	ck_assert(!has_cloexec(fd) && !has_cloexec(tcp) && !has_cloexec(log));
	ck_assert(!has_cloexec(pair[0]) && !has_cloexec(pair[1]));
	name(fd);
	ck_assert_int_eq(handover_read(&got, &why), 1);
	ck_assert(has_cloexec(tcp) && has_cloexec(pair[1]) && has_cloexec(log));
	ck_assert_int_eq(got.log_fd, log);
	ck_assert_uint_eq(got.nsockets, 1);
	ck_assert_int_eq(got.sockets[0].fd, tcp);
	ck_assert_int_eq(got.processes[0].parent, pair[0]);
	ck_assert_int_eq(got.processes[0].queue, pair[1]);
	ck_assert_int_eq(got.processes[1].parent, -1);
	all = handover_descriptors(&got, &n);
	ck_assert_uint_eq(n, 4);
	for (size_t i = 1; i < n; i++)
		ck_assert_int_lt(all[i - 1], all[i]);
	free(all);
	handover_clear(&got);
	handover_clear(&h);
	/* It is gone with the reading. */
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	close(log);
	close(tcp);
	close(pair[0]);
	close(pair[1]);
}

END_TEST

START_TEST(of_somebody_else)
{
	static const char *const none[] = { "", "x", "-1", "2", "99999",
		"1e3" };
	static const char text[] = "postern-handover 1\nend\n";
	struct handover h;
	struct fault why = { 0 };
	int fd;

	unsetenv(HANDOVER_VARIABLE);
	ck_assert_int_eq(handover_read(&h, &why), 0);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		setenv(HANDOVER_VARIABLE, none[i], 1);
		ck_assert_int_eq(handover_read(&h, &why), 0);
	}
	/* Not sealed: somebody may still write it. */
	fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	name(fd);
	ck_assert_int_eq(handover_read(&h, &why), 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD), -1); /* it stays theirs */
	/* Sealed, and damaged. */
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
	    0);
	ck_assert_int_eq(handover_read(&h, &why), -1);
}

END_TEST

/* --- who takes them --- */

static int
bound(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

START_TEST(taken_by_address)
{
	struct handover h;
	struct addr other;
	char path[64];
	int *fds, local;

	snprintf(path, sizeof(path), "/tmp/test_handover.%d", (int)getpid());
	local = bound(path);
	fill(&h, 800, local, 820, 830);
	free((void *)(uintptr_t)h.sockets[1].path);
	h.sockets[1].path = xstrdup(path);
	for (size_t i = 0; i < h.nsockets; i++)
		inherited_add(&h.sockets[i]);
	h.sockets[0].fd = 801; /* a worker more */
	inherited_add(&h.sockets[0]);
	ck_assert_int_eq(addr_parse(STR("2001:db8::2"), &other), 0);
	const struct addr *a = &h.sockets[0].addr;
	ck_assert_uint_eq(
	    inherited_take(INHERITED_LISTEN, &other, 2525, NULL, &fds), 0);
	ck_assert_ptr_null(fds);
	ck_assert_uint_eq(
	    inherited_take(INHERITED_LISTEN, a, 2526, NULL, &fds), 0);
	ck_assert_uint_eq(
	    inherited_take(INHERITED_HTTP, a, 2525, NULL, &fds), 0);
	ck_assert_uint_eq(
	    inherited_take(INHERITED_LISTEN, a, 2525, NULL, &fds), 2);
	ck_assert_int_eq(fds[0], 800);
	ck_assert_int_eq(fds[1], 801);
	free(fds);
	/* Once. */
	ck_assert_uint_eq(
	    inherited_take(INHERITED_LISTEN, a, 2525, NULL, &fds), 0);
	ck_assert_uint_eq(
	    inherited_take(INHERITED_CONTROL, NULL, 0, path, &fds), 0);
	ck_assert_uint_eq(
	    inherited_take(INHERITED_SUBMIT, NULL, 0, "/x", &fds), 0);
	/* Only tried: its name stays; for good: it goes. */
	inherited_close(false);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(fcntl(local, F_GETFD), -1);
	inherited_add(&h.sockets[1]);
	inherited_close(true);
	ck_assert_int_eq(access(path, F_OK), -1);
	/* One without a name is no use to anybody; the name is then that of
	 * the socket that is made in its place. */
	inherited_add(&h.sockets[1]);
	ck_assert_uint_eq(
	    inherited_take(INHERITED_SUBMIT, NULL, 0, path, &fds), 0);
	local = bound(path);
	ck_assert_uint_eq(inherited_take_rest(false, &fds), 1);
	free(fds);
	ck_assert_int_eq(access(path, F_OK), 0);
	inherited_close(true);
	ck_assert_int_eq(access(path, F_OK), 0);
	close(local);
	ck_assert_int_eq(unlink(path), 0);
	handover_clear(&h);
}

END_TEST

/* The listeners that the new configuration has not, each once. */
START_TEST(those_that_nobody_took)
{
	struct handover h;
	int *fds;

	fill(&h, 800, 810, 820, 830);
	for (size_t i = 0; i < h.nsockets; i++)
		inherited_add(&h.sockets[i]);
	ck_assert_uint_eq(inherited_take_rest(false, &fds), 1);
	ck_assert_int_eq(fds[0], 810);
	free(fds);
	ck_assert_uint_eq(inherited_take_rest(true, &fds), 1);
	ck_assert_int_eq(fds[0], 800);
	free(fds);
	for (int smtps = 0; smtps <= 1; smtps++) {
		ck_assert_uint_eq(inherited_take_rest(smtps == 1, &fds), 0);
		ck_assert_ptr_null(fds);
	}
	ck_assert_uint_eq(inherited_take(INHERITED_HTTP, &h.sockets[2].addr,
			      9100, NULL, &fds),
	    1);
	free(fds);
	inherited_close(true);
	handover_clear(&h);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("handover");
	TCase *c = tcase_create("all");

	tcase_add_loop_test(c, there_and_back, 0, LOG_SINK_JOURNAL + 1);
	tcase_add_test(c, lines_that_nobody_knows);
	tcase_add_test(c, nonsense);
	tcase_add_test(c, with_its_descriptors);
	tcase_add_test(c, of_somebody_else);
	tcase_add_test(c, taken_by_address);
	tcase_add_test(c, those_that_nobody_took);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
