/*
 * A next hop's words through the client's session: the input is a byte that
 * says what the mail is, one that says what the policy is, and what the next
 * hop says, in pieces (a byte of length before each), over a socket pair.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/agent_work.h"
#include "delivery/conn.h"
#include "delivery/from_vault.h"
#include "delivery/secure.h"
#include "delivery/smtp_client.h"
#include "edges/delivery_vault.h"
#include "edges/edges.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The second byte. */
enum {
	MODE_LEVEL = 3,
	MODE_LMTP = 4,
	MODE_AT_ONCE = 8,
	MODE_AUTH = 16,
	MODE_CHUNK = 32 /* the mail may go by BDAT */
};

static const char odd[] = "Subject: x\r\n\r\nBODY\n.\r\n..\rend",
		  canonical[] = "Subject: x\r\n\r\nBODY\r\n.\r\n..\r\n";

static struct loop *loop;
static struct timer *round_over;
static struct work *work;
static struct conn *conn; /* NULL: it is gone */
static struct channel *vault;
static struct policy policy;
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
on_lost(struct conn *c, const struct verdict *why, enum lost how)
{
	(void)how;
	check(c == conn || c->work == NULL);
	check(why->outcome != OUTCOME_DELIVERED);
	check(why->status.class == 4 || why->status.class == 5);
	conn = NULL;
	/* nobody is left between open and done */
	check(work->nopen == work->nleft);
}

static const struct conn_ops ops = { on_ready, on_lost };

static void
begin_work(unsigned int flags, unsigned int mode)
{
	struct str content = mode & MODE_CHUNK ? STR(canonical) : STR(odd);
	static const char *const to[] = { "a@d.test", "b@d.test", "c@d.test",
		"\xc3\xb6@d.test" };
	uint32_t n = 1 + (flags & 3);
	struct tell_work m = { .msgid = STR("0123456789abcdef"),
		.from = STR("s@x.test"),
		.flags = flags >> 2 & ENVELOPE_FLAGS_ALL,
		.nrcpt = n,
		.header_size = 14,
		.inline_size = (uint32_t)content.len };

	work = work_new(&m, 1, 0);
	work->vrfy = (flags & 0x80) != 0;
	for (uint32_t i = 0; i < n; i++) {
		struct tell_work_rcpt r = { .index = i, .to = str_of(to[i]) };

		work_add_rcpt(work, &r);
	}
	work_add_content(work, content);
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
		/* a record of TLS */
		if (memchr(heard, 0x16, nheard) != NULL)
			return;
		/* but in a chunk the mail never leaves before somebody is to
		 * get it */
		if (body != NULL && memmem(heard, nheard, "BDAT", 4) == NULL &&
		    work->nleft == work->nrcpts &&
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

/* --- the vault --- */

static void
on_ask(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_credentials a = {
		.found = 1, .user = STR("joe"), .password = STR("secret")
	};

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_answer_credentials, &a, id);
}

static const struct handler handlers[] = {
	{ TYPE_ask_credentials, on_ask },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	abort();
}

static void
prepare(void)
{
	int sv[2];

	if (loop != NULL)
		return;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_WARN);
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	loop = loop_new();
	round_over = timer_new(loop, on_round_over, NULL);
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	from_vault_init(loop);
	secure_init();
	from_vault_open(VAULT_PASSWORDS, sv[0]);
	vault = channel_new(loop, sv[1], &delivery_vault_edge, EDGE_B, handlers,
	    on_closed, NULL);
}

/* AUTH is to this machine, where it may be said in the clear. */
static void
begin_conn(int fd, unsigned int flags, unsigned int mode)
{
	static const enum secure_level levels[] = { SECURE_MAY, SECURE_NEVER,
		SECURE_MUST, SECURE_VERIFIED };

	static char helo[] = "mx.test", key[] = "key", table[] = "t",
		    label[] = "l";
	struct deliver_numbers numbers = { .recipients = 1 + (flags >> 5 & 3),
		.messages_per_connection = 100 };
	struct hop_addr at = { .port = 25 };

	policy = (struct policy){ .refs = 1,
		.level = levels[mode & MODE_LEVEL],
		.lmtp = (mode & MODE_LMTP) != 0,
		.at_once = (mode & MODE_AT_ONCE) != 0,
		.auth_table = mode & MODE_AUTH ? table : NULL,
		.auth_label = mode & MODE_AUTH ? label : NULL,
		.helo = helo,
		.key = key };
	(void)addr_parse(
	    mode & MODE_AUTH ? STR("127.0.0.1") : STR("192.0.2.1"), &at.addr);
	conn = conn_new(loop, &at, fd, &policy, &numbers, &ops);
	conn->work = work;
	/* Whatever was heard there before, this input is the first. */
	conn->hop->dead_until_ms = conn->hop->plain_until_ms = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sv[2];

	if (size < 2 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		return 0;
	prepare();
	nheard = 0;
	begin_work(data[0], data[1]);
	begin_conn(sv[0], data[0], data[1]);
	rounds(sv[1]);
	for (size_t i = 2; i < size;) {
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
	check(policy.refs == 1);
	work_free(&work);
	return 0;
}
