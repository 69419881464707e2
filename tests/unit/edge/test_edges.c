/*
 * Every edge, every message, from the tables: what is legal goes through
 * unchanged; what is malformed, or not this peer's to say now, closes the
 * channel and does nothing else to the receiver. New edges belong into
 * `edges` below; their messages come by themselves.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "edges/control_all.h"
#include "edges/delivery_dialer.h"
#include "edges/delivery_fetch.h"
#include "edges/delivery_resolver.h"
#include "edges/delivery_vault.h"
#include "edges/dialer_resolver.h"
#include "edges/fetch_resolver.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_dialer.h"
#include "edges/smtpd_queue.h"
#include "edges/smtpd_resolver.h"
#include "edges/smtpd_vault.h"
#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "tests/unit/edge/messages.h"

enum { HEADER = 16, ROUNDS = 50 };

static const struct edge *const edges[] = { &all_parent_edge, &smtpd_queue_edge,
	&queue_delivery_edge, &control_all_edge, &smtpd_resolver_edge,
	&delivery_resolver_edge, &smtpd_dialer_edge, &dialer_resolver_edge,
	&delivery_fetch_edge, &fetch_resolver_edge, &smtpd_vault_edge,
	&delivery_vault_edge, &delivery_dialer_edge };

enum { NEDGES = sizeof(edges) / sizeof(edges[0]) };

/* --- the codec --- */
static void
round_trip(const struct edge *e, const struct wire_msg *w, enum fill how)
{
	char *msg = make(w, how), *back = calloc(1, w->size);
	struct buf b;
	int fd;

	ck_assert_ptr_nonnull(back);
	buf_init(&b, SIZE_MAX / 2);
	ck_assert_int_eq(wire_encode(w, msg, &b, &fd), 0);
	ck_assert_msg(b.len <= e->max_message,
	    "%s can be %zu bytes, more than its edge takes", w->name, b.len);
	ck_assert_int_eq(wire_decode(w, buf_str(&b), fd, back), 0);
	for (const struct wire_field *f = w->fields(); f->name != NULL; f++)
		same_field(f, msg + f->offset, back + f->offset);
	buf_clear(&b);
	free(msg);
	free(back);
}

START_TEST(legal_messages_come_back_as_they_were)
{
	const struct edge *e = edges[_i];

	for (size_t r = 0; r < e->nrows; r++) {
		round_trip(e, e->rows[r].wire, FILL_MAX);
		for (int n = 0; n < ROUNDS; n++)
			round_trip(e, e->rows[r].wire,
			    n % 2 == 0 ? FILL_SHORT : FILL_RANDOM);
	}
}

END_TEST

/* The encoder refuses what the field list does not allow. */
static void
refuses_over_max(const struct wire_msg *w, const struct wire_field *f)
{
	char *msg = make(w, FILL_SHORT);
	void *p = msg + f->offset;
	struct buf b;
	int fd;

	buf_init(&b, SIZE_MAX / 2);
	if (f->kind == WIRE_str || f->kind == WIRE_bin)
		((struct str *)p)->len = f->max + 1;
	else
		set_int(p, f->kind, f->max + 1);
	ck_assert_msg(wire_encode(w, msg, &b, &fd) == -1,
	    "%s.%s went out over its max", w->name, f->name);
	ck_assert_uint_eq(b.len, 0);
	free(msg);
	buf_clear(&b);
}

START_TEST(encoder_refuses_values_over_max)
{
	const struct edge *e = edges[_i];

	for (size_t r = 0; r < e->nrows; r++) {
		const struct wire_msg *w = e->rows[r].wire;
		for (const struct wire_field *f = w->fields(); f->name != NULL;
		     f++) {
			uint64_t width = int_width(
			    f->kind == WIRE_str || f->kind == WIRE_bin ?
				WIRE_u32 :
				f->kind);
			if (f->kind == WIRE_fd || width == 8 ||
			    f->max == (UINT64_C(1) << width * 8) - 1)
				continue; /* nothing is above it */
			refuses_over_max(w, f);
		}
	}
}

END_TEST

/* --- a receiver, and what the other side writes to it --- */
struct receiver {
	struct loop *loop;
	const struct wire_msg *expected;
	unsigned int handled;
	unsigned int closed;
};

