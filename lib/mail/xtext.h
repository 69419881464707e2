/*
 * How ENVID, ORCPT and AUTH carry their texts: xtext (RFC 3461 4), and what
 * addresses beyond ASCII have instead (RFC 6533 3).
 */
#ifndef POSTERN_MAIL_XTEXT_H
#define POSTERN_MAIL_XTEXT_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

/* Appends what in stands for. Printable ASCII comes out, or 0/-1: -1 when it
 * is not xtext or hides something else; nothing is added then. */
int xtext_decode(struct str in, struct buf *out);
/* Appends s so that it is xtext. */
void xtext_add(struct buf *out, struct str s);

/* utf-8-addr-xtext and utf-8-addr-unitext; UTF-8 without controls comes
 * out. As above. */
int unitext_decode(struct str in, struct buf *out);
/* s is UTF-8. ascii: the form for those who take nothing else. */
void unitext_add(struct buf *out, struct str s, bool ascii);

/* A recipient as ORCPT has it, "type;address", its address decoded by its
 * type. Both parts have something in them. An rfc822 one beyond ASCII becomes
 * utf-8. As above. */
int orcpt_decode(struct str in, struct buf *out);
/* The reverse. ascii: as above. */
void orcpt_add(struct buf *out, struct str orcpt, bool ascii);
/* Is its address one that may be beyond ASCII? */
bool orcpt_is_utf8(struct str orcpt);

#endif
