/*
 * The agent from tell_work to tell_done: the test is the queue at the other
 * end of a channel and, by a script, every next hop, all in one loop.
 * Included by each of the tests, whose state it holds.
 */
#include <bsd/string.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/agent.h"
#include "delivery/conn.h"
#include "delivery/from_queue.h"
#include "delivery/from_resolver.h"
#include "delivery/race.h"
#include "delivery/routes.h"
#include "edges/control_all.h"
#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "lib/base/alloc.h"
#include "lib/net/stream.h"
#include "lib/proc/tell_stats.h"

enum { SERVERS = 3, SCRIPTS = 4, PEERS = 32, RESULTS = 64 };

/* Awaits a line by its beginning ("" awaits nothing, "." the end of a mail, "@"
 * a line of it) and answers. */
struct step {
	const char *await; /* NULL: the end, what comes then is kept only */
	const char *say;   /* NULL: close */
	int go;            /* the next step, 0: the one behind */
};

/* Special answers. */
static const char silent[] = "", reset[] = "reset", deaf[] = "deaf";

struct peer {
	struct fake *server;
	const struct step *script;
	struct stream *stream;
	size_t at;
	bool in_mail, is_deaf;
};

struct fake {
	int fd;
	uint16_t port;
	struct loop_fd *watch;
	const struct step *scripts[SCRIPTS]; /* by connection, last repeats */
	struct peer *peers[PEERS];
	size_t npeers;
	struct buf heard; /* everything that came */
	size_t nreads;
};

struct told {
	uint64_t id;
	uint32_t index;
	uint8_t outcome, duplicate, handover;
	uint16_t code;
	char status[16], reply[520], relay[330];
};

static struct loop *loop;
static struct config *config;
static struct deliver_numbers numbers;
static struct channel *queue;
static struct fake servers[SERVERS];
static struct told told[RESULTS];
static size_t ntold;
static unsigned int ndone, awaited, nunreachable;
static void (*at_end)(void); /* of a test, NULL: nothing */
static uint32_t capacity;
static struct timer *watchdog;
static uint64_t next_id;
static bool (*until)(void);

/* --- the server --- */

static void
peer_end(struct peer *p, const char *how)
{
	if (p->stream != NULL && how == reset)
		stream_reset(&p->stream);
	else if (p->stream != NULL)
		stream_close(&p->stream);
}

static void
answer(struct peer *p)
{
	const struct step *s = &p->script[p->at];

	p->at = s->go != 0 ? (size_t)s->go : p->at + 1;
	if (s->say == NULL || s->say == reset) {
		peer_end(p, s->say);
	} else if (s->say == deaf) {
		stream_pause(p->stream);
	} else {
		stream_write(p->stream, s->say, strlen(s->say));
		p->in_mail = strncmp(s->say, "354", 3) == 0;
	}
}

static void
play(struct peer *p)
{
	while (p->stream != NULL && p->script[p->at].await != NULL &&
	       p->script[p->at].await[0] == '\0')
		answer(p);
}

static void
check_until(void)
{
	if (until != NULL && until())
		loop_stop(loop);
}

static bool
is_awaited(
    const struct peer *p, const struct step *s, const char *line, size_t len)
{
	if (p->in_mail)
		return s->await[0] == '@' || (len == 3 && line[0] == '.');
	return strncmp(line, s->await, strlen(s->await)) == 0;
}

static size_t
peer_data(void *ctx, struct str in)
{
	struct peer *p = ctx;
	size_t at = 0;

	p->server->nreads++;
	while (p->stream != NULL && at < in.len) {
		const char *nl = memchr(in.p + at, '\n', in.len - at);
		const struct step *s = &p->script[p->at];
		size_t len;

		if (nl == NULL)
			break;
		len = (size_t)(nl - (in.p + at)) + 1;
		buf_add(&p->server->heard, in.p + at, len);
		if (s->await != NULL && is_awaited(p, s, in.p + at, len)) {
			p->in_mail = false;
			answer(p);
			play(p);
		}
		at += len;
	}
	check_until();
	return at;
}

static void
peer_over(void *ctx, int error)
{
	(void)error;
	peer_end(ctx, NULL);
	check_until();
}

static const struct stream_ops peer_ops = {
	.on_data = peer_data,
	.on_end = peer_over,
};

static void
on_accept(void *ctx, int what)
{
	struct fake *s = ctx;
	struct peer *p = xcalloc(1, sizeof(*p));
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK);
	size_t n = s->npeers;

	(void)what;
	ck_assert_int_ne(fd, -1);
	ck_assert_uint_lt(n, PEERS);
	n = n < SCRIPTS ? n : SCRIPTS - 1;
	while (s->scripts[n] == NULL)
		n--;
	p->server = s;
	p->script = s->scripts[n];
	p->stream = stream_new(loop, fd, false, &peer_ops, p);
	s->peers[s->npeers++] = p;
	play(p);
}

