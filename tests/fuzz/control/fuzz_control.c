/*
 * The control socket: frames of a caller, good ones and others, into the real
 * router; behind it a process of each kind that says something to every
 * question. The first byte is what the caller may do, its higher bits how the
 * rest is read: as frames { type, id, length, payload } that get a header
 * which is right, as those that keep to the contract (framed.h), or as the
 * bytes that come. Who may only look changes
 * nothing; whoever it is, no question is left over when he is gone.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/access.h"
#include "control/answerer.h"
#include "control/asker.h"
#include "control/router.h"
#include "edges/control_all.h"
#include "lib/base/log.h"
#include "lib/ipc/frame.h"
#include "tests/fuzz/edge/framed.h"
#include "tests/fuzz/rounds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_MAX = 65536,
	RAW = 0x08,      /* in the first byte */
	NO_HELLO = 0x10, /* likewise */
	LEAVES = 0x20,   /* before anybody has answered */
	FIELDS = 0x40,
	SMALL_HEADER = 4,
	ROUNDS_MAX = 32
};

static struct loop *loop;
static bool may_change, may_read;

static void
answer(struct channel *ch, uint64_t id)
{
	struct answer_done m = { .code = (uint8_t)(id % 4) };

	channel_tell(ch, TYPE_answer_done, &m, id);
}

/* Questions that somebody has to be allowed to ask, by type. */
#define IS(ask)      | UINT64_C(1) << TYPE_##ask
#define IN(set, ask) ((((set) >> TYPE_##ask) & 1) != 0)

static const uint64_t changing = 0 IS(ask_change) IS(ask_stop) IS(ask_reload)
    IS(ask_block) IS(ask_unblock) IS(ask_pause) IS(ask_undo) IS(ask_confirm)
	IS(ask_log_level) IS(ask_config_diff);
static const uint64_t showing =
    0 IS(ask_content) IS(ask_session) IS(ask_follow) IS(ask_test_milter);

#define ON_ASK(ask, direction, phases, once)                             \
	static void on_##ask(                                            \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		struct row_text row = { .text = STR("x") };              \
		struct row_stat stat = { .name = STR("x"), .value = 1 }; \
		(void)ctx;                                               \
		(void)msg;                                               \
		assert(may_change || !IN(changing, ask));                \
		assert(may_read || !IN(showing, ask));                   \
		channel_tell(ch, TYPE_row_text, &row, id);               \
		channel_tell(ch, TYPE_row_stat, &stat, id);              \
		/* Those that last say no more. */                       \
		if (TYPE_##ask != TYPE_ask_follow)                       \
			answer(ch, id);                                  \
	}
CONTROL_QUESTIONS(ON_ASK)

static void
on_other(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

#define ASK_ROW(ask, direction, phases, once) { TYPE_##ask, on_##ask },
static const struct handler handlers[] = {
	CONTROL_QUESTIONS(ASK_ROW){ TYPE_tell_term, on_other },
	{ TYPE_tell_mail, on_other },
	{ TYPE_tell_cancel, on_other },
	{ 0, NULL },
};

static void
on_gone(void *ctx, struct channel *ch)
{
	(void)ctx;
	/* Our own words to a process are never a breach of its contract. */
	assert(channel_breach(ch) == NULL);
	abort();
}

static void
begin(void)
{
	static const enum role roles[] = { ROLE_PARENT, ROLE_QUEUE, ROLE_SMTPD,
		ROLE_SMTPD, ROLE_RESOLVER };

	log_set_fd(open("/dev/null", O_WRONLY), LOG_SINK_STREAM);
	loop = loop_new();
	route_set_submit_path("/run/x");
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		int sv[2];

		assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
		(void)answerer_add(loop, roles[i], (uint16_t)i, sv[0]);
		(void)channel_new(loop, sv[1], &control_all_edge, EDGE_B,
		    handlers, on_gone, NULL);
	}
}

static void
put(int fd, const void *p, size_t len)
{
	(void)!send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
put_out(int fd, struct buf *out)
{
	put(fd, out->p, out->len);
	buf_clear(out);
}

static void
put_hello(int fd)
{
	struct buf out;

	buf_init(&out, INPUT_MAX);
	framed_hello(&out, &control_all_edge);
	put_out(fd, &out);
}

static void
put_frames(int fd, const uint8_t *p, size_t size)
{
	struct buf out;

	buf_init(&out, INPUT_MAX);
	while (size >= SMALL_HEADER) {
		size_t len = get_le16(p + 2) % 1024;

		if (len > size - SMALL_HEADER)
			len = size - SMALL_HEADER;
		framed_put(&out, (struct frame){ .type = p[0], .id = p[1] },
		    (struct str){ (const char *)p + SMALL_HEADER, len });
		put_out(fd, &out);
		p += SMALL_HEADER + len;
		size -= SMALL_HEADER + len;
	}
}

static void
put_fields(int fd, struct str in)
{
	struct buf out;

	buf_init(&out, INPUT_MAX);
	while (in.len > 0 && !out.failed)
		framed_add(&out, &control_all_edge, &in);
	put_out(fd, &out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sv[2];

	if (size < 1 || size > INPUT_MAX)
		return 0;
	if (loop == NULL)
		begin();
	struct caller who = { .uid = 1000, .permits = data[0] & PERMIT_ALL };

	may_change = (who.permits & PERMIT_CHANGE) != 0;
	may_read = (who.permits & PERMIT_CONTENT) != 0;
	assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	(void)asker_new(loop, sv[0], &who);
	if (!(data[0] & NO_HELLO))
		put_hello(sv[1]);
	if (data[0] & RAW)
		put(sv[1], data + 1, size - 1);
	else if (data[0] & FIELDS)
		put_fields(
		    sv[1], (struct str){ (const char *)data + 1, size - 1 });
	else
		put_frames(sv[1], data + 1, size - 1);
	/* There and back takes some rounds; a few questions have no end. */
	for (int i = 0; !(data[0] & LEAVES) && i < ROUNDS_MAX &&
			(i < 2 || route_count() > 0);
	     i++)
		round_once(loop);
	close(sv[1]);
	for (int i = 0; i < ROUNDS_MAX && (asker_count() > 0 || i < 3); i++)
		round_once(loop);
	assert(asker_count() == 0);
	assert(route_count() == 0);
	return 0;
}
