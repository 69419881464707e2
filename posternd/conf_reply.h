/* Replies that the administrator writes. */
#ifndef POSTERN_POSTERND_CONF_REPLY_H
#define POSTERN_POSTERND_CONF_REPLY_H

#include "lib/base/str.h"

struct conf_parser;

/* `550 5.1.1 text', of one of these classes ("5"), to *out; the enhanced code
 * is put in when it is missing, because replies always have one. Frees what
 * was there. 0, or -1 after conf_error. */
int conf_parse_reply(
    struct conf_parser *p, struct str s, const char *classes, char **out);

#endif
