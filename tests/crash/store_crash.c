/*
 * Kills the store at every write, sync, unlink and create, in several ways,
 * and looks whether what it said is true: what was reported durable is there,
 * what was reported failed is not, nothing is mixed.
 *
 *   store_crash [STRIDE [MODE]]   every STRIDE-th call (default 1)
 *
 * The shim is faultshim.so beside this program, or $FAULTSHIM.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edges/smtpd_queue.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "queue/store.h"

enum {
	MAILS = 60,
	STAY = 6, /* the first mails are never over: small, in one segment,
		   * while all others are used again */
	MESSAGES_MAX = 4096, /* seqs the ledger holds */
	CONTENT_MAX = 262144,
	MAX_MESSAGE = 1024
};

/* One line of the ledger, from the child to the parent. */
struct event {
	char what; /* A add, D durable, F failed; S state, T it is durable;
		    * E end, G it is durable */
	uint64_t seq;
	uint32_t value;
};

struct fate {
	bool added, durable, failed, ending, ended;
	uint32_t said, kept; /* states */
	/* as found */
	bool found;
	uint32_t state;
};

static struct fate ledger[MESSAGES_MAX];
static char content[CONTENT_MAX];
static const char *mode;
static bool lasting; /* the failure does not go away */
static unsigned int passed, failed;

static const struct queue_settings SETTINGS = { .segment_size = 4194304 };

/* --- the mails: everything follows from the seq --- */

static size_t
size_of(uint64_t seq)
{
	if (seq <= STAY || seq % 4 == 0)
		return seq * 7919 % 30000;
	return 200000 + seq * 37 % 50000;
}

static void
fill_content(uint64_t seq, size_t len)
{
	uint64_t x = seq * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		content[i] = (char)x;
	}
}

static void
make_mail(uint64_t seq, struct mail_record *m, struct mail_rcpt r[static 2])
{
	r[0] = (struct mail_rcpt){ .to = STR("one@example.net"),
		.action = STR("out") };
	r[1] = (struct mail_rcpt){ .to = STR("two@example.net"),
		.action = STR("out"),
		.orig = STR("Two@example.net") };
	*m = (struct mail_record){ .seq = seq,
		.msgid = STR("0123456789abcdef"),
		.from = STR("sender@example.org"),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example.org"),
		.listener = STR("127.0.0.1:25"),
		.received_ms = 1700000000000 + seq,
		.rcpts = r,
		.nrcpt = 2,
		.content = { content, size_of(seq) } };
	fill_content(seq, m->content.len);
}

/* --- the child --- */

struct child {
	struct loop *loop;
	struct store *store;
	int out;

	struct message {
		uint64_t seq;
		struct store_ref ref;
		uint32_t value;
		bool live;
	} messages[MESSAGES_MAX];

	uint64_t states[MESSAGES_MAX], ends[MESSAGES_MAX]; /* this commit */
	size_t nstates, nends;
};

static struct child child;

static void
report(char what, uint64_t seq, uint32_t value)
{
	struct event e = { .what = what, .seq = seq, .value = value };

	if (write(child.out, &e, sizeof(e)) != sizeof(e))
		_exit(3);
}

static void
on_committed(void *ctx, bool ok, struct store_ref ref)
{
	struct message *m = ctx;

	m->ref = ref;
	m->live = ok;
	report(ok ? 'D' : 'F', m->seq, 0);
}

static void
say_state(struct message *m, bool whole)
{
	struct state_rcpt r[2] = { { .index = m->value % 2,
	    .state = STATE_RCPT_WAITING,
	    .attempts = m->value,
	    .next_ms = m->value,
	    .reply = STR("451 4.0.0 later"),
	    .relay = STR("mx.example.net") } };
	struct state_record s = { .seq = m->seq, .rcpts = r, .nrcpt = 1 };

	if (whole) {
		r[1] = r[0];
		r[1].index = 1 - r[0].index;
		s.nrcpt = 2;
	}
	store_add_state(child.store, m->ref, &s);
}

static void
on_restate(void *ctx, uint64_t seq)
{
	(void)ctx;
	if (seq < MESSAGES_MAX && child.messages[seq].live)
		say_state(&child.messages[seq], true);
}

static void
on_space(void *ctx, uint8_t space, uint64_t free_bytes)
{
	(void)ctx;
	(void)space;
	(void)free_bytes;
}

static void
on_nothing_mail(void *ctx, const struct mail_record *m, struct store_ref ref)
{
	(void)ctx;
	(void)m;
	(void)ref;
}

static void
on_nothing_state(void *ctx, const struct state_record *s)
{
	(void)ctx;
	(void)s;
}

static void
on_turn(void *ctx)
{
	loop_stop(ctx);
}

/* One round of the loop, with the timers that are due. */
static void
turn(void)
{
	struct timer *t = timer_new(child.loop, on_turn, child.loop);

	timer_set(t, 0);
	loop_run(child.loop);
	timer_free(&t);
}

