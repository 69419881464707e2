/*
 * One connection to a scripted server, over a pair of sockets: the test is the
 * connection's owner, the queue that hears of results, the vault, and the
 * server, which speaks real TLS. Included by each of the tests, whose state it
 * holds.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/conn.h"
#include "delivery/from_vault.h"
#include "delivery/secure.h"
#include "delivery/smtp_client.h"
#include "edges/delivery_vault.h"
#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "lib/mail/envelope.h"
#include "lib/rules/config.h"
#include "tests/unit/lib/tls_world.h"

/* Awaits a line by its beginning ("" awaits nothing, "." the end of a mail,
 * "BDAT" the whole chunk) and answers. */
struct step {
	const char *await; /* NULL: the end, what comes then is kept only */
	const char *say;   /* NULL: close */
};

/* Special answers: nothing, a reset, TLS begins with what comes next; before
 * that a 220; no more is read. */
static const char silent[] = "", reset[] = "reset", tls_now[] = "tls",
		  starttls[] = "starttls", deaf[] = "deaf";

struct told {
	uint32_t index;
	uint8_t outcome, duplicate, handover;
	uint16_t code;
	char status[16], reply[520], tls[130];
};

static struct config *config;
static struct deliver_numbers numbers;
static struct policy policy;
static struct hop_addr at;
static struct conn *conn;
static struct work *work;
static bool in_clear; /* of the next connection */
static bool narrow;   /* little fits in between there */

static struct channel *queue, *from_us;
static struct told told[16];
static size_t ntold;
static bool ready, lost; /* how it ended */
static enum lost how;
static struct verdict why_lost;

static struct one *ca, *cert;
static struct tls_server *tls;

static struct {
	const struct step *script;
	struct stream *stream;
	struct buf heard;
	size_t at, nreads, nmails, chunk;
	bool in_mail, in_chunk;
	bool secured;
} server;

/* Over what stands there, without an end. */
__attribute__((unused)) static void
put(char *to, const char *text)
{
	while (*text != '\0')
		*to++ = *text++;
}

/* --- the server --- */

static void
serve(void)
{
	const struct step *s = &server.script[server.at++];

	server.in_mail = false;
	if (s->say == NULL) {
		stream_close(&server.stream);
	} else if (s->say == deaf) {
		stream_pause(server.stream);
	} else if (s->say == reset) {
		stream_reset(&server.stream);
	} else if (s->say == tls_now || s->say == starttls) {
		if (s->say == starttls)
			stream_write(server.stream, "220 2.0.0 go\r\n", 14);
		stream_start_tls(server.stream, tls_accept(tls));
	} else {
		stream_write(server.stream, s->say, strlen(s->say));
		server.in_mail = strncmp(s->say, "354", 3) == 0;
	}
}

static void
serve_unasked(void)
{
	while (server.stream != NULL && !server.in_chunk &&
	       server.script[server.at].await != NULL &&
	       server.script[server.at].await[0] == '\0')
		serve();
}

static bool
is_awaited(const char *await, const char *line, size_t len)
{
	if (await == NULL)
		return false;
	if (server.in_mail)
		return len == 3 && line[0] == '.';
	return strncmp(line, await, strlen(await)) == 0;
}

/* Bytes of a chunk; the answer comes behind its last. */
static size_t
take_chunk(struct str in)
{
	size_t n = in.len < server.chunk ? in.len : server.chunk;

	buf_add(&server.heard, in.p, n);
	server.chunk -= n;
	if (server.chunk == 0) {
		server.in_chunk = false;
		serve();
		serve_unasked();
	}
	return n;
}

static size_t
take_line(struct str in)
{
	size_t len = str_find(in, '\n') + 1;
	const char *await = server.script[server.at].await;

	if (len > in.len)
		return 0;
	buf_add(&server.heard, in.p, len);
	if (!is_awaited(await, in.p, len))
		return len;
	server.chunk =
	    strcmp(await, "BDAT") == 0 ? strtoul(in.p + 5, NULL, 10) : 0;
	server.in_chunk = server.chunk > 0;
	if (!server.in_chunk)
		serve();
	serve_unasked();
	return len;
}

static size_t
server_data(void *ctx, struct str in)
{
	size_t done = 0, used;

	(void)ctx;
	server.nreads++;
	do {
		struct str rest = str_skip(in, done);

		used = server.in_chunk ? take_chunk(rest) : take_line(rest);
		done += used;
	} while (server.stream != NULL && used > 0 && done < in.len);
	return done;
}