/* On 127.0.0.HOST; port 0: any. */
static void
server_start_at(
    struct fake *s, const struct step *script, uint32_t host, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK - 1 + host) } };
	socklen_t len = sizeof(sin);

	memset(s, 0, sizeof(*s));
	buf_init(&s->heard, 64 << 20);
	s->scripts[0] = script;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(listen(s->fd, 100), 0);
	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&sin, &len), 0);
	s->port = ntohs(sin.sin_port);
	s->watch = loop_fd_new(loop, s->fd, on_accept, s);
	loop_fd_want(s->watch, LOOP_READ);
}

static void
server_start(struct fake *s, const struct step *script)
{
	server_start_at(s, script, 1, 0);
}

/* From now on its port refuses. */
__attribute__((unused)) static void
server_refuse(struct fake *s)
{
	loop_fd_free(&s->watch);
	close(s->fd);
	s->fd = -1;
}

static void
server_stop(struct fake *s)
{
	if (s->port == 0)
		return;
	for (size_t i = 0; i < s->npeers; i++) {
		peer_end(s->peers[i], NULL);
		free(s->peers[i]);
	}
	loop_fd_free(&s->watch);
	if (s->fd != -1)
		close(s->fd);
	buf_clear(&s->heard);
	memset(s, 0, sizeof(*s));
}

__attribute__((unused)) static const char *
heard(const struct fake *s)
{
	static char text[100000];

	snprintf(text, sizeof(text), "%.*s", (int)s->heard.len,
	    s->heard.p == NULL ? "" : s->heard.p);
	return text;
}

/* --- the queue --- */

static void
copy(char *out, size_t size, struct str s)
{
	snprintf(out, size, "%.*s", (int)s.len, s.p);
}

static void
on_result(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_result *m = msg;
	struct told *t = &told[ntold++];

	(void)ctx;
	(void)ch;
	ck_assert_uint_le(ntold, RESULTS);
	t->id = id;
	t->index = m->index;
	t->outcome = m->outcome;
	t->code = m->code;
	t->duplicate = m->possible_duplicate;
	t->handover = m->handover;
	copy(t->status, sizeof(t->status), m->status);
	copy(t->reply, sizeof(t->reply), m->reply);
	copy(t->relay, sizeof(t->relay), m->relay);
}

static void
on_done(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_done *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	nunreachable += m->unreachable;
	if (++ndone == awaited)
		loop_stop(loop);
}

static void
on_capacity(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)id;
	capacity = ((const struct tell_capacity *)msg)->mails;
	check_until();
}

static const struct handler queue_handlers[] = {
	{ TYPE_tell_capacity, on_capacity },
	{ TYPE_tell_result, on_result },
	{ TYPE_tell_done, on_done },
	{ 0, NULL },
};

static void
on_queue_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	channel_free(&queue);
	loop_stop(loop);
}

static void
on_watchdog(void *ctx)
{
	(void)ctx;
	ck_abort_msg("nothing happens any more");
}

static void
connect_queue(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	queue = channel_new(loop, sv[0], &queue_delivery_edge, EDGE_A,
	    queue_handlers, on_queue_closed, NULL);
	from_queue_open(loop, sv[1]);
}

static void
use_numbers(void)
{
	config->delivers[0].numbers = numbers;
}

static void
setup(void)
{
	(void)signal(SIGPIPE, SIG_IGN); /* as in every process */
	loop = loop_new();
	watchdog = timer_new(loop, on_watchdog, NULL);
	timer_set(watchdog, 60000);
	config = config_new();
	free(config->hostname);
	config->hostname = xstrdup("mx.test");
	config_deliver_numbers(config, STR("x"), &numbers);
	config->actions = xcalloc(1, sizeof(*config->actions));
	config->nactions = 1;
	config->actions[0].name = xstrdup("out");
	config->actions[0].kind = ACTION_RELAY;
	config->delivers = xcalloc(1, sizeof(*config->delivers));
	config->ndelivers = 1;
	config->delivers[0].set = UINT64_MAX;
	use_numbers();
	from_resolver_init(loop, QUESTION_PATIENCE_MS);
	agent_init(loop);
	agent_set_config(config);
	ntold = ndone = nunreachable = 0;
	until = NULL;
	connect_queue();
	from_queue_go();
}

static void
on_end_of_round(void *ctx)
{
	loop_stop(ctx);
}

static void
teardown(void)
{
	struct deferred last;
	struct conn *c, *next;

	channel_free(&queue);
	if (at_end != NULL)
		at_end();
	from_queue_close();
	from_resolver_close();
	routes_clear();
	TAILQ_FOREACH_SAFE(c, conn_all(), entry, next)
		conn_close(c);
	for (size_t i = 0; i < SERVERS; i++)
		server_stop(&servers[i]);
	timer_free(&watchdog);
	deferred_init(&last, on_end_of_round, loop);
	loop_after(loop, &last);
	loop_run(loop);
	loop_free(&loop);
	config_unref(&config);
}