static void
on_message(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct receiver *r = ctx;

	(void)ch;
	(void)id;
	r->handled++;
	for (const struct wire_field *f = r->expected->fields();
	     f->name != NULL; f++)
		if (f->kind == WIRE_fd)
			close(*(const int *)((const char *)msg + f->offset));
}

static void
on_closed(void *ctx, struct channel *ch)
{
	struct receiver *r = ctx;

	(void)ch;
	r->closed++;
	loop_stop(r->loop);
}

static uint8_t
inward(enum edge_end end)
{
	return end == EDGE_A ? EDGE_B_TO_A : EDGE_A_TO_B;
}

/* A handler for everything this end may be sent. */
static struct handler *
make_handlers(const struct edge *e, enum edge_end end)
{
	struct handler *h = calloc(e->nrows + 1, sizeof(*h));
	size_t n = 0;

	ck_assert_ptr_nonnull(h);
	for (size_t r = 0; r < e->nrows; r++)
		if ((e->rows[r].direction & inward(end)) != 0)
			h[n++] =
			    (struct handler){ e->rows[r].type, on_message };
	return h;
}

static void
add_frame(struct buf *b, uint16_t type, uint16_t flags, struct str payload)
{
	uint8_t h[HEADER] = { 0 };

	put_le32(h, (uint32_t)payload.len);
	put_le16(h + 4, type);
	put_le16(h + 6, flags);
	buf_add(b, h, sizeof(h));
	buf_add_str(b, payload);
}

static void
add_hello(struct buf *b, const struct edge *e)
{
	uint8_t hash[8];

	put_le64(hash, edge_hash(e));
	add_frame(b, 0, 0, (struct str){ (const char *)hash, sizeof(hash) });
}

/* All of s in one call, with nfds descriptors beside its first byte. */
static void
send_all(int to, struct str s, int nfds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = { (void *)(uintptr_t)s.p, s.len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&control, 0, sizeof(control));
	if (nfds > 0) {
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		for (int i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &null_fd,
			    sizeof(int));
	}
	ck_assert_int_eq(sendmsg(to, &m, MSG_NOSIGNAL), (ssize_t)s.len);
}

/* One thing the peer says, and what the receiver knows then. */
struct scene {
	const struct edge *edge;
	enum edge_end end; /* the receiver's */
	enum edge_phase phase;
	const struct edge_row *row;
	struct buf bytes;  /* hello and frames */
	struct buf second; /* sent with nfds descriptors, if not empty */
	int nfds;
};

static struct scene
scene_of(const struct edge *e, enum edge_end end, const struct edge_row *row)
{
	struct scene s = { .edge = e, .end = end, .row = row };

	s.phase = (row->phases & PHASE_SETUP) ? PHASE_SETUP : PHASE_RUN;
	buf_init(&s.bytes, SIZE_MAX / 2);
	buf_init(&s.second, SIZE_MAX / 2);
	add_hello(&s.bytes, e);
	return s;
}

/* Plays it to the end of the connection; returns how many messages the
 * receiver was given. It is alive afterwards, with all it had. */
static unsigned int
play(struct scene *s)
{
	struct receiver r = { .loop = loop_new(), .expected = s->row->wire };
	struct handler *handlers = make_handlers(s->edge, s->end);
	int pair[2], room = 1 << 20;

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	struct channel *ch = channel_new(
	    r.loop, pair[0], s->edge, s->end, handlers, on_closed, &r);
	channel_set_phase(ch, s->phase);
	send_all(pair[1], buf_str(&s->bytes), 0);
	if (s->second.len > 0)
		send_all(pair[1], buf_str(&s->second), s->nfds);
	shutdown(pair[1], SHUT_WR);
	loop_run(r.loop);
	ck_assert_uint_eq(r.closed, 1);
	ck_assert(!channel_is_open(ch));
	channel_free(&ch);
	loop_free(&r.loop);
	close(pair[1]);
	free(handlers);
	buf_clear(&s->bytes);
	buf_clear(&s->second);
	return r.handled;
}

static void
must(struct scene *s, unsigned int handled, const char *what)
{
	unsigned int n = play(s);

	ck_assert_msg(n == handled, "%s %s, to %s: %u messages handled, not %u",
	    s->row->wire->name, what, s->edge->end[s->end], n, handled);
}

