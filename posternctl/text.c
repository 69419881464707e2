/* Text for people. What remote people wrote never steers the terminal. */
#include "posternctl/text.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/utf8.h"

static uint32_t
code_point(const char *p, size_t n)
{
	static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (uint8_t)p[0] & masks[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((uint8_t)p[i] & 0x3fU);
	return c;
}

/* Characters that do something rather than look like something. */
static bool
is_harmful(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x00, 0x1f },   /* C0 controls */
		{ 0x7f, 0x9f },   /* DEL, C1 controls */
		{ 0xad, 0xad },   /* soft hyphen */
		{ 0x61c, 0x61c }, /* direction of writing, and what has no
				   * width */
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
		{ 0xe0000, 0xe007f }, /* tags */
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static void
add_hex(struct buf *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "\\x%02X", (unsigned int)(uint8_t)p[i]);
}

static void
add_safe(struct buf *out, struct str s, bool keep_lines)
{
	while (s.len > 0) {
		size_t n = utf8_char(s);
		if (n == 0) {
			add_hex(out, s.p, 1);
			n = 1;
		} else if (keep_lines && (s.p[0] == '\n' || s.p[0] == '\t')) {
			buf_add_char(out, s.p[0]);
		} else if (is_harmful(code_point(s.p, n))) {
			add_hex(out, s.p, n);
		} else if (s.p[0] == '\\' && !keep_lines) {
			buf_add_str(out, STR("\\\\"));
		} else {
			buf_add(out, s.p, n);
		}
		s = str_skip(s, n);
	}
}

void
text_add(struct buf *out, struct str s)
{
	add_safe(out, s, false);
}

void
text_add_lines(struct buf *out, struct str s)
{
	/* The CR of a CRLF is not worth an escape. */
	while (s.len > 0) {
		size_t n = str_find(s, '\r');
		add_safe(out, str_head(s, n), true);
		s = str_skip(s, n);
		if (s.len == 0)
			return;
		if (s.len == 1 || s.p[1] != '\n')
			buf_add_str(out, STR("\\x0D"));
		s = str_skip(s, 1);
	}
}

const char *
text_duration(uint64_t seconds, char out[static 24])
{
	static const struct {
		uint64_t from, unit;
		char letter;
	} units[] = { { 172800, 86400, 'd' }, { 7200, 3600, 'h' },
		{ 120, 60, 'm' }, { 0, 1, 's' } };

	size_t i = 0;

	while (seconds < units[i].from)
		i++;
	snprintf(out, 24, "%llu%c",
	    (unsigned long long)(seconds / units[i].unit), units[i].letter);
	return out;
}

const char *
text_size(uint64_t bytes, char out[static 24])
{
	static const char letters[] = "KMGTPE";
	size_t i = 0;
	uint64_t tenths;

	if (bytes < 1024) {
		snprintf(out, 24, "%llu", (unsigned long long)bytes);
		return out;
	}
	while (bytes / 1024 >= 1024) {
		bytes /= 1024;
		i++;
	}
	tenths = bytes * 10 / 1024;
	if (tenths < 100)
		snprintf(out, 24, "%llu.%llu%c",
		    (unsigned long long)(tenths / 10),
		    (unsigned long long)(tenths % 10), letters[i]);
	else
		snprintf(out, 24, "%llu%c", (unsigned long long)(tenths / 10),
		    letters[i]);
	return out;
}

size_t
text_columns(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == -1)
		return 0;
	return w.ws_col > 0 ? w.ws_col : 80;
}

size_t
text_rows(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == -1 ? 0 : w.ws_row;
}

/* Characters that take two columns (East Asian wide, pictures). */
static bool
is_wide(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x1100, 0x115f },
		{ 0x2e80, 0x303e },
		{ 0x3041, 0xa4cf },
		{ 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff },
		{ 0xfe30, 0xfe6f },
		{ 0xff00, 0xff60 },
		{ 0xffe0, 0xffe6 },
		{ 0x1f300, 0x1f64f },
		{ 0x1f900, 0x1f9ff },
		{ 0x20000, 0x3fffd },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

/* The character at the start of s: its bytes, and its columns. */
static size_t
char_size(struct str s, size_t *columns)
{
	size_t n = utf8_char(s);

	*columns = n > 1 && is_wide(code_point(s.p, n)) ? 2 : 1;
	return n > 0 ? n : 1;
}

/* How many bytes of line fit into n columns. */
static size_t
fitting(struct str line, size_t n)
{
	size_t at = 0, columns;

	while (at < line.len) {
		size_t len = char_size(str_skip(line, at), &columns);
		if (columns > n)
			break;
		n -= columns;
		at += len;
	}
	return at;
}

/* 0: no limit. */
static size_t
columns_once(void)
{
	static size_t columns = SIZE_MAX;

	if (columns == SIZE_MAX)
		columns = text_columns();
	return columns;
}

void
text_end_line(struct buf *out, struct buf *line)
{
	size_t columns = columns_once();
	struct str s = buf_str(line);

	if (columns > 0 && fitting(s, columns) < s.len) {
		buf_add_str(out, str_head(s, fitting(s, columns - 1)));
		buf_add_char(out, '>');
	} else {
		buf_add_str(out, s);
	}
	buf_add_char(out, '\n');
	buf_reset(line);
}

/* Of what fits, up to a blank when there is one in its second half. */
static size_t
break_at(struct str s, size_t columns)
{
	size_t most = fitting(s, columns), i = most;

	while (i > most / 2 && s.p[i] != ' ')
		i--;
	return i > most / 2 ? i : most;
}

void
text_wrap(struct buf *out, struct str s, size_t columns, size_t indent)
{
	size_t room = columns;

	if (columns <= indent + 10)
		indent = 0;
	while (columns > 0 && fitting(s, room) < s.len) {
		size_t n = break_at(s, room);
		buf_add_str(out, str_head(s, n > 0 ? n : 1));
		buf_addf(out, "\n%*s", (int)indent, "");
		s = str_skip(s, n > 0 ? n : 1);
		while (s.len > 0 && s.p[0] == ' ')
			s = str_skip(s, 1);
		room = columns - indent;
	}
	buf_add_str(out, s);
	buf_add_char(out, '\n');
}

void
text_wrap_to_terminal(struct buf *out, struct str s, size_t indent)
{
	text_wrap(out, s, columns_once(), indent);
}

void
text_wrap_line(struct buf *out, struct buf *line, size_t indent)
{
	text_wrap_to_terminal(out, buf_str(line), indent);
	buf_reset(line);
}

void
text_pad(struct buf *line, size_t column)
{
	size_t width = 0, columns;
	struct str s = buf_str(line);

	while (s.len > 0) {
		s = str_skip(s, char_size(s, &columns));
		width += columns;
	}
	do
		buf_add_char(line, ' ');
	while (++width < column);
}

void
text_add_socket(struct buf *out, struct str address, unsigned int port)
{
	bool is_v6 = port > 0 && str_find(address, ':') < address.len;

	if (is_v6)
		buf_add_char(out, '[');
	text_add(out, address);
	if (is_v6)
		buf_add_char(out, ']');
	if (port > 0)
		buf_addf(out, ":%u", port);
}

void
text_add_address(struct buf *out, struct str address)
{
	buf_add_char(out, '<');
	text_add(out, address);
	buf_add_char(out, '>');
}
