/*
 * Recovery of a segment image. The input is a list of commands: records with
 * right checksums and any payload, ends of batches, and then damage of any
 * kind, so that what lies behind the checksums is reached, too.
 *
 *   m, s, f  a mail, state or end record: seq, length / 4, payload
 *   M, S     a mail or state as the queue writes it: seq, flags, and a byte
 *            for each thing that can be so or so
 *   b        the batch ends
 *   d        a byte is changed: offset / 8 (two bytes), xor
 *   t        the file is cut: block
 *   h        the raw bytes up to the end go over the segment's header
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "queue/disk.h"
#include "queue/recover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 65536, GENERATION = 5, CHUNK = 4, RCPTS = 3 };

struct image {
	uint8_t bytes[SIZE];
	size_t len;   /* of the file */
	size_t at;    /* next record */
	size_t batch; /* the open one */
	uint64_t sequence;
};

struct input {
	const uint8_t *p;
	size_t len;
};

static uint8_t
next(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->p++;
}

static void
end_batch(struct image *m)
{
	struct batch_header b = { .used = (uint32_t)(m->at - m->batch),
		.generation = GENERATION,
		.sequence = m->sequence++,
		.offset = m->batch,
		.mark_generation = GENERATION,
		.mark_offset = m->batch };

	batch_header_encode(m->bytes + m->batch, &b);
	m->batch = (size_t)round_up(m->at, SEGMENT_BLOCK);
	m->at = m->batch + BATCH_HEADER;
}

static void
place(struct image *m, struct record_header *h, const uint8_t *payload)
{
	uint8_t *p = m->bytes + m->at;

	h->generation = GENERATION;
	if (m->at + RECORD_HEADER + h->length + 2 * SEGMENT_BLOCK > SIZE)
		return;
	memcpy(p + RECORD_HEADER, payload, h->length);
	record_seal(p, h, p + RECORD_HEADER);
	m->at += (size_t)round_up(RECORD_HEADER + h->length, RECORD_ALIGN);
}

static void
add_record(struct image *m, struct input *in, enum record_kind kind)
{
	struct record_header h = { .kind = (uint8_t)kind };

	h.seq = next(in);
	h.length = (uint32_t)next(in) * CHUNK;
	if (h.length > in->len)
		h.length = (uint32_t)in->len;
	place(m, &h, in->p);
	in->p += h.length;
	in->len -= h.length;
}

/* Some text, of a byte that says how long. */
static struct str
text(struct input *in)
{
	static const char letters[256] = "0123456789abcdef@example.net";

	return (struct str){ letters, next(in) };
}

static void
add_mail(struct image *m, struct input *in)
{
	static uint8_t payload[SIZE];
	struct record_header h = { .kind = RECORD_MAIL };
	struct mail_rcpt rcpts[RCPTS] = { 0 };
	struct mail_record mail = { .msgid = STR("0123456789abcdef"),
		.rcpts = rcpts };

	h.seq = mail.seq = next(in);
	h.flags = next(in) & RECORD_FLAGS_ALL;
	mail.nrcpt = next(in) % (RCPTS + 1);
	for (uint32_t i = 0; i < mail.nrcpt; i++) {
		rcpts[i].to = text(in);
		rcpts[i].action = text(in);
		rcpts[i].start = next(in);
	}
	mail.from = text(in);
	mail.bodyfile = next(in);
	mail.body_size = next(in);
	mail.content = text(in);
	mail.header_size = next(in);
	h.length = (uint32_t)mail_size(&mail);
	if (h.length == 0 || h.length > sizeof(payload))
		return;
	mail_encode(payload, &mail);
	place(m, &h, payload);
}

static void
add_state(struct image *m, struct input *in)
{
	static uint8_t payload[SIZE];
	struct record_header h = { .kind = RECORD_STATE };
	struct state_rcpt rcpts[RCPTS] = { 0 };
	struct state_record state = { .rcpts = rcpts };

	h.seq = state.seq = next(in);
	h.flags = next(in) & RECORD_FLAGS_ALL;
	state.nrcpt = next(in) % (RCPTS + 1);
	for (uint32_t i = 0; i < state.nrcpt; i++) {
		rcpts[i].index = next(in);
		rcpts[i].state = next(in);
		rcpts[i].reply = text(in);
		rcpts[i].operation = next(in);
		rcpts[i].was = next(in);
	}
	h.length = (uint32_t)state_size(&state);
	if (h.length == 0 || h.length > sizeof(payload))
		return;
	state_encode(payload, &state);
	place(m, &h, payload);
}