static void
server_end(void *ctx, int error)
{
	(void)ctx;
	(void)error;
	stream_close(&server.stream);
}

static void
server_secured(void *ctx, const struct fault *why)
{
	(void)ctx;
	if (why != NULL) {
		stream_close(&server.stream);
		return;
	}
	server.secured = true;
	serve_unasked();
}

static const struct stream_ops server_ops = {
	.on_data = server_data,
	.on_end = server_end,
	.on_secure = server_secured,
};

static const char *
heard(void)
{
	static char text[200000];

	snprintf(text, sizeof(text), "%.*s", (int)server.heard.len,
	    server.heard.p == NULL ? "" : server.heard.p);
	return text;
}

__attribute__((unused)) static bool
has_heard(const char *text)
{
	return strstr(heard(), text) != NULL;
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
	(void)id;
	ck_assert_uint_le(ntold, sizeof(told) / sizeof(told[0]));
	t->index = m->index;
	t->outcome = m->outcome;
	t->code = m->code;
	t->duplicate = m->possible_duplicate;
	t->handover = m->handover;
	copy(t->status, sizeof(t->status), m->status);
	copy(t->reply, sizeof(t->reply), m->reply);
	copy(t->tls, sizeof(t->tls), m->tls);
}

static void
on_done(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
	loop_stop(loop);
}

static const struct handler queue_handlers[] = {
	{ TYPE_tell_result, on_result },
	{ TYPE_tell_done, on_done },
	{ 0, NULL },
};

static const struct handler our_handlers[] = { { 0, NULL } };

static void
on_broken(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	ck_abort_msg("a channel broke");
}

static void
open_queue(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	queue = channel_new(loop, sv[0], &queue_delivery_edge, EDGE_A,
	    queue_handlers, on_broken, NULL);
	from_us = channel_new(loop, sv[1], &queue_delivery_edge, EDGE_B,
	    our_handlers, on_broken, NULL);
}

/* --- the owner --- */

/* The results that were told arrive before this. */
static void
over(void)
{
	struct tell_done m = { 0 };

	channel_tell(from_us, TYPE_tell_done, &m, 1);
}

static void
on_ready(struct conn *c)
{
	ck_assert(!ready && !lost);
	if (c->work != NULL && c->work->nopen > 0 && !client_is_used_up(c) &&
	    client_begin(c) == 0)
		return;
	c->work = NULL;
	ready = true;
	over();
}

static void
on_lost(struct conn *c, const struct verdict *why, enum lost in_which_way)
{
	ck_assert(!ready && !lost);
	c->work = NULL;
	lost = true;
	how = in_which_way;
	why_lost = *why;
	over();
}

static const struct conn_ops conn_ops = { on_ready, on_lost };

struct mail {
	const char *from, *content;
	const char *to[8];
	uint8_t notify[8];
	uint32_t flags;
};

static const struct mail to_one = { .from = "a@b.test", .to = { "u@d.test" } };

static void
make_work(const struct mail *mail)
{
	const char *content =
	    mail->content != NULL ? mail->content : "A: b\r\n\r\nhi\r\n";
	const char *end = strstr(content, "\r\n\r\n");
	struct tell_work m = {
		.msgid = STR("0123456789abcdef"),
		.from = str_of(mail->from),
		.flags = mail->flags,
		.action = STR("out"),
		.domain = STR("d.test"),
		.header_size = (uint32_t)(end - content + 4),
		.inline_size = (uint32_t)strlen(content),
	};

	work_free(&work);
	while (mail->to[m.nrcpt] != NULL)
		m.nrcpt++;
	work = work_new(&m, 1, 0);
	ck_assert_ptr_nonnull(work);
	for (uint32_t i = 0; i < m.nrcpt; i++) {
		struct tell_work_rcpt r = { .index = i + 10,
			.to = str_of(mail->to[i]),
			.notify = mail->notify[i] };

		ck_assert_int_eq(work_add_rcpt(work, &r), 0);
	}
	ck_assert_int_eq(work_add_content(work, str_of(content)), 0);
	ck_assert(work_is_complete(work));
	work->queue = from_us;
}

/* Until it is ready again, or lost. */
static void
wait_for_end(void)
{
	ready = lost = false;
	timer_set(guard, 60000);
	loop_run(loop);
	timer_stop(guard);
	ck_assert(ready || lost);
}

