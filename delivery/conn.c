#include "delivery/conn.h"

#include <stdlib.h>

#include "delivery/downgrade.h"
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
	policy_unref(&c->policy);
	free(c->host);
	free(c);
}

struct conn *
conn_new(struct loop *l, const struct hop_addr *at, int fd,
    struct policy *policy, const struct deliver_numbers *numbers,
    const struct conn_ops *ops)
{
	char text[HOP_TEXT_MAX];
	struct conn *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->ops = ops;
	c->hop = hop_take(at, loop_now_ms(l));
	c->policy = policy_ref(policy);
	c->numbers = *numbers;
	deferred_init(&c->gone, conn_gone, c);
	TAILQ_INSERT_TAIL(&all, c, entry);
	nopen++;
	ntotal++;
	log_debug(NULL, "connect", "relay=%s", log_cstr(hop_format(at, text)));
	client_connecting(c, fd);
	return c;
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
	return place_format(
	    &(struct place){ .at = c->hop->at, .host = c->host }, out);
}

static void
conn_end(struct conn *c, void (*end)(struct stream **))
{
	if (c->stream == NULL)
		return;
	idle_del(c);
	timer_free(&c->breath);
	downgrade_free(&c->downgrade);
	auth_end(c);
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
