/* A plain SMTP conversation: one command, one reply (RFC 5321). */
#include "submit/smtp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/net/line.h"

enum {
	PIECE = 65536,
	/* Longer than the gateway itself waits for anything. */
	TIMEOUT_S = 900
};

void
smtp_init(struct smtp *s, int fd)
{
	struct timeval t = { .tv_sec = TIMEOUT_S };

	memset(s, 0, sizeof(*s));
	s->fd = fd;
	buf_init(&s->in, REPLY_TOTAL_MAX);
	buf_init(&s->out, (size_t)4 * PIECE);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

void
smtp_clear(struct smtp *s)
{
	close(s->fd);
	buf_clear(&s->in);
	buf_clear(&s->out);
}

static int
fail(struct smtp *s, const char *why)
{
	if (s->why == NULL)
		s->why = why;
	return 0;
}

static int
flush(struct smtp *s)
{
	size_t done = 0;

	while (done < s->out.len) {
		ssize_t n = send(
		    s->fd, s->out.p + done, s->out.len - done, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			fail(s, strerror(errno));
			return -1;
		}
		done += (size_t)n;
	}
	buf_reset(&s->out);
	return 0;
}

static int
read_more(struct smtp *s)
{
	char *room = buf_reserve(&s->in, REPLY_LINE_MAX);
	ssize_t n;

	if (room == NULL) {
		fail(s, "the reply is too long");
		return -1;
	}
	do
		n = recv(s->fd, room, REPLY_LINE_MAX, 0);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		fail(s, n == 0 ? "the gateway closed the connection" :
				 strerror(errno));
		return -1;
	}
	buf_commit(&s->in, (size_t)n);
	return 0;
}

static void
note_keyword(struct smtp *s, struct str line)
{
	struct str rest = str_skip(line, 4), word = str_cut(&rest, ' ');

	if (str_eq_nocase(word, STR("8BITMIME")))
		s->has_8bitmime = true;
	else if (str_eq_nocase(word, STR("SMTPUTF8")))
		s->has_smtputf8 = true;
	else if (str_eq_nocase(word, STR("DSN")))
		s->has_dsn = true;
	else if (str_eq_nocase(word, STR("XDOMAIN")) &&
		 path_is_domain(rest, true)) {
		memcpy(s->domain, rest.p, rest.len);
		s->domain[rest.len] = '\0';
	}
}

static int
read_reply(struct smtp *s, bool keep_keywords)
{
	reply_init(&s->reply);
	for (;;) {
		struct str line;
		size_t used = 0;
		switch (
		    line_next(buf_str(&s->in), REPLY_LINE_MAX, &line, &used)) {
		case LINE_MORE:
			if (read_more(s) == -1)
				return 0;
			continue;
		case LINE_OK:
			break;
		case LINE_BARE:
		case LINE_LONG:
			return fail(s, "what came is not SMTP");
		}
		enum reply_result r = reply_add_line(&s->reply, line);
		if (keep_keywords)
			note_keyword(s, line);
		buf_drop(&s->in, used);
		if (r == REPLY_BAD)
			return fail(s, "what came is not SMTP");
		if (r == REPLY_DONE)
			return s->reply.code;
	}
}

int
smtp_greeting(struct smtp *s)
{
	return read_reply(s, false);
}

int
smtp_command(struct smtp *s, struct str line)
{
	buf_add_str(&s->out, line);
	buf_add_str(&s->out, STR("\r\n"));
	return flush(s) == -1 ? 0 : read_reply(s, false);
}

int
smtp_ehlo(struct smtp *s, const char *name)
{
	buf_addf(&s->out, "EHLO %s\r\n", name);
	return flush(s) == -1 ? 0 : read_reply(s, true);
}

static void
add_out(void *ctx, const char *p, size_t len)
{
	struct smtp *s = ctx;

	buf_add(&s->out, p, len);
}

/* Leaves what has been gathered when it is worth a call. */
static int
send_piece(struct smtp *s, struct dot_writer *dots, struct str rest)
{
	for (; rest.len > 0; rest = str_skip(rest, PIECE)) {
		dot_writer_feed(dots, str_head(rest, PIECE), add_out, s);
		if (s->out.len >= PIECE && flush(s) == -1)
			return -1;
	}
	return 0;
}

int
smtp_content(struct smtp *s, const struct str *pieces, size_t n)
{
	struct dot_writer dots;
	int result = 0;

	dot_writer_init(&dots);
	for (size_t i = 0; i < n && result == 0; i++)
		result = send_piece(s, &dots, pieces[i]);
	if (result == 0) {
		dot_writer_end(&dots, add_out, s);
		result = flush(s);
	}
	/* A gateway that gave up says so, and then closes: that is why. Of what
	 * it did not get it can take nothing. */
	const char *why = s->why;
	s->why = NULL;
	int code = read_reply(s, false);
	if (result == 0 || code >= 400)
		return code;
	s->why = why;
	return 0;
}
