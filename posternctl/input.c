/* Standard input. */
#include "posternctl/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "posternctl/commands.h"

enum { PIECE = 65536 };

int
input_read(struct buf *out)
{
	ssize_t n;

	do {
		char *room = buf_reserve(out, PIECE);
		if (room == NULL) {
			complain("the mail is larger than %zu MiB",
			    out->max / 1024 / 1024);
			return -1;
		}
		n = read(STDIN_FILENO, room, PIECE);
		if (n > 0)
			buf_commit(out, (size_t)n);
		else if (n == -1 && errno != EINTR) {
			complain("standard input: %s", strerror(errno));
			return -1;
		}
	} while (n != 0);
	return 0;
}

void
input_add_crlf(struct buf *out, struct str mail)
{
	while (mail.len > 0) {
		size_t n = str_find(mail, '\n');
		struct str line = str_head(mail, n);

		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		buf_add_str(out, line);
		if (n < mail.len)
			buf_add_str(out, STR("\r\n"));
		mail = str_skip(mail, n + 1);
	}
}
