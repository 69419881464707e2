/* JSON being written: objects, arrays, and the commas between. */
#ifndef POSTERN_POSTERNCTL_JSON_H
#define POSTERN_POSTERNCTL_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct json {
	struct buf *out; /* not owned */
	bool comma;      /* something stands before in this object or array */
};

/* '{' or '['; closed by '}' or ']'. */
void json_open(struct json *j, char bracket);
void json_close(struct json *j, char bracket);
/* The value follows. */
void json_key(struct json *j, const char *key);
void json_name(struct json *j, struct str name);
void json_str(struct json *j, struct str s);
void json_number(struct json *j, uint64_t n);
/* As it is written: "0.5". */
void json_decimal(struct json *j, const char *digits);
void json_bool(struct json *j, bool b);
void json_null(struct json *j);
/* RFC 3339, UTC; 0: null. */
void json_time(struct json *j, uint64_t wall_ms);

/* The frequent pairs. */
void json_key_str(struct json *j, const char *key, struct str s);
void json_key_number(struct json *j, const char *key, uint64_t n);
/* null for an empty one. */
void json_key_str_or_null(struct json *j, const char *key, struct str s);

#endif