/* A whole message, twice where that is allowed. */
static void
play_legal(const struct edge *e, enum edge_end end, const struct edge_row *row)
{
	struct scene s = scene_of(e, end, row);
	struct buf b = make_bytes(row->wire, FILL_RANDOM);
	bool has_fd = wire_has_fd(row->wire);
	struct buf *to = has_fd ? &s.second : &s.bytes;

	add_frame(to, row->type, has_fd, buf_str(&b));
	s.nfds = has_fd;
	must(&s, 1, "as it should be");
	if (!has_fd) {
		s = scene_of(e, end, row);
		add_frame(&s.bytes, row->type, 0, buf_str(&b));
		add_frame(&s.bytes, row->type, 0, buf_str(&b));
		must(&s, row->once ? 1 : 2, "said twice");
	}
	buf_clear(&b);
}

/* The payload p, and behind it a good message that must not get through. */
static void
play_payload(const struct scene *model, struct str p, const char *what)
{
	const struct edge_row *row = model->row;
	bool has_fd = wire_has_fd(row->wire);
	struct scene s = scene_of(model->edge, model->end, row);
	struct buf good = make_bytes(row->wire, FILL_SHORT);

	add_frame(has_fd ? &s.second : &s.bytes, row->type, has_fd, p);
	if (!has_fd)
		add_frame(&s.bytes, row->type, 0, buf_str(&good));
	s.nfds = has_fd;
	must(&s, 0, what);
	buf_clear(&good);
}

/* Where each field lies in an encoding, so that it can be spoiled there. */
static void
spoil_fields(const struct scene *model, const struct buf *good)
{
	const struct wire_msg *w = model->row->wire;
	size_t at = 0;

	for (const struct wire_field *f = w->fields(); f->name != NULL; f++) {
		struct buf b;
		if (f->kind == WIRE_fd)
			continue;
		buf_init(&b, SIZE_MAX / 2);
		buf_add_str(&b, buf_str(good));
		size_t width = int_width(f->kind);
		if (width > 0) {
			if (f->max < UINT64_MAX >> (64 - width * 8)) {
				uint64_t over = f->max + 1;
				memcpy(b.p + at, &over, width);
				play_payload(model, buf_str(&b), "over a max");
			}
			at += width;
			buf_clear(&b);
			continue;
		}
		uint32_t len = get_le32((const uint8_t *)b.p + at);
		memset(b.p + at, 0xff, 4);
		play_payload(model, buf_str(&b), "with a wild length");
		put_le32((uint8_t *)b.p + at, len);
		if (f->kind == WIRE_str && len > 0) {
			b.p[at + 4] = '\0';
			play_payload(model, buf_str(&b), "with a NUL");
		}
		at += 4 + len;
		buf_clear(&b);
	}
}

static void
play_malformed(
    const struct edge *e, enum edge_end end, const struct edge_row *row)
{
	struct scene model = { .edge = e, .end = end, .row = row };
	struct buf b = make_bytes(row->wire, FILL_SHORT);

	for (size_t n = 0; n < b.len; n++)
		play_payload(&model, str_head(buf_str(&b), n), "truncated");
	spoil_fields(&model, &b);
	buf_add_char(&b, 'x');
	play_payload(&model, buf_str(&b), "with a byte behind it");
	buf_clear(&b);
}

/* Descriptors: one missing, one too many, one where none belongs. */
static void
play_descriptors(
    const struct edge *e, enum edge_end end, const struct edge_row *row)
{
	bool has_fd = wire_has_fd(row->wire);
	struct buf b = make_bytes(row->wire, FILL_SHORT);
	static const int counts[] = { 0, 1, 2, 5 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (uint16_t flags = 0; flags <= 2; flags++) {
			struct scene s = scene_of(e, end, row);
			add_frame(&s.second, row->type, flags, buf_str(&b));
			s.nfds = counts[i];
			if (s.nfds == has_fd && flags == has_fd) {
				must(&s, 1, "with what it needs");
				continue;
			}
			/* Known to be wrong at the frame, or just after. */
			if (!has_fd && flags == 0 && s.nfds == 1)
				ck_assert_uint_le(play(&s), 1);
			else
				must(&s, 0, "with the wrong descriptors");
		}
	}
	buf_clear(&b);
}

