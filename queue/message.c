/* Content from the cache, the log or its body file, in frames. */
#include "queue/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "queue/queue.h"

struct message {
	struct asking asking; /* the first member */
	struct queue *q;
	struct entry *entry;     /* kept busy */
	struct content *content; /* owned copy of what lies in the log */
	uint32_t end;            /* bytes of it to say */
	uint32_t said;
	int body; /* body file; -1: none or not wanted */
	uint64_t body_at, body_end;
	bool failed;
};

static bool
done(struct message *m, enum answer_code code, const char *text)
{
	answer(m->asking.peer, m->asking.id, code, text);
	return true;
}

static void
tell_bytes(struct message *m, const char *p, size_t len)
{
	struct row_content row = { .bytes = { p, len } };

	channel_tell(
	    m->asking.peer->channel, TYPE_row_content, &row, m->asking.id);
}

/* One frame of the body file; true: something went wrong. */
static bool
step_body(struct message *m)
{
	char bytes[CHANNEL_CONTENT_MAX];
	uint64_t left = m->body_end - m->body_at;
	size_t want = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
	ssize_t n;

	do
		n = pread(m->body, bytes, want, (off_t)m->body_at);
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return true;
	tell_bytes(m, bytes, (size_t)n);
	m->body_at += (uint64_t)n;
	return false;
}

static bool
step(struct asking *a)
{
	struct message *m = (struct message *)a;
	uint32_t n;

	if (m->failed || m->content == NULL)
		return done(m, ANSWER_UNAVAILABLE, "it cannot be read");
	if (m->said < m->end) {
		n = m->end - m->said;
		if (n > CHANNEL_CONTENT_MAX)
			n = CHANNEL_CONTENT_MAX;
		tell_bytes(m, m->content->bytes + m->said, n);
		m->said += n;
		return false;
	}
	if (m->body_at < m->body_end) {
		if (m->body == -1 || step_body(m))
			return done(
			    m, ANSWER_UNAVAILABLE, "its body cannot be read");
		return false;
	}
	return done(m, ANSWER_OK, "");
}

static void
message_free(struct asking *a)
{
	struct message *m = (struct message *)a;

	if (m->body != -1)
		close(m->body);
	fate_release(m->q, m->entry);
	free(m->content);
	free(m);
}

static void
set_content(struct message *m, const char *p, size_t len)
{
	if (len > UINT32_MAX || m->end > len) {
		m->failed = true;
		return;
	}
	m->content = content_new((uint32_t)len);
	memcpy(m->content->bytes, p, len);
}

static void
on_read(void *ctx, const struct mail_record *rec, const struct fault *why)
{
	struct message *m = ctx;

	(void)why; /* the store has logged it */
	if (rec == NULL)
		m->failed = true;
	else
		set_content(m, rec->content.p, rec->content.len);
	asking_wake(&m->asking);
}

void
message_start(
    struct control_peer *p, uint64_t id, const struct ask_content *ask)
{
	struct queue *q = p->q;
	struct entry *e = index_find_id(&q->index, ask->msgid);
	struct content *cached;
	struct message *m;

	filter_clear(&p->filter);
	if (e == NULL || !e->committed || entry_is_hidden(e)) {
		answer(p, id, ANSWER_NOT_FOUND, "no such message");
		return;
	}
	m = xcalloc(1, sizeof(*m));
	m->q = q;
	m->entry = e;
	m->body = -1;
	m->end =
	    ask->headers_only ? e->header_size : (uint32_t)entry_inline_size(e);
	if (e->bodyfile != 0 && !ask->headers_only) {
		m->body = store_bodyfile_open(q->store, e->bodyfile);
		m->body_end = e->body_size;
	}
	m->asking.step = step;
	m->asking.free = message_free;
	fate_keep(e);
	asking_start(&m->asking, p, id);
	cached = cache_get(&q->cache, e);
	if (cached != NULL) {
		set_content(m, cached->bytes, cached->len);
		return;
	}
	m->asking.waiting = true;
	store_read(q->store, e->ref, on_read, m);
}
