/*
 * The header in front of a session. What stands behind it may be of TLS, and
 * the stream throws away what it has read when TLS begins: so it leaves the
 * bytes in the kernel until we have said how many are ours (stream_peek).
 */
#include "smtpd/proxy.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "smtpd/proxy_header.h"
#include "smtpd/recorder.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

struct proxy {
	struct proxy_header header;
	bool done;
};

bool
proxy_is_due(const struct listener *l, const struct addr *peer)
{
	if (peer->family == ADDR_LOCAL)
		return false;
	return (l->flags & LISTENER_PROXY) != 0 ||
	       (l->proxy_from != NULL &&
		   table_find_source(l->proxy_from, peer, NULL));
}

void
proxy_start(struct session *s)
{
	s->proxy = xcalloc(1, sizeof(*s->proxy));
	proxy_header_init(&s->proxy->header);
	s->proxied = true;
	stream_peek(s->stream, true);
	session_enter(s, SESSION_PROXY);
}

bool
proxy_is_done(const struct session *s)
{
	return s->proxy != NULL && s->proxy->done;
}

void
proxy_free(struct proxy **p)
{
	if (*p == NULL)
		return;
	proxy_header_clear(&(*p)->header);
	free(*p);
	*p = NULL;
}

/* There is nobody who would read a reply. */
static void
give_up(struct session *s, const char *why)
{
	stats_add(STAT_PROXY_ERRORS, 1);
	log_info(&s->log, "proxy-error", "why=%s client=%s", log_cstr(why),
	    log_cstr(s->client_text));
	recorder_note(s, "PROXY header: %s", why);
	session_drop(s, "proxy-error");
}

static void
take(struct session *s, const struct proxy_header *h)
{
	char text[ADDR_TEXT_MAX];

	stats_add(STAT_PROXY, 1);
	if (h->named) {
		session_set_client(s, &h->client, h->client_port);
		s->local = h->local;
		s->local_port = h->local_port;
	}
	log_info(&s->log, "proxy", "client=%s port=%u by=%s",
	    log_cstr(s->client_text), s->port,
	    log_cstr(addr_format(&s->peer, text)));
	recorder_note(
	    s, "PROXY header: client %s port %u", s->client_text, s->port);
}

size_t
proxy_input(struct session *s, struct str in)
{
	struct proxy *p = s->proxy;
	size_t used;

	if (p->done)
		return 0;
	switch (proxy_header_feed(&p->header, in, &used)) {
	case PROXY_MORE:
		break;
	case PROXY_BAD:
		give_up(s, p->header.why);
		return in.len;
	case PROXY_DONE:
		take(s, &p->header);
		p->done = true;
		stream_peek(s->stream, false);
		/* When the stream has dropped it, too. */
		loop_after(s->loop, &s->after);
		break;
	}
	return used;
}

void
proxy_timeout(struct session *s)
{
	give_up(s, "timeout");
}
