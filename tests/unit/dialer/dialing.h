/* A session that asks the dialer for connections, and filters that listen. */
#ifndef POSTERN_TESTS_UNIT_DIALER_DIALING_H
#define POSTERN_TESTS_UNIT_DIALER_DIALING_H

#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/smtpd_dialer.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/ipc/channel.h"
#include "milters/dialer/addresses.h"
#include "milters/dialer/crowd.h"
#include "milters/dialer/from_smtpd.h"
#include "milters/dialer/reach.h"

enum { ANSWERS_MAX = 64 };

static struct loop *loop;
static struct config *config;
static struct channel *session;
static char dir[40];
static char path[64], text[80];

/* What the session got. */
static struct {
	size_t n, nfaults;
	int fds[ANSWERS_MAX]; /* -1: why */
	char why[256];
} got;

/* --- the session --- */

static inline void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	loop_stop(loop);
	if (fault != NULL) {
		got.nfaults++;
		return;
	}
	ck_assert_uint_lt(got.n, ANSWERS_MAX);
	got.fds[got.n] = -1;
	if (type == TYPE_answer_dialed) {
		const struct answer_dialed *m = msg;
		got.fds[got.n] = m->socket;
	} else {
		const struct answer_not_dialed *m = msg;
		snprintf(got.why, sizeof(got.why), "%.*s", (int)m->why.len,
		    m->why.p);
	}
	got.n++;
}

static inline void
send_dial(const char *milter, unsigned int socket, const char *address)
{
	struct ask_dial m = { .milter = str_of(milter),
		.socket = (uint8_t)socket,
		.address = str_of(address) };

	channel_ask(session, TYPE_ask_dial, &m, on_answer, NULL);
}

/* The next answer: a connection, or -1 and got.why. */
static inline int
answer(void)
{
	size_t n = got.n;

	while (got.n == n)
		loop_run(loop);
	return got.fds[n];
}

/* Of the filter's only socket. */
static inline int
dial(const char *milter)
{
	struct str name = str_of(milter);
	const struct milter *m = config_find_milter(config, name);

	send_dial(milter, 0, m->sockets[0].text);
	return answer();
}

static inline void
connect_session(uint16_t instance)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from_smtpd_add(instance, sv[0]);
	session = channel_new(
	    loop, sv[1], &smtpd_dialer_edge, EDGE_A, NULL, NULL, NULL);
}

/* --- the configuration --- */

static inline struct milter_socket *
add_milter(const char *name, const char *socket)
{
	struct milter *m;

	config->milters = xreallocarray(
	    config->milters, config->nmilters + 1, sizeof(*config->milters));
	m = &config->milters[config->nmilters];
	*m = (struct milter){ .id = (uint32_t)config->nmilters,
		.name = xstrdup(name),
		.nsockets = 1 };
	m->sockets[0].text = xstrdup(socket);
	config->nmilters++;
	return &m->sockets[0];
}

/* The port of a socket that listens on all of the machine's addresses. */
static inline uint16_t
port_of(int fd)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

static inline int
listen_inet(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

static inline void
open_session(void)
{
	log_init("dialer", 1, "test");
	log_set_level(LOG_LEVEL_WARN);
	loop = loop_new();
	snprintf(dir, sizeof(dir), "/tmp/test-dialer.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/filter.sock", dir);
	snprintf(text, sizeof(text), "unix:%s", path);
	reach_init();
	addresses_init(loop);
	crowd_init(loop);
	from_smtpd_init(loop);
	config = config_new();
	connect_session(0);
}

/* The configuration holds from now on. */
static inline void
use(void)
{
	addresses_set_config(config);
	from_smtpd_set_config(config);
}

/* The program ends with each test: check runs them in processes of their
 * own. */
static inline void
close_session(void)
{
	for (size_t i = 0; i < got.n; i++)
		if (got.fds[i] != -1)
			close(got.fds[i]);
	channel_free(&session);
	/* The dialer forgets the filters, and with them the hosts. */
	config_unref(&config);
	config = config_new();
	use();
	config_unref(&config);
	loop_settle(loop);
	unlink(path);
	rmdir(dir);
}

#endif
