/*
 * Around the real endpoint: its socket, those who come to it, and a control
 * that answers as it is told, all in one loop.
 */
#ifndef POSTERN_TESTS_UNIT_WEB_VISITORS_H
#define POSTERN_TESTS_UNIT_WEB_VISITORS_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "web/from_control.h"
#include "web/guests.h"
#include "web/server.h"

enum { HEARD_MAX = 1 << 20 };

static struct loop *loop;
static struct sockaddr_in address;

/* --- control --- */

static struct {
	struct channel *ch;
	size_t nasked;
	bool is_mute;
	uint8_t code; /* of its answers */
	bool is_paused, is_stopping, is_down, is_refusing;
} control;

static void
control_answers(struct channel *ch, uint64_t id)
{
	struct answer_done m = { .code = control.code };

	control.nasked++;
	if (control.is_mute)
		loop_stop(loop);
	else
		channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
control_status(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_gateway gateway = { .version = STR("0.1"),
		.stopping = control.is_stopping };
	struct row_process process = { .role = STR("smtpd"),
		.instance = 1,
		.pid = control.is_down ? 0 : 4711,
		.ready = !control.is_down };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_gateway, &gateway, id);
	channel_tell(ch, TYPE_row_process, &process, id);
	control_answers(ch, id);
}

static void
control_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_stat row = { .name = STR("queue.commits"), .value = 42 };
	struct row_stat refusing = { .name = STR("queue.refusing"),
		.value = control.is_refusing };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_stat, &row, id);
	channel_tell(ch, TYPE_row_stat, &refusing, id);
	control_answers(ch, id);
}

static void
control_milters(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_milter row = { .name = STR("spam") };
	struct row_milter_socket socket = { .milter = STR("spam") };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_milter, &row, id);
	channel_tell(ch, TYPE_row_milter_socket, &socket, id);
	control_answers(ch, id);
}

static void
control_pauses(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_pause row = { .what = PAUSE_SMTP };

	(void)ctx;
	(void)msg;
	if (control.is_paused)
		channel_tell(ch, TYPE_row_pause, &row, id);
	control_answers(ch, id);
}

static void
control_self(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_text row = { .text = STR("/run/submit") };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_text, &row, id);
	control_answers(ch, id);
}

static const struct handler control_handlers[] = {
	{ TYPE_ask_status, control_status },
	{ TYPE_ask_stats, control_stats },
	{ TYPE_ask_milters, control_milters },
	{ TYPE_ask_pauses, control_pauses },
	{ TYPE_ask_submit_path, control_self },
	{ 0, NULL },
};

static void
control_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == control.ch)
		channel_free(&control.ch);
	loop_stop(loop);
}

static void
control_start(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	channel_free(&control.ch);
	memset(&control, 0, sizeof(control));
	(void)from_control_add(sv[0]);
	control.ch = channel_new(loop, sv[1], &control_all_edge, EDGE_B,
	    control_handlers, control_closed, NULL);
}

/* --- those who come --- */

struct visitor {
	struct loop_fd *event;
	int fd;
	struct buf heard;
	bool is_closed;
	size_t nanswers; /* ends of headers */
};

static size_t
answers_in(struct str s)
{
	size_t n = 0;

	for (; s.len >= 4; s = str_skip(s, 1))
		n += memcmp(s.p, "\r\n\r\n", 4) == 0;
	return n;
}

static void
on_heard(void *ctx, int what)
{
	struct visitor *v = ctx;
	char bytes[65536];
	ssize_t n;

	loop_stop(loop);
	if (!(what & LOOP_READ))
		return;
	n = read(v->fd, bytes, sizeof(bytes));
	if (n > 0) {
		buf_add_str(&v->heard, (struct str){ bytes, (size_t)n });
		v->nanswers = answers_in(buf_str(&v->heard));
	} else {
		v->is_closed = true;
		loop_fd_want(v->event, 0);
	}
}

static void
visit(struct visitor *v)
{
	*v = (struct visitor){ .fd = socket(
				   AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	ck_assert_int_ne(v->fd, -1);
	ck_assert_int_eq(
	    connect(v->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(fcntl(v->fd, F_SETFL, O_NONBLOCK), 0);
	buf_init(&v->heard, HEARD_MAX);
	v->event = loop_fd_new(loop, v->fd, on_heard, v);
	loop_fd_want(v->event, LOOP_READ);
}

static void
say(struct visitor *v, const char *text)
{
	size_t len = strlen(text);

	ck_assert_int_eq(write(v->fd, text, len), (ssize_t)len);
}

static void
await_answers(struct visitor *v, size_t n)
{
	while (v->nanswers < n && !v->is_closed)
		loop_run(loop);
	ck_assert_uint_ge(v->nanswers, n);
}

static void
await_closed(struct visitor *v)
{
	while (!v->is_closed)
		loop_run(loop);
}

static const char *
heard(struct visitor *v)
{
	buf_add_char(&v->heard, '\0');
	v->heard.len--;
	return v->heard.p;
}

static void
leave(struct visitor *v)
{
	loop_fd_free(&v->event);
	close(v->fd);
	buf_clear(&v->heard);
}

/* One visitor, one request, the connection closed behind it. */
static struct visitor lone;

static const char *
ask_for(const char *request)
{
	if (lone.event != NULL)
		leave(&lone);
	visit(&lone);
	say(&lone, request);
	await_closed(&lone);
	return heard(&lone);
}

static const char *
get(const char *path)
{
	char request[256];

	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	return ask_for(request);
}

/* --- all of it --- */

static void
setup(void)
{
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN); /* as lib/proc/child.c does */
	loop = loop_new();
	address = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 256), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	look_init(loop);
	server_init(loop);
	server_set(fd);
	ck_assert_int_eq(server_start(), 0);
	control_start();
}

static void
teardown(void)
{
	if (lone.event != NULL)
		leave(&lone);
	look_clear();
	server_stop();
	channel_free(&control.ch);
	loop_settle(loop);
	loop_free(&loop);
}

#endif
