/* Values of postern.conf: numbers with their units, texts, paths, names. */
#ifndef POSTERN_POSTERND_CONF_VALUE_H
#define POSTERN_POSTERND_CONF_VALUE_H

#include <stdint.h>

#include "lib/base/str.h"
#include "lib/net/addr.h"

struct conf_parser;
struct conf_keyword;

/* parse functions that fill the field at k->offset */
int conf_set_text(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* char *, printable, at most k->max bytes */
int conf_set_path(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* char *, absolute */
int conf_set_domain(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* char *, a host name */
int conf_set_address(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* char *, user@domain */
int conf_set_size(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* uint64_t */
int conf_set_count(
    struct conf_parser *p, const struct conf_keyword *k, void *into);
int conf_set_time(
    struct conf_parser *p, const struct conf_keyword *k, void *into);
int conf_set_port(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* uint16_t, never 0 */
int conf_set_true(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* bool; the keyword says it all */
int conf_set_rate(struct conf_parser *p, const struct conf_keyword *k,
    void *into); /* two uint64_t: count, period */
int conf_take_time(
    struct conf_parser *p, uint64_t min, uint64_t max, uint64_t *out);
int conf_take_count(
    struct conf_parser *p, uint64_t min, uint64_t max, uint64_t *out);
/* An address that stands there as a word or text; what is expected, for the
 * message. An IPv6 one may have its scope behind a `%'. */
int conf_take_address(
    struct conf_parser *p, const char *what, struct addr *out);
int conf_parse_address(struct str s, struct addr *out);
int conf_parse_time(struct str s, uint64_t *ms);
int conf_parse_size(struct str s, uint64_t *bytes);
/* A name of a table, action or tag: letters, digits, `_', `-', `.'; at most
 * 64 bytes. */
int conf_take_name(struct conf_parser *p, const char *what, struct str *out);

#endif
