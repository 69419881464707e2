#include "delivery/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/idle.h"
#include "delivery/smtp_client.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

static struct conn_list all = TAILQ_HEAD_INITIALIZER(all);
static uint64_t nopen, ntotal;

static void
conn_gone(void *ctx)
{
	struct conn *c = ctx;

	hop_release(c->hop, loop_now_ms(c->loop));
	free(c->helo);
	free(c->host);
	free(c);
}

/* A socket on its way to at; -1 with errno. */
static int
begin_connect(const struct hop_addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&at->addr, at->port, &ss);
	int fd, saved;

	if (len == 0) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS) {
		saved = errno;
		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct conn *
conn_new(struct loop *l, const struct hop_addr *at, int fd, const char *helo,
    const struct deliver_numbers *numbers, const struct conn_ops *ops)
{
	char text[HOP_TEXT_MAX];
	struct conn *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->ops = ops;
	c->hop = hop_take(at, loop_now_ms(l));
	c->helo = xstrdup(helo);
	c->numbers = *numbers;
	deferred_init(&c->gone, conn_gone, c);
	TAILQ_INSERT_TAIL(&all, c, entry);
	nopen++;
	ntotal++;
	log_debug(NULL, "connect", "relay=%s", log_cstr(hop_format(at, text)));
	client_connecting(c, fd);
	return c;
}

struct conn *
conn_open(struct loop *l, const struct hop_addr *at, const char *helo,
    const struct deliver_numbers *numbers, const struct conn_ops *ops)
{
	int fd = begin_connect(at);

	return fd == -1 ? NULL : conn_new(l, at, fd, helo, numbers, ops);
}

void
conn_set_host(struct conn *c, const char *host)
{
	free(c->host);
	c->host = host == NULL ? NULL : xstrdup(host);
}

const char *
conn_format(const struct conn *c, char out[static PLACE_TEXT_MAX])
{
	return place_format(&(struct place){ c->hop->at, c->host, NULL }, out);
}

static void
conn_end(struct conn *c, void (*end)(struct stream **))
{
	if (c->stream == NULL)
		return;
	idle_del(c);
	timer_free(&c->breath);
	end(&c->stream);
	c->nwaiting = 0;
	TAILQ_REMOVE(&all, c, entry);
	nopen--;
	loop_after(c->loop, &c->gone);
}

void
conn_close(struct conn *c)
{
	conn_end(c, stream_close);
}

void
conn_abort(struct conn *c)
{
	conn_end(c, stream_reset);
}

struct conn_list *
conn_all(void)
{
	return &all;
}

uint64_t
conn_count(void)
{
	return nopen;
}

uint64_t
conn_total(void)
{
	return ntotal;
}