static void
play_breaches(
    const struct edge *e, enum edge_end end, const struct edge_row *row)
{
	struct buf b = make_bytes(row->wire, FILL_SHORT);
	bool has_fd = wire_has_fd(row->wire);
	struct scene s;

	for (enum edge_phase p = PHASE_SETUP; p <= PHASE_RUN; p <<= 1) {
		if ((row->phases & p) != 0)
			continue;
		s = scene_of(e, end, row);
		s.phase = p;
		add_frame(&s.second, row->type, has_fd, buf_str(&b));
		s.nfds = has_fd;
		must(&s, 0, "in the wrong phase");
	}
	s = scene_of(e, end, row);
	buf_clear(&s.bytes);
	add_frame(&s.bytes, row->type, 0, buf_str(&b));
	must(&s, 0, "before the hello");

	s = scene_of(e, end, row);
	s.bytes.p[HEADER] ^= 1;
	add_frame(&s.bytes, row->type, 0, buf_str(&b));
	must(&s, 0, "from another build");

	s = scene_of(e, end, row);
	add_hello(&s.bytes, e);
	add_frame(&s.bytes, row->type, 0, buf_str(&b));
	must(&s, 0, "after a second hello");
	buf_clear(&b);
}

START_TEST(receivers_take_only_what_is_right)
{
	const struct edge *e = edges[_i / 2];
	enum edge_end end = _i % 2 == 0 ? EDGE_A : EDGE_B;

	for (size_t n = 0; n < e->nrows; n++) {
		const struct edge_row *row = &e->rows[n];
		if ((row->direction & inward(end)) == 0) {
			/* Ours to say, not theirs. */
			struct scene s = scene_of(e, end, row);
			struct buf b = make_bytes(row->wire, FILL_SHORT);
			bool has_fd = wire_has_fd(row->wire);
			add_frame(&s.second, row->type, has_fd, buf_str(&b));
			s.nfds = has_fd;
			must(&s, 0, "in the wrong direction");
			buf_clear(&b);
			continue;
		}
		play_legal(e, end, row);
		play_malformed(e, end, row);
		play_descriptors(e, end, row);
		play_breaches(e, end, row);
	}
}

END_TEST

START_TEST(receivers_refuse_unknown_types_and_wild_frames)
{
	const struct edge *e = edges[_i / 2];
	enum edge_end end = _i % 2 == 0 ? EDGE_A : EDGE_B;
	const struct edge_row *row = &e->rows[0];
	uint16_t types[] = { (uint16_t)(e->nrows + 1), 63, 64, 65, 255, 32768,
		UINT16_MAX };
	uint32_t lengths[] = { e->max_message + 1, 1U << 24, INT32_MAX,
		UINT32_MAX };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct scene s = scene_of(e, end, row);
		add_frame(&s.bytes, types[i], 0, STR("x"));
		must(&s, 0, "of an unknown type");
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct scene s = scene_of(e, end, row);
		add_frame(&s.bytes, row->type, 0, STR("x"));
		put_le32((uint8_t *)s.bytes.p + HEADER + 8, lengths[i]);
		must(&s, 0, "of a wild length");
	}
	for (size_t n = 0; n < HEADER; n++) {
		struct scene s = scene_of(e, end, row);
		buf_add(&s.bytes, "\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0", n);
		must(&s, 0, "cut in its header");
	}
}

END_TEST

static unsigned int
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static unsigned int fds_before;

static void
setup(void)
{
	srandom(20231218);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(1 + random() % 255);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(null_fd, 0);
	log_init("test", 1, "localhost");
	log_set_fd(dup(null_fd), LOG_SINK_STREAM);
	fds_before = open_descriptors();
}

static void
teardown(void)
{
	ck_assert_uint_eq(open_descriptors(), fds_before);
	close(null_fd);
}

int
main(void)
{
	Suite *s = suite_create("edges");
	TCase *t = tcase_create("edges");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
	    t, legal_messages_come_back_as_they_were, 0, NEDGES);
	tcase_add_loop_test(t, encoder_refuses_values_over_max, 0, NEDGES);
	tcase_add_loop_test(
	    t, receivers_take_only_what_is_right, 0, 2 * NEDGES);
	tcase_add_loop_test(
	    t, receivers_refuse_unknown_types_and_wild_frames, 0, 2 * NEDGES);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
