/* The certificates of the authorities that are trusted: opened here, read by
 * those who connect out. */
#ifndef POSTERN_POSTERND_AUTHORITIES_H
#define POSTERN_POSTERND_AUTHORITIES_H

struct gateway;

/* The system's (Debian's place); used when it is there, and the configuration
 * has no other. */
#define AUTHORITIES_PATH "/etc/ssl/certs/ca-certificates.crt"

/* Opens what gw->conf names, as it is there now, as gw->authorities; -1:
 * those told of before stay. */
void authorities_open(struct gateway *gw);

#endif
