/* Followers: a network each, and how many lines it has missed. */
#include "smtpd/follow.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/addr.h"
#include "smtpd/session.h"

struct follower {
	LIST_ENTRY(follower) next;
	struct channel *ch;
	uint64_t id;
	struct addr_net net;
	uint32_t uid;
	uint64_t told, missed; /* lines; missed: since the last told */
	char network[];        /* as it was asked */
};

static LIST_HEAD(, follower) followers = LIST_HEAD_INITIALIZER(followers);
static size_t nfollowers;

static int
parse(struct str text, struct addr_net *net)
{
	if (!str_eq_nocase(text, STR("local")))
		return addr_net_parse(text, net);
	*net = (struct addr_net){ .addr = { .family = ADDR_LOCAL } };
	return 0;
}

static bool
is_of(const struct follower *f, const struct addr *client)
{
	if (f->net.addr.family == ADDR_LOCAL || client->family == ADDR_LOCAL)
		return f->net.addr.family == client->family;
	return addr_net_has(&f->net, client);
}

static void
refuse(struct channel *ch, uint64_t id, struct str why)
{
	struct answer_done m = { .code = ANSWER_REFUSED_IT, .text = why };

	channel_tell(ch, TYPE_answer_done, &m, id);
}

void
follow_start(struct channel *ch, uint64_t id, const struct ask_follow *m)
{
	struct addr_net net;
	struct follower *f;

	if (parse(m->network, &net) != 0) {
		refuse(ch, id, STR("that is no address or network"));
		return;
	}
	if (nfollowers == FOLLOWERS_MAX) {
		refuse(ch, id, STR("too many follow already"));
		return;
	}
	f = xcalloc(1, sizeof(*f) + m->network.len + 1);
	f->ch = ch;
	f->id = id;
	f->net = net;
	f->uid = m->uid;
	memcpy(f->network, m->network.p, m->network.len);
	LIST_INSERT_HEAD(&followers, f, next);
	nfollowers++;
	log_info(
	    NULL, "follow", "uid=%u network=%s", f->uid, log_cstr(f->network));
}

static void
end(struct follower *f)
{
	log_info(NULL, "follow-end", "uid=%u network=%s lines=%llu", f->uid,
	    log_cstr(f->network), (unsigned long long)f->told);
	LIST_REMOVE(f, next);
	nfollowers--;
	free(f);
}

void
follow_stop(uint64_t id)
{
	struct follower *f, *next;

	LIST_FOREACH_SAFE(f, &followers, next, next)
		if (f->id == id)
			end(f);
}

bool
follow_is_on(void)
{
	return nfollowers > 0;
}

/* --- lines --- */

static void
tell_missed(struct follower *f)
{
	char text[64];
	struct row_line row = { .when_ms = clock_wall_ms(), .way = LINE_NOTE };

	if (f->missed == 0 || channel_is_full(f->ch))
		return;
	snprintf(text, sizeof(text), "%llu lines were lost: read faster",
	    (unsigned long long)f->missed);
	row.text = str_of(text);
	channel_tell(f->ch, TYPE_row_line, &row, f->id);
	f->missed = 0;
}

void
follow_line(const struct session *s, enum line_way way, struct str text)
{
	struct row_line row = { .session = str_of(s->id),
		.client = str_of(s->client_text),
		.when_ms = clock_wall_ms(),
		.way = (uint8_t)way,
		.text = text };
	struct follower *f;

	LIST_FOREACH(f, &followers, next) {
		if (!is_of(f, &s->client))
			continue;
		tell_missed(f);
		if (f->missed > 0 || channel_is_full(f->ch)) {
			f->missed++;
			continue;
		}
		channel_tell(f->ch, TYPE_row_line, &row, f->id);
		f->told++;
	}
}

void
follow_go_on(void)
{
	struct follower *f;

	LIST_FOREACH(f, &followers, next)
		tell_missed(f);
}

void
follow_lost(void)
{
	struct follower *f;

	while ((f = LIST_FIRST(&followers)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): f is another */
		end(f);
}