static void
commit(void)
{
	store_commit(child.store);
	turn();
	if (store_space(child.store, NULL) != SPACE_SUSPECT) {
		for (size_t i = 0; i < child.nstates; i++)
			report('T', child.states[i],
			    child.messages[child.states[i]].value);
		for (size_t i = 0; i < child.nends; i++)
			report('G', child.ends[i], 0);
	}
	child.nstates = child.nends = 0;
}

static void
add_large(struct mail_record *m)
{
	int fd = store_bodyfile_new(child.store, &m->bodyfile);

	if (fd == -1) {
		m->bodyfile = 0;
		return;
	}
	m->body_size = 5000;
	if (pwrite(fd, content, 5000, 0) != 5000) {
		m->body_size = 0;
		if (ftruncate(fd, 0) == -1)
			_exit(4);
	}
	close(fd);
}

static void
add_mail(unsigned int i)
{
	uint64_t seq = store_next_seq(child.store);
	struct message *msg = &child.messages[seq];
	struct mail_rcpt r[2];
	struct mail_record m;

	make_mail(seq, &m, r);
	msg->seq = seq;
	if (i % 7 == 5)
		add_large(&m);
	report('A', seq, 0);
	store_add_mail(child.store, &m, on_committed, msg);
}

static void
change_some(unsigned int i)
{
	for (uint64_t seq = 1; seq < MESSAGES_MAX; seq++) {
		struct message *m = &child.messages[seq];

		if (!m->live)
			continue;
		if (seq > STAY && (seq * 31 + i) % 3 == 0) {
			m->live = false;
			report('E', seq, 0);
			store_finish(child.store, m->ref, seq);
			child.ends[child.nends++] = seq;
		} else if (seq <= STAY ? i == 8 + 9 * seq :
					 (seq + i) % 5 == 0) {
			m->value++;
			report('S', seq, m->value);
			say_state(m, false);
			child.states[child.nstates++] = seq;
		}
	}
}

static int
run_child(const char *dir, int out)
{
	static const struct store_ops OPS = { on_nothing_mail, on_nothing_state,
		NULL, on_restate, on_space };
	struct fault why;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	child.out = out;
	child.loop = loop_new();
	child.store = store_new(child.loop);
	if (store_open(child.store, fd, &SETTINGS, MAX_MESSAGE, &OPS, NULL,
		&why) == -1)
		return 2; /* the disk fails: so it may */
	loop_settle(child.loop);
	for (unsigned int i = 0; i < MAILS; i++) {
		add_mail(i);
		if (i % 2 == 0)
			add_mail(i + 1000);
		change_some(i);
		commit();
		commit();
	}
	store_close(&child.store);
	return 0;
}

/* --- the parent --- */

static unsigned int wrong;

static void
complain(uint64_t seq, const char *what)
{
	if (wrong++ < 5)
		printf("  seq %" PRIu64 ": %s\n", seq, what);
}

static void
found_mail(void *ctx, const struct mail_record *m, struct store_ref ref)
{
	struct mail_rcpt r[2];
	struct mail_record want;
	struct fate *f;

	(void)ctx;
	(void)ref;
	if (m->seq >= MESSAGES_MAX || !ledger[m->seq].added) {
		complain(m->seq, "nobody added it");
		return;
	}
	f = &ledger[m->seq];
	if (f->found)
		complain(m->seq, "there twice");
	f->found = true;
	make_mail(m->seq, &want, r);
	if (!str_eq(m->content, want.content) || !str_eq(m->from, want.from) ||
	    m->nrcpt != 2 || !str_eq(m->rcpts[1].orig, r[1].orig) ||
	    m->received_ms != want.received_ms)
		complain(m->seq, "not what was added");
}

static void
found_state(void *ctx, const struct state_record *s)
{
	(void)ctx;
	if (s->seq >= MESSAGES_MAX || !ledger[s->seq].found) {
		complain(s->seq, "a state without its message");
		return;
	}
	/* The last record wins; each names what it is about. */
	for (uint32_t i = 0; i < s->nrcpt; i++) {
		if (s->rcpts[i].attempts > ledger[s->seq].said)
			complain(s->seq, "a state nobody said");
		if (s->rcpts[i].attempts > ledger[s->seq].state)
			ledger[s->seq].state = s->rcpts[i].attempts;
	}
}

static void
check_ledger(void)
{
	for (uint64_t seq = 1; seq < MESSAGES_MAX; seq++) {
		const struct fate *f = &ledger[seq];

		if (f->durable && !f->ending && !f->found)
			complain(seq, "LOST");
		if (f->ended && f->found)
			complain(seq, "is over, and came back");
		if (f->failed && f->found && !lasting)
			complain(seq, "was refused, and came back");
		if (f->found && f->state < f->kept)
			complain(seq, "its state is older than what was kept");
	}
}

static void
reopen(const char *dir, struct child *again)
{
	static const struct store_ops OPS = { found_mail, found_state, NULL,
		on_restate, on_space };
	struct fault why = { 0 };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < MESSAGES_MAX; i++) {
		ledger[i].found = false;
		ledger[i].state = 0;
	}
	again->loop = loop_new();
	again->store = store_new(again->loop);
	if (store_open(again->store, fd, &SETTINGS, MAX_MESSAGE, &OPS, NULL,
		&why) == -1) {
		complain(0, why.text);
		return;
	}
	loop_settle(again->loop);
	check_ledger();
}

