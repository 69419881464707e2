/*
 * A next hop's words through the client's session: the input is what it
 * says, in pieces (a byte of length before each), over a socket pair.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/agent_work.h"
#include "delivery/conn.h"
#include "delivery/idle.h"
#include "delivery/smtp_client.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char content[] = "Subject: x\r\n\r\nBODY\n.\r\n..\rend";

static struct loop *loop;
static struct timer *round_over;
static struct work *work;
static struct conn *conn; /* NULL: it is gone */
static char heard[1 << 16];
static size_t nheard;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
on_round_over(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
on_ready(struct conn *c)
{
	check(c == conn);
	if (c->work != NULL && c->work->nopen > 0 && client_begin(c) == 0)
		return;
	c->work = NULL;
	conn = NULL;
	client_quit(c);
}

static void
on_lost(struct conn *c, const struct verdict *why, bool hop_failed)
{
	(void)hop_failed;
	check(c == conn || c->work == NULL);
	check(why->outcome != OUTCOME_DELIVERED);
	check(why->status.class == 4 || why->status.class == 5);
	conn = NULL;
	/* nobody is left between open and done */
	check(work->nopen == work->nleft);
}

static const struct conn_ops ops = { on_ready, on_lost };

static void
begin_work(unsigned int flags)
{
	static const char *const to[] = { "a@d.test", "b@d.test", "c@d.test",
		"\xc3\xb6@d.test" };
	uint32_t n = 1 + (flags & 3);
	struct tell_work m = { .msgid = STR("0123456789abcdef"),
		.from = STR("s@x.test"),
		.flags = flags >> 2 & ENVELOPE_FLAGS_ALL,
		.nrcpt = n,
		.header_size = 14,
		.inline_size = sizeof(content) - 1 };

	work = work_new(&m, 1, 0);
	work->vrfy = (flags & 0x80) != 0;
	for (uint32_t i = 0; i < n; i++) {
		struct tell_work_rcpt r = { .index = i, .to = str_of(to[i]) };

		work_add_rcpt(work, &r);
	}
	work_add_content(work, (struct str){ content, sizeof(content) - 1 });
	check(work_is_complete(work));
}

/* What it said so far, and what that may be. */
static void
listen_to(int fd)
{
	ssize_t n;

	while (nheard < sizeof(heard) &&
	       (n = recv(fd, heard + nheard, sizeof(heard) - nheard,
		    MSG_DONTWAIT)) > 0) {
		char *body = memmem(heard, nheard + (size_t)n, "BODY", 4);
		bool wanted = false;

		nheard += (size_t)n;
		/* the mail never leaves before somebody is to get it */
		if (body != NULL && work->nleft == work->nrcpts &&
		    memmem(heard, nheard, "BODY=8BITMIME", 13) == NULL) {
			for (uint32_t i = 0; i < work->nrcpts; i++)
				wanted =
				    wanted || work->rcpts[i].state == TO_TAKEN;
			check(wanted || conn == NULL);
		}
		for (size_t i = 0; i < nheard; i++)
			if (heard[i] == '\n')
				check(i > 0 && heard[i - 1] == '\r');
	}
}

static void
rounds(int fd)
{
	for (int i = 0; i < 2; i++) {
		timer_set(round_over, 0);
		loop_run(loop);
		listen_to(fd);
	}
}

static void
prepare(void)
{
	if (loop != NULL)
		return;
	log_set_level(LOG_LEVEL_WARN);
	loop = loop_new();
	round_over = timer_new(loop, on_round_over, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hop_addr at;
	struct deliver_numbers numbers;
	int sv[2];

	if (size < 1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		return 0;
	prepare();
	memset(&numbers, 0, sizeof(numbers));
	numbers.recipients = 1 + (data[0] >> 5 & 3);
	numbers.messages_per_connection = 100;
	nheard = 0;
	begin_work(data[0]);
	(void)addr_parse(STR("192.0.2.1"), &at.addr);
	at.port = 25;
	conn = conn_new(loop, &at, sv[0], "mx.test", &numbers, &ops);
	conn->work = work;
	rounds(sv[1]);
	for (size_t i = 1; i < size;) {
		size_t n = data[i++];

		n = n < size - i ? n : size - i;
		if (n > 0 && send(sv[1], data + i, n, MSG_NOSIGNAL) == -1)
			break;
		i += n;
		rounds(sv[1]);
	}
	close(sv[1]);
	timer_set(round_over, 0);
	loop_run(loop);
	while (!TAILQ_EMPTY(conn_all()))
		conn_close(TAILQ_FIRST(conn_all()));
	timer_set(round_over, 0);
	loop_run(loop);
	work_free(&work);
	return 0;
}
