/* What happened to a mail: pairs, written as the log writes them. */
#include "posternctl/event_view.h"

#include "lib/base/clock.h"
#include "posternctl/text.h"

/* Two hex digits at p; -1: they are none. */
static int
hex_byte(const char *p)
{
	static const char digits[] = "0123456789abcdef";
	size_t high = str_find(STR("0123456789abcdef"), chr_lower(p[0]));
	size_t low = str_find(STR("0123456789abcdef"), chr_lower(p[1]));

	if (high == sizeof(digits) - 1 || low == sizeof(digits) - 1)
		return -1;
	return (int)(high * 16 + low);
}

/* The quoted value behind the quote at the start of *s; *s moves behind it. */
static void
take_quoted(struct str *s, struct buf *out)
{
	size_t i;

	for (i = 1; i < s->len && s->p[i] != '"'; i++) {
		int c = -1;

		if (s->p[i] == '\\' && i + 1 < s->len)
			i++;
		else {
			buf_add_char(out, s->p[i]);
			continue;
		}
		if (s->p[i] == 'x' && i + 2 < s->len)
			c = hex_byte(s->p + i + 1);
		buf_add_char(out, c < 0 ? s->p[i] : (char)c);
		i += c < 0 ? 0 : 2;
	}
	*s = str_skip(*s, i + 1);
}

static bool
is_number(struct str s)
{
	uint64_t n;

	return s.len > 0 && (s.len == 1 || s.p[0] != '0') &&
	       str_to_u64(s, UINT64_MAX, &n) == 0;
}

static void
value_json(struct json *j, struct str *s, struct buf *room)
{
	buf_reset(room);
	if (s->len > 0 && s->p[0] == '"') {
		take_quoted(s, room);
		json_str(j, buf_str(room));
		return;
	}
	struct str word = str_head(*s, str_find(*s, ' '));
	uint64_t n = 0;

	if (is_number(word) && str_to_u64(word, UINT64_MAX, &n) == 0)
		json_number(j, n);
	else
		json_str(j, word);
	*s = str_skip(*s, word.len);
}

/* What is no pair stands under "text". */
static void
pairs_json(struct json *j, struct str s)
{
	struct buf room;

	buf_init(&room, 4096);
	for (s = str_trim(s); s.len > 0; s = str_trim(s)) {
		size_t eq = str_find(s, '='), blank = str_find(s, ' ');

		if (eq == 0 || eq >= blank) {
			json_key_str(j, "text", s);
			break;
		}
		struct str key = str_head(s, eq);
		/* Every event has these two of its own. */
		if (str_eq(key, STR("time")))
			key = STR("time_");
		else if (str_eq(key, STR("event")))
			key = STR("event_");
		json_name(j, key);
		s = str_skip(s, eq + 1);
		value_json(j, &s, &room);
	}
	buf_clear(&room);
}

void
event_json(struct json *j, const struct row_event *row)
{
	json_open(j, '{');
	json_key(j, "time");
	json_time(j, row->when_ms);
	json_key_str(j, "event", row->event);
	pairs_json(j, row->text);
	json_close(j, '}');
}

void
event_text(struct buf *out, const struct row_event *row)
{
	char time[25];

	clock_format_rfc3339(row->when_ms, time);
	buf_addf(out, "%s ", time);
	text_add(out, row->event);
	if (row->text.len == 0)
		return;
	buf_add_char(out, ' ');
	text_add(out, row->text);
}
