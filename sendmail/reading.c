/* Standard input, line by line. */
#include "sendmail/reading.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 65536 };

void
reading_init(struct reading *r, struct buf *out, bool dot_ends)
{
	*r = (struct reading){ .out = out, .dot_ends = dot_ends };
}

/* What stands in the present line is a dot: it goes, and the mail is
 * whole. */
static bool
is_end(struct reading *r)
{
	const struct buf *b = r->out;

	if (!r->dot_ends || b->len - r->line != 1 || b->p[r->line] != '.')
		return false;
	r->out->len = r->line;
	r->is_ended = true;
	return true;
}

static void
end_line(struct reading *r)
{
	if (is_end(r))
		return;
	buf_add_str(r->out, STR("\r\n"));
	r->line = r->out->len;
}

/* CRs that no LF followed end a line each. */
static void
end_bare(struct reading *r)
{
	for (; r->ncr > 0 && !r->is_ended; r->ncr--)
		end_line(r);
}

static void
take_odd(struct reading *r, char c)
{
	if (c == '\r') {
		r->ncr++;
	} else if (c == '\n') {
		/* Also CR CR LF, as text becomes that is converted twice. */
		r->ncr = 0;
		end_line(r);
	}
}

static size_t
plain_len(struct str s)
{
	size_t n = 0;

	while (n < s.len && s.p[n] != '\r' && s.p[n] != '\n' && s.p[n] != '\0')
		n++;
	return n;
}

void
reading_feed(struct reading *r, struct str s)
{
	while (s.len > 0 && !r->is_ended) {
		size_t n = plain_len(s);

		if (n == 0) {
			take_odd(r, s.p[0]);
			s = str_skip(s, 1);
			continue;
		}
		end_bare(r);
		if (r->is_ended)
			return;
		buf_add(r->out, s.p, n);
		s = str_skip(s, n);
	}
}

void
reading_end(struct reading *r)
{
	end_bare(r);
	if (!r->is_ended)
		is_end(r);
	r->is_ended = true;
}

/* As read; waits, whoever else uses fd and made it so that it would not. */
static ssize_t
read_piece(int fd, char *piece, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while ((n = read(fd, piece, size)) == -1)
		if (errno == EAGAIN)
			poll(&p, 1, -1);
		else if (errno != EINTR)
			break;
	return n;
}

int
reading_run(struct reading *r, int fd)
{
	static char piece[PIECE];
	ssize_t n = 1;

	while (n != 0 && !r->is_ended) {
		n = read_piece(fd, piece, sizeof(piece));
		if (n == -1)
			return -1;
		if (n > 0)
			reading_feed(r, (struct str){ piece, (size_t)n });
		if (r->out->failed) {
			errno = EFBIG;
			return -1;
		}
	}
	reading_end(r);
	return 0;
}
