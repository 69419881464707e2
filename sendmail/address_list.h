/* Lists of addresses as people write them (RFC 5322 3.4, 4.4). */
#ifndef POSTERN_SENDMAIL_ADDRESS_LIST_H
#define POSTERN_SENDMAIL_ADDRESS_LIST_H

#include "lib/base/str.h"

/* One address, without names, comments and blanks: what stood between its
 * angle brackets, or all of it. It lives until the call returns. end: behind
 * its last character in the list. Returns 0, or -1 to end there. */
typedef int address_fn(void *ctx, struct str address, const char *end);

/* Calls fn for each address of list, those of groups too; folded lines are
 * one. Returns NULL, or what is wrong with the list; those before were given
 * already then. fn's -1: "". */
const char *address_list(struct str list, address_fn *fn, void *ctx);

#endif