/* A new connection with this mail (NULL: none), as far as it comes. */
static void
talk(const struct step *script, const struct mail *mail)
{
	int sv[2];

	if (conn != NULL)
		conn_close(conn);
	stream_close(&server.stream);
	buf_clear(&server.heard);
	memset(&server, 0, sizeof(server));
	buf_init(&server.heard, 64 << 20);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	if (narrow)
		ck_assert_int_eq(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF,
				     &(int){ 4096 }, sizeof(int)),
		    0);
	server.script = script;
	server.stream = stream_new(loop, sv[1], false, &server_ops, NULL);
	conn = conn_new(loop, &at, sv[0], &policy, &numbers, &conn_ops);
	conn->in_clear = in_clear;
	if (mail != NULL) {
		make_work(mail);
		conn->work = work;
	}
	ntold = 0;
	serve_unasked();
	wait_for_end();
	if (lost)
		conn = NULL;
}

/* One more mail by the same connection, which was idle. */
__attribute__((unused)) static void
talk_on(const struct mail *mail)
{
	ck_assert(conn != NULL);
	make_work(mail);
	conn->work = work;
	conn->reused = true;
	conn->heard = false;
	ntold = 0;
	ck_assert_int_eq(client_begin(conn), 0);
	wait_for_end();
	if (lost)
		conn = NULL;
}

__attribute__((unused)) static void
expect(size_t i, enum outcome o, uint16_t code, const char *status)
{
	ck_assert_uint_lt(i, ntold);
	ck_assert_msg(told[i].outcome == o && told[i].code == code &&
			  strcmp(told[i].status, status) == 0,
	    "result %zu: outcome %u code %u status %s reply %s", i,
	    told[i].outcome, told[i].code, told[i].status, told[i].reply);
}

__attribute__((unused)) static void
expect_lost(enum lost in_which_way, const char *status)
{
	char text[16];

	ck_assert_msg(lost, "not lost; heard %s", heard());
	status_format(&why_lost.status, text);
	ck_assert_msg(how == in_which_way && strcmp(text, status) == 0 &&
			  why_lost.outcome == OUTCOME_DEFERRED,
	    "lost %u: %s %s", how, text, why_lost.text);
}

/* --- life --- */

static int
memory_file(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static void
setup(void)
{
	const char *chain;
	struct tls_identity id = { &chain, 1 };
	struct tls_server_conf conf = { &id, 1, 1, false, NULL };
	struct fault why;

	world_open();
	if (ca == NULL) {
		ca = one_new(KIND_EC, "the ca", NULL, NULL);
		cert = one_new(KIND_EC, "mx", "DNS:mx.test", ca);
	}
	chain = cert->pem;
	tls = tls_server_new(&conf, &why);
	ck_assert_ptr_nonnull(tls);
	world_enter(loop_new());
	from_vault_init(loop);
	tls_set_signer(world_sign, world_cancel);
	secure_set_authorities(memory_file(ca->pem));
	config = config_new();
	config_deliver_numbers(config, STR("d.test"), &numbers);
	policy = (struct policy){ .refs = 1,
		.level = SECURE_MAY,
		.helo = xstrdup("us.test"),
		.key = xstrdup("key") };
	at = (struct hop_addr){ .port = 25 };
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &at.addr), 0);
	in_clear = narrow = false;
	open_queue();
}

static void
teardown(void)
{
	struct loop *l = loop;

	if (conn != NULL)
		conn_close(conn);
	conn = NULL;
	stream_close(&server.stream);
	buf_clear(&server.heard);
	work_free(&work);
	channel_free(&queue);
	channel_free(&from_us);
	settle();
	ck_assert_uint_eq(policy.refs, 1);
	free(policy.helo);
	free(policy.key);
	tls_server_unref(&tls);
	from_vault_close();
	world_leave();
	loop_free(&l);
	config_unref(&config);
}

#define GREET                          \
	{                              \
		"", "220 mx ESMTP\r\n" \
	}
#define EHLO_(lines)                                   \
	{                                              \
		"EHLO us.test\r\n", "250-mx\r\n" lines \
	}
#define MAIL                                      \
	{                                         \
		"MAIL FROM:<", "250 2.1.0 ok\r\n" \
	}
#define RCPT                                    \
	{                                       \
		"RCPT TO:<", "250 2.1.5 ok\r\n" \
	}
#define NO_RCPT                                     \
	{                                           \
		"RCPT TO:<", "550 5.1.1 nobody\r\n" \
	}
#define DATA                         \
	{                            \
		"DATA", "354 go\r\n" \
	}
#define DOT                                \
	{                                  \
		".", "250 2.0.0 taken\r\n" \
	}
#define NOTHING            \
	{                  \
		NULL, NULL \
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

	/* Costly, and the same for the processes of all tests. */
	world_open();
	secure_init();
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
