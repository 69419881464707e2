#include "delivery/agents/mail_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
mail_text_init(struct mail_text *t, struct str from, struct str rcpt,
    struct str content, int file, uint64_t body_size)
{
	int n;

	*t = (struct mail_text){
		.content = content,
		.file = file,
		.body_size = file == -1 ? 0 : body_size,
	};
	from = str_head(from, ENVELOPE_ADDRESS_MAX);
	rcpt = str_head(rcpt, ENVELOPE_ADDRESS_MAX);
	n = snprintf(t->top, sizeof(t->top),
	    "Return-Path: <%.*s>\nDelivered-To: %.*s\n", (int)from.len, from.p,
	    (int)rcpt.len, rcpt.p);
	t->ntop = n < 0 ? 0 : (size_t)n;
}

/* The next piece of the mail as it is; as mail_text_read. */
static ssize_t
read_raw(struct mail_text *t, char *out, size_t size)
{
	uint64_t left = t->body_size - t->file_at;
	size_t len = str_head(t->content, size).len;
	ssize_t n;

	if (len > 0) {
		memcpy(out, t->content.p, len);
		t->content = str_skip(t->content, len);
		return (ssize_t)len;
	}
	if (left == 0)
		return 0;
	do
		n = pread(t->file, out, left < size ? (size_t)left : size,
		    (off_t)t->file_at);
	while (n == -1 && errno == EINTR);
	if (n == 0) {
		errno = EIO;
		return -1;
	}
	if (n > 0)
		t->file_at += (uint64_t)n;
	return n;
}

/* A CR directly before LF goes, any other stays; in place, with room for the
 * one that is held in front. Returns what there is then. */
static size_t
convert(struct mail_text *t, char *out, const char *in, size_t len)
{
	const char *end = in + len;
	char *to = out;

	while (in < end) {
		const char *cr = memchr(in, '\r', (size_t)(end - in));
		size_t n = (size_t)((cr == NULL ? end : cr) - in);

		if (t->cr && *in != '\n')
			*to++ = '\r';
		t->cr = cr != NULL;
		memmove(to, in, n);
		to += n;
		in += n + (cr != NULL);
	}
	return (size_t)(to - out);
}

ssize_t
mail_text_read(struct mail_text *t, char *out, size_t size)
{
	ssize_t n;
	size_t len;

	if (t->top_at < t->ntop) {
		len = t->ntop - t->top_at;
		len = len < size ? len : size;
		memcpy(out, t->top + t->top_at, len);
		t->top_at += len;
		return (ssize_t)len;
	}
	do {
		n = read_raw(t, out + 1, size - 1);
		if (n == -1)
			return -1;
		if (n == 0 && t->cr) {
			t->cr = false;
			out[0] = '\r';
			return 1;
		}
		len = convert(t, out, out + 1, (size_t)n);
	} while (n > 0 && len == 0);
	return (ssize_t)len;
}