/* --- work --- */

struct mail {
	const char *hops, *from, *content;
	const char *to[8];
	const char *envid, *orcpt[8];
	uint8_t notify[8];
	uint32_t flags;
	int file; /* 0: none */
	uint64_t body_size;
};

static char hops_text[4 * 40];

/* The first n servers as next hops. */
static const char *
hops(size_t n)
{
	hops_text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char one[40];

		snprintf(
		    one, sizeof(one), "smtp://127.0.0.1:%u ", servers[i].port);
		(void)strlcat(hops_text, one, sizeof(hops_text));
	}
	return hops_text;
}

static void
give(const struct mail *mail)
{
	const char *content =
	    mail->content != NULL ? mail->content : "A: b\r\n\r\nhi\r\n";
	const char *end = strstr(content, "\r\n\r\n");
	struct tell_work m = {
		.msgid = STR("0123456789abcdef"),
		.from = str_of(mail->from),
		.flags = mail->flags,
		.action = STR("out"),
		.hops = str_of(mail->hops),
		.domain = STR("d.test"),
		.header_size = (uint32_t)(end - content + 4),
		.inline_size = (uint32_t)strlen(content),
		.in_file = mail->file != 0,
		.body_size = mail->body_size,
		.envid = str_of(mail->envid),
	};
	uint64_t id = ++next_id;
	struct tell_work_content body = { .bytes = str_of(content) };

	for (size_t i = 0; mail->to[i] != NULL; i++)
		m.nrcpt++;
	channel_tell(queue, TYPE_tell_work, &m, id);
	for (uint32_t i = 0; i < m.nrcpt; i++) {
		struct tell_work_rcpt r = { .index = i + 10,
			.to = str_of(mail->to[i]),
			.notify = mail->notify[i],
			.orcpt = str_of(mail->orcpt[i]) };

		channel_tell(queue, TYPE_tell_work_rcpt, &r, id);
	}
	if (mail->file != 0) {
		struct tell_work_file f = { .file = mail->file };

		channel_tell(queue, TYPE_tell_work_file, &f, id);
	}
	channel_tell(queue, TYPE_tell_work_content, &body, id);
}

static void
run(unsigned int n)
{
	awaited = ndone + n;
	loop_run(loop);
	ck_assert_uint_eq(ndone, awaited);
}

static const struct mail to_one = { .from = "a@b.test", .to = { "u@d.test" } };

static void
give_one(size_t nhops)
{
	struct mail m = to_one;

	m.hops = hops(nhops);
	give(&m);
}

__attribute__((unused)) static void
deliver_one(size_t nhops)
{
	give_one(nhops);
	run(1);
}

static void
expect(size_t i, enum outcome o, uint16_t code, const char *status)
{
	ck_assert_uint_lt(i, ntold);
	ck_assert_msg(told[i].outcome == o && told[i].code == code &&
			  strcmp(told[i].status, status) == 0,
	    "result %zu: outcome %u code %u status %s reply %s", i,
	    told[i].outcome, told[i].code, told[i].status, told[i].reply);
}

#define EHLO_ALL                                                           \
	"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n" \
	"250 SMTPUTF8\r\n"
#define GREET                             \
	{                                 \
		"", "220 mx ESMTP\r\n", 0 \
	}
#define HELLO                               \
	GREET,                              \
	{                                   \
		"EHLO mx.test", EHLO_ALL, 0 \
	}
#define HELLO_PLAIN                     \
	GREET,                          \
	{                               \
		"EHLO", "250 mx\r\n", 0 \
	}
#define MAIL                                         \
	{                                            \
		"MAIL FROM:<", "250 2.1.0 ok\r\n", 0 \
	}
#define RCPT                                       \
	{                                          \
		"RCPT TO:<", "250 2.1.5 ok\r\n", 0 \
	}
#define DATA                            \
	{                               \
		"DATA", "354 go\r\n", 0 \
	}
#define DOT                                             \
	{                                               \
		".", "250 2.0.0 Ok: queued as X\r\n", 0 \
	}
#define DOT_LOOP                                        \
	{                                               \
		".", "250 2.0.0 Ok: queued as X\r\n", 2 \
	}
#define NOTHING               \
	{                     \
		NULL, NULL, 0 \
	}

/* --- running --- */

struct named_test {
	const char *name;
	const TTest *test;
	int times;
};

static int
run_tests(const char *name, const struct named_test *tests, size_t n)
{
	Suite *s = suite_create(name);
	SRunner *sr = srunner_create(s);
	int failed;

	for (size_t i = 0; i < n; i++) {
		TCase *tc = tcase_create(tests[i].name);

		tcase_add_checked_fixture(tc, setup, teardown);
		tcase_set_timeout(tc, 120);
		tcase_add_loop_test(tc, tests[i].test, 0, tests[i].times);
		suite_add_tcase(s, tc);
	}
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
