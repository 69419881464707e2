#include "lib/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/utf8.h"

enum {
	PENDING_MAX = 1 << 20, /* bytes that wait for a slow descriptor */
	VALUE_MAX = 1024,      /* bytes of one value */
	VALUES = 16,           /* log_str results alive at a time */
	MAIL = 2 << 3,         /* syslog's facility */
	/* Marks a text value inside a line until it is written: JSON quotes
	 * those and not the numbers. No value can hold it. */
	MARK = '\x01'
};

static const struct {
	const char *name;
	int severity; /* of syslog */
} levels[] = {
	[LOG_LEVEL_WARN] = { "warning", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static struct {
	const char *role;
	int pid;
	char host[256];
	int fd;
	bool is_file; /* never blocks: all in one write */
	enum log_sink sink;
	enum log_format format;
	enum log_level level;
	struct buf pending; /* whole lines, the last one ended */
	uint64_t lost, reported;
} l = { .role = "posternd",
	.fd = STDERR_FILENO,
	.level = LOG_LEVEL_INFO,
	.pending = { .max = PENDING_MAX } };

void
log_init(const char *role, int parent_pid, const char *host)
{
	l.role = role;
	l.pid = parent_pid;
	log_set_host(host);
}

void
log_set_host(const char *host)
{
	snprintf(l.host, sizeof(l.host), "%s", host);
}

void
log_set_fd(int fd, enum log_sink sink)
{
	struct stat st;

	log_flush();
	if (l.fd > STDERR_FILENO && l.fd != fd)
		close(l.fd);
	l.fd = fd;
	l.sink = sink;
	l.is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

void
log_set_format(enum log_format format)
{
	l.format = format;
}

void
log_set_level(enum log_level level)
{
	l.level = level;
}

enum log_level
log_get_level(void)
{
	return l.level;
}

uint64_t
log_lost(void)
{
	return l.lost;
}

static size_t
count_lines(const char *p, size_t len)
{
	size_t n = 0;

	for (const char *end = p + len; p < end; p++)
		n += *p == '\n';
	return n;
}

/* Bytes of the whole lines in the first max bytes; the first line alone when
 * it is longer. */
static size_t
whole_lines(struct str s, size_t max)
{
	size_t n = s.len < max ? s.len : max;

	while (n > 0 && s.p[n - 1] != '\n')
		n--;
	return n > 0 ? n : str_find(s, '\n') + 1;
}

/* A pipe or a terminal that is ready takes PIPE_BUF bytes without blocking. */
static bool
is_ready(void)
{
	struct pollfd p = { .fd = l.fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static ssize_t
send_some(struct str s)
{
	if (l.sink == LOG_SINK_SYSLOG) {
		size_t n = str_find(s, '\n');
		ssize_t sent = send(l.fd, s.p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		return sent < 0 ? -1 : (ssize_t)n + 1;
	}
	if (l.is_file)
		return write(l.fd, s.p, s.len);
	if (!is_ready()) {
		errno = EAGAIN;
		return -1;
	}
	return write(l.fd, s.p, whole_lines(s, 4096));
}

void
log_flush(void)
{
	size_t done = 0;

	while (done < l.pending.len) {
		struct str rest = { l.pending.p + done, l.pending.len - done };
		ssize_t n = send_some(rest);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
			l.lost += count_lines(rest.p, rest.len);
			done = l.pending.len;
		}
		break;
	}
	buf_drop(&l.pending, done < l.pending.len ? done : l.pending.len);
	if (l.pending.len == 0 && l.lost != l.reported) {
		l.reported = l.lost;
		log_warn(
		    NULL, "log-lost", "lines=%llu", (unsigned long long)l.lost);
	}
}

/* --- building a line --- */

static void
add_plain(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != MARK)
			buf_add_char(b, s.p[i]);
}

/* A value as log_str made it, without its mark: its plain bytes. */
static void
add_unquoted(struct buf *b, struct str v)
{
	if (v.len < 2 || v.p[0] != '"') {
		buf_add_str(b, v);
		return;
	}
	for (size_t i = 1; i + 1 < v.len; i++) {
		if (v.p[i] != '\\' || i + 2 >= v.len) {
			buf_add_char(b, v.p[i]);
			continue;
		}
		i++;
		if (v.p[i] == 'x' && i + 3 < v.len) {
			char hex[3] = { v.p[i + 1], v.p[i + 2], '\0' };
			buf_add_char(b, (char)strtol(hex, NULL, 16));
			i += 2;
		} else {
			buf_add_char(b, v.p[i]);
		}
	}
}

/* Length of the value at the start of s, marked or not. */
static size_t
value_length(struct str s)
{
	size_t i = s.len > 0 && s.p[0] == MARK ? 1 : 0;

	if (i >= s.len || s.p[i] != '"')
		return str_find(s, ' ');
	for (i++; i < s.len && s.p[i] != '"'; i++)
		if (s.p[i] == '\\')
			i++;
	return i < s.len ? i + 1 : s.len;
}

/* As JSON writes numbers: -?digits, perhaps with a fraction. */
static bool
is_number(struct str s)
{
	bool digits = false, point = false;

	if (s.len > 0 && s.p[0] == '-')
		s = str_skip(s, 1);
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' && digits && !point)
			point = true;
		else if (chr_is_digit(s.p[i]))
			digits = true;
		else
			return false;
	}
	return digits && chr_is_digit(s.p[s.len - 1]) &&
	       (s.p[0] != '0' || s.len == 1 || s.p[1] == '.');
}

/* `key=value key=value` as members of an object. */
static void
add_json_pairs(struct buf *b, struct str s)
{
	while (s.len > 0) {
		size_t eq = str_find(s, '=');
		buf_add_char(b, ',');
		buf_add_json(b, str_head(s, eq));
		buf_add_char(b, ':');
		s = str_skip(s, eq + 1);
		struct str v = str_head(s, value_length(s));
		s = str_skip(s, v.len + 1);
		if (v.len > 0 && v.p[0] == MARK) {
			char room[VALUE_MAX + 1];
			struct buf plain = { .p = room,
				.cap = sizeof(room),
				.max = sizeof(room) };
			add_unquoted(&plain, str_skip(v, 1));
			buf_add_json(b, buf_str(&plain));
		} else if (v.len == 0) {
			buf_add(b, "null", 4);
		} else if (is_number(v)) {
			buf_add_str(b, v);
		} else {
			/* A word of ours that did not come by log_str(). */
			buf_add_json(b, v);
		}
	}
}

static void
add_ctx(struct buf *b, const struct log_ctx *ctx)
{
	if (ctx == NULL)
		return;
	add_ctx(b, ctx->up);
	buf_addf(
	    b, "%s%s=%c%s", b->len > 0 ? " " : "", ctx->key, MARK, ctx->value);
}

static void
add_line(
    struct buf *b, enum log_level level, const char *event, struct str pairs)
{
	char now[25];

	clock_format_rfc3339(clock_wall_ms(), now);
	if (l.sink == LOG_SINK_SYSLOG)
		buf_addf(b, "<%d>posternd[%d]: ", MAIL | levels[level].severity,
		    l.pid);
	if (l.sink == LOG_SINK_JOURNAL) /* sd-daemon(3) */
		buf_addf(b, "<%d>", levels[level].severity);
	if (l.format == LOG_FORMAT_JSON) {
		buf_addf(b, "{\"time\":\"%s\",\"host\":", now);
		buf_add_json(b, str_of(l.host));
		buf_addf(b,
		    ",\"pid\":%d,\"role\":\"%s\",\"level\":\"%s\","
		    "\"event\":\"%s\"",
		    l.pid, l.role, levels[level].name, event);
		add_json_pairs(b, pairs);
		buf_add(b, "}\n", 2);
		return;
	}
	if (l.sink == LOG_SINK_STREAM)
		buf_addf(b, "%s %s posternd[%d]: ", now, l.host, l.pid);
	buf_addf(b, "%s %s", l.role, event);
	if (pairs.len > 0)
		buf_add_char(b, ' ');
	add_plain(b, pairs);
	buf_add_char(b, '\n');
}

__attribute__((format(printf, 4, 0))) static void
log_event(enum log_level level, const struct log_ctx *ctx, const char *event,
    const char *fmt, va_list ap)
{
	char room[8192];
	struct buf pairs = {
		.p = room, .cap = sizeof(room), .max = sizeof(room)
	};

	if (level > l.level)
		return;
	add_ctx(&pairs, ctx);
	if (fmt != NULL) {
		if (pairs.len > 0)
			buf_add_char(&pairs, ' ');
		size_t left = sizeof(room) - pairs.len;
		int n = vsnprintf(room + pairs.len, left, fmt, ap);
		if (n > 0)
			pairs.len += (size_t)n < left ? (size_t)n : left - 1;
	}
	size_t before = l.pending.len;
	add_line(&l.pending, level, event, buf_str(&pairs));
	if (l.pending.failed) {
		l.pending.failed = false;
		l.pending.len = before;
		l.lost++;
	}
}

void
log_warn(const struct log_ctx *ctx, const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_event(LOG_LEVEL_WARN, ctx, event, fmt, ap);
	va_end(ap);
}

void
log_info(const struct log_ctx *ctx, const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_event(LOG_LEVEL_INFO, ctx, event, fmt, ap);
	va_end(ap);
}

void
log_debug(const struct log_ctx *ctx, const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_event(LOG_LEVEL_DEBUG, ctx, event, fmt, ap);
	va_end(ap);
}

void
log_add_text(struct buf *out, struct str pairs)
{
	add_plain(out, pairs);
}

/* --- values --- */

static bool
is_plain(struct str s)
{
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '\\' ||
		    s.p[i] == 0x7f)
			return false; /* 8-bit is negative or not: both quoted
				       */
	return true;
}

static size_t
escape_char(struct buf *b, struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = utf8_char(s);

	if (c == '"' || c == '\\') {
		buf_addf(b, "\\%c", c);
		return 1;
	}
	/* C1 controls (U+0080 to U+009F) move terminals too. */
	bool c1 = n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0;
	if (n == 0 || c < 0x20 || c == 0x7f || c1) {
		buf_addf(b, "\\x%02x", c);
		return 1;
	}
	buf_add(b, s.p, n);
	return n;
}

const char *
log_str(struct str s)
{
	static char values[VALUES][VALUE_MAX + 16];
	static size_t next;

	char *room = values[next++ % VALUES];
	struct buf b = {
		.p = room, .cap = VALUE_MAX + 16, .max = VALUE_MAX + 16
	};
	buf_add_char(&b, MARK);
	if (is_plain(s) && s.len <= VALUE_MAX) {
		buf_add_str(&b, s);
	} else {
		buf_add_char(&b, '"');
		while (s.len > 0 && b.len < VALUE_MAX - 4)
			s = str_skip(s, escape_char(&b, s));
		buf_add_char(&b, '"');
	}
	room[b.len] = '\0';
	return room;
}

const char *
log_cstr(const char *s)
{
	return log_str(str_of(s));
}

/* --- the end --- */

__attribute__((format(printf, 1, 0))) static void
last_words(const char *fmt, va_list ap, const char *why)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (why != NULL) {
		size_t n = strlen(text);
		snprintf(text + n, sizeof(text) - n, ": %s", why);
	}
	log_warn(NULL, "fatal", "why=%s", log_cstr(text));
	log_flush();
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	last_words(fmt, ap, NULL);
	va_end(ap);
	_exit(1);
}

void
fatal_errno(const char *fmt, ...)
{
	va_list ap;
	const char *why = strerror(errno);

	va_start(ap, fmt);
	last_words(fmt, ap, why);
	va_end(ap);
	_exit(1);
}
