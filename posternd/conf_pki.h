/* Certificates in a statement, and who names them. */
#ifndef POSTERN_POSTERND_CONF_PKI_H
#define POSTERN_POSTERND_CONF_PKI_H

#include "posternd/conf_parse.h"

/* The certificates in the file that stands there, as PEM; *path: its name
 * (also when it could not be read; the caller frees both). NULL after
 * conf_error. */
char *conf_take_certs(struct conf_parser *p, char **path);
/* a b, up to a word of stop; or { a, b }. 0/-1 */
int conf_take_pkis(
    struct conf_parser *p, const struct conf_keyword *stop, struct listener *l);

#endif