static unsigned int
count_files(const char *dir, const char *sub)
{
	char path[256];
	unsigned int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", dir, sub);
	d = opendir(path);
	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void
read_ledger(int in)
{
	struct event e;

	memset(ledger, 0, sizeof(ledger));
	while (read(in, &e, sizeof(e)) == sizeof(e)) {
		struct fate *f = &ledger[e.seq % MESSAGES_MAX];

		switch (e.what) {
		case 'A':
			f->added = true;
			break;
		case 'D':
			f->durable = true;
			break;
		case 'F':
			f->failed = true;
			break;
		case 'S':
			f->said = e.value;
			break;
		case 'T':
			f->kept = e.value;
			break;
		case 'E':
			f->ending = true;
			break;
		default:
			f->ended = true;
			break;
		}
	}
}

static void
check_spool(const char *dir)
{
	struct child again = { .out = -1 };

	reopen(dir, &again);
	if (again.store != NULL && wrong == 0) {
		/* Something new, and then everything must still hold. */
		uint64_t seq = store_next_seq(again.store);
		struct mail_rcpt r[2];
		struct mail_record m;

		child.out = open("/dev/null", O_WRONLY | O_CLOEXEC);
		make_mail(seq, &m, r);
		ledger[seq].added = true;
		child.messages[0].seq = seq;
		store_add_mail(
		    again.store, &m, on_committed, &child.messages[0]);
		store_commit(again.store);
		ledger[seq].durable = true;
		close(child.out);
	}
	store_close(&again.store);
	loop_free(&again.loop);
	if (wrong == 0) {
		reopen(dir, &again);
		store_close(&again.store);
		loop_free(&again.loop);
	}
	if (count_files(dir, "corrupt") != 0 && !lasting)
		complain(0, "something was called damaged");
}

static void
remove_tree(const char *dir)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		exit(2);
}

/* Runs the child with the fault at call n. False: there were not as many. */
static bool
run_one(const char *self, const char *shim, long n)
{
	char dir[] = "/tmp/store_crash.XXXXXX", at[32], out[16], told[16];
	int events[2], tell[2], status;
	char byte;
	bool happened;
	pid_t pid;

	if (mkdtemp(dir) == NULL || pipe(events) == -1 || pipe(tell) == -1 ||
	    fcntl(events[1], F_SETPIPE_SZ, 1048576) == -1)
		exit(2);
	pid = fork();
	if (pid == 0) {
		snprintf(at, sizeof(at), "%ld", n);
		snprintf(out, sizeof(out), "%d", events[1]);
		snprintf(told, sizeof(told), "%d", tell[1]);
		setenv("LD_PRELOAD", shim, 1);
		setenv("FAULTSHIM_AT", at, 1);
		setenv("FAULTSHIM_SEED", at, 1);
		setenv("FAULTSHIM_DO", mode, 1);
		setenv("FAULTSHIM_COUNT", lasting ? "0" : "1", 1);
		setenv("FAULTSHIM_FD", told, 1);
		close(events[0]);
		close(tell[0]);
		execl(self, self, "--child", dir, out, (char *)NULL);
		_exit(127);
	}
	close(events[1]);
	close(tell[1]);
	read_ledger(events[0]);
	happened = read(tell[0], &byte, 1) == 1;
	close(events[0]);
	close(tell[0]);
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		exit(2);
	wrong = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0 &&
	    WEXITSTATUS(status) != 2)
		complain(0, "the child failed");
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		complain(0, "the child died of itself");
	check_spool(dir);
	if (wrong == 0) {
		passed++;
		remove_tree(dir);
	} else {
		failed++;
		printf("not ok %s at %ld: %u wrong, see %s\n", mode, n, wrong,
		    dir);
	}
	return happened;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *mode;
		bool lasting;
	} MODES[] = { { "kill", false }, { "torn", false }, { "power", false },
		{ "eio", false }, { "enospc", false }, { "enospc", true },
		{ "short", true } };

	const char *shim = getenv("FAULTSHIM");
	char beside[512], *slash;
	long stride = argc > 1 ? strtol(argv[1], NULL, 10) : 1;

	if (argc == 4 && strcmp(argv[1], "--child") == 0)
		return run_child(argv[2], (int)strtol(argv[3], NULL, 10));
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	if (shim == NULL) {
		snprintf(beside, sizeof(beside), "%s", argv[0]);
		slash = strrchr(beside, '/');
		snprintf(
		    slash == NULL ? beside : slash + 1, 16, "faultshim.so");
		shim = realpath(beside, NULL);
	}
	for (size_t i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++) {
		unsigned int before = passed + failed;

		mode = MODES[i].mode;
		lasting = MODES[i].lasting;
		if (argc > 2 && strcmp(argv[2], mode) != 0)
			continue;
		for (long n = 1; run_one("/proc/self/exe", shim, n);
		     n += stride < 1 ? 1 : stride)
			;
		printf("%s%s: %u points\n", mode, lasting ? " for good" : "",
		    passed + failed - before);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
