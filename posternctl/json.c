/* JSON being written (RFC 8259). */
#include "posternctl/json.h"

#include "lib/base/clock.h"

static void
begin_value(struct json *j)
{
	if (j->comma)
		buf_add_char(j->out, ',');
	j->comma = true;
}

void
json_open(struct json *j, char bracket)
{
	begin_value(j);
	buf_add_char(j->out, bracket);
	j->comma = false;
}

void
json_close(struct json *j, char bracket)
{
	buf_add_char(j->out, bracket);
	j->comma = true;
}

void
json_name(struct json *j, struct str name)
{
	begin_value(j);
	buf_add_json(j->out, name);
	buf_add_char(j->out, ':');
	j->comma = false;
}

void
json_key(struct json *j, const char *key)
{
	json_name(j, str_of(key));
}

void
json_str(struct json *j, struct str s)
{
	begin_value(j);
	buf_add_json(j->out, s);
}

void
json_number(struct json *j, uint64_t n)
{
	begin_value(j);
	buf_addf(j->out, "%llu", (unsigned long long)n);
}

void
json_decimal(struct json *j, const char *digits)
{
	begin_value(j);
	buf_add_str(j->out, str_of(digits));
}

void
json_bool(struct json *j, bool b)
{
	begin_value(j);
	buf_add_str(j->out, str_of(b ? "true" : "false"));
}

void
json_null(struct json *j)
{
	begin_value(j);
	buf_add_str(j->out, STR("null"));
}

void
json_time(struct json *j, uint64_t wall_ms)
{
	char text[25];

	if (wall_ms == 0) {
		json_null(j);
		return;
	}
	clock_format_rfc3339(wall_ms, text);
	json_str(j, str_of(text));
}

void
json_key_str(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str(j, s);
}

void
json_key_number(struct json *j, const char *key, uint64_t n)
{
	json_key(j, key);
	json_number(j, n);
}

void
json_key_str_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	if (s.len > 0)
		json_str(j, s);
	else
		json_null(j);
}
