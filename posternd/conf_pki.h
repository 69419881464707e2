/* Certificates in a statement, and who names them. */
#ifndef POSTERN_POSTERND_CONF_PKI_H
#define POSTERN_POSTERND_CONF_PKI_H

#include "posternd/conf_parse.h"

/* The certificates in the file that stands there, as PEM; *path: its name
 * (also when it could not be read; the caller frees both). NULL after
 * conf_error. */
char *conf_take_certs(struct conf_parser *p, char **path);
/* One, by its name. NULL after conf_error. */
const struct pki *conf_take_pki(struct conf_parser *p);
/* A file's name, as it is opened; the caller frees it. NULL after
 * conf_error. */
char *conf_take_file(struct conf_parser *p);
/* Has the file any certificate in PEM, and nothing secret? 0, or -1 with
 * why. */
int conf_check_ca(const char *path, struct fault *why);
/* a b, up to a word of stop; or { a, b }. 0/-1 */
int conf_take_pkis(
    struct conf_parser *p, const struct conf_keyword *stop, struct listener *l);

#endif
