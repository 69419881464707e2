#include "posternd/links.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "edges/control_all.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "posternd/retired.h"
#include "posternd/spawn.h"

enum {
	SOCKET_BUFFER = 1 << 20, /* of each end; the kernel may give less */
	/* We may hear of the end of its channels before we hear of a death. */
	DEATH_MS = 100,
	/* Who breaks the contract again and again costs no more than this. */
	EVERY_MS = 1000
};

/* Two who have had a channel; b NULL: ourselves. */
struct link {
	LIST_ENTRY(link) next;
	struct process *a, *b;
	uint32_t number; /* of the present channel; both ends know it */
	uint64_t made_ms;
	struct timer *timer; /* until it is made anew */
};

static void on_timer(void *ctx);

static struct link *
find(struct process *a, struct process *b)
{
	struct link *l;

	LIST_FOREACH(l, &a->gw->links, next)
		if ((l->a == a && l->b == b) || (l->a == b && l->b == a))
			return l;
	return NULL;
}

static struct link *
find_or_add(struct process *a, struct process *b)
{
	struct link *l = find(a, b);

	if (l != NULL)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->a = a;
	l->b = b;
	l->timer = timer_new(a->gw->loop, on_timer, l);
	LIST_INSERT_HEAD(&a->gw->links, l, next);
	return l;
}

/* --- made --- */

static int
make_pair(int pair[2])
{
	int size = SOCKET_BUFFER;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1) {
		log_warn(NULL, "peer", "why=%s", log_cstr(strerror(errno)));
		return -1;
	}
	/* Beyond the system's bound as root; what it gives else. */
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size,
			sizeof(size)) == -1)
			(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size,
			    sizeof(size));
	return 0;
}

static enum role
role_of(const struct process *p)
{
	return p == NULL ? ROLE_PARENT : p->def->role;
}

static uint16_t
instance_of(const struct process *p)
{
	return p == NULL ? 0 : p->instance;
}

/* Our end of a channel to control. */
static int
keep(struct process *control, int socket)
{
	enum edge_end end;
	const struct edge *edge =
	    edges_between(ROLE_PARENT, control->def->role, &end);
	channel_free(&control->asks);
	control->asks = channel_new(control->gw->loop, socket, edge, end,
	    from_control_handlers, from_control_closed, control);
	channel_set_peer(control->asks, role_name(control->def->role));
	return 0;
}

/* Gives to its end. Takes the socket. */
static int
hand(struct process *to, struct process *peer, uint32_t number, int socket)
{
	struct tell_peer m = { .role = (uint8_t)role_of(peer),
		.instance = instance_of(peer),
		.number = number,
		.socket = socket };
	if (to == NULL)
		return keep(peer, socket);
	int rc = channel_tell(to->ch, TYPE_tell_peer, &m, 0);
	close(socket);
	return rc;
}

/* When we are short of descriptors just now it is tried again. */
static void
make(struct link *l)
{
	int pair[2];
	l->number++;
	l->made_ms = loop_now_ms(l->a->gw->loop);
	timer_stop(l->timer);
	if (make_pair(pair) == -1) {
		timer_set(l->timer, EVERY_MS);
		return;
	}
	int a = hand(l->a, l->b, l->number, pair[0]);
	int b = hand(l->b, l->a, l->number, pair[1]);
	if (a == -1 || b == -1)
		timer_set(l->timer, EVERY_MS);
}

static void
join(struct process *a, struct process *b)
{
	enum edge_end end;
	if (edges_between(role_of(a), role_of(b), &end) != NULL)
		make(find_or_add(a, b));
}

void
links_join(struct process *a, struct process *b)
{
	join(a, b);
}

void
links_join_parent(struct process *control)
{
	join(control, NULL);
}

/* --- kept for the next queue --- */

struct queue_end *
links_keep(int fd, uint32_t number)
{
	struct queue_end *e = xmalloc(sizeof(*e));
	*e = (struct queue_end){ .fd = fd, .number = number };
	return e;
}

int
links_hold(struct process *smtpd, struct process *queue)
{
	struct link *l = find_or_add(smtpd, queue);
	int pair[2];
	timer_stop(l->timer);
	if (make_pair(pair) == -1)
		return -1;
	l->number++;
	l->made_ms = loop_now_ms(smtpd->gw->loop);
	links_drop(smtpd);
	smtpd->queue_end = links_keep(pair[1], l->number);
	return hand(smtpd, queue, l->number, pair[0]);
}

void
links_give(struct process *queue, struct process *smtpd)
{
	struct queue_end *e = smtpd->queue_end;
	struct link *l = find_or_add(smtpd, queue);
	l->number = e->number;
	l->made_ms = loop_now_ms(smtpd->gw->loop);
	timer_stop(l->timer);
	if (hand(queue, smtpd, e->number, e->fd) == -1)
		timer_set(l->timer, EVERY_MS);
	e->fd = -1;
	links_drop(smtpd);
}

void
links_drop(struct process *smtpd)
{
	struct queue_end *e = smtpd->queue_end;
	smtpd->queue_end = NULL;
	if (e != NULL && e->fd != -1)
		close(e->fd);
	free(e);
}

void
links_forget(struct process *p)
{
	struct link *l, *next;
	LIST_FOREACH_SAFE(l, &p->gw->links, next, next) {
		if (l->a != p && l->b != p)
			continue;
		LIST_REMOVE(l, next);
		timer_free(&l->timer);
		free(l);
	}
}

/* --- made anew --- */

static bool
is_there(const struct process *p)
{
	return p == NULL || (p->state != PROCESS_DOWN && p->ch != NULL);
}

static const char *
name_of(const struct process *p, char *text, size_t size)
{
	snprintf(text, size, "%s/%u", role_name(role_of(p)), instance_of(p));
	return text;
}

/* Who has died meanwhile gets all his channels when he is started again. */
static void
on_timer(void *ctx)
{
	struct link *l = ctx;
	char a[32], b[32];
	if (l->a->gw->stopping || !is_there(l->a) || !is_there(l->b))
		return;
	log_warn(NULL, "relink", "a=%s b=%s",
	    log_cstr(name_of(l->a, a, sizeof(a))),
	    log_cstr(name_of(l->b, b, sizeof(b))));
	make(l);
}

static struct process *
find_process(struct gateway *gw, enum role role, uint16_t instance)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].def->role == role &&
		    gw->processes[i].instance == instance)
			return &gw->processes[i];
	return retired_find(gw, role, instance);
}

void
links_lost(
    struct process *p, enum role role, uint16_t instance, uint32_t number)
{
	struct process *peer = find_process(p->gw, role, instance);
	if (peer == NULL && role != ROLE_PARENT)
		return;
	struct link *l = find(p, peer);
	/* Both ends say so; the later one perhaps when there is a new one. */
	if (l == NULL || l->number != number || timer_is_set(l->timer))
		return;
	uint64_t since = loop_now_ms(p->gw->loop) - l->made_ms;
	uint64_t ms = since < EVERY_MS ? EVERY_MS - since : 0;
	timer_set(l->timer, ms > DEATH_MS ? ms : DEATH_MS);
}