static void
change(struct image *m, struct input *in)
{
	size_t at = next(in);

	at = (at << 8 | next(in)) * 8 % SIZE;
	m->bytes[at] ^= next(in);
}

static void
build(struct image *m, struct input *in)
{
	static struct segment_header h;

	memset(m, 0, sizeof(*m));
	h = (struct segment_header){ .number = 1,
		.size = SIZE,
		.generation = GENERATION,
		.next_batch = 1 };
	segment_header_encode(m->bytes, &h);
	memcpy(m->bytes + SEGMENT_BLOCK, m->bytes, SEGMENT_BLOCK);
	m->len = SIZE;
	m->sequence = 1;
	m->batch = SEGMENT_DATA;
	m->at = SEGMENT_DATA + BATCH_HEADER;
	while (in->len > 0) {
		switch (next(in)) {
		case 'm':
			add_record(m, in, RECORD_MAIL);
			break;
		case 's':
			add_record(m, in, RECORD_STATE);
			break;
		case 'f':
			add_record(m, in, RECORD_FINISHED);
			break;
		case 'M':
			add_mail(m, in);
			break;
		case 'S':
			add_state(m, in);
			break;
		case 'b':
			if (m->batch + 2 * SEGMENT_BLOCK <= SIZE)
				end_batch(m);
			break;
		case 'd':
			change(m, in);
			break;
		case 't':
			m->len = next(in) % 17 * SEGMENT_BLOCK;
			break;
		case 'h':
			memcpy(m->bytes, in->p,
			    in->len < SEGMENT_DATA ? in->len : SEGMENT_DATA);
			in->len = 0;
			break;
		default:
			break;
		}
	}
}

static uint8_t present[256];

static void
on_mail(void *ctx, const struct mail_record *m, struct store_ref ref)
{
	(void)ctx;
	(void)ref;
	if (m->seq > 255 || present[m->seq]++ != 0)
		abort();
	for (uint32_t i = 0; i < m->nrcpt; i++)
		free(str_dup(m->rcpts[i].to));
	free(str_dup(m->content));
}

static void
on_state(void *ctx, const struct state_record *s)
{
	(void)ctx;
	if (s->seq > 255 || present[s->seq] == 0)
		abort();
	for (uint32_t i = 0; i < s->nrcpt; i++)
		free(str_dup(s->rcpts[i].reply));
}

static const char *
claim(void *ctx, const struct mail_record *m)
{
	(void)ctx;
	return m->body_size % 2 == 0 ? NULL : "odd";
}

static char dir[] = "/tmp/fuzz_recover.XXXXXX";

static void
remove_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		abort();
}

static int
make_dir(const char *sub)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, sub);
	if (mkdirat(AT_FDCWD, path, 0700) == -1)
		abort();
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_ops OPS = { on_mail, on_state, NULL, NULL,
		NULL };
	static struct image image;
	static int log_dir, corrupt = -1;
	struct input in = { data, size };
	struct recover_ask ask = { .ops = &OPS, .claim_body = claim };
	struct recover_result result;
	struct journal j;
	struct fault why;
	int fd;

	if (corrupt == -1) {
		log_set_fd(
		    open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
		if (mkdtemp(dir) == NULL || atexit(remove_dir) != 0)
			abort();
		log_dir = make_dir("log");
		corrupt = make_dir("corrupt");
	}
	build(&image, &in);
	fd = openat(log_dir, "00000001",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1 || disk_write(fd, image.bytes, image.len, 0) == -1)
		abort();
	close(fd);
	memset(present, 0, sizeof(present));
	ask.corrupt = corrupt;
	ask.why = &why;
	journal_init(&j, log_dir, SIZE);
	if (recover_log(&j, &ask, &result) == -1)
		abort();
	journal_clear(&j);
	return 0;
}
