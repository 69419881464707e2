/*
 * A mail with 8-bit content made into one of 7 bits, for a next hop without
 * 8BITMIME (RFC 6152 3; RFC 2045 6).
 *
 * The mail streams through, in pieces of any size. Every body part that is
 * declared 8bit or binary, or that is declared to be neither of 7 bits nor
 * encoded but has 8-bit bytes, becomes quoted-printable, in multiparts and in
 * messages within messages too; their own declarations become 7bit. All else
 * stays byte for byte, but for 8-bit bytes where a body cannot have any:
 * between parts and in base64 they become `?', in quoted-printable their
 * octal's =XX. Fields of header blocks are left as they are: mail with 8-bit
 * ones asks for SMTPUTF8.
 *
 * As with other MTAs what was signed is converted too: a signature over an
 * 8-bit body does not survive, but the mail does.
 */
#ifndef POSTERN_DELIVERY_DOWNGRADE_H
#define POSTERN_DELIVERY_DOWNGRADE_H

#include <stddef.h>

#include "lib/base/str.h"

struct downgrade;

/* Where the result goes, in pieces; valid during the call only. */
typedef void downgrade_out(void *ctx, const char *p, size_t len);

struct downgrade *downgrade_new(void);
/* The next piece of the mail, whose lines end in CRLF. What it holds back is
 * bounded (some 200 KiB, of which most while it looks whether a part that was
 * declared nothing has 8-bit bytes). */
void downgrade_feed(
    struct downgrade *d, struct str in, downgrade_out *out, void *ctx);
/* The mail is whole: the rest of the result. Nothing may be fed any more. */
void downgrade_end(struct downgrade *d, downgrade_out *out, void *ctx);
void downgrade_free(struct downgrade **d);

#endif
